//! The event loop: waits for keys, for what commands print and for what is written to the store, and draws.
//!
//! Nothing is polled. The screen is drawn after something has happened and at most so many times a second; what the
//! learner does and sees in the shell is drawn sooner than what the cluster does.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc as threads;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::app::{App, Effect, Message, Overlay};
use super::draw::draw;
use super::history;
use super::input::Input;
use super::log_tasks::LogTasks;
use super::play::{Ground, Order, PlayConfig, PlayNews, play};
use super::shell_task::{Ended, ShellTask};
use super::terminal::Taken;
use super::theme::Theme;
use super::views::Feed;
use super::words::{Lang, Word};
use crate::api::registry::Registry;
use crate::clock::Clock;
use crate::scheduler::Decisions;
use crate::shell::completion::{Completion, Source, complete};
use crate::store::{KeyRange, Record, Revision, Store, Watch, WatchMessage, WatchRequest};

/// The least time between two frames that the learner caused.
const FRAME: Duration = Duration::from_millis(16);
/// The least time between two frames that only the cluster caused.
const CALM_FRAME: Duration = Duration::from_millis(50);
/// How many records are taken in between two looks at the keys.
const RECORDS_AT_ONCE: usize = 64;
/// How many keys are taken in at once: a paste without brackets is thousands.
const KEYS_AT_ONCE: usize = 4096;
/// How many printed bytes are taken in between two looks at the keys.
const BYTES_AT_ONCE: usize = 16 * 1024;

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
                "{}\n{}\n\n{}: {lessons}",
                Word::ProgressDamaged.text(lang),
                aside.display(),
                Word::ProgressSaved.text(lang)
            ),
            Self::NotKept(why) => format!("{}: {why}", Word::NotKept.text(lang)),
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
    let inputs = Inputs {
        keys: Input::new()?,
        endings: Endings::new()?,
        played,
        watch: None,
        shell: None,
        found: None,
        logged: None,
        printed: vec![0; BYTES_AT_ONCE],
    };
    let mut taken = Taken::new(mouse)?;
    let size = taken.terminal.size()?;
    let mut effects = app.update(Message::Resize(size.width, size.height));
    if choose {
        app.show_course();
    }
    if let Some(note) = note {
        app.overlay = Some(Overlay::Note { text: note.text(lang), then_course: choose });
    }
    let mut stage = Stage { inputs, orders, ground: None, history, told_at: 0 };
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
                News::Soon(vec![Message::Notice(format!("{}: {trouble}", Word::Trouble.text(app.lang)))])
            }
            () = frames.wait() => continue,
        };
        let messages = match news {
            News::End => return Ok(0),
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

/// When the next frame is drawn. A key is never kept waiting by a frame that only the cluster caused.
struct Frames {
    clock: Clock,
    /// The next frame, and whether the learner caused it.
    due: Option<(Timestamp, bool)>,
    last: Timestamp,
    /// The last one that the learner caused.
    last_prompt: Timestamp,
}

impl Frames {
    fn new(clock: Clock) -> Self {
        let due = Some((clock.now(), true));
        Self { clock, due, last: Timestamp::UNIX_EPOCH, last_prompt: Timestamp::UNIX_EPOCH }
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|(due, _)| self.clock.now() >= due)
    }

    fn drawn(&mut self) {
        self.last = self.clock.now();
        if self.due.take().is_some_and(|(_, prompt)| prompt) {
            self.last_prompt = self.last;
        }
    }

    /// The learner has done or is shown something.
    fn soon(&mut self) {
        self.at(self.last_prompt, FRAME, true);
    }

    /// The cluster has done something.
    fn calmly(&mut self) {
        self.at(self.last, CALM_FRAME, false);
    }

    fn at(&mut self, last: Timestamp, gap: Duration, prompt: bool) {
        let at = last.saturating_add(gap).unwrap_or(last);
        self.due = Some(match self.due {
            Some((due, already)) => (due.min(at), already || prompt),
            None => (at, prompt),
        });
    }

    async fn wait(&self) {
        match self.due {
            Some((due, _)) => self.clock.sleep_until(due).await,
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
    /// Another cluster.
    Ground(Box<Ground>),
    /// The watch fell behind.
    Lagging,
    /// The terminal is gone, or the process was told to stop.
    End,
}

/// Everything that is waited for. What belongs to a cluster is missing as long as there is none.
struct Inputs {
    keys: Input,
    endings: Endings,
    played: mpsc::Receiver<PlayNews>,
    watch: Option<Watch>,
    shell: Option<ShellTask>,
    found: Option<mpsc::UnboundedReceiver<Message>>,
    logged: Option<mpsc::Receiver<Feed>>,
    printed: Vec<u8>,
}

/// What a source gives next; waits for ever if there is no source.
async fn of<T, F: Future<Output = Option<T>>>(next: Option<F>) -> Option<T> {
    match next {
        Some(next) => next.await,
        None => std::future::pending().await,
    }
}

impl Inputs {
    async fn next(&mut self) -> io::Result<News> {
        let (screen, ended) = match &mut self.shell {
            Some(shell) => (Some(&mut shell.screen), Some(&mut shell.ended)),
            None => (None, None),
        };
        let printed = &mut self.printed;
        let read = screen.map(|screen| async { Some(screen.read(printed).await) });
        // Keys come first, so that nothing that prints or writes without end can keep them waiting.
        let news = tokio::select! { biased;
            event = self.keys.next() => match event? {
                Some(event) => News::Soon(self.keys_that_wait(event)),
                None => News::End,
            },
            () = self.endings.next() => News::End,
            Some(news) = self.played.recv() => match news {
                PlayNews::Ground(ground) => News::Ground(ground),
                PlayNews::Lesson(text) => News::Soon(vec![Message::Lesson(text)]),
                PlayNews::Course(rows) => News::Soon(vec![Message::Course(rows)]),
                PlayNews::Problem(text) => News::Soon(vec![Message::Problem(text)]),
                PlayNews::Notice(text) => News::Soon(vec![Message::Notice(text)]),
            },
            Some(found) = of(self.found.as_mut().map(mpsc::UnboundedReceiver::recv)) => News::Soon(vec![found]),
            Some(ended) = of(ended.map(mpsc::Receiver::recv)) => News::Soon(self.last_words(ended)),
            Some(count) = of(read) => match count? {
                0 => News::End,
                count => News::Soon(vec![Message::Output(self.printed[..count].to_vec())]),
            },
            record = next_record(&mut self.watch) => match record {
                Some(message) => News::Calm(vec![Message::Records(self.records_that_wait(message.record))]),
                None => News::Lagging,
            },
            Some(line) = of(self.logged.as_mut().map(mpsc::Receiver::recv)) => {
                News::Calm(self.lines_that_wait(line))
            }
        };
        Ok(news)
    }

    /// A key and those typed with it: a paste without brackets is thousands.
    fn keys_that_wait(&mut self, first: Event) -> Vec<Message> {
        let mut messages: Vec<Message> = message_of(first).into_iter().collect();
        let mut taken = 1;
        while taken < KEYS_AT_ONCE
            && let Some(event) = self.keys.waiting()
        {
            taken += 1;
            if let Some(message) = message_of(event) {
                add_key(&mut messages, message);
            }
        }
        messages
    }

    /// What the command printed before it ended, then its end with what was typed and not read.
    fn last_words(&mut self, ended: Ended) -> Vec<Message> {
        let mut messages = vec![];
        while let Some(shell) = &mut self.shell
            && let Some(Ok(count @ 1..)) = shell.screen.read(&mut self.printed).now_or_never()
        {
            messages.push(Message::Output(self.printed[..count].to_vec()));
        }
        let Ended { prompt, notices, exited } = ended;
        let typed = self.shell.as_ref().map_or_else(Vec::new, ShellTask::unread);
        messages.push(Message::Ended { prompt, notices, exited, typed });
        messages
    }

    fn records_that_wait(&mut self, first: Arc<Record>) -> Vec<Arc<Record>> {
        let mut records = vec![first];
        while records.len() < RECORDS_AT_ONCE
            && let Some(message) = self.watch.as_mut().and_then(Watch::try_next)
        {
            records.push(message.record);
        }
        records
    }

    fn lines_that_wait(&mut self, first: Feed) -> Vec<Message> {
        let mut messages = vec![Message::Feed(first)];
        while messages.len() < RECORDS_AT_ONCE
            && let Some(Ok(line)) = self.logged.as_mut().map(mpsc::Receiver::try_recv)
        {
            messages.push(Message::Feed(line));
        }
        messages
    }
}

/// The letter of a key, if that is all it is.
fn letter(message: &Message) -> Option<char> {
    match message {
        Message::Key(KeyEvent {
            code: KeyCode::Char(c),
            modifiers: KeyModifiers::NONE | KeyModifiers::SHIFT,
            kind: KeyEventKind::Press,
            ..
        }) => Some(*c),
        _ => None,
    }
}

/// Adds a key to those that came with it. Letters that follow each other become one message.
fn add_key(messages: &mut Vec<Message>, message: Message) {
    let Some(c) = letter(&message) else { return messages.push(message) };
    match messages.last_mut() {
        Some(Message::Letters(text)) => text.push(c),
        Some(last) => match letter(last) {
            Some(before) => *last = Message::Letters([before, c].iter().collect()),
            None => messages.push(message),
        },
        None => messages.push(message),
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

async fn next_record(watch: &mut Option<Watch>) -> Option<WatchMessage> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

/// What effects need.
struct Stage {
    inputs: Inputs,
    orders: mpsc::Sender<Order>,
    ground: Option<OwnGround>,
    history: Option<PathBuf>,
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
    /// Shows another cluster and its shell.
    fn enter(&mut self, ground: Ground, app: &mut App) -> io::Result<Vec<Effect>> {
        let Ground { session, source, store, registry, decisions, client } = ground;
        let lines = history::read(self.history.as_deref());
        app.new_ground(registry, lines);
        app.shell.say(Word::Welcome.text(app.lang));
        let shell = ShellTask::start(session);
        let (columns, rows) = app.shell.size();
        shell.resize(columns, rows);
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
                if self.inputs.shell.as_ref().is_some_and(|shell| !shell.keys(&bytes)) {
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
