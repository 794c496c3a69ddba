//! The scheduling framework: the extension points, what passes between them, and the order in which plugins run.
//!
//! A plugin implements the points that it has something to say at; every other one has a default body. Plugins look at a
//! [`Cycle`] and never change anything: binding and evicting are done by the scheduler.
// Models pkg/scheduler/framework and k8s.io/kube-scheduler/framework.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};

use super::assumed::VolumePlan;
use super::cache::Snapshot;
use super::info::{NodeInfo, PodInfo};
use super::listers::Listers;

/// The highest score of a plugin for a node, after normalising.
pub const MAX_SCORE: i64 = 100;

/// One attempt to place one pod: what plugins look at.
#[derive(Clone, Copy)]
pub struct Cycle<'a> {
    /// The pod.
    pub pod: &'a PodInfo,
    /// The nodes.
    pub snapshot: &'a Snapshot,
    /// The other kinds.
    pub listers: &'a Listers,
}

/// What a plugin found out at one point and wants at the next, by the plugin's name.
#[derive(Default)]
pub struct CycleState(BTreeMap<&'static str, Box<dyn Any + Send + Sync>>);

impl CycleState {
    /// Keeps something.
    pub fn write<T: Any + Send + Sync>(&mut self, key: &'static str, value: T) {
        self.0.insert(key, Box::new(value));
    }

    /// What was kept.
    pub fn read<T: Any>(&self, key: &'static str) -> Option<&T> {
        self.0.get(key)?.downcast_ref()
    }
}

/// How a rejection can be helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Fewer pods on the node would help.
    Unschedulable,
    /// Nothing that the scheduler can do would help.
    Unresolvable,
}

/// Why a plugin refuses a pod, or a node for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How it can be helped.
    pub rejection: Rejection,
    /// The reasons, in Kubernetes' words.
    pub reasons: Vec<String>,
}

impl Refusal {
    /// Fewer pods would help.
    pub fn unschedulable(reason: impl Into<String>) -> Self {
        Self { rejection: Rejection::Unschedulable, reasons: vec![reason.into()] }
    }

    /// Nothing would help.
    pub fn unresolvable(reason: impl Into<String>) -> Self {
        Self { rejection: Rejection::Unresolvable, reasons: vec![reason.into()] }
    }
}

/// What comes of looking at the pod alone.
#[derive(Debug)]
pub enum PreFilter {
    /// Every node is worth a look.
    All,
    /// Only these nodes are.
    Nodes(BTreeSet<String>),
    /// The plugin has no wish about this pod; its filter is not asked.
    Skip,
    /// No node will do.
    Refused(Refusal),
}

/// Something that happened in the cluster and may help a pod that found no place.
#[derive(Clone, Debug)]
pub enum ClusterEvent {
    /// A node came.
    NodeAdded(Arc<Node>),
    /// A node changed: before, after.
    NodeUpdated(Arc<Node>, Arc<Node>),
    /// A pod was assigned to a node.
    PodAssigned(Arc<Pod>),
    /// A pod on a node changed: before, after.
    PodUpdated(Arc<Pod>, Arc<Pod>),
    /// A pod on a node went, or came to its end.
    PodDeleted(Arc<Pod>),
    /// A claim came, or changed.
    Claim(Arc<PersistentVolumeClaim>),
    /// A volume or a storage class came, or changed.
    Storage,
    /// A namespace's labels changed.
    Namespace,
}

/// A plugin of the scheduler.
pub trait Plugin: Send + Sync {
    /// Its name, like `NodeAffinity`.
    fn name(&self) -> &'static str;

    /// How much its scores weigh.
    fn weight(&self) -> i64 {
        1
    }

    /// Before the pod is queued: a refusal keeps it out until it changes.
    fn pre_enqueue(&self, _pod: &Pod) -> Option<Refusal> {
        None
    }

    /// Whether what happened may make the plugin change its mind about a pod that it has refused.
    fn requeues(&self, _pod: &Pod, _event: &ClusterEvent) -> bool {
        false
    }

    /// Looks at the pod alone, once a cycle.
    fn pre_filter(&self, _cycle: &Cycle<'_>, _state: &mut CycleState) -> PreFilter {
        PreFilter::All
    }

    /// Whether the pod may be on the node.
    fn filter(&self, _cycle: &Cycle<'_>, _state: &CycleState, _node: &NodeInfo) -> Option<Refusal> {
        None
    }

    /// When no node is left: what can be done about it, or why nothing can.
    fn post_filter(&self, _framework: &Framework, _cycle: &Cycle<'_>, _failure: &Failure) -> PostFilter {
        PostFilter::Nothing
    }

    /// The pod goes to that node: what has to be written before it can.
    fn reserve(&self, _cycle: &Cycle<'_>, _state: &CycleState, _node: &NodeInfo) -> Option<VolumePlan> {
        None
    }

    /// Looks at the nodes that are left, once a cycle. `false`: the plugin does not score them.
    fn pre_score(&self, _cycle: &Cycle<'_>, _state: &mut CycleState, _nodes: &[Arc<NodeInfo>]) -> bool {
        false
    }

    /// How well the node suits; the higher the better unless [`Plugin::normalize`] turns it round.
    fn score(&self, _cycle: &Cycle<'_>, _state: &CycleState, _node: &NodeInfo) -> i64 {
        0
    }

    /// Brings the scores of all nodes into 0..=100.
    fn normalize(
        &self,
        _cycle: &Cycle<'_>,
        _state: &CycleState,
        _nodes: &[Arc<NodeInfo>],
        _scores: &mut [i64],
    ) {
    }
}

/// How a filter round ended without a node.
#[derive(Debug, Default)]
pub struct Failure {
    /// Why each node was refused, and by which plugin.
    pub refusals: BTreeMap<String, (&'static str, Refusal)>,
    /// Why the nodes that nobody looked at do not count.
    pub absent: Option<Refusal>,
    /// The refusal of the pod as such, before any node was looked at.
    pub pre_filter: Option<Refusal>,
    /// The plugins that had looked at the pod before one refused it.
    pub looked: BTreeSet<&'static str>,
    /// The plugins that refused something: what they wait for may help.
    pub rejectors: BTreeSet<&'static str>,
}

/// What a post-filter plugin says.
#[derive(Debug)]
pub enum PostFilter {
    /// It has no say.
    Nothing,
    /// It could not help; the text goes into the message.
    Unschedulable(String),
    /// Something is wrong; the text goes into the message and nobody else is asked.
    Error(String),
    /// Evicting these pods makes room on the node.
    Preempt {
        /// The node.
        node: String,
        /// The pods to evict.
        victims: Vec<Arc<PodInfo>>,
    },
}

/// The plugins in the order of the default profile.
pub struct Framework {
    plugins: Vec<Box<dyn Plugin>>,
}

/// What came of the pre-filters.
#[derive(Debug)]
pub struct PreFiltered {
    /// The nodes worth a look; `None` for all.
    pub nodes: Option<BTreeSet<String>>,
    /// The plugins whose filters are not asked.
    pub skip: BTreeSet<&'static str>,
    /// The plugins that left nodes out.
    pub narrowed_by: BTreeSet<&'static str>,
}

/// A score of a node: the plugin, its score in 0..=100, and the same with the plugin's weight.
pub type PluginScore = (&'static str, i64, i64);

impl Framework {
    /// With these plugins, in this order.
    pub fn new(plugins: Vec<Box<dyn Plugin>>) -> Self {
        Self { plugins }
    }

    /// The first refusal to queue the pod.
    pub fn pre_enqueue(&self, pod: &Pod) -> Option<(&'static str, Refusal)> {
        self.plugins.iter().find_map(|plugin| Some((plugin.name(), plugin.pre_enqueue(pod)?)))
    }

    /// Whether one of the plugins that refused the pod wants it tried again.
    pub fn requeues(&self, rejectors: &BTreeSet<&'static str>, pod: &Pod, event: &ClusterEvent) -> bool {
        self.plugins.iter().any(|plugin| rejectors.contains(plugin.name()) && plugin.requeues(pod, event))
    }

    /// Runs the pre-filters. The failure says who refused.
    pub fn pre_filter(&self, cycle: &Cycle<'_>, state: &mut CycleState) -> Result<PreFiltered, Failure> {
        let mut result = PreFiltered { nodes: None, skip: BTreeSet::new(), narrowed_by: BTreeSet::new() };
        let mut failure = Failure::default();
        for plugin in &self.plugins {
            match plugin.pre_filter(cycle, state) {
                PreFilter::All => {}
                PreFilter::Skip => drop(result.skip.insert(plugin.name())),
                PreFilter::Nodes(names) => {
                    result.narrowed_by.insert(plugin.name());
                    result.nodes = Some(match result.nodes.take() {
                        None => names,
                        Some(before) => before.intersection(&names).cloned().collect(),
                    });
                }
                PreFilter::Refused(refusal) => {
                    failure.rejectors.insert(plugin.name());
                    failure.pre_filter = Some(refusal);
                    return Err(failure);
                }
            }
            failure.looked.insert(plugin.name());
        }
        Ok(result)
    }

    /// Asks the filters about a node. If pods of the same or a higher priority wait for it, it must do with them, too.
    pub fn filter(
        &self,
        cycle: &Cycle<'_>,
        state: &CycleState,
        skip: &BTreeSet<&'static str>,
        node: &Arc<NodeInfo>,
    ) -> Option<(&'static str, Refusal)> {
        let waiting = cycle.snapshot.nominated.get(node.name()).into_iter().flatten();
        let rivals: Vec<_> = waiting
            .filter(|other| other.uid() != cycle.pod.uid() && other.priority() >= cycle.pod.priority())
            .cloned()
            .collect();
        if !rivals.is_empty() {
            let mut crowded = NodeInfo::clone(node);
            rivals.into_iter().for_each(|pod| crowded.add_pod(pod));
            if let Some(refusal) = self.filter_node(cycle, state, skip, &crowded) {
                return Some(refusal);
            }
        }
        self.filter_node(cycle, state, skip, node)
    }

    fn filter_node(
        &self,
        cycle: &Cycle<'_>,
        state: &CycleState,
        skip: &BTreeSet<&'static str>,
        node: &NodeInfo,
    ) -> Option<(&'static str, Refusal)> {
        let asked = self.plugins.iter().filter(|plugin| !skip.contains(plugin.name()));
        asked.into_iter().find_map(|plugin| Some((plugin.name(), plugin.filter(cycle, state, node)?)))
    }

    /// Asks who can help. The text is what all who could not had to say.
    pub fn post_filter(&self, cycle: &Cycle<'_>, failure: &Failure) -> (Option<PostFilter>, String) {
        let mut reasons = vec![];
        for plugin in &self.plugins {
            match plugin.post_filter(self, cycle, failure) {
                PostFilter::Nothing => {}
                PostFilter::Unschedulable(text) => reasons.push(text),
                PostFilter::Error(text) => return (None, text),
                help @ PostFilter::Preempt { .. } => return (Some(help), String::new()),
            }
        }
        (None, reasons.join(", "))
    }

    /// What has to be written before the pod can go to the node.
    pub fn reserve(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> VolumePlan {
        self.plugins.iter().find_map(|plugin| plugin.reserve(cycle, state, node)).unwrap_or_default()
    }

    /// The scores of the nodes, in their order, plugin by plugin.
    pub fn score(
        &self,
        cycle: &Cycle<'_>,
        state: &mut CycleState,
        nodes: &[Arc<NodeInfo>],
    ) -> Vec<Vec<PluginScore>> {
        let mut all: Vec<Vec<PluginScore>> = vec![vec![]; nodes.len()];
        for plugin in &self.plugins {
            if !plugin.pre_score(cycle, state, nodes) {
                continue;
            }
            let mut scores: Vec<i64> = nodes.iter().map(|node| plugin.score(cycle, state, node)).collect();
            plugin.normalize(cycle, state, nodes, &mut scores);
            for (of_node, score) in all.iter_mut().zip(scores) {
                of_node.push((plugin.name(), score, score * plugin.weight()));
            }
        }
        all
    }
}

/// Brings scores into 0..=100 by the highest; `reverse` when less is better.
// Models pkg/scheduler/framework/plugins/helper (DefaultNormalizeScore).
pub fn normalize_by_highest(scores: &mut [i64], order: Order) {
    let highest = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        let share = if highest == 0 { 0 } else { MAX_SCORE * *score / highest };
        *score = if order == Order::LessIsBetter { MAX_SCORE - share } else { share };
    }
}

/// Which scores are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The high ones.
    MoreIsBetter,
    /// The low ones.
    LessIsBetter,
}
