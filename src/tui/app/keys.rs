//! What keys and pastes do to the state: first what lies over the panes, then the table of keys, then the pane itself.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::message::{Effect, Overlay};
use super::state::App;
use crate::tui::components::course_map::CourseWish;
use crate::tui::components::{LessonPane, LessonWish, ShellWish};
use crate::tui::keys::{Action, lookup};
use crate::tui::layout::{Border, Pane};
use crate::tui::views::{self, Travel};
use crate::tui::words::Lang;

impl App {
    pub(super) fn key(&mut self, key: &KeyEvent, effects: &mut Vec<Effect>) {
        if self.overlay.is_some() {
            return self.overlay_key(key, effects);
        }
        let letter =
            matches!(key.code, KeyCode::Char(_)) && key.modifiers - KeyModifiers::SHIFT == KeyModifiers::NONE;
        let arrow = key.modifiers.is_empty() && matches!(key.code, KeyCode::Up | KeyCode::Down);
        let chooses = self.focus == Pane::Text && self.lesson.as_ref().is_some_and(LessonPane::takes_arrows);
        let is_the_panes = self.answers() && letter || chooses && arrow;
        if !is_the_panes && let Some(action) = lookup(key, &self.contexts()) {
            return self.act(action, effects);
        }
        let digit = matches!(key.code, KeyCode::Char('0'..='9'));
        if self.asked && letter && !digit && !is_the_panes {
            // A question came, and the learner goes on typing commands; after each the question is there again.
            (self.focus, self.lent) = (Pane::Shell, true);
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
                if let Some(command) = self.lesson.as_mut().and_then(LessonPane::take_command) {
                    (self.focus, self.lent) = (Pane::Shell, true);
                    let wishes = self.shell.paste(&command);
                    self.shell_wishes(wishes, effects);
                }
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
            // The bar says that it leaves, and so it does wherever the learner is.
            Some(overlay) if key.code == KeyCode::F(10) => *overlay = Overlay::Quit,
            Some(Overlay::Reset) if matches!(key.code, KeyCode::Enter | KeyCode::Char('y')) => {
                self.overlay = None;
                effects.push(Effect::Lesson(LessonWish::Reset));
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
            Some(Overlay::Note { then_course: true, .. }) => self.show_course(),
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
            Action::NextPane => {
                self.focus = self.next_pane();
                self.asked = false;
            }
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
            Action::Reset => self.overlay = Some(Overlay::Reset),
            Action::Up => self.travel(Travel::By(-1)),
            Action::Down => self.travel(Travel::By(1)),
            Action::Left | Action::Right => {
                if let Some(lesson) = &mut self.lesson {
                    lesson.move_sideways(action == Action::Right, self.theme, self.lang);
                }
            }
            Action::PageUp => self.travel(Travel::By(-self.page())),
            Action::PageDown => self.travel(Travel::By(self.page())),
            Action::First => self.travel(Travel::First),
            Action::Last => self.travel(Travel::Last),
        }
    }

    fn show_view(&mut self, index: usize) {
        self.view = index;
        if index == views::YAML && self.world.subject.is_none() {
            // What the learner wrote last is most likely what they want to see.
            self.world.subject = self.world.newest_of("kubectl");
            self.views[views::YAML].reset(&self.world);
        }
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
            (true, false, true) | (false, _, false) => self.layout.nudge(Border::View, more, self.size.0),
            (true, true, _) => self.layout.nudge(Border::Text, more, self.size.0),
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

    pub(super) fn shell_wishes(&mut self, wishes: Vec<ShellWish>, effects: &mut Vec<Effect>) {
        for wish in wishes {
            match wish {
                ShellWish::Run(line) => effects.push(Effect::Run(line)),
                ShellWish::Keys(bytes) => effects.push(Effect::Keys(bytes)),
                ShellWish::Complete(text, cursor) => effects.push(Effect::Complete(text, cursor)),
                // A Ctrl-D too many is no reason to lose a cluster.
                ShellWish::Leave => self.overlay = Some(Overlay::Quit),
                ShellWish::Say(word) => self.notice = Some(word.text(self.lang).to_owned()),
            }
        }
    }

    /// As many presses of keys, at the price of one.
    pub(super) fn letters(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if self.overlay.is_none() && self.focus == Pane::Shell {
            let wishes = self.shell.letters(text);
            return self.shell_wishes(wishes, effects);
        }
        for c in text.chars() {
            self.key(&KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE), effects);
        }
    }

    pub(super) fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if self.overlay.is_none() {
            self.notice = None;
            self.focus = Pane::Shell;
            let wishes = self.shell.paste(text);
            self.shell_wishes(wishes, effects);
        }
    }
}
