//! InterPodAffinity: near some pods, apart from others. Near is what has the same value of a label of the node.
// Models pkg/scheduler/framework/plugins/interpodaffinity.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::super::framework::{ClusterEvent, Cycle, CycleState, MAX_SCORE, Plugin, PreFilter, Refusal};
use super::super::info::{NodeInfo, PodInfo, Term};

const NAME: &str = "InterPodAffinity";
/// The key of the scores in the cycle's state.
const SCORES: &str = "InterPodAffinity scores";
/// What a required affinity of a pod that is there counts for pods to come.
const HARD_POD_AFFINITY_WEIGHT: i64 = 1;

pub(crate) struct InterPodAffinity;

/// How many pods match, by label and value of the nodes that they are on.
type Counts = BTreeMap<(String, String), i64>;

struct Filtered {
    affinity: Counts,
    anti_affinity: Counts,
    existing_anti_affinity: Counts,
    /// Whether the pod is one of those that it wants to be near.
    matches_itself: bool,
}

fn count(counts: &mut Counts, term: &Term, node: &NodeInfo, by: i64) {
    if let Some(value) = node.label(&term.topology_key) {
        *counts.entry((term.topology_key.clone(), value.to_owned())).or_insert(0) += by;
    }
}

fn matches_all(terms: &[Term], pod: &Pod, labels: &BTreeMap<String, String>) -> bool {
    !terms.is_empty() && terms.iter().all(|term| term.matches(pod, labels))
}

fn found(counts: &Counts, key: &str, value: &str) -> bool {
    counts.get(&(key.to_owned(), value.to_owned())).is_some_and(|&count| count > 0)
}

impl Filtered {
    // Models satisfyPodAffinity.
    fn is_near(&self, terms: &[Term], node: &NodeInfo) -> bool {
        let mut all_found = true;
        for term in terms {
            let Some(value) = node.label(&term.topology_key) else { return false };
            all_found &= found(&self.affinity, &term.topology_key, value);
        }
        // The first of a group that wants to be together may start anywhere.
        all_found || (self.affinity.is_empty() && self.matches_itself)
    }

    fn is_apart(&self, terms: &[Term], node: &NodeInfo) -> bool {
        !terms.iter().any(|term| {
            node.label(&term.topology_key)
                .is_some_and(|value| found(&self.anti_affinity, &term.topology_key, value))
        })
    }

    fn is_suffered(&self, node: &NodeInfo) -> bool {
        !self
            .existing_anti_affinity
            .iter()
            .any(|((key, value), &count)| count > 0 && node.label(key) == Some(value.as_str()))
    }
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn weight(&self) -> i64 {
        2
    }

    fn requeues(&self, _pod: &Pod, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::PodAssigned(_) | ClusterEvent::PodDeleted(_) | ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::PodUpdated(old, new) => old.metadata.labels != new.metadata.labels,
            ClusterEvent::NodeUpdated(old, new) => old.metadata.labels != new.metadata.labels,
            ClusterEvent::Namespace => true,
            ClusterEvent::Claim(_) | ClusterEvent::Storage => false,
        }
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, state: &mut CycleState) -> PreFilter {
        let pod = cycle.pod;
        let own_labels = cycle.listers.namespace_labels(pod.namespace());
        let mut filtered = Filtered {
            affinity: Counts::new(),
            anti_affinity: Counts::new(),
            existing_anti_affinity: Counts::new(),
            matches_itself: matches_all(&pod.required_affinity, &pod.pod, &own_labels),
        };
        let has_wishes = !(pod.required_affinity.is_empty() && pod.required_anti_affinity.is_empty());
        for node in &cycle.snapshot.nodes {
            for other in node.pods() {
                for term in
                    other.required_anti_affinity.iter().filter(|term| term.matches(&pod.pod, &own_labels))
                {
                    count(&mut filtered.existing_anti_affinity, term, node, 1);
                }
                if !has_wishes {
                    continue;
                }
                let labels = cycle.listers.namespace_labels(other.namespace());
                if matches_all(&pod.required_affinity, &other.pod, &labels) {
                    pod.required_affinity
                        .iter()
                        .for_each(|term| count(&mut filtered.affinity, term, node, 1));
                }
                for term in pod.required_anti_affinity.iter().filter(|term| term.matches(&other.pod, &labels))
                {
                    count(&mut filtered.anti_affinity, term, node, 1);
                }
            }
        }
        if filtered.existing_anti_affinity.is_empty() && !has_wishes {
            return PreFilter::Skip;
        }
        state.write(NAME, filtered);
        PreFilter::All
    }

    fn filter(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let filtered: &Filtered = state.read(NAME)?;
        if !filtered.is_near(&cycle.pod.required_affinity, node) {
            return Some(Refusal::unresolvable("node(s) didn't match pod affinity rules"));
        }
        if !filtered.is_apart(&cycle.pod.required_anti_affinity, node) {
            return Some(Refusal::unschedulable("node(s) didn't match pod anti-affinity rules"));
        }
        let suffered = filtered.is_suffered(node);
        (!suffered)
            .then(|| Refusal::unschedulable("node(s) didn't satisfy existing pods anti-affinity rules"))
    }

    fn pre_score(&self, cycle: &Cycle<'_>, state: &mut CycleState, _nodes: &[Arc<NodeInfo>]) -> bool {
        let mut counts = Counts::new();
        let own_labels = cycle.listers.namespace_labels(cycle.pod.namespace());
        let others = |node: &NodeInfo| -> Vec<Arc<PodInfo>> {
            let wishes = !cycle.pod.preferred.is_empty();
            node.pods().filter(|other| wishes || other.has_affinity()).cloned().collect()
        };
        for node in &cycle.snapshot.nodes {
            for other in others(node) {
                let labels = cycle.listers.namespace_labels(other.namespace());
                for (weight, term) in
                    cycle.pod.preferred.iter().filter(|(_, term)| term.matches(&other.pod, &labels))
                {
                    count(&mut counts, term, node, *weight);
                }
                for term in
                    other.required_affinity.iter().filter(|term| term.matches(&cycle.pod.pod, &own_labels))
                {
                    count(&mut counts, term, node, HARD_POD_AFFINITY_WEIGHT);
                }
                for (weight, term) in
                    other.preferred.iter().filter(|(_, t)| t.matches(&cycle.pod.pod, &own_labels))
                {
                    count(&mut counts, term, node, *weight);
                }
            }
        }
        let any = !counts.is_empty();
        state.write(SCORES, counts);
        any
    }

    fn score(&self, _cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> i64 {
        let Some(counts) = state.read::<Counts>(SCORES) else { return 0 };
        counts
            .iter()
            .filter(|((key, value), _)| node.label(key) == Some(value.as_str()))
            .map(|(_, count)| count)
            .sum()
    }

    fn normalize(
        &self,
        _cycle: &Cycle<'_>,
        _state: &CycleState,
        _nodes: &[Arc<NodeInfo>],
        scores: &mut [i64],
    ) {
        let (Some(&least), Some(&most)) = (scores.iter().min(), scores.iter().max()) else { return };
        for score in scores {
            *score = if most == least { 0 } else { MAX_SCORE * (*score - least) / (most - least) };
        }
    }
}
