//! The event loop: waits for keys, for what commands print and for what is written to the store, and draws.
//!
//! Nothing is polled. The screen is drawn after something has happened and at most so many times a second; what the
//! learner does and sees in the shell is drawn sooner than what the cluster does.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as threads;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::app::{App, Effect, Message, Overlay};
use super::draw::draw;
use super::frames::Frames;
use super::history;
use super::log_tasks::LogTasks;
use super::news::{Inputs, News};
use super::play::{Ground, Order, PlayConfig, play};
use super::shell_task::ShellTask;
use super::terminal::Taken;
use super::theme::Theme;
use super::views::Feed;
use super::words::{Lang, Word};
use crate::api::registry::Registry;
use crate::clock::Clock;
use crate::scheduler::Decisions;
use crate::shell::completion::{Completion, Source, complete};
use crate::store::{KeyRange, Revision, Store, WatchRequest};

/// How much is kept of what is typed while a cluster is being started.
const EARLY_BYTES: usize = 4096;

/// How the TUI is to be.
pub struct Start {
    /// What there is to play with.
    pub play: PlayConfig,
    /// Where typed lines are remembered.
    pub history: Option<PathBuf>,
    /// The colours.
    pub theme: Theme,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Something to tell of the learner's progress before anything else.
    pub note: Option<ProgressNote>,
}

/// What has become of the file of the learner's progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressNote {
    /// It was damaged and is kept under another name; so many lessons could be read.
    Damaged(PathBuf, usize),
    /// It cannot be read or written: nothing is kept this time.
    NotKept(String),
}

impl ProgressNote {
    fn text(&self, lang: Lang) -> String {
        match self {
            Self::Damaged(aside, lessons) => format!(
                "{}\n{}\n\n{}",
                Word::ProgressDamaged.text(lang),
                aside.display(),
                Word::ProgressSaved.before(lang, lessons)
            ),
            Self::NotKept(why) => Word::NotKept.before(lang, why),
        }
    }
}

/// Runs the TUI on this process's terminal until the learner leaves, and returns the code to exit with.
pub async fn run(start: Start) -> io::Result<i32> {
    let Start { play: config, history, theme, mouse, note } = start;
    let lang = config.lang;
    // With a course and no lesson named, the learner is asked.
    let choose = config.lesson.is_none() && config.course.lessons().next().is_some();
    let mut app = App::new(lang, theme, Registry::built_in(), vec![]);
    let (orders, ordered) = mpsc::channel(16);
    let (news, played) = mpsc::channel(64);
    let _play = AbortOnDropHandle::new(tokio::spawn(play(config, ordered, news)));
    let inputs = Inputs::new(played)?;
    let mut taken = Taken::new(mouse)?;
    let size = taken.terminal.size()?;
    let mut effects = app.update(Message::Resize(size.width, size.height));
    if choose {
        app.show_course();
    }
    if let Some(note) = note {
        app.overlay = Some(Overlay::Note { text: note.text(lang), then_course: choose });
    }
    let mut stage = Stage { inputs, orders, ground: None, history, early: vec![], told_at: 0 };
    let mut frames = Frames::new(Clock::real());
    loop {
        for effect in effects.drain(..) {
            if let Some(code) = stage.carry_out(effect, &mut app) {
                return Ok(code);
            }
        }
        if frames.is_due() {
            taken.terminal.draw(|frame| draw(&app, frame))?;
            frames.drawn();
        }
        let news = tokio::select! { biased;
            news = stage.inputs.next() => news?,
            Some(trouble) = taken.troubles.recv() => {
                News::Soon(vec![Message::Notice(Word::Trouble.before(app.lang, trouble))])
            }
            () = frames.wait() => continue,
        };
        let messages = match news {
            News::End => return Ok(0),
            News::Leave => {
                stage.leave(&mut app);
                frames.soon();
                continue;
            }
            News::Ground(ground) => {
                effects.extend(stage.enter(*ground, &mut app)?);
                frames.soon();
                continue;
            }
            News::Lagging => {
                stage.watch_again(&mut app)?;
                frames.calmly();
                continue;
            }
            News::Soon(messages) => {
                frames.soon();
                messages
            }
            News::Calm(messages) => {
                frames.calmly();
                messages
            }
        };
        for message in messages {
            effects.extend(app.update(message));
        }
        stage.tell_decisions(&mut app);
    }
}

/// What effects need.
struct Stage {
    inputs: Inputs,
    orders: mpsc::Sender<Order>,
    ground: Option<OwnGround>,
    history: Option<PathBuf>,
    /// What was typed while there was no shell.
    early: Vec<u8>,
    /// The revision at which the views were last told what the scheduler decides.
    told_at: Revision,
}

/// What is kept of a ground.
struct OwnGround {
    store: Store,
    decisions: Decisions,
    logs: LogTasks,
    candidates: threads::Sender<(String, usize)>,
}

impl Stage {
    /// Shows that a cluster is being started.
    fn leave(&mut self, app: &mut App) {
        self.inputs.leave();
        self.ground = None;
        app.leave_ground();
    }

    /// Shows another cluster and its shell.
    fn enter(&mut self, ground: Ground, app: &mut App) -> io::Result<Vec<Effect>> {
        let Ground { session, source, store, registry, decisions, client, runtime } = ground;
        let lines = history::read(self.history.as_deref());
        app.new_ground(registry, runtime, lines);
        app.shell.say(Word::Welcome.text(app.lang));
        let shell = ShellTask::start(session);
        let (columns, rows) = app.shell.size();
        shell.resize(columns, rows);
        // It is typed at the first prompt.
        shell.keys(&std::mem::take(&mut self.early));
        self.inputs.shell = Some(shell);
        let (candidates, found) = completer(source)?;
        self.inputs.found = Some(found);
        let (log_lines, logged) = mpsc::channel(256);
        self.inputs.logged = Some(logged);
        let logs = LogTasks::new(client, log_lines);
        self.ground = Some(OwnGround { store, decisions, logs, candidates });
        self.told_at = 0;
        self.watch_again(app)?;
        Ok(vec![])
    }

    /// Loads the world and watches what comes after.
    fn watch_again(&mut self, app: &mut App) -> io::Result<()> {
        let Some(ground) = &self.ground else { return Ok(()) };
        let revision = app.load(&ground.store);
        let watch = ground.store.watch(WatchRequest::new(KeyRange::prefix(""), revision + 1));
        self.inputs.watch = Some(watch.map_err(io::Error::other)?);
        Ok(())
    }

    /// Carries out one effect. A code: leave with it.
    fn carry_out(&mut self, effect: Effect, app: &mut App) -> Option<i32> {
        match effect {
            Effect::Run(line) => {
                history::append(self.history.as_deref(), &line);
                if let Some(shell) = &mut self.inputs.shell {
                    shell.run(line);
                }
            }
            Effect::Keys(bytes) => {
                let taken = match &self.inputs.shell {
                    Some(shell) => shell.keys(&bytes),
                    None => self.keep_early(&bytes),
                };
                if !taken {
                    app.update(Message::InputFull);
                }
            }
            Effect::ResizeShell(columns, rows) => {
                if let Some(shell) = &self.inputs.shell {
                    shell.resize(columns, rows);
                }
            }
            Effect::Complete(text, cursor) => {
                if let Some(ground) = &self.ground {
                    // A completer that has ended completes nothing.
                    let _ = ground.candidates.send((text, cursor));
                }
            }
            Effect::FollowLogs(wanted) => {
                if let Some(ground) = &mut self.ground {
                    ground.logs.follow(wanted);
                }
            }
            Effect::Lesson(wish) => self.order(Order::Lesson(wish), app),
            Effect::Open(lesson) => self.order(Order::Open(lesson), app),
            Effect::Language(lang) => self.order(Order::Language(lang), app),
            Effect::Quit(code) => return Some(code),
        }
        None
    }

    /// Keeps what is typed while there is no shell yet. `false`: it is too much.
    fn keep_early(&mut self, bytes: &[u8]) -> bool {
        let fits = self.early.len() + bytes.len() <= EARLY_BYTES;
        if fits {
            self.early.extend_from_slice(bytes);
        }
        fits
    }

    fn order(&mut self, order: Order, app: &mut App) {
        if self.orders.try_send(order).is_err() {
            // It is starting a cluster and has not come to the orders before this one.
            app.notice = Some(format!("{}…", Word::Starting.text(app.lang)));
        }
    }

    fn tell_decisions(&mut self, app: &mut App) {
        let Some(ground) = &self.ground else { return };
        if app.wants_decisions() && self.told_at != app.world.revision() {
            self.told_at = app.world.revision();
            app.update(Message::Feed(Feed::Decisions(Arc::new(ground.decisions.list()))));
        }
    }
}

/// A thread that finds candidates, since the source asks the cluster and waits for it.
#[allow(clippy::type_complexity)]
fn completer(
    source: Box<dyn Source + Send>,
) -> io::Result<(threads::Sender<(String, usize)>, mpsc::UnboundedReceiver<Message>)> {
    let (ask, asked) = threads::channel::<(String, usize)>();
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("completion".to_owned()).spawn(move || {
        while let Ok((text, cursor)) = asked.recv() {
            let completion: Completion = complete(&text, cursor, &*source);
            if tell.send(Message::Candidates(text, cursor, completion)).is_err() {
                return;
            }
        }
    })?;
    Ok((ask, told))
}
