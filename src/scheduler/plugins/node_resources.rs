//! NodeResourcesFit: enough cpu, memory and whatever else is asked for, and rather where more is left.
//! NodeResourcesBalancedAllocation: rather where cpu and memory are used up evenly.
// Models pkg/scheduler/framework/plugins/noderesources.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::super::framework::{ClusterEvent, Cycle, CycleState, MAX_SCORE, Plugin, Refusal, Rejection};
use super::super::info::NodeInfo;
use super::super::resource::{Missing, Resource, pod_requests};

/// What the scores look at, with equal weights.
const SCORED: [&str; 2] = ["cpu", "memory"];

pub(crate) struct NodeResourcesFit;

/// Why the pod does not fit.
// Models fitsRequest.
fn misfit(requests: &Resource, node: &NodeInfo) -> Option<Refusal> {
    let mut refusal = Refusal { rejection: Rejection::Unschedulable, reasons: vec![] };
    if i64::try_from(node.pod_count()).unwrap_or(i64::MAX) + 1 > node.allocatable.get("pods") {
        refusal.reasons.push("Too many pods".to_owned());
    }
    // cpu, memory, ephemeral-storage, then the rest by name.
    let rank =
        |name: &str| ["cpu", "memory", "ephemeral-storage"].iter().position(|n| *n == name).unwrap_or(3);
    let mut asked: Vec<(&str, i64)> = requests.iter().filter(|(_, amount)| *amount > 0).collect();
    asked.sort_by_key(|(name, _)| (rank(name), *name));
    for (name, amount) in asked {
        let all = node.allocatable.get(name);
        if amount > all - node.requested.get(name) {
            refusal.reasons.push(format!("Insufficient {name}"));
            if amount > all {
                refusal.rejection = Rejection::Unresolvable;
            }
        }
    }
    (!refusal.reasons.is_empty()).then_some(refusal)
}

fn fits_empty(pod: &Pod, node: &Arc<Node>) -> bool {
    let mut empty = NodeInfo::default();
    empty.set_node(Some(node.clone()));
    misfit(&pod_requests(pod, Missing::IsZero), &empty).is_none()
}

fn allocatable(node: &Node) -> Resource {
    Resource::from_list(node.status.as_ref().and_then(|status| status.allocatable.as_ref()))
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn requeues(&self, pod: &Pod, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::PodDeleted(_) => true,
            ClusterEvent::NodeAdded(node) => fits_empty(pod, node),
            ClusterEvent::NodeUpdated(old, new) => {
                let (before, after) = (allocatable(old), allocatable(new));
                let asked = pod_requests(pod, Missing::IsZero);
                let grew = after.iter().any(|(name, amount)| {
                    amount > before.get(name) && (name == "pods" || asked.get(name) > 0)
                });
                grew && fits_empty(pod, new)
            }
            ClusterEvent::PodUpdated(old, new) => {
                let (before, after) =
                    (pod_requests(old, Missing::IsZero), pod_requests(new, Missing::IsZero));
                let asked = pod_requests(pod, Missing::IsZero);
                before.iter().any(|(name, amount)| amount > after.get(name) && asked.get(name) > 0)
            }
            _ => false,
        }
    }

    fn filter(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        misfit(&cycle.pod.requests, node)
    }

    fn pre_score(&self, _cycle: &Cycle<'_>, _state: &mut CycleState, _nodes: &[Arc<NodeInfo>]) -> bool {
        true
    }

    /// The share that would be left, of cpu and memory on average.
    // Models least_allocated.go.
    fn score(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> i64 {
        let (mut sum, mut weights) = (0, 0);
        for name in SCORED {
            let all = node.allocatable.get(name);
            if all == 0 {
                continue;
            }
            let used = node.non_zero_requested.get(name) + cycle.pod.non_zero.get(name);
            sum += if used > all { 0 } else { (all - used) * MAX_SCORE / all };
            weights += 1;
        }
        if weights == 0 { 0 } else { sum / weights }
    }
}

pub(crate) struct NodeResourcesBalancedAllocation;

/// How evenly the resources are used: 100 when all to the same share.
fn balance(used: impl Fn(&str) -> i64, node: &NodeInfo) -> i64 {
    let shares: Vec<f64> = SCORED
        .into_iter()
        .filter(|name| node.allocatable.get(name) > 0)
        .map(|name| (used(name) as f64 / node.allocatable.get(name) as f64).min(1.0))
        .collect();
    let deviation = match shares.as_slice() {
        [a, b] => ((a - b) / 2.0).abs(),
        _ => 0.0,
    };
    // In 0.0..=100.0; Kubernetes cuts the fraction off as well.
    ((1.0 - deviation) * MAX_SCORE as f64) as i64
}

impl Plugin for NodeResourcesBalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn pre_score(&self, cycle: &Cycle<'_>, _state: &mut CycleState, _nodes: &[Arc<NodeInfo>]) -> bool {
        SCORED.iter().any(|name| cycle.pod.requests.get(name) != 0)
    }

    /// Whether the pod makes the node more even.
    // Models balanced_allocation.go.
    fn score(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> i64 {
        let with = balance(|name| node.requested.get(name) + cycle.pod.requests.get(name), node);
        let without = balance(|name| node.requested.get(name), node);
        MAX_SCORE / 2 + (MAX_SCORE / 2 + with - without) / 2
    }
}
