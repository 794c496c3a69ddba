//! The state of the TUI and how messages change it: `update` is pure, `draw` looks, and nothing here waits.
//!
//! Components do not call each other. What they want comes back as values; what the outside shall do comes back from
//! [`App::update`] as [`Effect`]s, which the event loop carries out.

use std::sync::Arc;

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::components::course_map::CourseWish;
use super::components::{CourseMap, CourseRow, LessonPane, LessonText, LessonWish, ShellPane, ShellWish};
use super::keys::{Action, Context, lookup};
use super::layout::{Areas, Border, Layout, Pane, inside};
use super::theme::Theme;
use super::views::{self, Feed, LogTarget, Travel, View};
use super::words::{Lang, Word};
use super::world::World;
use crate::api::registry::Registry;
use crate::shell::completion::Completion;
use crate::store::{Record, Revision, Store};

/// How many rows a turn of the wheel moves.
const WHEEL: i32 = 3;

/// Something that has happened.
#[derive(Debug)]
pub enum Message {
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// A paste.
    Paste(String),
    /// The terminal has another size.
    Resize(u16, u16),
    /// A command printed this.
    Output(Vec<u8>),
    /// The command has ended.
    Ended {
        /// The next prompt.
        prompt: String,
        /// What is said of jobs before it.
        notices: Vec<String>,
        /// The code that `exit` was given.
        exited: Option<i32>,
    },
    /// The store was written to.
    Records(Vec<Arc<Record>>),
    /// Candidates for the line that was this, with the cursor there.
    Candidates(String, usize, Completion),
    /// Something for the views.
    Feed(Feed),
    /// What the lesson shows; `None`: there is no lesson.
    Lesson(Option<LessonText>),
    /// The course as it is.
    Course(Vec<CourseRow>),
    /// Something to tell in the bar; empty: nothing any more.
    Notice(String),
    /// Something that went wrong, in several lines maybe.
    Problem(String),
    /// What a command was typed at cannot take it.
    InputFull,
}

/// Something that shall happen outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run a command.
    Run(String),
    /// Give bytes to the command that runs.
    Keys(Vec<u8>),
    /// The shell's pane has so many columns and rows.
    ResizeShell(u16, u16),
    /// Find candidates.
    Complete(String, usize),
    /// Follow exactly these logs.
    FollowLogs(Vec<LogTarget>),
    /// Do something with the lesson.
    Lesson(LessonWish),
    /// Play a lesson; `None` is free play.
    Open(Option<String>),
    /// Speak another language.
    Language(Lang),
    /// Leave with this code.
    Quit(i32),
}

/// What lies over the panes.
#[derive(Debug)]
pub enum Overlay {
    /// The keys, scrolled by so many rows.
    Help(usize),
    /// The course.
    Course(CourseMap),
    /// Whether to leave.
    Quit,
    /// Something that went wrong.
    Problem(String),
}

/// The state.
pub struct App {
    /// The language.
    pub lang: Lang,
    /// The colours.
    pub theme: Theme,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Where panes are.
    pub layout: Layout,
    /// Which pane keys go to.
    pub focus: Pane,
    /// The shell.
    pub shell: ShellPane,
    /// The lesson, if one is played.
    pub lesson: Option<LessonPane>,
    /// What is known of the cluster.
    pub world: World,
    /// The views.
    pub views: Vec<Box<dyn View>>,
    /// Which of them is shown.
    pub view: usize,
    /// What lies over everything.
    pub overlay: Option<Overlay>,
    /// What the bar says instead of keys, until the next one.
    pub notice: Option<String>,
    course: Vec<CourseRow>,
    dragged: Option<Border>,
    followed: Vec<LogTarget>,
}

impl App {
    /// The TUI before anything has happened.
    pub fn new(lang: Lang, theme: Theme, registry: Registry, history: Vec<String>) -> Self {
        Self {
            lang,
            theme,
            size: (80, 24),
            layout: Layout::default(),
            focus: Pane::Shell,
            shell: ShellPane::new(history),
            lesson: None,
            world: World::new(registry),
            views: views::all(),
            view: 0,
            overlay: None,
            notice: None,
            course: vec![],
            dragged: None,
            followed: vec![],
        }
    }

    /// Starts anew from what the store holds; returns the revision up to which it is known.
    pub fn load(&mut self, store: &Store) -> Revision {
        let revision = self.world.load(store);
        for view in &mut self.views {
            view.reset(&self.world);
        }
        revision
    }

    /// Where everything is; `None` if the terminal is too small.
    pub fn areas(&self) -> Option<Areas> {
        self.layout.areas(self.size, self.lesson.is_some(), self.focus)
    }

    /// The contexts in which a key counts now.
    pub fn contexts(&self) -> Vec<Context> {
        let mut contexts = vec![Context::Everywhere];
        if self.lesson.is_some() {
            contexts.push(Context::WithLesson);
        }
        match self.focus {
            Pane::View => contexts.push(Context::View),
            Pane::Text => contexts.push(Context::Text),
            Pane::Shell => {}
        }
        contexts
    }

    /// Takes in a message.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let mut effects = vec![];
        match message {
            Message::Key(key) if key.kind == KeyEventKind::Release => {}
            Message::Key(key) => {
                self.notice = None;
                self.key(&key, &mut effects);
            }
            Message::Mouse(mouse) => self.mouse(mouse, &mut effects),
            Message::Paste(text) => self.paste(&text, &mut effects),
            Message::Resize(columns, rows) => self.size = (columns, rows),
            Message::Output(bytes) => self.shell.output(&bytes),
            Message::Ended { prompt, notices, exited } => match exited {
                Some(code) => effects.push(Effect::Quit(code)),
                None => self.shell.ended(prompt, &notices),
            },
            Message::Records(records) => {
                for record in &records {
                    self.world.apply(record.clone());
                }
                for view in &mut self.views {
                    view.changed(&self.world, &records);
                }
            }
            Message::Candidates(text, cursor, completion) => self.shell.complete(&text, cursor, completion),
            Message::Feed(feed) => self.views.iter_mut().for_each(|view| view.feed(&feed)),
            Message::Lesson(text) => self.set_lesson(text),
            Message::Course(rows) => {
                if let Some(Overlay::Course(map)) = &mut self.overlay {
                    map.set(rows.clone());
                }
                self.course = rows;
            }
            Message::Problem(text) => self.overlay = Some(Overlay::Problem(text)),
            Message::Notice(text) => self.notice = Some(text).filter(|text| !text.is_empty()),
            Message::InputFull => self.notice = Some(Word::InputFull.text(self.lang).to_owned()),
        }
        self.settle(&mut effects);
        effects
    }

    fn set_lesson(&mut self, text: Option<LessonText>) {
        if matches!(self.overlay, Some(Overlay::Problem(_))) && text.is_some() {
            // It has been mended.
            self.overlay = None;
        }
        match (text, &mut self.lesson) {
            (None, lesson) => {
                *lesson = None;
                if self.focus == Pane::Text {
                    self.focus = Pane::Shell;
                }
            }
            (Some(text), lesson) => {
                let asks = |text: &LessonText| text.quiz.is_some() && !text.step_done;
                let asked = lesson.as_ref().is_some_and(|pane| asks(pane.text()));
                // A question is answered in the text's pane; everything else is done in the shell.
                match (asked, asks(&text)) {
                    (false, true) => self.focus = Pane::Text,
                    (true, false) if self.focus == Pane::Text => self.focus = Pane::Shell,
                    _ => {}
                }
                match lesson {
                    Some(pane) => pane.set(text, self.theme, self.lang),
                    None => *lesson = Some(LessonPane::new(text)),
                }
            }
        }
    }

    /// Another cluster and shell: everything that was known of the old one is forgotten.
    pub fn new_ground(&mut self, registry: Registry, history: Vec<String>) {
        let size = self.shell.size();
        self.shell = ShellPane::new(history);
        self.shell.resize(size.0, size.1);
        self.world = World::new(registry);
        self.views = views::all();
        self.followed.clear();
    }

    /// Shows the course.
    pub fn show_course(&mut self) {
        self.overlay = Some(Overlay::Course(CourseMap::new(self.course.clone())));
    }

    /// Brings into line what depends on several parts: sizes, the focus, the logs that are followed.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let shows_views = self.layout.shows_views(self.size, self.lesson.is_some());
        if self.focus == Pane::View && !shows_views && !self.layout.zoom {
            self.focus = Pane::Shell;
        }
        if let Some(areas) = self.areas() {
            if let Some(area) = areas.shell.map(inside)
                && self.shell.resize(area.width, area.height)
            {
                let (columns, rows) = self.shell.size();
                effects.push(Effect::ResizeShell(columns, rows));
            }
            if let (Some(area), Some(lesson)) = (areas.text.map(inside), &mut self.lesson) {
                lesson.resize(area.width, area.height);
            }
        }
        let wanted = if shows_views { self.views[self.view].wanted_logs(&self.world) } else { vec![] };
        if wanted != self.followed {
            self.followed.clone_from(&wanted);
            effects.push(Effect::FollowLogs(wanted));
        }
    }

    /// Whether the scheduler's decisions are wanted.
    pub fn wants_decisions(&self) -> bool {
        self.layout.shows_views(self.size, self.lesson.is_some()) && self.views[self.view].wants_decisions()
    }

    // Keys

    fn key(&mut self, key: &KeyEvent, effects: &mut Vec<Effect>) {
        if self.overlay.is_some() {
            return self.overlay_key(key, effects);
        }
        let typed_letter =
            matches!(key.code, KeyCode::Char(_)) && key.modifiers - KeyModifiers::SHIFT == KeyModifiers::NONE;
        let answering =
            self.focus == Pane::Text && self.lesson.as_ref().is_some_and(LessonPane::takes_letters);
        if !(answering && typed_letter)
            && let Some(action) = lookup(key, &self.contexts())
        {
            return self.act(action, effects);
        }
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if is_interrupt {
            // Wherever the focus is, Ctrl-C is for the command that runs.
            self.focus = Pane::Shell;
        }
        match self.focus {
            Pane::Shell => {
                let wishes = self.shell.key(key);
                self.shell_wishes(wishes, effects);
            }
            Pane::View => self.view_key(key),
            Pane::Text => {
                let wish = self.lesson.as_mut().and_then(|lesson| lesson.key(key));
                effects.extend(wish.map(Effect::Lesson));
            }
        }
    }

    fn view_key(&mut self, key: &KeyEvent) {
        if let KeyCode::Char(c @ '1'..='9') = key.code {
            let index = c as usize - '1' as usize;
            if index < self.views.len() {
                self.view = index;
            }
            return;
        }
        if !self.views[self.view].keys().iter().any(|(code, _)| *code == key.code) {
            return;
        }
        if let Some(opened) = self.views[self.view].key(key, &self.world) {
            self.world.subject = Some(opened);
            self.views[views::YAML].reset(&self.world);
            self.view = views::YAML;
        }
    }

    fn overlay_key(&mut self, key: &KeyEvent, effects: &mut Vec<Effect>) {
        let close = matches!(key.code, KeyCode::Esc | KeyCode::Char('q'))
            || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match &mut self.overlay {
            Some(Overlay::Quit)
                if matches!(key.code, KeyCode::Enter | KeyCode::Char('y') | KeyCode::F(10)) =>
            {
                effects.push(Effect::Quit(0));
            }
            Some(Overlay::Help(scroll)) if !close && key.code != KeyCode::F(1) => match key.code {
                KeyCode::Down | KeyCode::Char('j') => *scroll += 1,
                KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => *scroll += 10,
                KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
                _ => self.overlay = None,
            },
            Some(Overlay::Course(map)) if !close && key.code != KeyCode::F(9) => match map.key(key) {
                None => {}
                Some(CourseWish::Close) => self.overlay = None,
                Some(CourseWish::Language) => {
                    let at = Lang::ALL.iter().position(|lang| *lang == self.lang).unwrap_or(0);
                    self.lang = Lang::ALL[(at + 1) % Lang::ALL.len()];
                    effects.push(Effect::Language(self.lang));
                }
                Some(CourseWish::Open(lesson)) => {
                    self.overlay = None;
                    effects.push(Effect::Open(lesson));
                }
            },
            _ => self.overlay = None,
        }
    }

    fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let count = self.views.len();
        match action {
            Action::Help => self.overlay = Some(Overlay::Help(0)),
            Action::Course => self.show_course(),
            Action::Quit => self.overlay = Some(Overlay::Quit),
            Action::NextView => self.show_view((self.view + 1) % count),
            Action::PreviousView => self.show_view((self.view + count - 1) % count),
            Action::View(index) => self.show_view(usize::from(index).min(count - 1)),
            Action::ToggleViews => {
                let shown = self.layout.shows_views(self.size, self.lesson.is_some());
                self.layout.views = Some(!shown);
                self.layout.zoom = false;
            }
            Action::Beside => {
                self.layout.beside = Some(!self.layout.is_beside(self.size, self.lesson.is_some()));
            }
            Action::Zoom => self.layout.zoom = !self.layout.zoom,
            Action::NextPane => self.focus = self.next_pane(),
            Action::Back => self.focus = Pane::Shell,
            Action::Wider | Action::Narrower => self.nudge(true, action == Action::Wider),
            Action::Taller | Action::Shorter => self.nudge(false, action == Action::Taller),
            Action::ShellUp | Action::ShellDown => {
                let page = i32::from(self.shell.size().1.max(2)) - 1;
                let wishes = self.shell.scroll_by(if action == Action::ShellUp { page } else { -page });
                self.shell_wishes(wishes, effects);
            }
            Action::Hint => effects.push(Effect::Lesson(LessonWish::Hint)),
            Action::Next => effects.push(Effect::Lesson(LessonWish::Next)),
            Action::Skip => effects.push(Effect::Lesson(LessonWish::Skip)),
            Action::Reset => effects.push(Effect::Lesson(LessonWish::Reset)),
            Action::Up => self.travel(Travel::By(-1)),
            Action::Down => self.travel(Travel::By(1)),
            Action::PageUp => self.travel(Travel::By(-self.page())),
            Action::PageDown => self.travel(Travel::By(self.page())),
            Action::First => self.travel(Travel::First),
            Action::Last => self.travel(Travel::Last),
        }
    }

    fn show_view(&mut self, index: usize) {
        self.view = index;
        // Asking for a view shows it.
        self.layout.views = Some(true);
        if self.layout.zoom && self.focus != Pane::View {
            self.layout.zoom = false;
        }
    }

    fn next_pane(&self) -> Pane {
        let views = self.layout.shows_views(self.size, self.lesson.is_some());
        let order = [(Pane::Shell, true), (Pane::View, views), (Pane::Text, self.lesson.is_some())];
        let shown: Vec<Pane> = order.into_iter().filter(|(_, shown)| *shown).map(|(pane, _)| pane).collect();
        let at = shown.iter().position(|pane| *pane == self.focus).unwrap_or(0);
        shown[(at + 1) % shown.len()]
    }

    /// Moves the border that lies in that direction.
    fn nudge(&mut self, sideways: bool, more: bool) {
        let with_text = self.lesson.is_some();
        let beside = self.layout.is_beside(self.size, with_text);
        match (sideways, with_text, beside) {
            (true, false, true) | (false, _, false) => self.layout.nudge(Border::View, more),
            (true, true, _) => self.layout.nudge(Border::Text, more),
            (true, false, false) | (false, _, true) => {}
        }
    }

    fn page(&self) -> i64 {
        let rows = self.areas().and_then(|areas| areas.of(self.focus)).map_or(10, |area| area.height);
        i64::from(rows.max(4)) - 3
    }

    fn travel(&mut self, travel: Travel) {
        match (self.focus, &mut self.lesson) {
            (Pane::Text, Some(lesson)) => {
                let rows = match travel {
                    Travel::By(rows) => rows.clamp(-1000, 1000) as i32,
                    Travel::First => -10_000,
                    Travel::Last => 10_000,
                };
                lesson.scroll_by(rows, self.theme, self.lang);
            }
            _ => self.views[self.view].travel(travel, &self.world),
        }
    }

    fn shell_wishes(&mut self, wishes: Vec<ShellWish>, effects: &mut Vec<Effect>) {
        for wish in wishes {
            match wish {
                ShellWish::Run(line) => effects.push(Effect::Run(line)),
                ShellWish::Keys(bytes) => effects.push(Effect::Keys(bytes)),
                ShellWish::Complete(text, cursor) => effects.push(Effect::Complete(text, cursor)),
                ShellWish::Leave => effects.push(Effect::Quit(0)),
                ShellWish::Say(word) => self.notice = Some(word.text(self.lang).to_owned()),
            }
        }
    }

    fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if self.overlay.is_none() {
            self.notice = None;
            self.focus = Pane::Shell;
            let wishes = self.shell.paste(text);
            self.shell_wishes(wishes, effects);
        }
    }

    // The mouse

    fn mouse(&mut self, mouse: MouseEvent, effects: &mut Vec<Effect>) {
        let at = (mouse.column, mouse.row);
        let Some(areas) = self.areas() else { return };
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) if self.overlay.is_none() => {
                if let Some(index) = areas.view.and_then(|area| super::draw::tab_at(self, area, at)) {
                    self.view = index;
                    self.focus = Pane::View;
                    return;
                }
                self.dragged = areas.border_at(at.0, at.1);
                if self.dragged.is_none()
                    && let Some(pane) = areas.pane_at(at.0, at.1)
                {
                    self.focus = pane;
                }
            }
            MouseEventKind::Drag(MouseButton::Left) => {
                if let Some(border) = self.dragged {
                    self.layout.drag(border, at, self.size, self.lesson.is_some());
                }
            }
            MouseEventKind::Up(_) => self.dragged = None,
            MouseEventKind::ScrollUp => self.wheel(&areas, at, WHEEL, effects),
            MouseEventKind::ScrollDown => self.wheel(&areas, at, -WHEEL, effects),
            _ => {}
        }
    }

    fn wheel(&mut self, areas: &Areas, at: (u16, u16), up: i32, effects: &mut Vec<Effect>) {
        if let Some(Overlay::Help(scroll)) = &mut self.overlay {
            *scroll = scroll.saturating_add_signed(-up as isize);
            return;
        }
        match areas.pane_at(at.0, at.1) {
            Some(Pane::Shell) => {
                let wishes = self.shell.scroll_by(up);
                self.shell_wishes(wishes, effects);
            }
            Some(Pane::View) => self.views[self.view].travel(Travel::By(i64::from(-up)), &self.world),
            Some(Pane::Text) => {
                if let Some(lesson) = &mut self.lesson {
                    lesson.scroll_by(-up, self.theme, self.lang);
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "app_tests.rs"]
mod tests;
