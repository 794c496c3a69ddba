//! TaintToleration: keeps pods off nodes whose taints they do not tolerate, and away from those they had better avoid.
// Models pkg/scheduler/framework/plugins/tainttoleration.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

use super::super::framework::{
    ClusterEvent, Cycle, CycleState, Order, Plugin, Refusal, normalize_by_highest,
};
use super::super::info::NodeInfo;
use crate::meta::taint::{NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE, find_untolerated, is_tolerated};

pub(crate) struct TaintToleration;

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

fn tolerations(pod: &Pod) -> &[Toleration] {
    pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default()
}

fn is_refused(pod: &Pod, node: &Node) -> bool {
    find_untolerated(taints(node), tolerations(pod), &[NO_SCHEDULE, NO_EXECUTE]).is_some()
}

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn weight(&self) -> i64 {
        3
    }

    fn requeues(&self, pod: &Pod, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::NodeAdded(node) => !is_refused(pod, node),
            ClusterEvent::NodeUpdated(old, new) => is_refused(pod, old) && !is_refused(pod, new),
            _ => false,
        }
    }

    fn filter(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        is_refused(&cycle.pod.pod, node.node()?)
            .then(|| Refusal::unresolvable("node(s) had untolerated taint(s)"))
    }

    fn pre_score(&self, _cycle: &Cycle<'_>, _state: &mut CycleState, _nodes: &[Arc<NodeInfo>]) -> bool {
        true
    }

    /// How many taints that ask to be avoided are not tolerated.
    fn score(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> i64 {
        let unset = |effect: &Option<String>| effect.as_deref().unwrap_or_default().is_empty();
        let soft: Vec<Toleration> = tolerations(&cycle.pod.pod)
            .iter()
            .filter(|t| unset(&t.effect) || t.effect.as_deref() == Some(PREFER_NO_SCHEDULE))
            .cloned()
            .collect();
        let avoided = node.node().map(|node| taints(node)).unwrap_or_default().iter();
        let avoided =
            avoided.filter(|taint| taint.effect == PREFER_NO_SCHEDULE && !is_tolerated(&soft, taint));
        i64::try_from(avoided.count()).unwrap_or(i64::MAX)
    }

    fn normalize(
        &self,
        _cycle: &Cycle<'_>,
        _state: &CycleState,
        _nodes: &[Arc<NodeInfo>],
        scores: &mut [i64],
    ) {
        normalize_by_highest(scores, Order::LessIsBetter);
    }
}
