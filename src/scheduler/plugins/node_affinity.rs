//! NodeAffinity: the pod's `nodeSelector` and its affinity to nodes, the required and the preferred.
// Models pkg/scheduler/framework/plugins/nodeaffinity.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{NodeAffinity as Affinity, NodeSelectorTerm, Pod};

use super::super::framework::{
    ClusterEvent, Cycle, CycleState, Order, Plugin, PreFilter, Refusal, normalize_by_highest,
};
use super::super::info::NodeInfo;
use crate::meta::node_affinity::{preferred_score, required_matches};

pub(crate) struct NodeAffinity;

fn affinity(pod: &Pod) -> Option<&Affinity> {
    pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()
}

/// The nodes that the terms name, if each of them names some.
fn named(terms: &[NodeSelectorTerm]) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for term in terms {
        let fields = term.match_fields.iter().flatten();
        let names = fields.filter(|field| field.key == "metadata.name" && field.operator == "In");
        let sets = names.map(|field| field.values.iter().flatten().cloned().collect::<BTreeSet<String>>());
        all.extend(sets.reduce(|a, b| a.intersection(&b).cloned().collect())?);
    }
    Some(all)
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn weight(&self) -> i64 {
        2
    }

    fn requeues(&self, pod: &Pod, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::NodeAdded(node) => required_matches(pod, node),
            ClusterEvent::NodeUpdated(old, new) => !required_matches(pod, old) && required_matches(pod, new),
            _ => false,
        }
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _state: &mut CycleState) -> PreFilter {
        let pod = &cycle.pod.pod;
        let required =
            affinity(pod).and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        let has_selector = pod.spec.as_ref().is_some_and(|spec| spec.node_selector.is_some());
        match required {
            None if !has_selector => PreFilter::Skip,
            None => PreFilter::All,
            Some(required) if required.node_selector_terms.is_empty() => PreFilter::All,
            Some(required) => match named(&required.node_selector_terms) {
                None => PreFilter::All,
                Some(names) if names.is_empty() => {
                    PreFilter::Refused(Refusal::unresolvable("pod affinity terms conflict"))
                }
                Some(names) => PreFilter::Nodes(names),
            },
        }
    }

    fn filter(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let matches = required_matches(&cycle.pod.pod, node.node()?);
        (!matches).then(|| Refusal::unresolvable("node(s) didn't match Pod's node affinity/selector"))
    }

    fn pre_score(&self, cycle: &Cycle<'_>, _state: &mut CycleState, _nodes: &[Arc<NodeInfo>]) -> bool {
        affinity(&cycle.pod.pod)
            .is_some_and(|a| a.preferred_during_scheduling_ignored_during_execution.is_some())
    }

    fn score(&self, cycle: &Cycle<'_>, _state: &CycleState, node: &NodeInfo) -> i64 {
        let affinity = affinity(&cycle.pod.pod);
        let terms = affinity.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_deref());
        node.node().map_or(0, |node| preferred_score(terms.unwrap_or_default(), node))
    }

    fn normalize(
        &self,
        _cycle: &Cycle<'_>,
        _state: &CycleState,
        _nodes: &[Arc<NodeInfo>],
        scores: &mut [i64],
    ) {
        normalize_by_highest(scores, Order::MoreIsBetter);
    }
}
