//! DefaultPreemption: room for a pod by evicting less important ones, where that hurts least.
//!
//! It only chooses; the scheduler evicts.
// Models pkg/scheduler/framework/{preemption,plugins/defaultpreemption}.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::super::framework::{
    ClusterEvent, Cycle, CycleState, Failure, Framework, Plugin, PostFilter, Refusal, Rejection,
};
use super::super::info::{NodeInfo, PodInfo};
use super::super::message::fit_error;
use crate::meta::selector::Selector;

pub(crate) struct DefaultPreemption;

/// What evicting from one node comes to.
struct Candidate {
    node: String,
    victims: Vec<Arc<PodInfo>>,
    violations: usize,
}

impl Plugin for DefaultPreemption {
    fn name(&self) -> &'static str {
        "DefaultPreemption"
    }

    fn requeues(&self, _pod: &Pod, event: &ClusterEvent) -> bool {
        matches!(event, ClusterEvent::PodDeleted(_))
    }

    fn post_filter(&self, framework: &Framework, cycle: &Cycle<'_>, failure: &Failure) -> PostFilter {
        if let Err(reason) = may_preempt(cycle, failure) {
            return PostFilter::Unschedulable(format!("preemption: {reason}"));
        }
        // Only where fewer pods would help.
        let promising = cycle.snapshot.nodes.iter().filter(|node| {
            failure
                .refusals
                .get(node.name())
                .is_some_and(|(_, refusal)| refusal.rejection == Rejection::Unschedulable)
        });
        let mut refusals = BTreeMap::new();
        let mut candidates = vec![];
        for node in promising {
            match victims_on(framework, cycle, node) {
                Ok(candidate) => candidates.push(candidate),
                Err(refusal) => drop(refusals.insert(node.name().to_owned(), ("DefaultPreemption", refusal))),
            }
        }
        match candidates.into_iter().min_by_key(harm) {
            Some(best) => PostFilter::Preempt { node: best.node, victims: best.victims },
            None => {
                let absent = Some(Refusal::unresolvable("Preemption is not helpful for scheduling"));
                let failure = Failure { refusals, absent, ..Failure::default() };
                let text = fit_error(cycle.snapshot.nodes.len(), &failure, "");
                PostFilter::Unschedulable(format!("preemption: {text}"))
            }
        }
    }
}

/// Whether the pod may evict others, or why not.
// Models PodEligibleToPreemptOthers.
fn may_preempt(cycle: &Cycle<'_>, failure: &Failure) -> Result<(), &'static str> {
    let pod = &cycle.pod.pod;
    if pod.spec.as_ref().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Err("not eligible due to preemptionPolicy=Never.");
    }
    let nominated =
        pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref()).unwrap_or_default();
    let hopeless =
        failure.refusals.get(nominated).is_some_and(|(_, r)| r.rejection == Rejection::Unresolvable);
    if let Some(node) = cycle.snapshot.get(nominated)
        && !hopeless
        && node.pods().any(|other| other.priority() < cycle.pod.priority() && is_being_preempted(&other.pod))
    {
        return Err("not eligible due to a terminating pod on the nominated node.");
    }
    Ok(())
}

fn is_being_preempted(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_some()
        && conditions.into_iter().any(|c| {
            c.type_ == "DisruptionTarget"
                && c.status == "True"
                && c.reason.as_deref() == Some("PreemptionByScheduler")
        })
}

/// The pods that must go from the node: first all less important ones are taken away, then as many as possible put back.
// Models SelectVictimsOnNode.
fn victims_on(framework: &Framework, cycle: &Cycle<'_>, node: &Arc<NodeInfo>) -> Result<Candidate, Refusal> {
    let mut lesser: Vec<Arc<PodInfo>> =
        node.pods().filter(|other| other.priority() < cycle.pod.priority()).cloned().collect();
    if lesser.is_empty() {
        return Err(Refusal::unresolvable("No preemption victims found for incoming pod"));
    }
    let mut tried = NodeInfo::clone(node);
    lesser.iter().for_each(|pod| tried.remove_pod(pod.uid()));
    if let Some(refusal) = try_node(framework, cycle, &tried) {
        return Err(refusal);
    }
    // The more important, and of equals the older, are put back first.
    lesser.sort_by_key(|pod| (Reverse(pod.priority()), start_time(&pod.pod)));
    let (violating, harmless) = by_disruption_budget(cycle, lesser);
    let mut candidate = Candidate { node: node.name().to_owned(), victims: vec![], violations: 0 };
    let marked = violating.into_iter().map(|pod| (pod, 1)).chain(harmless.into_iter().map(|pod| (pod, 0)));
    for (pod, violation) in marked {
        tried.add_pod(pod.clone());
        if try_node(framework, cycle, &tried).is_some() {
            tried.remove_pod(pod.uid());
            candidate.victims.push(pod);
            candidate.violations += violation;
        }
    }
    candidate.victims.sort_by_key(|pod| (Reverse(pod.priority()), start_time(&pod.pod)));
    Ok(candidate)
}

/// Why the pod could not be on the node if it were like that.
fn try_node(framework: &Framework, cycle: &Cycle<'_>, node: &NodeInfo) -> Option<Refusal> {
    let node = Arc::new(node.clone());
    let snapshot = cycle.snapshot.with(&node);
    let cycle = Cycle { snapshot: &snapshot, ..*cycle };
    let mut state = CycleState::default();
    match framework.pre_filter(&cycle, &mut state) {
        Ok(filtered) => framework.filter(&cycle, &state, &filtered.skip, &node).map(|(_, refusal)| refusal),
        Err(failure) => failure.pre_filter,
    }
}

/// Those whose eviction a PodDisruptionBudget forbids, and the others.
// Models filterPodsWithPDBViolation.
fn by_disruption_budget(
    cycle: &Cycle<'_>,
    pods: Vec<Arc<PodInfo>>,
) -> (Vec<Arc<PodInfo>>, Vec<Arc<PodInfo>>) {
    let mut allowed: BTreeMap<(String, String), i32> = BTreeMap::new();
    pods.into_iter().partition(|pod| {
        let mut violates = false;
        for budget in cycle.listers.disruption_budgets.list(pod.namespace()) {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let Some(Ok(selector)) = selector.map(Selector::from_label_selector) else { continue };
            let status = budget.status.clone().unwrap_or_default();
            let told = status.disrupted_pods.as_ref().is_some_and(|pods| pods.contains_key(pod.name()));
            let labels = pod.pod.metadata.labels.as_ref();
            if labels.is_none() || selector.is_empty() || !selector.matches_optional(labels) || told {
                continue;
            }
            let left = allowed
                .entry(crate::informer::key_of(&budget.metadata))
                .or_insert(status.disruptions_allowed.unwrap_or(0));
            *left -= 1;
            violates |= *left < 0;
        }
        violates
    })
}

/// The less the better: broken budgets, the most important victim, all of them together, their number, and how long the
/// oldest of the most important has been running.
// Models pickOneNodeForPreemption.
fn harm(candidate: &Candidate) -> (usize, i32, i64, usize, Reverse<Option<Timestamp>>, String) {
    let highest = candidate.victims.iter().map(|pod| pod.priority()).max().unwrap_or(i32::MIN);
    let sum = candidate.victims.iter().map(|pod| i64::from(pod.priority()) + i64::from(i32::MAX) + 1).sum();
    let earliest = candidate
        .victims
        .iter()
        .filter(|pod| pod.priority() == highest)
        .map(|pod| start_time(&pod.pod))
        .min();
    let count = candidate.victims.len();
    (candidate.violations, highest, sum, count, Reverse(earliest.flatten()), candidate.node.clone())
}

fn start_time(pod: &Pod) -> Option<Timestamp> {
    pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0)
}
