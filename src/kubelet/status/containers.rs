//! The statuses of a pod's containers, from what the runtime says, what was written before, and why starts failed.
// Models pkg/kubelet/kubelet_pods.go (convertToAPIContainerStatuses).

use k8s_openapi::api::core::v1::{
    Container, ContainerState as ApiState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, ContainerUser, LinuxContainerUser, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::actions::{any_regular_created, is_to_be_started};
use super::super::spec::{self, Class};
use super::generate::Inputs;
use crate::runtime::api::{ContainerState, ContainerStatus as RuntimeStatus};

/// What container ids begin with in statuses.
pub(in crate::kubelet) const RUNTIME_PREFIX: &str = "containerd://";

/// The statuses of one list of containers.
pub(super) fn statuses(inputs: &Inputs<'_>, class: Class, containers: &[Container]) -> Vec<ContainerStatus> {
    let old = inputs.old_statuses(class);
    let mut all: Vec<ContainerStatus> = containers
        .iter()
        .map(|container| {
            let before = old.iter().find(|status| status.name == container.name);
            status_of(inputs, class, container, before)
        })
        .collect();
    if class != Class::Init {
        all.sort_by(|a, b| a.name.cmp(&b.name));
    }
    all
}

fn status_of(
    inputs: &Inputs<'_>,
    class: Class,
    container: &Container,
    before: Option<&ContainerStatus>,
) -> ContainerStatus {
    let mut known = inputs.runtime.containers.iter().filter(|status| status.name == container.name);
    let mut status = match (known.next(), known.next()) {
        (None, _) => absent(inputs, container, before),
        (Some(newest), previous) => {
            let mut status = convert(inputs, container, newest, before);
            if let Some(previous) = previous {
                status.last_state = Some(state(inputs, previous));
            }
            status
        }
    };
    if class == Class::Init {
        let newest = inputs.runtime.find(&container.name);
        if newest.is_some_and(|newest| newest.state == ContainerState::Exited && newest.exit_code == 0) {
            return status;
        }
        let waits = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
        let was_pruned = newest.is_none() && waits && !spec::is_restartable_init(container);
        if was_pruned && any_regular_created(inputs.pod, inputs.runtime) {
            status.state = Some(treated_as_completed());
            return status;
        }
    }
    // A container that the next sync starts waits, if it is known why it has not started yet.
    if !is_to_be_started(inputs.pod, container, inputs.runtime) {
        return status;
    }
    let Some(reason) = inputs.reasons.get(&container.name) else { return status };
    if status.state.as_ref().is_some_and(|state| state.terminated.is_some()) {
        status.last_state = status.state.take();
    }
    status.state = Some(waiting(&reason.reason, &reason.message));
    status
}

fn waiting(reason: &str, message: &str) -> ApiState {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let waiting = ContainerStateWaiting { reason: some(reason), message: some(message) };
    ApiState { waiting: Some(waiting), ..ApiState::default() }
}

fn treated_as_completed() -> ApiState {
    let message = "Unable to get init container status from container runtime and pod has been initialized, treat it as \
                   exited normally";
    let terminated = ContainerStateTerminated {
        reason: Some("Completed".to_owned()),
        message: Some(message.to_owned()),
        exit_code: 0,
        ..ContainerStateTerminated::default()
    };
    ApiState { terminated: Some(terminated), ..ApiState::default() }
}

/// The status of a container that the runtime does not know (any more).
fn absent(inputs: &Inputs<'_>, container: &Container, before: Option<&ContainerStatus>) -> ContainerStatus {
    let reason =
        if spec::init_containers(inputs.pod).is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting(reason, "")),
        last_state: Some(ApiState::default()),
        volume_mounts: volume_mounts(container),
        ..ContainerStatus::default()
    };
    let Some(before) = before else { return status };
    let state = before.state.clone().unwrap_or_default();
    if state.terminated.is_some() {
        return before.clone();
    }
    status.restart_count = before.restart_count;
    status.last_state = before.last_state.clone();
    let unexplained = status.last_state.as_ref().is_none_or(|last| last.terminated.is_none());
    if state.running.is_some() && unexplained {
        let terminated = ContainerStateTerminated {
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some(
                "The container could not be located when the pod was deleted.  The container used to be Running".to_owned(),
            ),
            exit_code: 137,
            ..ContainerStateTerminated::default()
        };
        status.last_state = Some(ApiState { terminated: Some(terminated), ..ApiState::default() });
        if !spec::is_deleted(inputs.pod) {
            status.restart_count += 1;
        }
    }
    status
}

fn convert(
    inputs: &Inputs<'_>,
    container: &Container,
    status: &RuntimeStatus,
    before: Option<&ContainerStatus>,
) -> ContainerStatus {
    let id = format!("{RUNTIME_PREFIX}{}", status.id);
    let mut last_state = ApiState::default();
    let mut restart_count = i32::try_from(status.attempt).unwrap_or(i32::MAX);
    if let Some(before) = before {
        restart_count = restart_count.max(before.restart_count);
        let ended = before.state.as_ref().and_then(|state| state.terminated.clone());
        let earlier = before.last_state.as_ref().and_then(|state| state.terminated.clone());
        last_state.terminated =
            if before.container_id.as_ref() != Some(&id) { ended.or(earlier) } else { earlier };
    }
    let resources = container.resources.clone().unwrap_or_default();
    ContainerStatus {
        name: container.name.clone(),
        image: status.image.clone(),
        image_id: status.image_id.clone(),
        container_id: Some(id),
        restart_count,
        state: Some(state(inputs, status)),
        last_state: Some(last_state),
        volume_mounts: volume_mounts(container),
        allocated_resources: resources.requests.clone(),
        resources: Some(resources),
        user: Some(ContainerUser {
            linux: Some(LinuxContainerUser {
                uid: status.user.0,
                gid: status.user.1,
                supplemental_groups: Some(status.user.2.clone()),
            }),
        }),
        ..ContainerStatus::default()
    }
}

fn volume_mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref().filter(|mounts| !mounts.is_empty())?;
    let status = mounts.iter().map(|mount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
        volume_status: None,
    });
    Some(status.collect())
}

fn state(inputs: &Inputs<'_>, status: &RuntimeStatus) -> ApiState {
    match status.state {
        ContainerState::Running => ApiState {
            running: Some(ContainerStateRunning { started_at: status.started_at.map(Time) }),
            ..ApiState::default()
        },
        ContainerState::Exited => {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let epoch = jiff::Timestamp::UNIX_EPOCH;
            let terminated = ContainerStateTerminated {
                exit_code: status.exit_code,
                reason: some(&status.reason),
                message: some(
                    inputs.last_words.get(&status.id).map_or(status.message.as_str(), String::as_str),
                ),
                // A process that never started is said to have started at the beginning of time.
                started_at: Some(Time(status.started_at.unwrap_or(epoch))),
                finished_at: status.finished_at.map(Time),
                container_id: Some(format!("{RUNTIME_PREFIX}{}", status.id)),
                signal: None,
            };
            ApiState { terminated: Some(terminated), ..ApiState::default() }
        }
        ContainerState::Created | ContainerState::Unknown => waiting("", ""),
    }
}
