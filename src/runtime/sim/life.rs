//! A container's first process: started, stopped, killed, and what its end says about it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::container::{Container, Stage};
use super::launcher::{Executable, look_up};
use super::service::Events;
use crate::bash::{Files, Process, Stdio, signal};
use crate::runtime::api::{ContainerEventKind, ContainerState, Result, RuntimeError};

/// The exit code of a container whose process could not be started.
const START_ERROR: i32 = 128;
/// The exit code of a program of ours that broke, as of one that touched memory that is not there.
const BROKEN: i32 = 128 + 11;
const KILLED: i32 = 128 + signal::KILL;

/// Starts the first process.
pub(super) async fn start(container: &Arc<Container>, events: &Events) -> Result<()> {
    if container.state() != ContainerState::Created {
        return Err(RuntimeError::Other(format!(
            "failed to start container {:?}: container is in {} state",
            container.id,
            state_name(container.state())
        )));
    }
    let args = container.args();
    let executable = match find(container, &args).await {
        Ok(executable) => executable,
        Err(why) => return Err(refuse(container, events, why)),
    };
    let now = container.clock.now();
    let process = container.processes.start(0, &container.user.name, args.clone(), now);
    *container.signals() = Some(process.signals.clone());
    container.stage.send_modify(|stage| {
        stage.state = ContainerState::Running;
        stage.started_at = Some(now);
    });
    events.send(container, ContainerEventKind::Started);
    let foreground = crate::bash::Foreground::default();
    foreground.set(process.signals.clone());
    let stdio = super::exec::console_stdio(container, foreground);
    tokio::spawn(live(container.clone(), events.clone(), process, executable, args, stdio));
    // The process gets its first turn before anybody hears that it runs.
    tokio::task::yield_now().await;
    Ok(())
}

async fn find(container: &Container, args: &[String]) -> std::result::Result<Executable, String> {
    let Some(first) = args.first() else {
        return Err("no command specified".to_owned());
    };
    let env = container.env.iter().cloned().collect();
    let found = look_up(&*container.files.all, &env, &container.working_dir(), first).await;
    found.map_err(|why| format!("exec: {first:?}: {why}"))
}

/// The container has ended before it began.
fn refuse(container: &Container, events: &Events, why: String) -> RuntimeError {
    let message = format!(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
         unable to start container process: error during container init: {why}"
    );
    container.drop_programs();
    container.console.close();
    let finished_at = Some(container.clock.now());
    container.stage.send_replace(Stage {
        state: ContainerState::Exited,
        finished_at,
        exit_code: START_ERROR,
        reason: "StartError".to_owned(),
        message: message.clone(),
        ..Stage::default()
    });
    events.send(container, ContainerEventKind::Stopped);
    RuntimeError::Start(message)
}

/// Runs the first process to its end, whichever way it ends; every other process of the container ends with it.
async fn live(
    container: Arc<Container>,
    events: Events,
    process: Process,
    executable: Executable,
    args: Vec<String>,
    stdio: Stdio,
) {
    let context = container.context(args, &process, stdio);
    let (exit_code, reason) = tokio::select! { biased;
        () = container.killed.cancelled() => (KILLED, "Error"),
        () = container.cgroup.out_of_memory() => (KILLED, "OOMKilled"),
        number = process.signals.fatal() => (128 + number, "Error"),
        code = AssertUnwindSafe(container.launcher.run(executable, context)).catch_unwind() => {
            let code = code.map_or(BROKEN, |code| code & 0xff);
            (code, if code == 0 { "Completed" } else { "Error" })
        }
    };
    drop(process);
    *container.signals() = None;
    container.killed.cancel();
    container.drop_programs();
    container.console.close();
    let last_words = container.files.last_words.read("/log").await.unwrap_or_default();
    container.stage.send_modify(|stage| {
        stage.state = ContainerState::Exited;
        stage.finished_at = Some(container.clock.now());
        stage.exit_code = exit_code;
        stage.reason = reason.to_owned();
        stage.termination_message = String::from_utf8_lossy(&last_words).into_owned();
    });
    events.send(&container, ContainerEventKind::Stopped);
}

/// Asks the first process to end and ends it when the time is over.
pub(super) async fn stop(container: &Container, timeout: Duration) {
    if container.state() != ContainerState::Running {
        // Never started: there is nothing to end, and it will not be started any more.
        container.drop_programs();
        return;
    }
    let asked = signal::number(&container.image.data.stop_signal).unwrap_or(signal::TERM);
    send(container, asked);
    if container.clock.timeout(timeout, container.ended()).await.is_err() {
        kill(container).await;
    }
}

/// Ends every process at once.
pub(super) async fn kill(container: &Container) {
    if container.state() == ContainerState::Running {
        container.killed.cancel();
        container.ended().await;
    }
    container.drop_programs();
}

fn send(container: &Container, number: i32) {
    let signals = container.signals().clone();
    if let Some(signals) = signals {
        signals.send(number);
    }
}

/// A state as the CRI names it.
pub(super) fn state_name(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "CONTAINER_CREATED",
        ContainerState::Running => "CONTAINER_RUNNING",
        ContainerState::Exited => "CONTAINER_EXITED",
        ContainerState::Unknown => "CONTAINER_UNKNOWN",
    }
}
