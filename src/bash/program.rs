//! What a command is: arguments, environment, files and streams in; an exit code out.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use super::files::Files;
use super::terminal::Terminal;

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
}

/// A command that is not bash's own. Dropping the future is how it is killed: it must leave nothing running.
#[async_trait]
pub trait Program: Send + Sync + 'static {
    /// Runs to the end and returns the exit code.
    async fn run(&self, context: ProgramContext) -> i32;
}
