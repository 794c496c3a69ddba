//! `kubectl run -i`: attach to the new pod, wait for its end, and delete it if asked to.
// Models kubectl/pkg/cmd/run (Run, handleAttachPod, waitForPod).

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::attach::{AttachOptions, attach};
use super::delete::deletion;
use super::deletion::Deletion;
use super::watching::{Seen, Target, until};
use crate::kubectl::client::Request;
use crate::kubectl::describe::fields::{int, list, some, text};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flags;
use crate::kubectl::resources::{Info, Visited};
use crate::kubectl::session::Session;

/// Attaches to the pod, and ends as it ends.
pub async fn until_end(session: &Session, flags: &Flags, pod: &Value) -> Result<()> {
    let ended = follow(session, flags, pod).await;
    if flags.bool("rm") {
        let mapper = session.mapper().await?;
        let mapping = mapper.for_kind("", Some("v1"), "Pod");
        let info = Info {
            mapping,
            namespace: text(pod, "/metadata/namespace").to_owned(),
            name: text(pod, "/metadata/name").to_owned(),
            object: pod.clone(),
            ..Info::default()
        };
        let removal = Deletion {
            grace_seconds: None,
            ignore_not_found: true,
            wait: false,
            quiet: flags.bool("quiet"),
            ..deletion(session, flags).await?
        };
        // As in kubectl, what goes wrong here does not change how the verb ends.
        let _ = removal.run(session, Visited { infos: vec![info], ..Visited::default() }).await;
    }
    ended
}

async fn follow(session: &Session, flags: &Flags, pod: &Value) -> Result<()> {
    let timeout = flags.duration("pod-running-timeout").unwrap_or_default();
    let running = wait(session, pod, timeout, |pod| finished(pod) || ready(pod)).await?;
    if finished(&running) {
        logs(session, &running).await?;
    } else {
        attach_to(session, flags, &running).await?;
    }
    let restart = text(pod, "/spec/restartPolicy");
    if flags.bool("leave-stdin-open") || !["Never", "OnFailure"].contains(&restart) {
        return Ok(());
    }
    let succeeded = |pod: &Value| text(pod, "/status/phase") == "Succeeded";
    let pod =
        wait(session, pod, timeout, |pod| succeeded(pod) || (restart == "Never" && finished(pod))).await?;
    exit(&pod)
}

fn finished(pod: &Value) -> bool {
    ["Succeeded", "Failed"].contains(&text(pod, "/status/phase"))
}

fn ready(pod: &Value) -> bool {
    let mut conditions = list(pod, "/status/conditions").iter();
    let ready = conditions
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
    ready && text(pod, "/status/phase") == "Running"
}

/// Waits for the pod to be as `done` wants it.
async fn wait(
    session: &Session,
    pod: &Value,
    timeout: Duration,
    done: impl Fn(&Value) -> bool + Send + Sync,
) -> Result<Value> {
    let mapper = session.mapper().await?;
    let mapping = mapper
        .for_kind("", Some("v1"), "Pod")
        .ok_or_else(|| KubectlError::message("the server has no pods"))?;
    let target = Target {
        mapping: &mapping,
        namespace: text(pod, "/metadata/namespace"),
        name: text(pod, "/metadata/name"),
    };
    let mut last = Value::Null;
    let waiting = until(session, target, |seen| match seen {
        Seen::Absent | Seen::Deleted => Err(gone()),
        Seen::Present(object) => {
            last = object.clone();
            Ok(done(object))
        }
    });
    let late = || KubectlError::message("timed out waiting for the condition");
    session.clock.timeout(timeout, waiting).await.unwrap_or_else(|_| Err(late()))?;
    Ok(last)
}

fn gone() -> KubectlError {
    let status = crate::api::status::ApiError::new(404, "NotFound", "pods \"\" not found".to_owned());
    KubectlError::Status(status.0)
}

/// What the first container has printed so far.
async fn logs(session: &Session, pod: &Value) -> Result<()> {
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/log");
    let container = text(pod, "/spec/containers/0/name");
    let content = session.client().await?.bytes(Request::get(path).query("container", container)).await?;
    session.out.write(content).await
}

async fn attach_to(session: &Session, flags: &Flags, pod: &Value) -> Result<()> {
    if let Err(error) = logs(session, pod).await {
        session.err.line(format!("warning: couldn't fetch pre-attach logs: {error}")).await?;
    }
    let typed: Pod =
        serde_json::from_value(pod.clone()).map_err(|error| KubectlError::message(error.to_string()))?;
    let options = AttachOptions {
        container: String::new(),
        stdin: flags.bool("stdin"),
        tty: flags.bool("tty"),
        quiet: flags.bool("quiet"),
        command_name: "kubectl attach".to_owned(),
    };
    let Err(error) = attach(session, &typed, &options).await else { return Ok(()) };
    let name = text(pod, "/metadata/name");
    let line = format!("warning: couldn't attach to pod/{name}, falling back to streaming logs: {error}");
    session.err.line(line).await?;
    logs(session, pod).await
}

/// Ends with the code of the pod's container.
fn exit(pod: &Value) -> Result<()> {
    let name = format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    match text(pod, "/status/phase") {
        "Succeeded" => Ok(()),
        "Failed" => {
            let state = some(pod, "/status/containerStatuses/0/state/terminated");
            let code = state.map(|state| int(state, "/exitCode")).unwrap_or_default();
            match state.filter(|_| code != 0) {
                None => Err(KubectlError::message(format!("pod {name} failed with unknown exit code"))),
                Some(state) => {
                    let (reason, message) = (text(state, "/reason"), text(state, "/message"));
                    let line = format!("pod {name} terminated ({reason})\n{message}");
                    Err(KubectlError::PlainExit(line, i32::try_from(code).unwrap_or(1)))
                }
            }
        }
        phase => Err(KubectlError::message(format!("pod {name} left in phase {phase}"))),
    }
}
