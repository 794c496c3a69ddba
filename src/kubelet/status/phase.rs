//! The phase of a pod, from its containers' statuses.
// Models pkg/kubelet/kubelet_pods.go (getPhase).

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use super::super::spec;

fn find<'a>(statuses: &'a [ContainerStatus], name: &str) -> Option<&'a ContainerStatus> {
    statuses.iter().find(|status| status.name == name)
}

/// What a container's status amounts to.
enum State {
    Unknown,
    Running {
        started: bool,
    },
    /// Ended, and not made again since; or ended before and waiting.
    Ended {
        code: i32,
        waiting: bool,
    },
    Waiting,
}

fn state(statuses: &[ContainerStatus], name: &str) -> State {
    let Some(status) = find(statuses, name) else { return State::Unknown };
    let Some(now) = &status.state else { return State::Unknown };
    if now.running.is_some() {
        return State::Running { started: status.started == Some(true) };
    }
    if let Some(ended) = &now.terminated {
        return State::Ended { code: ended.exit_code, waiting: false };
    }
    if now.waiting.is_none() {
        return State::Unknown;
    }
    match status.last_state.as_ref().and_then(|last| last.terminated.as_ref()) {
        Some(ended) => State::Ended { code: ended.exit_code, waiting: true },
        None => State::Waiting,
    }
}

#[derive(Default)]
struct Count {
    pending_init: usize,
    pending_sidecars: usize,
    failed_for_good: usize,
    unknown: usize,
    running: usize,
    waiting: usize,
    stopped: usize,
    stopped_for_good: usize,
    succeeded: usize,
}

impl Count {
    fn init(&mut self, pod: &Pod, container: &Container, state: State) {
        match state {
            State::Ended { code: 0, .. } => {}
            State::Ended { code, .. } => {
                self.failed_for_good += usize::from(!spec::should_restart(container, pod, code));
            }
            _ => self.pending_init += 1,
        }
    }

    fn sidecar(&mut self, state: State) {
        match state {
            State::Running { started } => {
                self.pending_sidecars += usize::from(!started);
                self.running += 1;
            }
            State::Ended { .. } => {}
            State::Waiting => {
                self.pending_sidecars += 1;
                self.waiting += 1;
            }
            State::Unknown => self.unknown += 1,
        }
    }

    fn regular(&mut self, pod: &Pod, container: &Container, state: State) {
        match state {
            State::Running { .. } => self.running += 1,
            State::Ended { code, waiting } => {
                self.stopped += 1;
                self.stopped_for_good += usize::from(!spec::should_restart(container, pod, code));
                self.succeeded += usize::from(!waiting && code == 0);
            }
            State::Waiting => self.waiting += 1,
            State::Unknown => self.unknown += 1,
        }
    }
}

/// The phase. `terminal`: no container will run again, whatever the restart policy; `initialized`: an ordinary container has
/// been started.
pub(super) fn phase(
    pod: &Pod,
    statuses: &[ContainerStatus],
    terminal: bool,
    initialized: bool,
) -> &'static str {
    let mut count = Count::default();
    for container in spec::init_containers(pod) {
        let state = state(statuses, &container.name);
        if spec::is_restartable_init(container) {
            count.sidecar(state);
        } else {
            count.init(pod, container, state);
        }
    }
    for container in spec::containers(pod) {
        count.regular(pod, container, state(statuses, &container.name));
    }
    if count.failed_for_good > 0 {
        return "Failed";
    }
    let initializing = count.pending_init > 0 || (count.pending_sidecars > 0 && !initialized);
    if initializing || count.waiting > 0 {
        return "Pending";
    }
    if count.running > 0 && count.unknown == 0 {
        return "Running";
    }
    if count.running == 0 && count.stopped > 0 && count.unknown == 0 {
        if !terminal && count.stopped != count.stopped_for_good {
            return "Running";
        }
        return if count.stopped == count.succeeded { "Succeeded" } else { "Failed" };
    }
    "Pending"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(policy: &str, states: &[Value], terminal: bool) -> &'static str {
        let names: Vec<String> = (0..states.len()).map(|n| format!("c{n}")).collect();
        let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        let pod: Pod =
            serde_json::from_value(json!({"spec": {"restartPolicy": policy, "containers": containers}}))
                .unwrap();
        let statuses: Vec<ContainerStatus> = names
            .iter()
            .zip(states)
            .map(|(name, state)| {
                let mut status =
                    json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0});
                status.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
                serde_json::from_value(status).unwrap()
            })
            .collect();
        phase(&pod, &statuses, terminal, false)
    }

    #[test]
    fn phases_follow_the_containers() {
        let running = json!({"state": {"running": {}}});
        let ended = |code: i32| json!({"state": {"terminated": {"exitCode": code}}});
        let waiting = json!({"state": {"waiting": {"reason": "ContainerCreating"}}});
        let crashing = json!({"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}});
        let cases: &[(&str, &[Value], bool, &str)] = &[
            ("Always", std::slice::from_ref(&running), false, "Running"),
            ("Always", &[running.clone(), waiting.clone()], false, "Pending"),
            ("Always", &[running.clone(), crashing.clone()], false, "Running"),
            ("Always", std::slice::from_ref(&crashing), false, "Running"),
            ("Always", &[ended(0)], false, "Running"),
            ("Always", &[ended(0)], true, "Succeeded"),
            ("Always", &[ended(137)], true, "Failed"),
            ("Never", &[ended(0), ended(0)], false, "Succeeded"),
            ("Never", &[ended(0), ended(3)], false, "Failed"),
            ("Never", &[running.clone(), ended(3)], false, "Running"),
            ("OnFailure", &[ended(3)], false, "Running"),
            ("OnFailure", &[ended(0)], false, "Succeeded"),
        ];
        for (policy, states, terminal, expected) in cases {
            assert_eq!(check(policy, states, *terminal), *expected, "{policy} {states:?} {terminal}");
        }
    }
}
