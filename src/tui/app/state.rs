//! The state, and what each message does to it.

use crossterm::event::KeyEventKind;

use super::message::{Effect, Message, Overlay};
use crate::api::registry::Registry;
use crate::cluster::RuntimeConfig;
use crate::store::{Revision, Store};
use crate::tui::components::{CourseMap, CourseRow, LessonPane, LessonText, ShellPane};
use crate::tui::keys::Context;
use crate::tui::layout::{Areas, Border, Layout, Pane, inside};
use crate::tui::theme::Theme;
use crate::tui::views::{self, LogTarget, View};
use crate::tui::words::{Lang, Word};
use crate::tui::world::World;

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
    /// Who runs the cluster's containers; `None` as long as there is no cluster.
    pub runtime: Option<RuntimeConfig>,
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
    /// Whether a question has the focus that the learner did not give it: letters are still meant for the shell.
    pub(super) asked: bool,
    /// Whether the shell has the focus for one command only, and the question gets it back.
    pub(super) lent: bool,
    course: Vec<CourseRow>,
    /// The border that the mouse holds.
    pub(super) dragged: Option<Border>,
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
            runtime: None,
            lesson: None,
            world: World::new(registry),
            views: views::all(),
            view: 0,
            overlay: None,
            notice: None,
            asked: false,
            lent: false,
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
            Pane::Text => {
                contexts.push(Context::Text);
                if !self.asked && !self.answers() {
                    contexts.push(Context::TextLetters);
                }
            }
            Pane::Shell => {}
        }
        contexts
    }

    /// Whether letters are those of an answer.
    pub(super) fn answers(&self) -> bool {
        self.focus == Pane::Text && self.lesson.as_ref().is_some_and(LessonPane::takes_letters)
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
            Message::Letters(text) => self.letters(&text, &mut effects),
            Message::Resize(columns, rows) => self.size = (columns, rows),
            Message::Output(bytes) => self.shell.output(&bytes),
            Message::Ended { prompt, notices, exited, typed } => match exited {
                Some(code) => effects.push(Effect::Quit(code)),
                None => {
                    self.shell.ended(prompt, &notices);
                    let wishes = self.shell.type_ahead(&typed);
                    self.shell_wishes(wishes, &mut effects);
                    if std::mem::take(&mut self.lent) && typed.is_empty() {
                        (self.focus, self.asked) = (Pane::Text, true);
                    }
                }
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
                    (false, true) if self.focus != Pane::Text => {
                        (self.focus, self.asked) = (Pane::Text, true)
                    }
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

    /// The cluster has ended, and another is being started.
    pub fn leave_ground(&mut self) {
        self.forget(Registry::built_in(), vec![]);
        self.runtime = None;
        self.shell.say(&format!("{}…", Word::Starting.text(self.lang)));
    }

    /// Another cluster and shell: everything that was known of the old one is forgotten.
    pub fn new_ground(&mut self, registry: Registry, runtime: RuntimeConfig, history: Vec<String>) {
        self.forget(registry, history);
        self.runtime = Some(runtime);
    }

    fn forget(&mut self, registry: Registry, history: Vec<String>) {
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
        self.asked &= self.focus == Pane::Text;
        let question_waits = self.lesson.as_ref().is_some_and(LessonPane::waits_for_answer);
        self.lent &= self.focus == Pane::Shell && question_waits;
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
}
