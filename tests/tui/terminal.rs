//! A pseudo-terminal with a program on it, and an emulator that shows what a person would see.

use std::num::NonZeroU16;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use k8s_learn::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long anything may take to show, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) const DOWN: &str = "\x1b[B";
pub(super) const ESC: &str = "\x1b";
pub(super) const CTRL_C: &str = "\x03";
pub(super) const CTRL_D: &str = "\x04";
pub(super) const F1: &str = "\x1bOP";
pub(super) const F8: &str = "\x1b[19~";
pub(super) const F9: &str = "\x1b[20~";
pub(super) const F10: &str = "\x1b[21~";

/// What tells afterwards how the program ended and what it left the terminal as.
pub(super) const AND_AFTER: &str = "echo code=$?; stty -a";

/// A terminal with a program on it.
pub(super) struct Screen {
    pty: pty_process::Pty,
    child: tokio::process::Child,
    parser: vt100::Parser,
    raw: Vec<u8>,
    clock: Clock,
    home: Arc<tempfile::TempDir>,
}

fn number(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

impl Screen {
    /// Runs a script of the host's shell, in which `$K8S_LEARN` is the program, in a home of its own.
    pub(super) fn open(script: &str, columns: u16, rows: u16) -> Self {
        Self::open_at(&Arc::new(tempfile::tempdir().unwrap()), script, columns, rows)
    }

    /// The same in a home that another one may have had.
    pub(super) fn open_at(home: &Arc<tempfile::TempDir>, script: &str, columns: u16, rows: u16) -> Self {
        let (pty, pts) = pty_process::open().unwrap();
        pty.resize(pty_process::Size::new(rows, columns)).unwrap();
        let command = pty_process::Command::new("sh")
            .args(["-c", script])
            .env("K8S_LEARN", env!("CARGO_BIN_EXE_k8s-learn"))
            .env("XDG_DATA_HOME", home.path())
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .current_dir(home.path())
            .kill_on_drop(true);
        let child = command.spawn(pts).unwrap();
        let parser = vt100::Parser::new(number(rows), number(columns), 0);
        Self { pty, child, parser, raw: vec![], clock: Clock::real(), home: home.clone() }
    }

    /// The TUI past the course, with a prompt.
    pub(super) async fn free(columns: u16, rows: u16) -> Self {
        let mut screen = Self::open(&format!("$K8S_LEARN; {AND_AFTER}"), columns, rows);
        screen.shows("Free play").await;
        // A key that follows Esc at once would be one with Alt.
        screen.press(ESC).await;
        screen.until("the prompt", |text| !text.contains("Free play") && text.contains(":~$")).await;
        screen
    }

    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(super) fn text(&self) -> String {
        self.parser.screen().contents()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.raw.extend(bytes);
    }

    /// Waits until the screen is as wanted.
    pub(super) async fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let clock = self.clock.clone();
        let waiting = async {
            let mut buffer = [0; 4096];
            while !wanted(&self.text()) {
                match self.pty.read(&mut buffer).await {
                    Ok(count @ 1..) => self.take(&buffer[..count]),
                    _ => panic!("the program has ended before {what}:\n{}", self.text()),
                }
            }
        };
        let outcome = clock.timeout(PATIENCE, waiting).await;
        assert!(outcome.is_ok(), "it did not come to this: {what}\n{}", self.text());
    }

    pub(super) async fn shows(&mut self, text: &str) {
        self.until(&format!("the screen shows {text:?}"), |screen| screen.contains(text)).await;
    }

    pub(super) async fn hides(&mut self, text: &str) {
        self.until(&format!("the screen shows {text:?} no more"), |screen| !screen.contains(text)).await;
    }

    pub(super) async fn press(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Writes much, and takes in meanwhile what the program draws, as a terminal does.
    pub(super) async fn pour(&mut self, bytes: &[u8]) {
        let clock = self.clock.clone();
        let pouring = async {
            let (mut from, mut buffer) = (0, [0; 4096]);
            while from < bytes.len() {
                let (mut read, mut write) = self.pty.split();
                let chunk = &bytes[from..bytes.len().min(from + 4096)];
                let count = tokio::select! { biased;
                    count = read.read(&mut buffer) => count.expect("the program reads and draws"),
                    count = write.write(chunk) => {
                        from += count.expect("the program reads");
                        continue;
                    }
                };
                self.take(&buffer[..count]);
            }
        };
        let outcome = clock.timeout(PATIENCE, pouring).await;
        assert!(outcome.is_ok(), "the program does not read what is typed:\n{}", self.text());
    }

    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.pty.resize(pty_process::Size::new(rows, columns)).unwrap();
        self.parser.set_size(number(rows), number(columns));
    }

    /// Sends a signal to the program that was started.
    pub(super) async fn signal(&mut self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        tokio::process::Command::new("kill").args([signal, &pid]).status().await.unwrap();
    }

    /// Leaves with F10.
    pub(super) async fn leave(&mut self) {
        self.press(F10).await;
        self.shows("Enter: leave").await;
        self.press("\r").await;
        self.ended().await;
    }

    /// Waits for the program's end.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let clock = self.clock.clone();
        let waiting = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = self.pty.read(&mut buffer).await {
                self.take(&buffer[..count]);
            }
            self.child.wait().await.unwrap()
        };
        let status = clock.timeout(PATIENCE, waiting).await;
        status.unwrap_or_else(|_| panic!("the program does not end:\n{}", self.text()))
    }

    /// Whether the alternate screen was left, and pastes and the mouse are as they were.
    pub(super) fn left_the_screen(&self) -> bool {
        let last = |sequence: &str| {
            self.raw.windows(sequence.len()).rposition(|bytes| bytes == sequence.as_bytes()).unwrap_or(0)
        };
        ["1049", "2004", "1000"].iter().all(|mode| {
            let (on, off) = (last(&format!("\x1b[?{mode}h")), last(&format!("\x1b[?{mode}l")));
            off > on || off == on && on == 0
        })
    }

    /// Whether the alternate screen was ever taken.
    pub(super) fn took_the_screen(&self) -> bool {
        let sequence = b"\x1b[?1049h";
        self.raw.windows(sequence.len()).any(|bytes| bytes == sequence)
    }

    /// After a script that ends with [`AND_AFTER`]: the program ended well and the terminal is as it was.
    pub(super) fn is_as_it_was(&self) {
        let text = self.text();
        assert!(text.contains("code=0"), "{text}");
        self.is_cooked();
        assert!(self.left_the_screen(), "{text}");
    }

    /// The terminal hands out lines, with echo and signals.
    pub(super) fn is_cooked(&self) {
        let text = self.text();
        let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_end_matches(';')).collect();
        for word in ["icanon", "echo", "isig", "opost"] {
            assert!(words.contains(&word), "{word} is back: {text}");
        }
    }
}
