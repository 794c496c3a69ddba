//! What a shell starts in a real container: a process of the kernel's, which is this binary again by another name.
//!
//! `ps`, `kill` and limits of other processes then see it as they would see any program. At a terminal programs stay inside
//! their shell: the terminal's line discipline is in there, too.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio as Given;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::bash::{Program, ProgramContext, signal};

/// A program as a process of its own.
pub(super) struct Spawned {
    /// The program, for where it stays inside.
    inside: Arc<dyn Program>,
}

impl Spawned {
    pub(super) fn new(inside: Arc<dyn Program>) -> Self {
        Self { inside }
    }
}

/// Whether somebody sits at a terminal.
fn at_terminal(context: &ProgramContext) -> bool {
    context.stdio.stdin_is_terminal || context.stdio.terminal.is_some()
}

/// The command with its words, its variables and its directory.
fn command(context: &ProgramContext) -> std::process::Command {
    // Found by its name on the path of `env`: what it is called is what `ps` shows.
    let mut command = std::process::Command::new(&context.args[0]);
    command.args(&context.args[1..]).env_clear().envs(&context.env).current_dir(&context.cwd);
    command
}

/// Becomes the command of `context`, as `execve` does, if this process's streams are the command's. What comes back could
/// not be replaced.
pub(super) fn replace(context: ProgramContext) -> ProgramContext {
    if context.stdio.stdin_is_own && !at_terminal(&context) && !context.args.is_empty() {
        let error = command(&context).exec();
        // A file that only we can run, or none: whoever runs it in here tells.
        tracing::debug!(%error, "the process is not replaced");
    }
    context
}

#[async_trait]
impl Program for Spawned {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        if at_terminal(&context) || context.args.is_empty() {
            return self.inside.run(context).await;
        }
        let own = context.stdio.stdin_is_own;
        let mut command = Command::from(command(&context));
        command.stdin(if own { Given::inherit() } else { Given::piped() });
        // Dropping the future is how a program is killed.
        command.stdout(Given::piped()).stderr(Given::piped()).kill_on_drop(true);
        match command.spawn() {
            Ok(child) => follow(child, context).await,
            Err(error) => {
                let name = context.name().to_owned();
                context.stdio.err(format!("{name}: {error}\n")).await;
                126
            }
        }
    }
}

/// Moves the child's bytes until it has ended.
async fn follow(mut child: Child, context: ProgramContext) -> i32 {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let stdio = context.stdio;
    let output = async {
        tokio::join!(biased; pump(stdout, stdio.stdout), pump(stderr, stdio.stderr));
        child.wait().await
    };
    let input = async {
        if let Some(mut to) = stdin {
            let mut from = stdio.stdin;
            // Either side may go first.
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.shutdown().await;
        }
        std::future::pending::<()>().await
    };
    let ended = tokio::select! { biased;
        ended = output => ended,
        () = input => return 126,
    };
    match ended {
        Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(signal::KILL)),
        Err(_) => 126,
    }
}

async fn pump(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    let Some(mut from) = from else { return };
    // When the reader is gone the child's next write fails, as its pipe is closed here.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.flush().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::{MemoryFiles, SharedReader, SharedWriter, Stdio, System};
    use crate::clock::Clock;

    struct Inside;

    #[async_trait]
    impl Program for Inside {
        async fn run(&self, _: ProgramContext) -> i32 {
            99
        }
    }

    async fn run(words: &[&str], stdin: &'static str, own: bool) -> (i32, String) {
        let (writer, kept) = SharedWriter::capture();
        let context = ProgramContext {
            args: words.iter().map(|word| (*word).to_owned()).collect(),
            env: [("PATH", "/usr/bin:/bin"), ("GREETING", "hello")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            cwd: "/".to_owned(),
            files: Arc::new(MemoryFiles::new(Clock::real())),
            stdio: Stdio {
                stdin: Box::new(SharedReader::of(stdin)),
                stdout: Box::new(writer.clone()),
                stderr: Box::new(writer),
                stdin_is_own: own,
                ..Stdio::null()
            },
            system: System::new("box", Clock::real()),
        };
        let code = Spawned::new(Arc::new(Inside)).run(context).await;
        (code, String::from_utf8(kept.lock().unwrap().clone()).unwrap())
    }

    #[tokio::test]
    async fn a_program_is_a_process_with_its_streams_and_its_end() {
        for (words, stdin, expected) in [
            (&["cat"][..], "some words\n", (0, "some words\n")),
            (&["sh", "-c", "echo $GREETING; pwd >&2; exit 7"], "", (7, "hello\n/\n")),
            (&["sh", "-c", "kill -TERM $$"], "", (143, "")),
        ] {
            let (code, text) = run(words, stdin, false).await;
            assert_eq!((code, text.as_str()), expected, "{words:?}");
        }
        let (code, text) = run(&["no-such-program"], "", false).await;
        assert!(code == 126 && text.contains("no-such-program: "), "{code} {text}");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_killed() {
        let clock = Clock::real();
        let running = run(&["sh", "-c", "echo $$; exec sleep 1000"], "", false);
        let ended = clock.timeout(std::time::Duration::from_millis(300), running).await;
        assert!(ended.is_err(), "it does not wait for the process");
    }
}
