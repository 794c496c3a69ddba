//! The conditions of a pod that are the kubelet's.
// Models pkg/kubelet/status/generate.go.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use super::super::spec;

/// The conditions that the kubelet owns, in the order in which it writes them.
pub(super) const OWNED: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// Status, reason, message.
type Verdict = (bool, &'static str, String);

fn good() -> Verdict {
    (true, "", String::new())
}

/// The kubelet's conditions. `others` are those of other owners, which readiness gates look at.
pub(super) fn conditions(
    pod: &Pod,
    statuses: &[ContainerStatus],
    phase: &str,
    sandbox_ready: bool,
    others: &[PodCondition],
) -> Vec<PodCondition> {
    let containers_ready = containers_ready(pod, statuses, phase);
    let ready = if containers_ready.0 { gates(pod, others) } else { containers_ready.clone() };
    let verdicts = [
        (sandbox_ready, "", String::new()),
        initialized(pod, statuses, phase),
        ready,
        containers_ready,
        good(),
    ];
    OWNED.into_iter().zip(verdicts).map(|(kind, verdict)| condition(pod, kind, verdict)).collect()
}

fn condition(pod: &Pod, kind: &str, (ok, reason, message): Verdict) -> PodCondition {
    PodCondition {
        type_: kind.to_owned(),
        status: if ok { "True" } else { "False" }.to_owned(),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        message: (!message.is_empty()).then_some(message),
        observed_generation: pod.metadata.generation,
        last_probe_time: None,
        last_transition_time: None,
    }
}

fn find<'a>(statuses: &'a [ContainerStatus], name: &str) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == name)
}

fn list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

fn messages(unknown: &[&str], what: &str, others: &[&str]) -> String {
    let mut all = vec![];
    if !unknown.is_empty() {
        all.push(format!("containers with unknown status: {}", list(unknown)));
    }
    if !others.is_empty() {
        all.push(format!("containers with {what} status: {}", list(others)));
    }
    all.join(", ")
}

fn containers_ready(pod: &Pod, statuses: &[ContainerStatus], phase: &str) -> Verdict {
    let sidecars = spec::init_containers(pod).iter().filter(|container| spec::is_restartable_init(container));
    let (mut unknown, mut unready) = (vec![], vec![]);
    for container in sidecars.chain(spec::containers(pod)) {
        match find(statuses, &container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !status.ready => unready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    match phase {
        "Succeeded" if unknown.is_empty() => (false, "PodCompleted", String::new()),
        "Failed" => (false, "PodFailed", String::new()),
        _ if unknown.is_empty() && unready.is_empty() => good(),
        _ => (false, "ContainersNotReady", messages(&unknown, "unready", &unready)),
    }
}

fn gates(pod: &Pod, others: &[PodCondition]) -> Verdict {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let unmet = gates.iter().filter_map(|gate| {
        let kind = &gate.condition_type;
        match others.iter().find(|condition| condition.type_ == *kind) {
            None => Some(format!("corresponding condition of pod readiness gate {kind:?} does not exist.")),
            Some(condition) if condition.status != "True" => Some(format!(
                "the status of pod readiness gate {kind:?} is not \"True\", but {}",
                condition.status
            )),
            Some(_) => None,
        }
    });
    let unmet: Vec<String> = unmet.collect();
    if unmet.is_empty() { good() } else { (false, "ReadinessGatesNotReady", unmet.join(", ")) }
}

fn initialized(pod: &Pod, statuses: &[ContainerStatus], phase: &str) -> Verdict {
    let (mut unknown, mut incomplete) = (vec![], vec![]);
    for container in spec::init_containers(pod) {
        let Some(status) = find(statuses, &container.name) else {
            unknown.push(container.name.as_str());
            continue;
        };
        let done =
            if spec::is_restartable_init(container) { status.started == Some(true) } else { status.ready };
        if !done {
            incomplete.push(container.name.as_str());
        }
    }
    if phase == "Succeeded" && unknown.is_empty() {
        return (true, "PodCompleted", String::new());
    }
    let any_started = spec::containers(pod).iter().any(|container| {
        find(statuses, &container.name).is_some_and(|status| {
            let state = status.state.clone().unwrap_or_default();
            let before = status.last_state.clone().unwrap_or_default();
            status.started == Some(true) || state.terminated.is_some() || before.terminated.is_some()
        })
    });
    if any_started || (unknown.is_empty() && incomplete.is_empty()) {
        return good();
    }
    (false, "ContainersNotInitialized", messages(&unknown, "incomplete", &incomplete))
}
