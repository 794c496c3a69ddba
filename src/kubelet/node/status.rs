//! What a node says of itself. Pure: from the configuration, the runtime's images and the time to a Node's status.
// Models pkg/kubelet/nodestatus/setters.go.

use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeFeatures,
    NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::config::{KubeletConfig, SERVER_PORT};
use crate::runtime::api::{Image, RuntimeVersion};

/// How many images are listed.
const MAX_IMAGES: usize = 50;
/// How many names of an image are listed.
const MAX_NAMES: usize = 5;

/// The conditions of a healthy node: type, status, reason, message; Ready is the last.
const CONDITIONS: [[&str; 4]; 4] = [
    ["MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    ["DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    ["PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
    ["Ready", "True", "KubeletReady", "kubelet is posting ready status"],
];

/// The events that tell that a condition has become what it is.
const EVENTS: [(&str, &str); 4] = [
    ("MemoryPressure", "NodeHasSufficientMemory"),
    ("DiskPressure", "NodeHasNoDiskPressure"),
    ("PIDPressure", "NodeHasSufficientPID"),
    ("Ready", "NodeReady"),
];

/// The status now. `before` keeps the times of conditions that have not changed, and what others keep there.
pub(super) fn status(
    config: &KubeletConfig,
    version: &RuntimeVersion,
    images: &[Image],
    before: &NodeStatus,
    now: Time,
) -> NodeStatus {
    let node = &config.node;
    let capacity =
        node.capacity.iter().map(|(name, amount)| (name.clone(), Quantity(amount.clone()))).collect();
    let address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", node.ip.to_string()),
            address("Hostname", node.name.clone()),
        ]),
        allocatable: Some(capacity),
        capacity: Some(
            node.capacity.iter().map(|(name, amount)| (name.clone(), Quantity(amount.clone()))).collect(),
        ),
        conditions: Some(conditions(before, &now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(SERVER_PORT) }),
        }),
        features: Some(NodeFeatures { supplemental_groups_policy: Some(true) }),
        images: Some(listed(images)),
        node_info: Some(NodeSystemInfo {
            architecture: node.architecture.clone(),
            boot_id: node.boot_id.clone(),
            container_runtime_version: format!("{}://{}", version.name, version.version),
            kernel_version: node.kernel_version.clone(),
            kubelet_version: config.version.clone(),
            machine_id: node.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: node.os_image.clone(),
            system_uuid: node.machine_id.clone(),
            ..NodeSystemInfo::default()
        }),
        volumes_attached: before.volumes_attached.clone(),
        ..NodeStatus::default()
    }
}

fn conditions(before: &NodeStatus, now: &Time) -> Vec<NodeCondition> {
    let ours = CONDITIONS.map(|[kind, status, reason, message]| {
        let known = before.conditions.iter().flatten().find(|condition| condition.type_ == kind);
        let since =
            known.filter(|known| known.status == status).and_then(|known| known.last_transition_time.clone());
        NodeCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(now.clone()),
            last_transition_time: Some(since.unwrap_or_else(|| now.clone())),
        }
    });
    let foreign = |condition: &&NodeCondition| !CONDITIONS.iter().any(|[kind, ..]| condition.type_ == *kind);
    before.conditions.iter().flatten().filter(foreign).cloned().chain(ours).collect()
}

/// The events for conditions that are not what they were. A new node is not said to have become ready.
pub(super) fn events(before: &NodeStatus) -> Vec<&'static str> {
    let was =
        |kind: &str| before.conditions.iter().flatten().find(|c| c.type_ == kind).map(|c| c.status.as_str());
    let changed = EVENTS.iter().filter(|(kind, _)| match *kind {
        "Ready" => was(kind).is_some_and(|status| status != "True"),
        _ => was(kind) != Some("False"),
    });
    changed.map(|(_, event)| *event).collect()
}

fn listed(images: &[Image]) -> Vec<ContainerImage> {
    let mut images: Vec<&Image> = images.iter().collect();
    images.sort_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.id.cmp(&b.id)));
    let listed = images.into_iter().take(MAX_IMAGES).map(|image| ContainerImage {
        names: Some(image.digests.iter().chain(&image.tags).take(MAX_NAMES).cloned().collect()),
        size_bytes: i64::try_from(image.size_bytes).ok(),
    });
    listed.collect()
}

/// Whether two states differ in more than the time of the last heartbeat.
pub(super) fn differs(before: &NodeStatus, after: &NodeStatus) -> bool {
    let without_heartbeat = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    without_heartbeat(before) != without_heartbeat(after)
}
