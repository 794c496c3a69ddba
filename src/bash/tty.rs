//! The line discipline of a terminal: what the kernel does between a person's keys and a program.
//!
//! Keys come in as they are typed and are echoed; a program gets whole lines. Ctrl-C, Ctrl-\ become signals, Ctrl-D the end
//! of input, backspace and Ctrl-U take back. What programs write gets a carriage return before each new line. In raw mode
//! everything passes as it is.
// Models Linux' n_tty with its usual settings (icanon echo isig icrnl opost onlcr).

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

use super::process::{Signals, signal};
use super::program::Stdio;
use super::streams::SharedWriter;
use super::terminal::{Terminal, TerminalMode};
use super::typed::Typed;
use crate::watch;

/// The longest line that is edited; more is handed on as it is.
const MAX_LINE_BYTES: usize = 4096;

/// Who gets the terminal's signals. Set once the program runs.
#[derive(Clone, Default)]
pub struct Foreground(Arc<Mutex<Option<Signals>>>);

impl Foreground {
    /// From now on this process gets them.
    pub fn set(&self, signals: Signals) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(signals);
    }

    fn send(&self, number: i32) {
        if let Some(signals) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            signals.send(number);
        }
    }
}

/// Puts a terminal between a person's bytes and a program: the program's streams. Signals go to `foreground`. Everything
/// ends when the program drops its standard input.
pub fn tty(
    keys: Box<dyn AsyncRead + Send + Unpin>,
    screen: Box<dyn AsyncWrite + Send + Unpin>,
    size: watch::Receiver<(u16, u16)>,
    foreground: Foreground,
) -> Stdio {
    terminal(Keys::Stream(keys, Typed::default()), screen, size, foreground)
}

/// The same for keys that are pushed into a queue, whose owner gets back what the program has not read.
pub fn queue_tty(
    typed: Typed,
    screen: Box<dyn AsyncWrite + Send + Unpin>,
    size: watch::Receiver<(u16, u16)>,
    foreground: Foreground,
) -> Stdio {
    terminal(Keys::Queue(typed), screen, size, foreground)
}

/// Where keys come from.
enum Keys {
    Stream(Box<dyn AsyncRead + Send + Unpin>, Typed),
    Queue(Typed),
}

fn terminal(
    keys: Keys,
    screen: Box<dyn AsyncWrite + Send + Unpin>,
    size: watch::Receiver<(u16, u16)>,
    foreground: Foreground,
) -> Stdio {
    let mode = Arc::new(Mode::default());
    let screen = SharedWriter::new(screen);
    let (Keys::Stream(_, typed) | Keys::Queue(typed)) = &keys;
    let typed = typed.clone();
    let discipline =
        Discipline { mode: mode.clone(), screen: screen.clone(), foreground, typed: typed.clone() };
    let task = match keys {
        Keys::Stream(keys, _) => tokio::spawn(discipline.read(keys)),
        Keys::Queue(_) => tokio::spawn(discipline.wait()),
    };
    let writer = || Box::new(Cooked { screen: screen.clone(), mode: mode.clone(), pending: vec![] });
    Stdio {
        stdin: Box::new(Input { typed, mode: mode.clone(), task }),
        stdout: writer(),
        stderr: writer(),
        terminal: Some(Terminal::new(size, mode)),
        stdin_is_terminal: true,
        stdin_is_own: false,
    }
}

#[derive(Default)]
struct Mode {
    raw: AtomicBool,
}

impl TerminalMode for Mode {
    fn set_raw(&self, raw: bool) {
        self.raw.store(raw, Ordering::Relaxed);
    }
}

impl Mode {
    fn is_raw(&self) -> bool {
        self.raw.load(Ordering::Relaxed)
    }
}

/// The program's end of the keys.
struct Input {
    typed: Typed,
    mode: Arc<Mode>,
    task: JoinHandle<()>,
}

impl Drop for Input {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AsyncRead for Input {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.typed.poll_read(context, buffer, !self.mode.is_raw()).map(Ok)
    }
}

/// What programs write, with carriage returns.
struct Cooked {
    screen: SharedWriter,
    mode: Arc<Mode>,
    pending: Vec<u8>,
}

impl Cooked {
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = std::task::ready!(Pin::new(&mut self.screen).poll_write(context, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cooked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_pending(context))?;
        self.pending = if self.mode.is_raw() { bytes.to_vec() } else { with_returns(bytes) };
        // What does not fit goes out with the next write or flush.
        match self.poll_pending(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_pending(context))?;
        Pin::new(&mut self.screen).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

fn with_returns(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    for byte in bytes {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// Control characters.
mod key {
    pub(super) const INTERRUPT: u8 = 0x03;
    pub(super) const END: u8 = 0x04;
    pub(super) const BACKSPACE: u8 = 0x08;
    pub(super) const KILL_LINE: u8 = 0x15;
    pub(super) const KILL_WORD: u8 = 0x17;
    pub(super) const QUIT: u8 = 0x1c;
    pub(super) const DELETE: u8 = 0x7f;
}

struct Discipline {
    mode: Arc<Mode>,
    screen: SharedWriter,
    foreground: Foreground,
    typed: Typed,
}

impl Discipline {
    /// Takes keys out of the queue as they are pushed.
    async fn wait(self) {
        while let Some(keys) = self.next().await {
            self.keys(&keys).await;
        }
    }

    /// Takes keys from a stream.
    async fn read(self, mut keys: Box<dyn AsyncRead + Send + Unpin>) {
        let mut buffer = vec![0; 4096];
        // The person's end went away: a hang-up.
        while let Ok(count @ 1..) = keys.read(&mut buffer).await {
            self.typed.push(&buffer[..count]);
            while !self.typed.is_empty()
                && let Some(keys) = self.next().await
            {
                self.keys(&keys).await;
            }
        }
        self.typed.finish();
        self.typed.end();
        self.foreground.send(signal::HUP);
    }

    /// The next key that means something, or letters.
    async fn next(&self) -> Option<Vec<u8>> {
        let mode = self.mode.clone();
        self.typed
            .next_keys(move |byte| !mode.is_raw() && (byte < b' ' || byte == key::DELETE), MAX_LINE_BYTES)
            .await
    }

    async fn keys(&self, keys: &[u8]) {
        if self.mode.is_raw() {
            self.typed.add(keys);
            return self.typed.finish();
        }
        match keys {
            [byte @ (key::INTERRUPT | key::QUIT)] => {
                self.typed.flush();
                self.echo(if *byte == key::INTERRUPT { b"^C" } else { b"^\\" }).await;
                self.foreground.send(if *byte == key::INTERRUPT { signal::INT } else { signal::QUIT });
            }
            [key::END] if self.typed.line().is_empty() => self.typed.end(),
            [key::END] => self.typed.finish(),
            [b'\r' | b'\n'] => {
                self.typed.add(b"\n");
                // Before the program has the line, so that what it prints comes below.
                self.echo(b"\r\n").await;
                self.typed.finish();
            }
            [key::BACKSPACE | key::DELETE] => self.erase(1).await,
            [key::KILL_LINE] => self.erase(self.typed.line().chars().count()).await,
            [key::KILL_WORD] => {
                let line = self.typed.line();
                let kept = line.trim_end().rfind(' ').map_or(0, |index| index + 1);
                self.erase(line[kept..].chars().count()).await;
            }
            // An escape sequence (arrows) means nothing to a line discipline; it is shown as the kernel shows it.
            [0x1b] => {
                self.typed.add(keys);
                self.echo(b"^[").await;
            }
            letters => {
                let length = self.typed.add(letters);
                self.echo(letters).await;
                if length >= MAX_LINE_BYTES {
                    self.typed.finish();
                }
            }
        }
    }

    async fn erase(&self, characters: usize) {
        for _ in 0..characters {
            if !self.typed.erase() {
                return;
            }
            self.echo(b"\x08 \x08").await;
        }
    }

    async fn echo(&self, bytes: &[u8]) {
        // A screen that is gone shows nothing.
        let _ = self.screen.put(bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn typed(keys: &'static [u8]) -> (String, String) {
        let (screen, shown) = SharedWriter::capture();
        let (_size, receiver) = watch::channel((80, 24));
        let mut stdio = tty(Box::new(keys), Box::new(screen), receiver, Foreground::default());
        let mut text = String::new();
        stdio.stdin.read_to_string(&mut text).await.unwrap();
        stdio.out("a\nb").await;
        let shown = String::from_utf8(shown.lock().unwrap().clone()).unwrap();
        (text, shown)
    }

    #[tokio::test]
    async fn lines_are_edited_and_echoed() {
        assert_eq!(typed(b"lz\x7fs\r").await, ("ls\n".into(), "lz\x08 \x08s\r\na\r\nb".into()));
        assert_eq!(typed(b"one two\x17x\n").await.0, "one x\n");
        assert_eq!(typed(b"abc\x15d\n\x04never\n").await.0, "d\n");
        assert_eq!(typed(b"gone\x03kept\n").await, ("kept\n".into(), "gone^Ckept\r\na\r\nb".into()));
    }

    #[tokio::test]
    async fn what_a_program_has_not_read_is_the_owners_again() {
        let typed = Typed::default();
        let (screen, shown) = SharedWriter::capture();
        let (_size, receiver) = watch::channel((80, 24));
        let mut stdio = queue_tty(typed.clone(), Box::new(screen), receiver, Foreground::default());
        typed.push(b"read\rnot\x7f read\rnor ");
        let mut line = [0; 64];
        let count = stdio.stdin.read(&mut line).await.unwrap();
        assert_eq!(&line[..count], b"read\n", "one line a read");
        while !shown.lock().unwrap().ends_with(b"nor ") {
            tokio::task::yield_now().await;
        }
        drop(stdio);
        typed.push(b"this");
        assert_eq!(String::from_utf8(typed.close()).unwrap(), "no read\nnor this");
    }

    #[tokio::test]
    async fn ctrl_c_is_a_signal() {
        let foreground = Foreground::default();
        let signals = Signals::default();
        foreground.set(signals.clone());
        let (_size, receiver) = watch::channel((80, 24));
        let _stdio = tty(Box::new(&b"\x03"[..]), Box::new(tokio::io::sink()), receiver, foreground);
        assert_eq!(signals.fatal().await, signal::INT);
    }
}
