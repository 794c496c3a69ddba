//! The small filters: NodeUnschedulable, NodeName and NodePorts.
// Models pkg/scheduler/framework/plugins/{nodeunschedulable,nodename,nodeports}.

use k8s_openapi::api::core::v1::{Pod, Taint};

use super::super::framework::{ClusterEvent, Cycle, CycleState, Plugin, PreFilter, Refusal};
use super::super::info::{NodeInfo, PodInfo};
use crate::meta::taint::{NO_SCHEDULE, is_tolerated};

/// Keeps pods off nodes that were cordoned, unless they tolerate that.
pub(crate) struct NodeUnschedulable;

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn requeues(&self, _pod: &Pod, event: &ClusterEvent) -> bool {
        let cordoned = |node: &k8s_openapi::api::core::v1::Node| {
            node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false)
        };
        match event {
            ClusterEvent::NodeAdded(node) => !cordoned(node),
            ClusterEvent::NodeUpdated(old, new) => cordoned(old) && !cordoned(new),
            _ => false,
        }
    }

    fn filter(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let cordoned = node.node()?.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        let taint = Taint {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            effect: NO_SCHEDULE.to_owned(),
            ..Taint::default()
        };
        let tolerations =
            cycle.pod.pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
        (cordoned && !is_tolerated(tolerations, &taint))
            .then(|| Refusal::unresolvable("node(s) were unschedulable"))
    }
}

/// Holds a pod to the node that its spec names.
pub(crate) struct NodeName;

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn requeues(&self, _pod: &Pod, event: &ClusterEvent) -> bool {
        matches!(event, ClusterEvent::NodeAdded(_))
    }

    fn filter(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let wanted = cycle.pod.pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())?;
        (wanted != node.name()).then(|| Refusal::unresolvable("node(s) didn't match the requested node name"))
    }
}

/// Keeps two pods from taking the same port of a node.
pub(crate) struct NodePorts;

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn requeues(&self, pod: &Pod, event: &ClusterEvent) -> bool {
        let wanted = PodInfo::new(pod.clone().into()).ports;
        match event {
            ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::PodDeleted(gone) => {
                let freed = PodInfo::new(gone.clone()).ports;
                wanted.iter().any(|port| freed.iter().any(|other| port.conflicts(other)))
            }
            _ => false,
        }
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _state: &mut CycleState) -> PreFilter {
        if cycle.pod.ports.is_empty() { PreFilter::Skip } else { PreFilter::All }
    }

    fn filter(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let taken = node.pods().flat_map(|pod| &pod.ports);
        let conflict =
            taken.into_iter().any(|taken| cycle.pod.ports.iter().any(|port| port.conflicts(taken)));
        conflict.then(|| Refusal::unschedulable("node(s) didn't have free ports for the requested pod ports"))
    }
}
