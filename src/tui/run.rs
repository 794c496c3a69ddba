//! The event loop: waits for keys, for what commands print and for what is written to the store, and draws.
//!
//! Nothing is polled. The screen is drawn after something has happened and at most so many times a second; what the
//! learner does and sees in the shell is drawn sooner than what the cluster does.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as threads;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::app::{App, Effect, Message};
use super::draw::draw;
use super::history;
use super::log_tasks::LogTasks;
use super::shell_task::{Ended, ShellTask};
use super::terminal::Taken;
use super::theme::Theme;
use super::views::Feed;
use super::words::{Lang, Word};
use crate::api::registry::Registry;
use crate::clock::Clock;
use crate::scheduler::Decisions;
use crate::shell::Session;
use crate::shell::completion::{Completion, Source, complete};
use crate::store::{KeyRange, Record, Revision, Store, Watch, WatchRequest};

/// The least time between two frames that the learner caused.
const FRAME: Duration = Duration::from_millis(16);
/// The least time between two frames that only the cluster caused.
const CALM_FRAME: Duration = Duration::from_millis(50);
/// How many records are taken in between two looks at the keys.
const RECORDS_AT_ONCE: usize = 64;
/// How many printed bytes are taken in between two looks at the keys.
const BYTES_AT_ONCE: usize = 16 * 1024;

/// What the TUI shows.
pub struct Start {
    /// The learner's shell.
    pub session: Session,
    /// Where completion comes from.
    pub source: Box<dyn Source + Send>,
    /// The store of the cluster.
    pub store: Store,
    /// The kinds of the cluster.
    pub registry: Registry,
    /// What its scheduler decides.
    pub decisions: Decisions,
    /// A client that reads logs.
    pub client: kube::Client,
    /// Where typed lines are remembered.
    pub history: Option<PathBuf>,
    /// The language.
    pub lang: Lang,
    /// The colours.
    pub theme: Theme,
    /// Whether the mouse is used.
    pub mouse: bool,
}

/// Runs the TUI on this process's terminal until the learner leaves, and returns the code to exit with.
pub async fn run(start: Start) -> io::Result<i32> {
    let Start { session, source, store, registry, decisions, client, history, lang, theme, mouse } = start;
    let mut app = App::new(lang, theme, registry, history::read(history.as_deref()));
    let mut shell = ShellTask::start(session);
    let (candidates, found) = completer(source)?;
    let (log_lines, logged) = mpsc::channel(256);
    let inputs = Inputs {
        keys: EventStream::new(),
        endings: Endings::new()?,
        watch: follow(&mut app, &store)?,
        found,
        logged,
        printed: vec![0; BYTES_AT_ONCE],
    };
    let logs = LogTasks::new(client, log_lines);
    let mut taken = Taken::new(mouse)?;
    let size = taken.terminal.size()?;
    let mut effects = app.update(Message::Resize(size.width, size.height));
    app.shell.say(Word::Welcome.text(lang));
    let mut stage = Stage { inputs, logs, candidates, history, store, decisions, told_at: 0 };
    let clock = Clock::real();
    let mut frames = Frames { clock: clock.clone(), due: Some(clock.now()), last: Timestamp::UNIX_EPOCH };
    loop {
        for effect in effects.drain(..) {
            if let Some(code) = stage.carry_out(effect, &mut shell, &mut app) {
                return Ok(code);
            }
        }
        if frames.is_due() {
            taken.terminal.draw(|frame| draw(&app, frame))?;
            frames.drawn();
        }
        let news = tokio::select! { biased;
            news = stage.inputs.next(&mut shell) => news?,
            Some(trouble) = taken.troubles.recv() => {
                News::Soon(vec![Message::Notice(format!("{}: {trouble}", Word::Trouble.text(lang)))])
            }
            () = frames.wait() => continue,
        };
        let messages = match news {
            News::End => return Ok(0),
            News::Lagging => {
                stage.inputs.watch = follow(&mut app, &stage.store)?;
                frames.soon(CALM_FRAME);
                continue;
            }
            News::Soon(messages) => {
                frames.soon(FRAME);
                messages
            }
            News::Calm(messages) => {
                frames.soon(CALM_FRAME);
                messages
            }
        };
        for message in messages {
            effects.extend(app.update(message));
        }
        stage.tell_decisions(&mut app);
    }
}

/// Loads the world and watches what comes after.
fn follow(app: &mut App, store: &Store) -> io::Result<Watch> {
    let revision = app.load(store);
    store.watch(WatchRequest::new(KeyRange::prefix(""), revision + 1)).map_err(io::Error::other)
}

/// When the next frame is drawn.
struct Frames {
    clock: Clock,
    due: Option<Timestamp>,
    last: Timestamp,
}

impl Frames {
    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| self.clock.now() >= due)
    }

    fn drawn(&mut self) {
        self.due = None;
        self.last = self.clock.now();
    }

    /// Something has changed: draw, but not sooner than `gap` after the last frame.
    fn soon(&mut self, gap: Duration) {
        let at = self.last.saturating_add(gap).unwrap_or(self.last);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    async fn wait(&self) {
        match self.due {
            Some(due) => self.clock.sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

/// What has come in.
enum News {
    /// To be seen at once.
    Soon(Vec<Message>),
    /// To be seen shortly.
    Calm(Vec<Message>),
    /// The watch fell behind.
    Lagging,
    /// The terminal is gone, or the process was told to stop.
    End,
}

/// Everything that is waited for.
struct Inputs {
    keys: EventStream,
    endings: Endings,
    watch: Watch,
    found: mpsc::UnboundedReceiver<Message>,
    logged: mpsc::Receiver<Feed>,
    printed: Vec<u8>,
}

impl Inputs {
    async fn next(&mut self, shell: &mut ShellTask) -> io::Result<News> {
        // Keys come first, so that nothing that prints or writes without end can keep them waiting.
        let news = tokio::select! { biased;
            event = self.keys.next() => match event {
                Some(event) => News::Soon(self.keys_that_wait(event?)),
                None => News::End,
            },
            () = self.endings.next() => News::End,
            Some(found) = self.found.recv() => News::Soon(vec![found]),
            Some(ended) = shell.ended.recv() => News::Soon(self.last_words(shell, ended)),
            count = shell.screen.read(&mut self.printed) => match count? {
                0 => News::End,
                count => News::Soon(vec![Message::Output(self.printed[..count].to_vec())]),
            },
            record = self.watch.next() => match record {
                Some(message) => News::Calm(vec![Message::Records(self.records_that_wait(message.record))]),
                None => News::Lagging,
            },
            Some(line) = self.logged.recv() => News::Calm(self.lines_that_wait(line)),
        };
        Ok(news)
    }

    /// A key and those typed with it: a paste without brackets is thousands.
    fn keys_that_wait(&mut self, first: Event) -> Vec<Message> {
        let mut messages: Vec<Message> = message_of(first).into_iter().collect();
        while messages.len() < 256
            && let Some(Some(Ok(event))) = self.keys.next().now_or_never()
        {
            messages.extend(message_of(event));
        }
        messages
    }

    /// What the command printed before it ended, then its end.
    fn last_words(&mut self, shell: &mut ShellTask, ended: Ended) -> Vec<Message> {
        let mut messages = vec![];
        while let Some(Ok(count @ 1..)) = shell.screen.read(&mut self.printed).now_or_never() {
            messages.push(Message::Output(self.printed[..count].to_vec()));
        }
        let Ended { prompt, notices, exited, .. } = ended;
        messages.push(Message::Ended { prompt, notices, exited });
        messages
    }

    fn records_that_wait(&mut self, first: Arc<Record>) -> Vec<Arc<Record>> {
        let mut records = vec![first];
        while records.len() < RECORDS_AT_ONCE
            && let Some(message) = self.watch.try_next()
        {
            records.push(message.record);
        }
        records
    }

    fn lines_that_wait(&mut self, first: Feed) -> Vec<Message> {
        let mut messages = vec![Message::Feed(first)];
        while messages.len() < RECORDS_AT_ONCE
            && let Ok(line) = self.logged.try_recv()
        {
            messages.push(Message::Feed(line));
        }
        messages
    }
}

fn message_of(event: Event) -> Option<Message> {
    match event {
        Event::Key(key) => Some(Message::Key(key)),
        Event::Mouse(mouse) => Some(Message::Mouse(mouse)),
        Event::Paste(text) => Some(Message::Paste(text)),
        Event::Resize(columns, rows) => Some(Message::Resize(columns, rows)),
        Event::FocusGained | Event::FocusLost => None,
    }
}

/// The signals that end a program.
struct Endings([Signal; 3]);

impl Endings {
    fn new() -> io::Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self([of(SignalKind::terminate())?, of(SignalKind::hangup())?, of(SignalKind::interrupt())?]))
    }

    async fn next(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        tokio::select! { biased;
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// What effects need.
struct Stage {
    inputs: Inputs,
    logs: LogTasks,
    candidates: threads::Sender<(String, usize)>,
    history: Option<PathBuf>,
    store: Store,
    decisions: Decisions,
    /// The revision at which the views were last told what the scheduler decides.
    told_at: Revision,
}

impl Stage {
    /// Carries out one effect. A code: leave with it.
    fn carry_out(&mut self, effect: Effect, shell: &mut ShellTask, app: &mut App) -> Option<i32> {
        match effect {
            Effect::Run(line) => {
                history::append(self.history.as_deref(), &line);
                shell.run(line);
            }
            Effect::Keys(bytes) => {
                if !shell.keys(bytes) {
                    app.update(Message::InputFull);
                }
            }
            Effect::ResizeShell(columns, rows) => shell.resize(columns, rows),
            Effect::Complete(text, cursor) => {
                // A completer that has ended completes nothing.
                let _ = self.candidates.send((text, cursor));
            }
            Effect::FollowLogs(wanted) => self.logs.follow(wanted),
            Effect::Lesson(_) | Effect::Open(_) => {}
            Effect::Quit(code) => return Some(code),
        }
        None
    }

    fn tell_decisions(&mut self, app: &mut App) {
        if app.wants_decisions() && self.told_at != app.world.revision() {
            self.told_at = app.world.revision();
            app.update(Message::Feed(Feed::Decisions(Arc::new(self.decisions.list()))));
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

/// The state of the cluster's containers by name, for `LogTasks`.
pub(super) type ByTarget<T> = BTreeMap<super::views::LogTarget, T>;
