//! Our programs as bashkit's commands: arguments and environment in, real streams on both ends.
//!
//! bashkit fixes a command's standard input before the command starts. So that a program reads the shell's real input, an
//! execution is given [`LIVE_STDIN`] in its place: who finds it is not behind a pipe or a redirection, and reads the
//! stream that [`Streams`] carries.

use std::sync::Arc;

use bashkit::{Command, CommandContext, CommandInput, CommandOutput, CommandStatus, Result, async_trait};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use tokio_util::io::StreamReader;

use super::pipe::{PipeReader, pipe};
use crate::bash::files::Files;
use crate::bash::process::Process;
use crate::bash::program::{Program, ProgramContext, Stdio, System};
use crate::bash::streams::SharedReader;
use crate::bash::terminal::Terminal;

/// Stands in for standard input that is read as it comes. No text holds it.
pub(in crate::bash) const LIVE_STDIN: &[u8] = b"\0\x1blive standard input\x1b\0\n";

/// How often the mark stands there: each `read` takes a line of it away.
const LIVE_LINES: usize = 2048;

/// What an execution is given for live input.
pub(in crate::bash) fn live_stdin() -> String {
    String::from_utf8_lossy(LIVE_STDIN).repeat(LIVE_LINES)
}

/// How many bytes wait between a program and bashkit.
const PIPE_BYTES: usize = 16 * 1024;

/// The real streams of an execution, as its commands find them.
#[derive(Clone)]
pub(in crate::bash) struct Streams {
    pub(in crate::bash) stdin: SharedReader,
    pub(in crate::bash) stdin_is_terminal: bool,
    pub(in crate::bash) stdin_is_own: bool,
    pub(in crate::bash) terminal: Option<Terminal>,
}

/// A program as a command of bashkit.
#[derive(Clone)]
pub(in crate::bash) struct Adapter {
    pub(in crate::bash) program: Arc<dyn Program>,
    pub(in crate::bash) files: Arc<dyn Files>,
    pub(in crate::bash) system: System,
    /// Whether it is one of the shell's own commands, which needs no process.
    pub(in crate::bash) builtin: bool,
}

/// What a command finds on its standard input.
enum Input {
    /// The shell's own input.
    Live(Streams),
    /// A pipe or a file, of which this was read already.
    Given(Option<Vec<u8>>),
    /// Nothing.
    Empty,
}

impl Input {
    fn of(context: &CommandContext<'_>) -> Self {
        // What is there at once is a file, a finished pipe or the mark; a pipe that is still empty is not ready.
        match context.stdin.read_chunk().now_or_never() {
            Some(Ok(Some(bytes))) if bytes.starts_with(LIVE_STDIN) => {
                let streams = context.execution_extension::<Streams>();
                streams
                    .and_then(|streams| streams.try_with(Streams::clone).ok())
                    .map_or(Self::Empty, Self::Live)
            }
            Some(Ok(Some(bytes))) => Self::Given(Some(bytes)),
            Some(_) => Self::Empty,
            None => Self::Given(None),
        }
    }

    fn reader(self, rest: CommandInput) -> Box<dyn tokio::io::AsyncRead + Send + Unpin> {
        match self {
            Self::Live(streams) => Box::new(streams.stdin),
            Self::Empty => Box::new(tokio::io::empty()),
            Self::Given(first) => {
                let first = stream::iter(first.map(|bytes| Ok::<_, std::io::Error>(Bytes::from(bytes))));
                let rest = stream::unfold(rest, |input| async move {
                    match input.read_chunk().await {
                        Ok(Some(bytes)) => Some((Ok(Bytes::from(bytes)), input)),
                        // Its end, or that of the execution.
                        Ok(None) | Err(_) => None,
                    }
                });
                Box::new(StreamReader::new(first.chain(rest).boxed()))
            }
        }
    }
}

impl Adapter {
    /// The machine for one run, in which the program is a process of its own where programs are. What sits at the terminal
    /// keeps the signals of its shell, which are the terminal's.
    fn process(&self, args: &[String], at_terminal: bool) -> (System, Option<Process>) {
        let mut system = self.system.clone();
        let Some(parent) = system.pid.filter(|_| !self.builtin) else { return (system, None) };
        let process = system.processes.start(parent, &system.user.name, args.to_vec(), system.clock.now());
        system.pid = Some(process.pid);
        if !at_terminal {
            system.signals = process.signals.clone();
        }
        (system, Some(process))
    }
}

#[async_trait]
impl Command for Adapter {
    async fn execute(&self, context: CommandContext<'_>) -> Result<CommandStatus> {
        let input = Input::of(&context);
        let live = match &input {
            Input::Live(streams) => Some(streams.clone()),
            _ => None,
        };
        let surroundings =
            context.execution_extension::<Streams>().and_then(|s| s.try_with(Streams::clone).ok());
        let (out_reader, out_writer) = pipe(PIPE_BYTES);
        let (err_reader, err_writer) = pipe(PIPE_BYTES);
        let stdio = Stdio {
            stdin: input.reader(context.stdin.clone()),
            stdout: Box::new(out_writer),
            stderr: Box::new(err_writer),
            terminal: surroundings.and_then(|streams| streams.terminal),
            stdin_is_terminal: live.as_ref().is_some_and(|streams| streams.stdin_is_terminal),
            stdin_is_own: live.is_some_and(|streams| streams.stdin_is_own),
        };
        let args: Vec<String> =
            std::iter::once(context.name.to_owned()).chain(context.args.iter().cloned()).collect();
        let (system, process) = self.process(&args, stdio.stdin_is_terminal);
        let program = self.program.run(ProgramContext {
            args,
            env: context.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            cwd: context.cwd.to_string_lossy().into_owned(),
            files: self.files.clone(),
            stdio,
            system,
        });
        let program = async {
            let Some(process) = process else { return program.await };
            tokio::select! { biased;
                number = process.signals.fatal() => 128 + number,
                code = program => code,
            }
        };
        // A pump that ends has a reader that went away: the program's next write fails.
        let pumps = async {
            tokio::join!(biased; pump(out_reader, &context.stdout), pump(err_reader, &context.stderr))
        };
        // In a fixed order, which would else change with each time that this is asked.
        let (_, exit_code) = tokio::join!(biased; pumps, program);
        Ok(CommandStatus::with_code(exit_code))
    }
}

async fn pump(mut from: PipeReader, to: &CommandOutput) {
    while let Some(bytes) = from.next().await {
        if to.write_all(&bytes).await.is_err() {
            return;
        }
        // bashkit has a pipe of its own behind this one. Its reader is asked once before or once after us in each round,
        // so two rounds pass before the program goes on.
        round().await;
        round().await;
    }
}

/// A round of the runtime's queue: when it is over, everybody who was ready has had a turn.
///
/// `yield_now` would be over as soon as it is asked again, and bashkit draws whether it asks a new command once or twice.
async fn round() {
    // A task of nothing cannot fail.
    let _ = tokio::spawn(async {}).await;
}
