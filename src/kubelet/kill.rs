//! Ending containers: the hook before, SIGTERM, and the grace between it and SIGKILL; and whole pods.
// Models pkg/kubelet/kuberuntime (killContainer, killPodWithSyncResult, terminationOrdering).

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;

use super::config::Dependencies;
use super::lifecycle;
use super::prober::{ProbeKind, Target};
use super::runtime_pod::RuntimePod;
use super::spec;
use crate::events::EventType;
use crate::runtime::api::RuntimeError;

/// The least that a container gets, in seconds.
const MINIMUM_GRACE: i64 = 2;

/// Which container is to end, and how.
pub(super) struct Ending<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// The event's message; empty for the usual one.
    pub(super) message: &'a str,
    pub(super) probe: Option<ProbeKind>,
    /// In place of the pod's own grace, in seconds.
    pub(super) grace: Option<i64>,
    pub(super) pod_ip: &'a str,
}

/// The grace of a container in seconds.
// Models setTerminationGracePeriod.
fn grace_period(pod: &Pod, name: &str, probe: Option<ProbeKind>) -> i64 {
    if let Some(seconds) = pod.metadata.deletion_grace_period_seconds {
        return seconds;
    }
    let container = spec::find(pod, name).map(|(_, container)| container).unwrap_or_default();
    let own = match probe {
        Some(ProbeKind::Liveness) => container.liveness_probe,
        Some(ProbeKind::Startup) => container.startup_probe,
        Some(ProbeKind::Readiness) | None => None,
    };
    let pod_grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    own.and_then(|probe| probe.termination_grace_period_seconds).or(pod_grace).unwrap_or(MINIMUM_GRACE)
}

/// Ends one container; returns when it has ended.
pub(super) async fn kill_container(
    deps: &Dependencies,
    pod: &Pod,
    ending: Ending<'_>,
) -> Result<(), RuntimeError> {
    let reference = spec::container_reference(pod, ending.name);
    let message = match ending.message {
        "" => format!("Stopping container {}", ending.name),
        text => text.to_owned(),
    };
    deps.recorder.event(&reference, EventType::Normal, "Killing", message);
    let mut grace = ending.grace.unwrap_or_else(|| grace_period(pod, ending.name, ending.probe));
    if let Some((_, container)) = spec::find(pod, ending.name)
        && let Some(hook) = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref())
        && grace > 0
    {
        let began = deps.clock.now();
        let target =
            Target { deps, pod, container: &container, container_id: ending.id, pod_ip: ending.pod_ip };
        let limit = Duration::from_secs(grace.unsigned_abs());
        if let Ok(Err(error)) = deps.clock.timeout(limit, lifecycle::run(&target, hook)).await {
            tracing::debug!(%error, "a hook failed");
            // What the hook wrote stays out of the event, since it may hold secrets.
            deps.recorder.event(&reference, EventType::Warning, "FailedPreStopHook", "PreStopHook failed");
        }
        grace -= deps.clock.now().duration_since(began).as_secs();
    }
    let grace = Duration::from_secs(grace.max(MINIMUM_GRACE).unsigned_abs());
    match deps.runtime.stop_container(ending.id, grace).await {
        Err(RuntimeError::NotFound(_)) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Ends what runs of a pod, the sidecars after the others and in reverse order, then its sandboxes.
pub(super) async fn kill_pod(
    deps: &Dependencies,
    pod: &Pod,
    runtime: &RuntimePod,
    grace: Option<i64>,
) -> Result<(), RuntimeError> {
    let ips = runtime.ips();
    let pod_ip = ips.first().map(String::as_str).unwrap_or_default();
    let sidecars: Vec<&str> = spec::init_containers(pod)
        .iter()
        .filter(|container| spec::is_restartable_init(container))
        .map(|container| container.name.as_str())
        .collect();
    let end = |id: &str, name: &str, grace: Option<i64>| {
        let (id, name, pod_ip) = (id.to_owned(), name.to_owned(), pod_ip.to_owned());
        async move {
            let ending = Ending { id: &id, name: &name, message: "", probe: None, grace, pod_ip: &pod_ip };
            kill_container(deps, pod, ending).await
        }
    };
    let began = deps.clock.now();
    let mut ordinary: Vec<_> =
        runtime.running().filter(|status| !sidecars.contains(&status.name.as_str())).collect();
    ordinary.sort_by(|a, b| a.name.cmp(&b.name));
    let results = join_all(ordinary.iter().map(|status| end(&status.id, &status.name, grace))).await;
    let mut outcome = results.into_iter().find_map(Result::err);
    for name in sidecars.iter().rev() {
        for status in runtime.running().filter(|status| status.name == *name) {
            let whole = grace.unwrap_or_else(|| grace_period(pod, name, None));
            let left = whole - deps.clock.now().duration_since(began).as_secs();
            outcome = end(&status.id, name, Some(left)).await.err().or(outcome);
        }
    }
    for sandbox in &runtime.sandboxes {
        match deps.runtime.stop_pod_sandbox(&sandbox.id).await {
            Ok(()) | Err(RuntimeError::NotFound(_)) => {}
            Err(error) => outcome = Some(error),
        }
    }
    outcome.map_or(Ok(()), Err)
}
