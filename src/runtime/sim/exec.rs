//! Commands beside a container's first process, and joining that process: exec, probes and attach.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::io::AsyncWriteExt;

use super::console;
use super::container::Container;
use super::launcher::look_up;
use super::life::state_name;
use crate::bash::{Foreground, SharedWriter, Stdio};
use crate::runtime::api::{ContainerState, ExecResult, Result, RuntimeError, Streams, TerminalSize};
use crate::watch;

const KILLED: i32 = 128 + crate::bash::signal::KILL;
const BROKEN: i32 = 128 + 11;

/// The standard streams of a container's first process.
pub(super) fn console_stdio(container: &Container, foreground: Foreground) -> Stdio {
    let console = &container.console;
    let stdin: crate::runtime::api::BoxRead =
        if container.config.stdin { Box::new(console.open_input()) } else { Box::new(tokio::io::empty()) };
    let stdout = Box::new(console.writer(false));
    if container.config.tty {
        return crate::bash::tty(stdin, stdout, sizes(None), foreground);
    }
    Stdio { stdin, stdout, stderr: Box::new(console.writer(true)), ..Stdio::null() }
}

/// Runs a command and returns its exit code. Dropping the future kills it; so does the container's end.
pub(super) async fn run(
    container: &Container,
    exec_id: &str,
    command: &[String],
    stdio: Stdio,
) -> Result<i32> {
    run_in_foreground(container, exec_id, command, stdio, &Foreground::default()).await
}

/// [`run`] on a terminal, whose signals the command gets.
async fn run_in_foreground(
    container: &Container,
    exec_id: &str,
    command: &[String],
    stdio: Stdio,
    foreground: &Foreground,
) -> Result<i32> {
    if container.state() != ContainerState::Running {
        let state = state_name(container.state());
        return Err(RuntimeError::Other(format!(
            "failed to exec in container: container is in {state} state"
        )));
    }
    let refused = |why: String| {
        RuntimeError::Start(format!(
            "failed to exec in container: failed to start exec \"{exec_id}\": OCI runtime exec failed: exec failed: \
             unable to start container process: {why}"
        ))
    };
    let first = command
        .first()
        .ok_or_else(|| refused("exec: \"\": executable file not found in $PATH".to_owned()))?;
    let env = container.env.iter().cloned().collect();
    let found = look_up(&*container.files.all, &env, &container.working_dir(), first).await;
    let executable = found.map_err(|why| refused(format!("exec: {first:?}: {why}")))?;
    let process = container.processes.start(0, &container.user.name, command.to_vec(), container.clock.now());
    foreground.set(process.signals.clone());
    let context = container.context(command.to_vec(), &process, stdio);
    Ok(tokio::select! { biased;
        () = container.killed.cancelled() => KILLED,
        number = process.signals.fatal() => 128 + number,
        code = AssertUnwindSafe(container.launcher.run(executable, context)).catch_unwind() => {
            code.map_or(BROKEN, |code| code & 0xff)
        }
    })
}

/// Runs a command with the client's streams.
pub(super) async fn exec(
    container: &Container,
    exec_id: &str,
    command: &[String],
    streams: Streams,
) -> Result<i32> {
    let foreground = Foreground::default();
    let Streams { stdin, stdout, stderr, tty, resize } = streams;
    let stdin = stdin.unwrap_or_else(|| Box::new(tokio::io::empty()));
    let stdout = stdout.unwrap_or_else(|| Box::new(tokio::io::sink()));
    let stdio = if tty {
        crate::bash::tty(stdin, stdout, sizes(resize), foreground.clone())
    } else {
        let stderr = stderr.unwrap_or_else(|| Box::new(tokio::io::sink()));
        Stdio { stdin, stdout, stderr, ..Stdio::null() }
    };
    run_in_foreground(container, exec_id, command, stdio, &foreground).await
}

/// The client's terminal size as programs see it. It stays as it is when the client goes.
fn sizes(resize: Option<watch::Receiver<TerminalSize>>) -> watch::Receiver<(u16, u16)> {
    let pair = |size: TerminalSize| (size.width, size.height);
    let first = resize.as_ref().map_or((80, 24), |size| pair(*size.borrow()));
    let (sender, receiver) = watch::channel(first);
    if let Some(mut resize) = resize {
        tokio::spawn(async move {
            loop {
                tokio::select! { biased;
                    () = sender.closed() => return,
                    changed = resize.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        sender.send_replace(pair(*resize.borrow_and_update()));
                    }
                }
            }
        });
    }
    receiver
}

/// Runs a command to its end and keeps what it writes.
pub(super) async fn exec_sync(
    container: &Container,
    exec_id: &str,
    command: &[String],
    timeout: Duration,
) -> Result<ExecResult> {
    let (stdout, out) = SharedWriter::capture();
    let (stderr, err) = SharedWriter::capture();
    let stdio = Stdio { stdout: Box::new(stdout), stderr: Box::new(stderr), ..Stdio::null() };
    let ran = container.clock.timeout(timeout, run(container, exec_id, command, stdio)).await;
    let exit_code = ran.map_err(|_| {
        let seconds = crate::meta::age::go_string(timeout);
        RuntimeError::DeadlineExceeded(format!(
            "failed to exec in container: timeout {seconds} exceeded: context deadline exceeded"
        ))
    })??;
    let bytes = |kept: std::sync::Arc<std::sync::Mutex<Vec<u8>>>| {
        std::mem::take(&mut *kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)).into()
    };
    Ok(ExecResult { exit_code, stdout: bytes(out), stderr: bytes(err) })
}

/// Joins the first process until it ends or the client goes away.
pub(super) async fn attach(container: &Container, streams: Streams) -> Result<()> {
    if container.state() != ContainerState::Running {
        let state = state_name(container.state());
        return Err(RuntimeError::Other(format!(
            "failed to attach container: container is in {state} state"
        )));
    }
    let output = console::pump(container.console.attach(), streams.stdout, streams.stderr);
    let input = async {
        let (Some(mut from), Some(mut to)) = (streams.stdin, container.console.take_input()) else {
            return std::future::pending().await;
        };
        // The end of either stream ends the copying; which one it was makes no difference here.
        let _ = tokio::io::copy(&mut from, &mut to).await;
        if container.config.stdin_once {
            let _ = to.shutdown().await;
            drop(to);
        } else {
            container.console.give_input(to);
        }
        std::future::pending::<()>().await
    };
    tokio::select! { biased;
        () = output => {}
        () = input => {}
        () = container.ended() => {}
    }
    Ok(())
}
