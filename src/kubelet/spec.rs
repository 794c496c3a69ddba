//! Questions about a Pod's spec: its containers whatever their kind, and whether one starts again.
//!
//! Pure functions over objects; the rest of the kubelet asks them.
// Models pkg/api/v1/pod (util) and pkg/kubelet/container (helpers).

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, ObjectReference, Pod};

use crate::events;

/// Which list of the spec a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Init,
    Regular,
    Ephemeral,
}

/// The pod's UID.
pub(super) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// The pod's name.
pub(super) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The pod's namespace.
pub(super) fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// The pod in messages: `name_namespace(uid)`.
pub(super) fn format(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

/// Whether the pod is to go.
pub(super) fn is_deleted(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// The pod's restart policy.
pub(super) fn restart_policy(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always")
}

/// Whether the pod uses the node's network.
pub(super) fn host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or(false)
}

/// The init containers.
pub(super) fn init_containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default()
}

/// The ordinary containers.
pub(super) fn containers(pod: &Pod) -> &[Container] {
    pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default()
}

/// The ephemeral containers, as if they were ordinary ones.
pub(super) fn ephemeral_containers(pod: &Pod) -> Vec<Container> {
    let list = pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_deref()).unwrap_or_default();
    list.iter().cloned().map(as_container).collect()
}

fn as_container(ephemeral: EphemeralContainer) -> Container {
    Container {
        args: ephemeral.args,
        command: ephemeral.command,
        env: ephemeral.env,
        env_from: ephemeral.env_from,
        image: ephemeral.image,
        image_pull_policy: ephemeral.image_pull_policy,
        name: ephemeral.name,
        resources: ephemeral.resources,
        security_context: ephemeral.security_context,
        stdin: ephemeral.stdin,
        stdin_once: ephemeral.stdin_once,
        termination_message_path: ephemeral.termination_message_path,
        termination_message_policy: ephemeral.termination_message_policy,
        tty: ephemeral.tty,
        volume_mounts: ephemeral.volume_mounts,
        working_dir: ephemeral.working_dir,
        ..Container::default()
    }
}

/// A container of any kind by its name.
pub(super) fn find(pod: &Pod, name: &str) -> Option<(Class, Container)> {
    let init = init_containers(pod).iter().map(|container| (Class::Init, container.clone()));
    let regular = containers(pod).iter().map(|container| (Class::Regular, container.clone()));
    let ephemeral = ephemeral_containers(pod).into_iter().map(|container| (Class::Ephemeral, container));
    regular.chain(init).chain(ephemeral).find(|(_, container)| container.name == name)
}

/// A sidecar: an init container that runs on beside the ordinary ones.
pub(super) fn is_restartable_init(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether a container starts again that has ended with this code.
// Models pkg/api/v1/pod (ContainerShouldRestart).
pub(super) fn should_restart(container: &Container, pod: &Pod, exit_code: i32) -> bool {
    let by = |policy: &str| match policy {
        "Always" => true,
        "OnFailure" => exit_code != 0,
        _ => false,
    };
    let Some(policy) = container.restart_policy.as_deref() else { return by(restart_policy(pod)) };
    for rule in container.restart_policy_rules.iter().flatten() {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
        if (codes.operator == "In") == listed {
            return rule.action == "Restart";
        }
    }
    by(policy)
}

/// Whether a container starts again that is not over by itself but was killed.
pub(super) fn restarts_when_killed(container: &Container, pod: &Pod) -> bool {
    container.restart_policy.as_deref().unwrap_or(restart_policy(pod)) != "Never"
}

/// A reference to the pod, for events.
pub(super) fn reference(pod: &Pod) -> ObjectReference {
    events::reference_to(pod)
}

/// A reference to a container of the pod, for events.
pub(super) fn container_reference(pod: &Pod, container: &str) -> ObjectReference {
    let class = find(pod, container).map(|(class, _)| class);
    let list = match class {
        Some(Class::Init) => "initContainers",
        Some(Class::Ephemeral) => "ephemeralContainers",
        _ => "containers",
    };
    ObjectReference { field_path: Some(format!("spec.{list}{{{container}}}")), ..reference(pod) }
}

/// What of a container cannot change while it runs, as one word.
pub(super) fn hash(container: &Container) -> String {
    use std::hash::Hasher;
    let mut hasher = fnv::FnvHasher::default();
    hasher.write(container.name.as_bytes());
    hasher.write(&[0]);
    hasher.write(container.image.as_deref().unwrap_or_default().as_bytes());
    format!("{:x}", hasher.finish())
}

/// Whether two states of one pod differ in what the kubelet acts on; a new status alone does not.
// Models pkg/kubelet/config (podsDifferSemantically).
pub(super) fn differs(before: &Pod, after: &Pod) -> bool {
    before.spec != after.spec
        || before.metadata.labels != after.metadata.labels
        || before.metadata.annotations != after.metadata.annotations
        || before.metadata.deletion_timestamp != after.metadata.deletion_timestamp
        || before.metadata.deletion_grace_period_seconds != after.metadata.deletion_grace_period_seconds
}
