//! The TUI in a real pseudo-terminal: typed at as a person would, and seen through a terminal emulator.

use std::num::NonZeroU16;
use std::process::ExitStatus;
use std::time::Duration;

use k8s_learn::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long anything may take to show, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A terminal with a program on it.
struct Screen {
    pty: pty_process::Pty,
    child: tokio::process::Child,
    parser: vt100::Parser,
    raw: Vec<u8>,
    clock: Clock,
    _home: tempfile::TempDir,
}

fn number(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

impl Screen {
    /// Runs a script of the host's shell, in which `$K8S_LEARN` is the program.
    fn open(script: &str, columns: u16, rows: u16) -> Self {
        let home = tempfile::tempdir().unwrap();
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
        Self { pty, child, parser, raw: vec![], clock: Clock::real(), _home: home }
    }

    fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// Waits until the screen is as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let clock = self.clock.clone();
        let waiting = async {
            let mut buffer = [0; 4096];
            while !wanted(&self.text()) {
                match self.pty.read(&mut buffer).await {
                    Ok(count @ 1..) => {
                        self.parser.process(&buffer[..count]);
                        self.raw.extend(&buffer[..count]);
                    }
                    _ => panic!("the program has ended before {what}:\n{}", self.text()),
                }
            }
        };
        let outcome = clock.timeout(PATIENCE, waiting).await;
        assert!(outcome.is_ok(), "it did not come to this: {what}\n{}", self.text());
    }

    async fn shows(&mut self, text: &str) {
        self.until(&format!("the screen shows {text:?}"), |screen| screen.contains(text)).await;
    }

    async fn press(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits for the program's end.
    async fn ended(&mut self) -> ExitStatus {
        let clock = self.clock.clone();
        let waiting = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = self.pty.read(&mut buffer).await {
                self.parser.process(&buffer[..count]);
                self.raw.extend(&buffer[..count]);
            }
            self.child.wait().await.unwrap()
        };
        let status = clock.timeout(PATIENCE, waiting).await;
        status.unwrap_or_else(|_| panic!("the program does not end"))
    }

    fn left_the_screen(&self) -> bool {
        let last = |sequence: &str| {
            self.raw.windows(sequence.len()).rposition(|bytes| bytes == sequence.as_bytes()).unwrap_or(0)
        };
        last("\x1b[?1049l") > last("\x1b[?1049h") && last("\x1b[?2004l") > last("\x1b[?2004h")
    }
}

const F10: &str = "\x1b[21~";

#[tokio::test]
async fn a_session_from_the_first_command_to_the_end_and_the_terminal_is_as_it_was() {
    let mut screen = Screen::open("$K8S_LEARN; echo code=$?; stty -a", 120, 40);
    // The course comes first; Esc is free play. A key that follows Esc at once would be one with Alt.
    screen.shows("Free play").await;
    screen.press("\x1b").await;
    screen.until("the course is gone", |text| !text.contains("Free play") && text.contains(":~$")).await;
    screen.shows("minikube · Ready").await;
    screen.press("kubectl create deployment hello --image=nginx\r").await;
    screen.shows("deployment.apps/hello created").await;
    let on_the_map = |line: &str| line.contains("● hello-") && line.contains("Running");
    screen.until("the pod is ready on the map", |text| text.lines().any(on_the_map)).await;
    // A program that prints without end is stopped, and what is typed shows.
    screen.press("while true; do echo y; done\r").await;
    screen.until("it prints", |text| text.lines().filter(|line| line.starts_with('y')).count() > 5).await;
    screen.press("\x03").await;
    screen.until("the prompt is back", |text| !text.contains("running:")).await;
    screen.press("echo a''fter\r").await;
    screen.shows("after").await;
    // A size that is too small, and back.
    screen.pty.resize(pty_process::Size::new(5, 20)).unwrap();
    screen.parser.set_size(number(5), number(20));
    screen.shows("40x10").await;
    screen.pty.resize(pty_process::Size::new(40, 120)).unwrap();
    screen.parser.set_size(number(40), number(120));
    screen.shows("F10 Quit").await;
    screen.press(F10).await;
    screen.shows("Leave?").await;
    screen.press("\r").await;
    screen.ended().await;
    let text = screen.text();
    assert!(text.contains("code=0"), "{text}");
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_end_matches(';')).collect();
    assert!(words.contains(&"icanon") && words.contains(&"echo"), "lines and echo are back: {text}");
    assert!(screen.left_the_screen());
}

#[tokio::test]
async fn a_signal_gives_the_terminal_back() {
    let mut screen = Screen::open("exec $K8S_LEARN", 80, 24);
    screen.until("it runs", |text| text.contains("F10")).await;
    let pid = screen.child.id().unwrap().to_string();
    tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(screen.ended().await.success());
    assert!(screen.left_the_screen());
}

#[tokio::test]
async fn without_a_terminal_one_line_says_so() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_k8s-learn"))
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("k8s-learn: this is no terminal"), "{said}");
}
