//! What a command is: arguments, environment, files and streams in; an exit code out.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::files::{Files, resolve};
use super::process::{Processes, Signals};
use super::terminal::Terminal;
use crate::clock::Clock;

/// The streams of a command.
pub struct Stdio {
    /// Standard input; an empty reader for none.
    pub stdin: Box<dyn AsyncRead + Send + Unpin>,
    /// Standard output.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    /// Standard error.
    pub stderr: Box<dyn AsyncWrite + Send + Unpin>,
    /// The terminal, if standard output is one.
    pub terminal: Option<Terminal>,
    /// Whether standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether standard input is this process's own, which a process that it starts would read as well.
    pub stdin_is_own: bool,
}

impl Stdio {
    /// Reads nothing and drops what is written.
    pub fn null() -> Self {
        Self {
            stdin: Box::new(tokio::io::empty()),
            stdout: Box::new(tokio::io::sink()),
            stderr: Box::new(tokio::io::sink()),
            terminal: None,
            stdin_is_terminal: false,
            stdin_is_own: false,
        }
    }

    /// Writes to standard output. `false`: nobody reads any more.
    pub async fn out(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.stdout.write_all(text.as_ref()).await.is_ok() && self.stdout.flush().await.is_ok()
    }

    /// Writes to standard error.
    pub async fn err(&mut self, text: impl AsRef<[u8]>) {
        // Complaints that nobody reads are lost, as in a real process.
        let _ = self.stderr.write_all(text.as_ref()).await;
        let _ = self.stderr.flush().await;
    }
}

/// Whose userland it is, which shows in the words of errors and in formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// GNU's bash and coreutils.
    #[default]
    Gnu,
    /// Debian's `sh` with GNU's coreutils.
    Dash,
    /// busybox.
    Busybox,
}

/// Who a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name; empty if the number has none.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

impl Default for User {
    fn default() -> Self {
        Self { name: "root".into(), uid: 0, gid: 0, groups: vec![] }
    }
}

/// The machine or container that a program runs on.
#[derive(Clone)]
pub struct System {
    /// The host's name.
    pub hostname: String,
    /// The time.
    pub clock: Clock,
    /// Who the program runs as.
    pub user: User,
    /// The processes there.
    pub processes: Processes,
    /// The program's own signals.
    pub signals: Signals,
    /// Whose userland it is.
    pub dialect: Dialect,
    /// The program's own number in [`Self::processes`], where what it starts has numbers, too.
    pub pid: Option<u32>,
}

impl System {
    /// A machine called `hostname` with nothing running.
    pub fn new(hostname: &str, clock: Clock) -> Self {
        Self {
            hostname: hostname.to_owned(),
            clock,
            user: User::default(),
            processes: Processes::default(),
            signals: Signals::default(),
            dialect: Dialect::default(),
            pid: None,
        }
    }
}

/// What a command runs in.
pub struct ProgramContext {
    /// The arguments; the first is the name that it was called by.
    pub args: Vec<String>,
    /// The exported variables.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub cwd: String,
    /// The file system.
    pub files: Arc<dyn Files>,
    /// The streams.
    pub stdio: Stdio,
    /// Where it runs.
    pub system: System,
}

impl ProgramContext {
    /// A path as seen from the working directory.
    pub fn path(&self, path: &str) -> String {
        resolve(&self.cwd, path)
    }

    /// The name that it was called by, without directories.
    pub fn name(&self) -> &str {
        let name = self.args.first().map_or("", String::as_str);
        name.rsplit('/').next().unwrap_or(name)
    }
}

/// A command that is not bash's own. Dropping the future is how it is killed: it must leave nothing running.
#[async_trait]
pub trait Program: Send + Sync + 'static {
    /// Runs to the end and returns the exit code.
    async fn run(&self, context: ProgramContext) -> i32;
}
