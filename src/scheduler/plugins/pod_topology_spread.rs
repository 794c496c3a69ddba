//! PodTopologySpread: so many more pods of a group in one zone than in another, and not more.
// Models pkg/scheduler/framework/plugins/podtopologyspread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, TopologySpreadConstraint};

use super::super::framework::{ClusterEvent, Cycle, CycleState, MAX_SCORE, Plugin, PreFilter, Refusal};
use super::super::info::NodeInfo;
use crate::meta::node_affinity::required_matches;
use crate::meta::owner::controller_of;
use crate::meta::selector::Selector;
use crate::meta::taint::{NO_EXECUTE, NO_SCHEDULE, find_untolerated};

const NAME: &str = "PodTopologySpread";
/// The key of the scores in the cycle's state.
const SCORES: &str = "PodTopologySpread scores";
const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
/// What holds for pods that say nothing themselves: label and greatest difference, as a wish.
const DEFAULTS: [(&str, i32); 2] = [(HOSTNAME, 3), (ZONE, 5)];

pub(crate) struct PodTopologySpread;

#[derive(Clone)]
struct Constraint {
    max_skew: i32,
    key: String,
    /// All of them must match.
    selectors: Vec<Selector>,
    min_domains: usize,
    honor_affinity: bool,
    honor_taints: bool,
}

impl Constraint {
    fn new(constraint: &TopologySpreadConstraint, pod: &Pod) -> Self {
        let selector = constraint.label_selector.as_ref();
        let selector = selector.map_or_else(Selector::nothing, |selector| {
            Selector::from_label_selector(selector).unwrap_or_else(|_| Selector::nothing())
        });
        let labels = pod.metadata.labels.as_ref();
        let keys = constraint.match_label_keys.iter().flatten();
        let same: BTreeMap<String, String> =
            keys.filter_map(|key| Some((key.clone(), labels?.get(key)?.clone()))).collect();
        Self {
            max_skew: constraint.max_skew,
            key: constraint.topology_key.clone(),
            selectors: vec![selector, Selector::from_labels(&same)],
            min_domains: usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(1),
            honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    fn matches(&self, pod: &Pod) -> bool {
        self.selectors.iter().all(|selector| selector.matches_optional(pod.metadata.labels.as_ref()))
    }

    /// Whether the node counts at all.
    fn includes(&self, pod: &Pod, node: &NodeInfo) -> bool {
        let Some(node) = node.node() else { return false };
        let spec = node.spec.as_ref();
        let taints = spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
        let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
        (!self.honor_affinity || required_matches(pod, node))
            && (!self.honor_taints
                || find_untolerated(taints, tolerations, &[NO_SCHEDULE, NO_EXECUTE]).is_none())
    }

    /// How many pods of the group are on the node.
    fn count(&self, node: &NodeInfo, namespace: &str) -> i64 {
        if self.selectors.iter().all(Selector::is_empty) {
            return 0;
        }
        let counted = node.pods().filter(|other| {
            other.namespace() == namespace
                && other.pod.metadata.deletion_timestamp.is_none()
                && self.matches(&other.pod)
        });
        i64::try_from(counted.count()).unwrap_or(i64::MAX)
    }
}

/// The pod's constraints of one kind: `DoNotSchedule` or `ScheduleAnyway`.
fn constraints(pod: &Pod, action: &str) -> Vec<Constraint> {
    let all = pod.spec.iter().flat_map(|spec| spec.topology_spread_constraints.iter().flatten());
    all.filter(|c| c.when_unsatisfiable == action).map(|c| Constraint::new(c, pod)).collect()
}

fn has_constraints(pod: &Pod) -> bool {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.topology_spread_constraints.as_ref())
        .is_some_and(|all| !all.is_empty())
}

/// The wishes of pods that say nothing: the pods of the same Services and owner are spread.
// Models buildDefaultConstraints and helper.DefaultSelector.
fn default_constraints(cycle: &Cycle<'_>) -> Vec<Constraint> {
    let (pod, namespace) = (&cycle.pod.pod, cycle.pod.namespace());
    let mut labels = BTreeMap::new();
    for service in cycle.listers.services.list(namespace) {
        let Some(selector) = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else { continue };
        if Selector::from_labels(selector).matches_optional(pod.metadata.labels.as_ref()) {
            labels.extend(selector.clone());
        }
    }
    let mut owner_selector = None;
    if let Some(owner) = controller_of(&pod.metadata) {
        match owner.kind.as_str() {
            "ReplicationController" => {
                let owner = cycle.listers.replication_controllers.get(namespace, &owner.name);
                labels.extend(owner.and_then(|o| o.spec.clone()?.selector).unwrap_or_default());
            }
            "ReplicaSet" => {
                let owner = cycle.listers.replica_sets.get(namespace, &owner.name);
                owner_selector = owner.and_then(|o| o.spec.as_ref().map(|spec| spec.selector.clone()));
            }
            "StatefulSet" => {
                let owner = cycle.listers.stateful_sets.get(namespace, &owner.name);
                owner_selector = owner.and_then(|o| o.spec.as_ref().map(|spec| spec.selector.clone()));
            }
            _ => {}
        }
    }
    let mut selectors = vec![Selector::from_labels(&labels)];
    selectors.extend(owner_selector.and_then(|selector| Selector::from_label_selector(&selector).ok()));
    if selectors.iter().all(Selector::is_empty) {
        return vec![];
    }
    let constraint = |(key, max_skew): (&str, i32)| Constraint {
        max_skew,
        key: key.to_owned(),
        selectors: selectors.clone(),
        min_domains: 1,
        honor_affinity: true,
        honor_taints: false,
    };
    DEFAULTS.into_iter().map(constraint).collect()
}

fn has_all_keys(node: &NodeInfo, constraints: &[Constraint]) -> bool {
    constraints.iter().all(|constraint| node.label(&constraint.key).is_some())
}

/// The constraints with how many pods there are by value of the label.
struct Filtered(Vec<(Constraint, BTreeMap<String, i64>)>);

struct Scored {
    constraints: Vec<(Constraint, BTreeMap<String, i64>, f64)>,
    ignored: BTreeSet<String>,
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        NAME
    }

    fn weight(&self) -> i64 {
        2
    }

    fn requeues(&self, pod: &Pod, event: &ClusterEvent) -> bool {
        let counts = |other: &Pod| {
            other.metadata.namespace == pod.metadata.namespace
                && constraints(pod, "DoNotSchedule").iter().any(|constraint| constraint.matches(other))
        };
        match event {
            ClusterEvent::PodAssigned(other) | ClusterEvent::PodDeleted(other) => counts(other),
            ClusterEvent::PodUpdated(old, new) => {
                counts(old) != counts(new)
                    || (old.metadata.deletion_timestamp.is_none()
                        != new.metadata.deletion_timestamp.is_none()
                        && counts(new))
            }
            ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::NodeUpdated(old, new) => {
                let taints = |node: &k8s_openapi::api::core::v1::Node| {
                    node.spec.as_ref().and_then(|s| s.taints.clone())
                };
                old.metadata.labels != new.metadata.labels || taints(old) != taints(new)
            }
            _ => false,
        }
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, state: &mut CycleState) -> PreFilter {
        let pod = &cycle.pod.pod;
        let constraints = constraints(pod, "DoNotSchedule");
        if constraints.is_empty() {
            return PreFilter::Skip;
        }
        let mut counted: Vec<_> = constraints.iter().map(|c| (c.clone(), BTreeMap::new())).collect();
        for node in cycle.snapshot.nodes.iter().filter(|node| has_all_keys(node, &constraints)) {
            for (constraint, counts) in counted.iter_mut().filter(|(c, _)| c.includes(pod, node)) {
                let value = node.label(&constraint.key).unwrap_or_default().to_owned();
                *counts.entry(value).or_insert(0) += constraint.count(node, cycle.pod.namespace());
            }
        }
        state.write(NAME, Filtered(counted));
        PreFilter::All
    }

    fn filter(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let Filtered(constraints) = state.read(NAME)?;
        for (constraint, counts) in constraints {
            let Some(value) = node.label(&constraint.key) else {
                let text = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Some(Refusal::unresolvable(text));
            };
            let enough = counts.len() >= constraint.min_domains;
            // Without a single domain the smallest number is unbounded, and every node will do.
            let least =
                if enough { counts.values().copied().min().unwrap_or(i64::from(i32::MAX)) } else { 0 };
            let itself = i64::from(constraint.matches(&cycle.pod.pod));
            let skew = counts.get(value).copied().unwrap_or(0) + itself - least;
            if skew > i64::from(constraint.max_skew) {
                return Some(Refusal::unschedulable("node(s) didn't match pod topology spread constraints"));
            }
        }
        None
    }

    fn pre_score(&self, cycle: &Cycle<'_>, state: &mut CycleState, nodes: &[Arc<NodeInfo>]) -> bool {
        let pod = &cycle.pod.pod;
        let strict = has_constraints(pod);
        let constraints =
            if strict { constraints(pod, "ScheduleAnyway") } else { default_constraints(cycle) };
        if constraints.is_empty() {
            return false;
        }
        let ignored: BTreeSet<String> = nodes
            .iter()
            .filter(|node| strict && !has_all_keys(node, &constraints))
            .map(|node| node.name().to_owned())
            .collect();
        let mut scored = vec![];
        for constraint in &constraints {
            let mut counts: BTreeMap<String, i64> = BTreeMap::new();
            let domains = if constraint.key == HOSTNAME {
                nodes.len() - ignored.len()
            } else {
                let left = nodes.iter().filter(|node| !ignored.contains(node.name()));
                counts
                    .extend(left.map(|node| (node.label(&constraint.key).unwrap_or_default().to_owned(), 0)));
                counts.len()
            };
            for node in cycle.snapshot.nodes.iter().filter(|node| !strict || has_all_keys(node, &constraints))
            {
                let value = node.label(&constraint.key).unwrap_or_default();
                if let Some(count) = counts.get_mut(value).filter(|_| constraint.includes(pod, node)) {
                    *count += constraint.count(node, cycle.pod.namespace());
                }
            }
            scored.push((constraint.clone(), counts, (domains as f64 + 2.0).ln()));
        }
        state.write(SCORES, Scored { constraints: scored, ignored });
        true
    }

    /// How many pods of the group are near; fewer are better.
    fn score(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> i64 {
        let Some(scored) = state.read::<Scored>(SCORES).filter(|s| !s.ignored.contains(node.name())) else {
            return 0;
        };
        let mut score = 0.0;
        for (constraint, counts, weight) in &scored.constraints {
            let Some(value) = node.label(&constraint.key) else { continue };
            let count = match constraint.key.as_str() {
                HOSTNAME => constraint.count(node, cycle.pod.namespace()),
                _ => counts.get(value).copied().unwrap_or(0),
            };
            score += count as f64 * weight + f64::from(constraint.max_skew - 1);
        }
        // Counts of pods are small.
        score.round() as i64
    }

    fn normalize(&self, _cycle: &Cycle<'_>, state: &CycleState, nodes: &[Arc<NodeInfo>], scores: &mut [i64]) {
        let Some(scored) = state.read::<Scored>(SCORES) else { return };
        let is_ignored = |i: usize| scored.ignored.contains(nodes[i].name());
        let counted: Vec<i64> = (0..scores.len()).filter(|&i| !is_ignored(i)).map(|i| scores[i]).collect();
        let (least, most) =
            (counted.iter().copied().min().unwrap_or(0), counted.iter().copied().max().unwrap_or(0));
        for (i, score) in scores.iter_mut().enumerate() {
            *score = match (is_ignored(i), most) {
                (true, _) => 0,
                (false, 0) => MAX_SCORE,
                (false, _) => MAX_SCORE * (most + least - *score) / most,
            };
        }
    }
}
