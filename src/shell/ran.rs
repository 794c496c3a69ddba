//! What the learner ran: each program of the shell with the arguments that bash gave it, and what came of it.
//!
//! Lessons look at it. It is bash's view, so variables, pipes, loops and scripts have done their part already.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::AsyncWrite;

use crate::bash::{Program, ProgramContext};
use crate::watch;

/// How much of what a command prints is kept.
const MAX_OUTPUT_BYTES: usize = 256 << 10;
/// How many commands are kept; older ones are forgotten.
const MAX_COMMANDS: usize = 4096;

/// A command that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The name that called it, and its arguments.
    pub args: Vec<String>,
    /// The exit code.
    pub code: i32,
    /// What it printed on standard output and standard error, up to a bound.
    pub output: String,
}

/// The commands that have ended, in order. Clones are one log.
#[derive(Clone, Debug, Default)]
pub struct CommandLog {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    commands: Mutex<Vec<Arc<Ran>>>,
    /// How many have ended, those that were forgotten included.
    count: watch::Sender<usize>,
}

impl CommandLog {
    /// How many commands have ended so far; changes with each.
    pub fn count(&self) -> watch::Receiver<usize> {
        self.shared.count.subscribe()
    }

    /// The commands that ended after the first `number` ones.
    pub fn since(&self, number: usize) -> Vec<Arc<Ran>> {
        let commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = self.shared.count.borrow().saturating_sub(commands.len());
        commands.iter().skip(number.saturating_sub(forgotten)).cloned().collect()
    }

    fn add(&self, ran: Ran) {
        let mut commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.len() == MAX_COMMANDS {
            commands.remove(0);
        }
        commands.push(Arc::new(ran));
        self.shared.count.send_modify(|count| *count += 1);
    }

    /// The program, but what it does is logged.
    pub fn watched(&self, program: Arc<dyn Program>) -> Arc<dyn Program> {
        Arc::new(Watched { program, log: self.clone() })
    }
}

/// A program whose runs are logged.
struct Watched {
    program: Arc<dyn Program>,
    log: CommandLog,
}

#[async_trait]
impl Program for Watched {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let args = context.args.clone();
        let output = Arc::new(Mutex::new(vec![]));
        let sink = |inner| Box::new(Tee { inner, copy: output.clone() });
        context.stdio.stdout = sink(context.stdio.stdout);
        context.stdio.stderr = sink(context.stdio.stderr);
        // A command that is killed counts too: whoever stops `kubectl get -w` has seen what it printed.
        let mut entry = Entry { log: &self.log, args, output, code: 130 };
        entry.code = self.program.run(context).await;
        entry.code
    }
}

/// A run that is logged when it ends, however it ends.
struct Entry<'a> {
    log: &'a CommandLog,
    args: Vec<String>,
    output: Arc<Mutex<Vec<u8>>>,
    code: i32,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut *self.output.lock().unwrap_or_else(PoisonError::into_inner));
        let output = String::from_utf8_lossy(&bytes).into_owned();
        self.log.add(Ran { args: std::mem::take(&mut self.args), code: self.code, output });
    }
}

/// A writer that keeps a copy of what was written.
struct Tee {
    inner: Box<dyn AsyncWrite + Send + Unpin>,
    copy: Arc<Mutex<Vec<u8>>>,
}

impl AsyncWrite for Tee {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_OUTPUT_BYTES.saturating_sub(copy.len());
        copy.extend_from_slice(&bytes[..written.min(room)]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(name: &str) -> Ran {
        Ran { args: vec![name.to_owned()], code: 0, output: String::new() }
    }

    #[test]
    fn old_commands_are_forgotten_but_counted() {
        let log = CommandLog::default();
        for index in 0..MAX_COMMANDS + 2 {
            log.add(ran(&index.to_string()));
        }
        assert_eq!(*log.count().borrow(), MAX_COMMANDS + 2);
        let last: Vec<String> = log.since(MAX_COMMANDS + 1).iter().map(|ran| ran.args[0].clone()).collect();
        assert_eq!(last, [(MAX_COMMANDS + 1).to_string()]);
        assert_eq!(log.since(0).len(), MAX_COMMANDS);
        assert!(log.since(MAX_COMMANDS + 2).is_empty());
    }
}
