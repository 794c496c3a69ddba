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

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;

use super::process::{Signals, signal};
use super::program::Stdio;
use super::streams::SharedWriter;
use super::terminal::{Terminal, TerminalMode};
use crate::watch;

/// How many bytes of finished lines wait for the program.
const INPUT_BYTES: usize = 64 * 1024;
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
    let mode = Arc::new(Mode::default());
    let screen = SharedWriter::new(screen);
    let (lines, program) = tokio::io::duplex(INPUT_BYTES);
    let discipline = Discipline {
        mode: mode.clone(),
        screen: screen.clone(),
        foreground,
        lines: Some(lines),
        line: vec![],
    };
    let task = tokio::spawn(discipline.run(keys));
    let writer = || Box::new(Cooked { screen: screen.clone(), mode: mode.clone(), pending: vec![] });
    Stdio {
        stdin: Box::new(Input { lines: program, task }),
        stdout: writer(),
        stderr: writer(),
        terminal: Some(Terminal::new(size, mode)),
        stdin_is_terminal: true,
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
    lines: DuplexStream,
    task: JoinHandle<()>,
}

impl Drop for Input {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lines).poll_read(context, buffer)
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
    /// Finished lines, for the program; `None` after the end.
    lines: Option<DuplexStream>,
    line: Vec<u8>,
}

impl Discipline {
    async fn run(mut self, mut keys: Box<dyn AsyncRead + Send + Unpin>) {
        let mut buffer = vec![0; 4096];
        // The person's end went away: a hang-up.
        while let Ok(count @ 1..) = keys.read(&mut buffer).await {
            for byte in &buffer[..count] {
                self.key(*byte).await;
            }
        }
        self.hand_on().await;
        self.lines = None;
        self.foreground.send(signal::HUP);
    }

    async fn key(&mut self, byte: u8) {
        if self.mode.is_raw() {
            self.line.push(byte);
            self.hand_on().await;
            return;
        }
        match byte {
            key::INTERRUPT | key::QUIT => {
                self.line.clear();
                self.echo(if byte == key::INTERRUPT { b"^C" } else { b"^\\" }).await;
                self.foreground.send(if byte == key::INTERRUPT { signal::INT } else { signal::QUIT });
            }
            key::END if self.line.is_empty() => self.lines = None,
            key::END => self.hand_on().await,
            b'\r' | b'\n' => {
                self.echo(b"\r\n").await;
                self.line.push(b'\n');
                self.hand_on().await;
            }
            key::BACKSPACE | key::DELETE => self.erase(1).await,
            key::KILL_LINE => {
                let count = String::from_utf8_lossy(&self.line).chars().count();
                self.erase(count).await;
            }
            key::KILL_WORD => {
                let text = String::from_utf8_lossy(&self.line).into_owned();
                let kept = text.trim_end().rfind(' ').map_or(0, |index| index + 1);
                self.erase(text[kept..].chars().count()).await;
            }
            // An escape sequence (arrows) means nothing to a line discipline; it is shown as the kernel shows it.
            0x1b => {
                self.line.push(byte);
                self.echo(b"^[").await;
            }
            byte => {
                self.line.push(byte);
                self.echo(&[byte]).await;
                if self.line.len() >= MAX_LINE_BYTES {
                    self.hand_on().await;
                }
            }
        }
    }

    async fn erase(&mut self, characters: usize) {
        for _ in 0..characters {
            let Some(last) = self.line.pop() else { return };
            // The rest of a character of several bytes.
            let mut byte = last;
            while byte & 0xc0 == 0x80 {
                match self.line.pop() {
                    Some(before) => byte = before,
                    None => break,
                }
            }
            self.echo(b"\x08 \x08").await;
        }
    }

    async fn echo(&mut self, bytes: &[u8]) {
        // A screen that is gone shows nothing.
        let _ = self.screen.put(bytes).await;
    }

    async fn hand_on(&mut self) {
        let line = std::mem::take(&mut self.line);
        if let Some(lines) = &mut self.lines {
            // A program that does not read any more gets nothing.
            let _ = lines.write_all(&line).await;
        }
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
    async fn ctrl_c_is_a_signal() {
        let foreground = Foreground::default();
        let signals = Signals::default();
        foreground.set(signals.clone());
        let (_size, receiver) = watch::channel((80, 24));
        let _stdio = tty(Box::new(&b"\x03"[..]), Box::new(tokio::io::sink()), receiver, foreground);
        assert_eq!(signals.fatal().await, signal::INT);
    }
}
