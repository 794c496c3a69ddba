//! What a sync has to do: a pure plan from the pod and what the runtime has of it.
//!
//! `sync.rs` carries it out.
// Models pkg/kubelet/kuberuntime (computePodActions, computeInitContainerActions).

use k8s_openapi::api::core::v1::{Container, Pod};

use super::prober::ProbeKind;
use super::runtime_pod::{HASH_LABEL, RuntimePod};
use super::spec;
use crate::runtime::api::{ContainerState, ContainerStatus};

/// A container that has to be killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kill {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) message: String,
    /// The probe that asks for it, which may have a grace period of its own.
    pub(super) probe: Option<ProbeKind>,
}

/// What a sync has to do. Numbers are places in the pod's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) kill_pod: bool,
    pub(super) create_sandbox: bool,
    pub(super) sandbox: Option<String>,
    pub(super) attempt: u32,
    pub(super) init: Vec<usize>,
    pub(super) regular: Vec<usize>,
    pub(super) ephemeral: Vec<usize>,
    pub(super) kill: Vec<Kill>,
}

/// What a probe last found out about a container: kind and container's id; `None` if it has not run.
pub(super) type ProbeResults<'a> = &'a dyn Fn(ProbeKind, &str) -> Option<bool>;

/// Plans a sync.
pub(super) fn plan(pod: &Pod, runtime: &RuntimePod, probes: ProbeResults<'_>) -> Actions {
    let change = runtime.sandbox_change(spec::host_network(pod));
    let mut actions = Actions {
        kill_pod: change.create,
        create_sandbox: change.create,
        sandbox: change.id,
        attempt: change.attempt,
        ..Actions::default()
    };
    if change.create {
        begin_anew(pod, runtime, &mut actions);
        return actions;
    }
    for (index, container) in spec::ephemeral_containers(pod).iter().enumerate() {
        // They are never started again.
        if runtime.find(&container.name).is_none() {
            actions.ephemeral.push(index);
        }
    }
    let initialized = plan_init(pod, runtime, probes, &mut actions);
    if actions.kill_pod || !initialized {
        return actions;
    }
    plan_regular(pod, runtime, probes, &mut actions);
    actions
}

/// With a new sandbox everything starts from the beginning, unless the pod is over.
fn begin_anew(pod: &Pod, runtime: &RuntimePod, actions: &mut Actions) {
    let restarts = spec::restart_policy(pod) != "Never";
    if !restarts && actions.attempt != 0 && !runtime.containers.is_empty() {
        actions.create_sandbox = false;
        return;
    }
    let succeeded = |container: &Container| {
        runtime.find(&container.name).is_some_and(|s| s.state == ContainerState::Exited && s.exit_code == 0)
    };
    let once = |container: &Container| {
        container.restart_policy.as_deref().unwrap_or(spec::restart_policy(pod)) == "OnFailure"
    };
    let regular: Vec<usize> = spec::containers(pod)
        .iter()
        .enumerate()
        .filter(|(_, container)| !(once(container) && succeeded(container)))
        .map(|(index, _)| index)
        .collect();
    if regular.is_empty() && any_regular_created(pod, runtime) {
        actions.create_sandbox = false;
        return;
    }
    if spec::init_containers(pod).is_empty() {
        actions.regular = regular;
    } else {
        actions.init = vec![0];
    }
}

/// Whether an ordinary container has ever been made.
pub(super) fn any_regular_created(pod: &Pod, runtime: &RuntimePod) -> bool {
    spec::containers(pod).iter().any(|container| runtime.find(&container.name).is_some())
}

/// Whether the next sync starts the container.
// Models pkg/kubelet/container (ShouldContainerBeRestarted).
pub(super) fn is_to_be_started(pod: &Pod, container: &Container, runtime: &RuntimePod) -> bool {
    if spec::is_deleted(pod) {
        return false;
    }
    match runtime.find(&container.name) {
        None => true,
        Some(status) => match status.state {
            ContainerState::Running => false,
            ContainerState::Created | ContainerState::Unknown => true,
            ContainerState::Exited => spec::should_restart(container, pod, status.exit_code),
        },
    }
}

fn changed(container: &Container, status: &ContainerStatus) -> bool {
    status.labels.get(HASH_LABEL).is_some_and(|hash| *hash != spec::hash(container))
}

fn plan_regular(pod: &Pod, runtime: &RuntimePod, probes: ProbeResults<'_>, actions: &mut Actions) {
    let mut kept = 0;
    for (index, container) in spec::containers(pod).iter().enumerate() {
        let Some(status) = runtime.find(&container.name).filter(|s| s.state == ContainerState::Running)
        else {
            if is_to_be_started(pod, container, runtime) {
                actions.regular.push(index);
                let unknown = runtime.find(&container.name).filter(|s| s.state == ContainerState::Unknown);
                actions.kill.extend(unknown.map(|status| unknown_kill(container, status)));
            }
            continue;
        };
        let failed = |kind| probes(kind, &status.id) == Some(false);
        let name = &container.name;
        let mut restart = spec::restarts_when_killed(container, pod);
        let (mut message, probe) = if changed(container, status) {
            restart = true;
            (format!("Container {name} definition changed"), None)
        } else if failed(ProbeKind::Liveness) {
            (format!("Container {name} failed liveness probe"), Some(ProbeKind::Liveness))
        } else if failed(ProbeKind::Startup) {
            (format!("Container {name} failed startup probe"), Some(ProbeKind::Startup))
        } else {
            kept += 1;
            continue;
        };
        if restart {
            message.push_str(", will be restarted");
            actions.regular.push(index);
        }
        actions.kill.push(Kill { id: status.id.clone(), name: name.clone(), message, probe });
    }
    if kept == 0 && actions.regular.is_empty() {
        actions.kill_pod = true;
        // Sidecars must not keep a pod alive that is over.
        actions.init.clear();
    }
}

fn unknown_kill(container: &Container, status: &ContainerStatus) -> Kill {
    Kill {
        id: status.id.clone(),
        name: container.name.clone(),
        message: "Container is in \"unknown\" state, try killing it before restart".to_owned(),
        probe: None,
    }
}

/// Plans the init containers; says whether they are done. Goes from the last to the first, since earlier ones may have been
/// removed from the runtime when they were over.
fn plan_init(pod: &Pod, runtime: &RuntimePod, probes: ProbeResults<'_>, actions: &mut Actions) -> bool {
    let init = spec::init_containers(pod);
    if init.is_empty() {
        return true;
    }
    let alive =
        |status: &ContainerStatus| matches!(status.state, ContainerState::Created | ContainerState::Running);
    let mut initialized = spec::containers(pod).iter().any(|c| runtime.find(&c.name).is_some_and(alive));
    let mut previously = initialized;
    for (index, container) in init.iter().enumerate().rev() {
        let sidecar = spec::is_restartable_init(container);
        let Some(status) = runtime.find(&container.name) else {
            if previously && sidecar {
                actions.init.push(index);
            }
            continue;
        };
        if previously && !sidecar {
            continue;
        }
        let last = index == init.len() - 1;
        match status.state {
            ContainerState::Created => actions.init.push(index),
            ContainerState::Running if sidecar => {
                let step = plan_running_sidecar(container, status, probes);
                if step.started {
                    if last {
                        initialized = true;
                    } else if !previously {
                        actions.init.push(index + 1);
                    }
                }
                if let Some(kill) = step.kill {
                    actions.kill.push(kill);
                    actions.init.push(index);
                }
            }
            ContainerState::Running => {}
            ContainerState::Exited if sidecar => actions.init.push(index),
            ContainerState::Exited if status.exit_code == 0 => {
                if last {
                    initialized = true;
                } else {
                    actions.init.push(index + 1);
                }
            }
            ContainerState::Exited | ContainerState::Unknown => {
                let restarts = if status.state == ContainerState::Unknown {
                    spec::restarts_when_killed(container, pod)
                } else {
                    is_to_be_started(pod, container, runtime)
                };
                if !restarts && !sidecar {
                    actions.kill_pod = true;
                    actions.init.clear();
                    return false;
                }
                if status.state == ContainerState::Unknown {
                    actions.kill.push(unknown_kill(container, status));
                }
                actions.init.push(index);
            }
        }
        previously = true;
    }
    if !previously {
        actions.init.push(0);
    }
    actions.init.sort_unstable();
    actions.init.dedup();
    initialized
}

struct SidecarStep {
    started: bool,
    kill: Option<Kill>,
}

fn plan_running_sidecar(
    container: &Container,
    status: &ContainerStatus,
    probes: ProbeResults<'_>,
) -> SidecarStep {
    let name = &container.name;
    let kill =
        |message: String, probe| Some(Kill { id: status.id.clone(), name: name.clone(), message, probe });
    if container.startup_probe.is_some() {
        match probes(ProbeKind::Startup, &status.id) {
            Some(true) => {}
            Some(false) => {
                let message = format!("Init container {name} failed startup probe");
                return SidecarStep { started: false, kill: kill(message, Some(ProbeKind::Startup)) };
            }
            None => return SidecarStep { started: false, kill: None },
        }
    }
    if changed(container, status) {
        let message = format!("Init container {name} definition changed");
        return SidecarStep { started: true, kill: kill(message, None) };
    }
    if container.liveness_probe.is_some() && probes(ProbeKind::Liveness, &status.id) == Some(false) {
        let message = format!("Init container {name} failed liveness probe");
        return SidecarStep { started: true, kill: kill(message, Some(ProbeKind::Liveness)) };
    }
    SidecarStep { started: true, kill: None }
}
