//! Everything that the event loop waits for, and what has come in as messages for the app.
//!
//! Nothing that prints or writes without end can keep the keys waiting: they come first, and the rest comes in bounded
//! parts.

use std::io;
use std::sync::Arc;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::{FutureExt, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::app::Message;
use super::input::Input;
use super::play::{Ground, PlayNews};
use super::shell_task::{Ended, ShellTask};
use super::views::Feed;
use crate::store::{Record, Watch, WatchMessage};

/// How many records are taken in between two looks at the keys.
const RECORDS_AT_ONCE: usize = 64;
/// How many keys are taken in at once: a paste without brackets is thousands.
const KEYS_AT_ONCE: usize = 4096;
/// How many printed bytes are taken in between two looks at the keys.
const BYTES_AT_ONCE: usize = 16 * 1024;

/// What has come in.
pub(super) enum News {
    /// To be seen at once.
    Soon(Vec<Message>),
    /// To be seen shortly.
    Calm(Vec<Message>),
    /// The cluster ends, and another is being started.
    Leave,
    /// Another cluster.
    Ground(Box<Ground>),
    /// The watch fell behind.
    Lagging,
    /// The terminal is gone, or the process was told to stop.
    End,
}

/// Everything that is waited for. What belongs to a cluster is missing as long as there is none.
pub(super) struct Inputs {
    keys: Input,
    endings: Endings,
    played: mpsc::Receiver<PlayNews>,
    pub(super) watch: Option<Watch>,
    pub(super) shell: Option<ShellTask>,
    pub(super) found: Option<mpsc::UnboundedReceiver<Message>>,
    pub(super) logged: Option<mpsc::Receiver<Feed>>,
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
    /// Forgets what belongs to a cluster.
    pub(super) fn leave(&mut self) {
        self.watch = None;
        self.shell = None;
        self.found = None;
        self.logged = None;
    }

    /// The terminal's keys, the signals that end the program and what is played; a cluster comes later.
    pub(super) fn new(played: mpsc::Receiver<PlayNews>) -> io::Result<Self> {
        Ok(Self {
            keys: Input::new()?,
            endings: Endings::new()?,
            played,
            watch: None,
            shell: None,
            found: None,
            logged: None,
            printed: vec![0; BYTES_AT_ONCE],
        })
    }

    /// Waits for whatever comes first.
    pub(super) async fn next(&mut self) -> io::Result<News> {
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
                PlayNews::Leaving => News::Leave,
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
