//! The columns of `kubectl get pods`: how far a pod is, in one word.
// Models pkg/printers/internalversion (printPod).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodSpec, PodStatus};

use super::resources::is_sidecar;
use crate::api::kinds::cells;
use crate::api::kinds::unset::text;
use crate::api::table::{Cell, Column};
use crate::meta::age;

pub(crate) fn columns() -> Vec<Column> {
    vec![
        Column::NAME,
        Column::string("Ready", "How many of the containers are ready, of how many"),
        Column::string("Status", "What the pod's containers are at, in one word"),
        Column::string("Restarts", "How often containers were started again, and when last"),
        Column::AGE,
        Column::string("IP", "The pod's address").wide(),
        Column::string("Node", "The node that the pod is bound to").wide(),
        Column::string("Nominated Node", "The node where room is being made for the pod").wide(),
        Column::string("Readiness Gates", "How many of the readiness gates hold, of how many").wide(),
    ]
}

pub(crate) fn row(pod: &Pod, now: Timestamp) -> Vec<Cell> {
    let (no_spec, no_status) = (PodSpec::default(), PodStatus::default());
    let (spec, status) = (pod.spec.as_ref().unwrap_or(&no_spec), pod.status.as_ref().unwrap_or(&no_status));
    let summary = summarize(pod, spec, status);
    let restarts = match summary.last_restart {
        Some(time) if summary.restarts != 0 => {
            format!("{} ({} ago)", summary.restarts, age::since(Some(time), now))
        }
        _ => summary.restarts.to_string(),
    };
    let ip = status.pod_ips.iter().flatten().next().map(|ip| ip.ip.clone()).unwrap_or_default();
    vec![
        cells::name(&pod.metadata),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        cells::age(&pod.metadata, now),
        cells::or_none(ip).into(),
        cells::or_none(text(&spec.node_name).to_owned()).into(),
        cells::or_none(text(&status.nominated_node_name).to_owned()).into(),
        readiness_gates(spec, status).into(),
    ]
}

#[derive(Default)]
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i32,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn restarted(&mut self, container: &ContainerStatus) {
        self.restarts += container.restart_count;
        let finished =
            container.last_state.as_ref().and_then(|state| state.terminated.as_ref()?.finished_at.as_ref());
        self.last_restart = self.last_restart.max(finished.map(|time| time.0));
    }
}

fn summarize(pod: &Pod, spec: &PodSpec, status: &PodStatus) -> Summary {
    let reason = if text(&status.reason).is_empty() { text(&status.phase) } else { text(&status.reason) };
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container)).count();
    let mut summary =
        Summary { reason: reason.to_owned(), total: spec.containers.len() + sidecars, ..Summary::default() };
    let conditions = || status.conditions.iter().flatten();
    if conditions().any(|c| c.type_ == "PodScheduled" && c.reason.as_deref() == Some("SchedulingGated")) {
        summary.reason = "SchedulingGated".to_owned();
    }
    let mut sidecar_restarts = Summary::default();
    let initializing = summarize_init(spec, status, &mut summary, &mut sidecar_restarts);
    if !initializing || conditions().find(|c| c.type_ == "Initialized").is_some_and(|c| c.status == "True") {
        summary.restarts = sidecar_restarts.restarts;
        summary.last_restart = sidecar_restarts.last_restart;
        summarize_containers(status, &mut summary);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        if text(&status.reason) == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(text(&status.phase), "Succeeded" | "Failed") {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

/// Looks at the init containers up to the first that is not done. Says whether there is one.
fn summarize_init(
    spec: &PodSpec,
    status: &PodStatus,
    summary: &mut Summary,
    sidecar_restarts: &mut Summary,
) -> bool {
    let containers: Vec<_> = spec.init_containers.iter().flatten().collect();
    for (index, container) in status.init_container_statuses.iter().flatten().enumerate() {
        summary.restarted(container);
        let sidecar = containers.iter().any(|spec| spec.name == container.name && is_sidecar(spec));
        if sidecar {
            sidecar_restarts.restarted(container);
        }
        let state = container.state.clone().unwrap_or_default();
        let terminated = state.terminated.as_ref();
        let waiting = state.waiting.as_ref().map(|waiting| text(&waiting.reason)).unwrap_or_default();
        if terminated.is_some_and(|terminated| terminated.exit_code == 0) {
            continue;
        }
        if sidecar && container.started == Some(true) {
            summary.ready += usize::from(container.ready);
            continue;
        }
        summary.reason = match terminated {
            Some(terminated) => format!("Init:{}", ended(terminated)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{index}/{}", containers.len()),
        };
        return true;
    }
    false
}

fn summarize_containers(status: &PodStatus, summary: &mut Summary) {
    let (mut running, mut error) = (false, String::new());
    // The first container's reason wins, so it comes last.
    for container in status.container_statuses.iter().flatten().rev() {
        summary.restarted(container);
        let state = container.state.clone().unwrap_or_default();
        let waiting = state.waiting.as_ref().map(|waiting| text(&waiting.reason)).unwrap_or_default();
        if !waiting.is_empty() {
            summary.reason = waiting.to_owned();
        } else if let Some(terminated) = &state.terminated {
            summary.reason = ended(terminated);
            if terminated.exit_code != 0 {
                error = summary.reason.clone();
            }
        } else if container.ready && state.running.is_some() {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" {
        let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
        if running && ready {
            summary.reason = "Running".to_owned();
        } else if !error.is_empty() {
            summary.reason = error;
        } else if running {
            summary.reason = "NotReady".to_owned();
        }
    }
}

/// How a container ended.
fn ended(terminated: &ContainerStateTerminated) -> String {
    match (text(&terminated.reason), terminated.signal.unwrap_or_default()) {
        ("", 0) => format!("ExitCode:{}", terminated.exit_code),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn readiness_gates(spec: &PodSpec, status: &PodStatus) -> String {
    let gates: Vec<_> = spec.readiness_gates.iter().flatten().collect();
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let holds = |gate: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions
            .find(|condition| condition.type_ == gate)
            .is_some_and(|condition| condition.status == "True")
    };
    let held = gates.iter().filter(|gate| holds(&gate.condition_type)).count();
    format!("{held}/{}", gates.len())
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::row;

    /// The READY, STATUS and RESTARTS of a pod with this status, at half a minute past midnight.
    fn shown(spec: &str, status: &str, meta: &str) -> String {
        let spec = if spec.is_empty() { "containers: [{name: web, image: nginx}]" } else { spec };
        let yaml = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, {meta}}}, spec: {{{spec}}}, status: {{{status}}}}}"
        );
        let row = row(&yaml, "2026-01-01T00:00:30Z");
        row.split(" | ")
            .skip(1)
            .take(3)
            .filter_map(|cell| cell.split_once('='))
            .map(|(_, v)| v)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn container(name: &str, state: &str, rest: &str) -> String {
        format!(
            "{{name: {name}, image: nginx, imageID: '', ready: true, restartCount: 0, state: {{{state}}}, {rest}}}"
        )
    }

    #[test]
    fn one_word_says_how_far_a_pod_is() {
        let one = |state: &str, rest: &str| {
            format!("phase: Running, containerStatuses: [{}]", container("web", state, rest))
        };
        let init = |state: &str, rest: &str| {
            format!("phase: Pending, initContainerStatuses: [{}]", container("prepare", state, rest))
        };
        let two = "containers: [{name: web, image: nginx}], initContainers: [{name: prepare, image: b}, {name: side, image: s, restartPolicy: Always}]";
        let cases = [
            ("", "phase: Pending".to_owned(), "", "0/1 Pending 0"),
            ("", one("running: {}", ""), "", "1/1 Running 0"),
            ("", one("waiting: {reason: ContainerCreating}", "ready: false"), "", "0/1 ContainerCreating 0"),
            ("", one("waiting: {reason: CrashLoopBackOff}", "ready: false, restartCount: 2, lastState: {terminated: {exitCode: 1, finishedAt: '2026-01-01T00:00:25Z'}}"), "", "0/1 CrashLoopBackOff 2 (5s ago)"),
            ("", one("terminated: {exitCode: 0, reason: Completed}", "ready: false"), "", "0/1 Completed 0"),
            ("", one("terminated: {exitCode: 3}", "ready: false"), "", "0/1 ExitCode:3 0"),
            ("", one("terminated: {exitCode: 137, signal: 9}", "ready: false"), "", "0/1 Signal:9 0"),
            ("", one("running: {}", ""), "deletionTimestamp: '2026-01-01T00:00:00Z'", "1/1 Terminating 0"),
            ("", "phase: Failed, reason: Evicted".to_owned(), "", "0/1 Evicted 0"),
            ("", "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]".to_owned(), "", "0/1 SchedulingGated 0"),
            (two, init("running: {}", ""), "", "0/2 Init:0/2 0"),
            (two, init("waiting: {reason: PodInitializing}", ""), "", "0/2 Init:0/2 0"),
            (two, init("waiting: {reason: ImagePullBackOff}", ""), "", "0/2 Init:ImagePullBackOff 0"),
            (two, init("terminated: {exitCode: 1, reason: Error}", ""), "", "0/2 Init:Error 0"),
            (two, init("terminated: {exitCode: 1}", ""), "", "0/2 Init:ExitCode:1 0"),
        ];
        for (spec, status, meta, expected) in cases {
            // YAML takes a repeated key as an error, so the later one wins here.
            let status = if status.matches("ready:").count() > 1 {
                status.replacen("ready: true, ", "", 1)
            } else {
                status
            };
            let status = if status.matches("restartCount:").count() > 1 {
                status.replacen("restartCount: 0, ", "", 1)
            } else {
                status
            };
            assert_eq!(shown(spec, &status, meta), expected, "{status}");
        }
    }

    #[test]
    fn wide_columns_say_none_for_what_is_not_there() {
        let yaml = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {readinessGates: [{conditionType: a}, {conditionType: b}]}, \
                    status: {phase: Pending, conditions: [{type: b, status: 'True'}]}}";
        assert_eq!(
            row(yaml, "2026-01-01T00:00:30Z"),
            "NAME=p | READY=0/0 | STATUS=Pending | RESTARTS=0 | AGE=<unknown> | IP=<none> | NODE=<none> | NOMINATED NODE=<none> | \
             READINESS GATES=1/2"
        );
    }
}
