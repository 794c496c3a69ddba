//! One attempt to place one pod: a pure function from a snapshot to an [`Outcome`]. Only ties are left to chance.
// Models pkg/scheduler/schedule_one.go (schedulePod).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::assumed::VolumePlan;
use super::cache::Snapshot;
use super::decision::Decision;
use super::framework::{Cycle, CycleState, Failure, Framework, PostFilter, PreFiltered, Refusal};
use super::info::{NodeInfo, PodInfo};
use super::listers::Listers;
use super::message::fit_error;
use crate::seed::Seed;

/// Up to so many nodes, all are looked at.
const MIN_FEASIBLE_NODES: usize = 100;
/// The least share of nodes that is looked at, in percent.
const MIN_PERCENTAGE: usize = 5;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The node to bind to, and what has to be written before.
    Bind(Arc<NodeInfo>, VolumePlan),
    /// There is no place.
    Unschedulable {
        /// What the pod is told.
        message: String,
        /// The plugins that refused: what they wait for may help. None: anything may.
        rejectors: BTreeSet<&'static str>,
        /// Room that can be made: on which node, and by evicting whom.
        preempt: Option<(String, Vec<Arc<PodInfo>>)>,
    },
}

/// Decides where a pod goes. `start` is where the look at the nodes begins; it moves on with each pod, so that in a large
/// cluster every node gets its turn.
pub(crate) fn schedule(
    framework: &Framework,
    snapshot: &Snapshot,
    listers: &Listers,
    pod: &PodInfo,
    chance: (&Seed, &mut usize),
    now: Timestamp,
) -> (Outcome, Decision) {
    let mut decision = Decision {
        pod: (pod.namespace().to_owned(), pod.name().to_owned()),
        uid: pod.uid().to_owned(),
        time: now,
        feasible: vec![],
        rejected: vec![],
        scores: vec![],
        chosen: None,
        message: None,
    };
    let outcome = if snapshot.nodes.is_empty() {
        let message = "no nodes available to schedule pods".to_owned();
        Outcome::Unschedulable { message, rejectors: BTreeSet::new(), preempt: None }
    } else {
        let cycle = Cycle { pod, snapshot, listers };
        let mut state = CycleState::default();
        match find_nodes(framework, &cycle, &mut state, chance.1, &mut decision) {
            Ok(nodes) => {
                let node = choose(framework, &cycle, &mut state, &nodes, chance.0, &mut decision);
                let plan = framework.reserve(&cycle, &state, &node);
                Outcome::Bind(node, plan)
            }
            Err(failure) => help(framework, &cycle, failure),
        }
    };
    match &outcome {
        Outcome::Bind(node, _) => decision.chosen = Some(node.name().to_owned()),
        Outcome::Unschedulable { message, .. } => decision.message = Some(message.clone()),
    }
    (outcome, decision)
}

/// The nodes that would do.
// Models findNodesThatFitPod.
fn find_nodes(
    framework: &Framework,
    cycle: &Cycle<'_>,
    state: &mut CycleState,
    start: &mut usize,
    decision: &mut Decision,
) -> Result<Vec<Arc<NodeInfo>>, Failure> {
    let filtered = framework.pre_filter(cycle, state)?;
    let mut failure = Failure::default();
    if let Some(node) = nominated(cycle)
        && framework.filter(cycle, state, &filtered.skip, &node).is_none()
    {
        decision.feasible.push(node.name().to_owned());
        return Ok(vec![node]);
    }
    let nodes = worth_a_look(cycle, &filtered, &mut failure);
    let wanted = nodes_to_find(nodes.len());
    let mut found = vec![];
    for i in 0..nodes.len() {
        if found.len() == wanted {
            break;
        }
        let node = &nodes[(*start + i) % nodes.len()];
        match framework.filter(cycle, state, &filtered.skip, node) {
            None => found.push(node.clone()),
            Some((plugin, refusal)) => {
                let name = node.name().to_owned();
                decision.rejected.push((name.clone(), plugin.to_owned(), refusal.reasons.join(", ")));
                failure.rejectors.insert(plugin);
                failure.refusals.insert(name, (plugin, refusal));
            }
        }
    }
    *start = (*start + found.len() + failure.refusals.len()) % cycle.snapshot.nodes.len();
    if found.is_empty() {
        return Err(failure);
    }
    decision.feasible = found.iter().map(|node| node.name().to_owned()).collect();
    Ok(found)
}

/// The node that others were evicted from for the pod.
fn nominated(cycle: &Cycle<'_>) -> Option<Arc<NodeInfo>> {
    let name =
        cycle.pod.pod.status.as_ref()?.nominated_node_name.as_deref().filter(|name| !name.is_empty())?;
    cycle.snapshot.get(name).cloned()
}

fn worth_a_look(cycle: &Cycle<'_>, filtered: &PreFiltered, failure: &mut Failure) -> Vec<Arc<NodeInfo>> {
    let Some(names) = &filtered.nodes else { return cycle.snapshot.nodes.clone() };
    let plugins: Vec<&str> = filtered.narrowed_by.iter().copied().collect();
    let text = format!("node(s) didn't satisfy plugin(s) [{}]", plugins.join(" "));
    failure.absent = Some(Refusal::unresolvable(text));
    failure.rejectors.extend(&filtered.narrowed_by);
    cycle.snapshot.nodes.iter().filter(|node| names.contains(node.name())).cloned().collect()
}

/// How many nodes are enough to choose among.
// Models numFeasibleNodesToFind with percentageOfNodesToScore 0.
fn nodes_to_find(all: usize) -> usize {
    if all < MIN_FEASIBLE_NODES {
        return all;
    }
    let percentage = 50_usize.saturating_sub(all / 125).max(MIN_PERCENTAGE);
    (all * percentage / 100).max(MIN_FEASIBLE_NODES)
}

/// The node with the highest score; chance decides between equals.
fn choose(
    framework: &Framework,
    cycle: &Cycle<'_>,
    state: &mut CycleState,
    nodes: &[Arc<NodeInfo>],
    seed: &Seed,
    decision: &mut Decision,
) -> Arc<NodeInfo> {
    if let [only] = nodes {
        return only.clone();
    }
    let scores = framework.score(cycle, state, nodes);
    let mut totals = vec![];
    for (node, scores) in nodes.iter().zip(&scores) {
        totals.push(scores.iter().map(|(_, _, weighted)| weighted).sum::<i64>());
        let named = |(plugin, raw, weighted): &(&'static str, i64, i64)| {
            (node.name().to_owned(), (*plugin).to_owned(), *raw, *weighted)
        };
        decision.scores.extend(scores.iter().map(named));
    }
    let best = totals.iter().copied().max().unwrap_or(0);
    let mut equals: Vec<&Arc<NodeInfo>> =
        nodes.iter().zip(&totals).filter(|(_, total)| **total == best).map(|(node, _)| node).collect();
    // By name, so that where the look began makes no difference.
    equals.sort_unstable_by_key(|node| node.name());
    let draw = if equals.len() == 1 { 0 } else { seed.below(equals.len() as u64) };
    equals[usize::try_from(draw).unwrap_or(0)].clone()
}

fn help(framework: &Framework, cycle: &Cycle<'_>, failure: Failure) -> Outcome {
    let (help, text) = framework.post_filter(cycle, &failure);
    let message = fit_error(cycle.snapshot.nodes.len(), &failure, &text);
    let preempt = match help {
        Some(PostFilter::Preempt { node, victims }) => Some((node, victims)),
        _ => None,
    };
    Outcome::Unschedulable { message, rejectors: failure.rejectors, preempt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use crate::scheduler::cache::Cache;
    use crate::scheduler::plugins::default_profile;
    use serde_json::{Value, json};

    /// Nodes `n1`, `n2` and so on of 4 cores and 4Gi, in zones `a` and `b` by turns, changed by `changes`.
    fn nodes(changes: &[Value]) -> Cache {
        let mut cache = Cache::default();
        for (i, change) in changes.iter().enumerate() {
            let name = format!("n{}", i + 1);
            let zone = if i % 2 == 0 { "a" } else { "b" };
            let mut node = json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}},
                "spec": {},
                "status": {"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "110"}},
            });
            json_patch::merge(&mut node, change);
            cache.set_node(Arc::new(serde_json::from_value(node).unwrap()));
        }
        cache
    }

    fn pod(name: &str, spec: Value) -> Arc<PodInfo> {
        let mut pod = json!({
            "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c"}]},
        });
        json_patch::merge(&mut pod, &json!({"spec": spec}));
        Arc::new(PodInfo::new(Arc::new(serde_json::from_value(pod).unwrap())))
    }

    fn cpu(amount: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount}}}]})
    }

    fn attempt(cache: &Cache, pod: &PodInfo) -> (Outcome, Decision) {
        attempt_with(cache, &Listers::default(), pod)
    }

    fn attempt_with(cache: &Cache, listers: &Listers, pod: &PodInfo) -> (Outcome, Decision) {
        let (framework, chance) = (Framework::new(default_profile()), (&Seed::new(1), &mut 0));
        schedule(&framework, &cache.snapshot(), listers, pod, chance, VIRTUAL_START)
    }

    fn place(cache: &Cache, pod: &PodInfo) -> String {
        match attempt(cache, pod).0 {
            Outcome::Bind(node, _) => node.name().to_owned(),
            Outcome::Unschedulable { message, .. } => message,
        }
    }

    #[track_caller]
    fn check(nodes_changed: &[Value], spec: Value, expected: &str) {
        assert_eq!(place(&nodes(nodes_changed), &pod("p", spec)), expected);
    }

    #[test]
    fn a_pod_without_a_place_is_told_why_in_kubernetes_words() {
        let none = Value::Null;
        let plain = || json!({});
        let tainted = || json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}});
        let cordoned = || json!({"spec": {"unschedulable": true}});
        check(
            &[plain()],
            cpu("5"),
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: \
             1 Preemption is not helpful for scheduling.",
        );
        check(
            &[plain(), plain(), plain()],
            json!({"nodeSelector": {"disk": "ssd"}}),
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, \
             preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        );
        check(
            &[cordoned(), tainted(), tainted()],
            none,
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s). no new claims to \
             deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        );
        check(
            &[plain()],
            json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "not-there"}}]}),
            "0/1 nodes are available: persistentvolumeclaim \"not-there\" not found. not found",
        );
        check(&[], json!({}), "no nodes available to schedule pods");
    }

    #[test]
    fn a_claim_that_waits_gets_a_volume_of_the_node_or_has_one_made() {
        let claim = |name: &str, class: &str| {
            json!({"metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "5"},
            "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Pending"}})
        };
        let volume = json!({"metadata": {"name": "shelf", "resourceVersion": "5"}, "status": {"phase": "Available"},
            "spec": {"storageClassName": "local", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions":
                    [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n2"]}]}]}}}});
        let class = |name: &str, provisioner: &str| {
            json!({"metadata": {"name": name}, "provisioner": provisioner,
            "volumeBindingMode": "WaitForFirstConsumer"})
        };
        fn all<K: serde::de::DeserializeOwned>(values: &[Value]) -> crate::scheduler::listers::Source<K> {
            let read = |value: &Value| Arc::new(serde_json::from_value(value.clone()).unwrap());
            crate::scheduler::listers::Source::Fixed(values.iter().map(read).collect())
        }
        let listers = Listers {
            claims: all(&[claim("static", "local"), claim("late", "local"), claim("made", "dynamic")]),
            volumes: all(&[volume]),
            storage_classes: all(&[
                class("local", "kubernetes.io/no-provisioner"),
                class("dynamic", "disks.example.test"),
            ]),
            ..Listers::default()
        };
        let cache = nodes(&[json!({}), json!({})]);
        let using = |claim: &str| {
            pod(claim, json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}))
        };
        let Outcome::Bind(node, plan) = attempt_with(&cache, &listers, &using("static")).0 else {
            panic!("it fits")
        };
        assert_eq!((node.name(), plan.volumes.len(), plan.claims.len()), ("n2", 1, 0));
        listers.assumed.assume(&plan);
        let Outcome::Unschedulable { message, .. } = attempt_with(&cache, &listers, &using("late")).0 else {
            panic!("it is taken")
        };
        assert!(
            message.starts_with(
                "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."
            ),
            "{message}"
        );
        listers.assumed.forget(&plan);
        assert!(matches!(attempt_with(&cache, &listers, &using("late")).0, Outcome::Bind(..)));
        let Outcome::Bind(node, plan) = attempt_with(&cache, &listers, &using("made")).0 else {
            panic!("it is made")
        };
        let chosen =
            &plan.claims[0].metadata.annotations.as_ref().unwrap()["volume.kubernetes.io/selected-node"];
        assert_eq!(chosen, node.name());
        assert_eq!(
            place(&cache, &using("nowhere")),
            "0/2 nodes are available: persistentvolumeclaim \"nowhere\" not found. not found"
        );
    }

    #[test]
    fn a_full_node_has_no_victims_of_the_same_priority() {
        let mut cache = nodes(&[json!({})]);
        cache.assume(pod("a", cpu("3")), "n1");
        assert_eq!(
            place(&cache, &pod("b", cpu("2"))),
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: \
             1 No preemption victims found for incoming pod."
        );
    }

    #[test]
    fn the_more_important_pod_evicts_as_few_as_it_can() {
        let mut cache = nodes(&[json!({}), json!({})]);
        for (name, amount, node) in [("a", "1", "n1"), ("b", "3", "n1"), ("c", "2", "n2"), ("d", "2", "n2")] {
            cache.assume(pod(name, cpu(amount)), node);
        }
        let mut spec = cpu("3");
        spec["priority"] = json!(100);
        let Outcome::Unschedulable { preempt: Some((node, victims)), .. } =
            attempt(&cache, &pod("boss", spec)).0
        else {
            panic!("must preempt");
        };
        let names: Vec<&str> = victims.iter().map(|pod| pod.name()).collect();
        assert_eq!((node.as_str(), names), ("n1", vec!["b"]));
    }

    #[test]
    fn pods_go_where_more_is_left() {
        let mut cache = nodes(&[json!({}), json!({})]);
        cache.assume(pod("a", cpu("2")), "n1");
        let (outcome, decision) = attempt(&cache, &pod("b", cpu("1")));
        assert!(matches!(outcome, Outcome::Bind(node, _) if node.name() == "n2"));
        let fit = |node: &str| {
            let found =
                decision.scores.iter().find(|(n, plugin, ..)| n == node && plugin == "NodeResourcesFit");
            found.map(|(_, _, raw, weighted)| (*raw, *weighted))
        };
        // cpu 1/4 left of n1 and 3/4 of n2; memory 3896Mi and 3696Mi of 4096Mi less the default request.
        assert_eq!((fit("n1"), fit("n2")), (Some((57, 57)), Some((85, 85))));
    }

    #[test]
    fn tolerations_taints_and_host_ports_are_heeded() {
        let taint =
            |effect: &str| json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
        let tolerant = json!({"tolerations": [{"key": "k", "operator": "Exists"}], "nodeSelector": {"kubernetes.io/hostname": "n1"}});
        check(&[taint("NoSchedule"), json!({})], tolerant, "n1");
        check(&[taint("NoSchedule"), json!({})], json!({}), "n2");
        check(&[taint("PreferNoSchedule"), json!({})], json!({}), "n2");
        let port =
            || json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
        let mut cache = nodes(&[json!({}), json!({})]);
        cache.assume(pod("a", port()), "n1");
        assert_eq!(place(&cache, &pod("b", port())), "n2");
    }

    #[test]
    fn affinity_keeps_pods_together_and_apart() {
        let term = json!({"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"});
        let required = |kind: &str| json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
        let mut cache = nodes(&[json!({}), json!({})]);
        cache.assume(pod("a", json!({})), "n2");
        assert_eq!(place(&cache, &pod("near", required("podAffinity"))), "n2");
        assert_eq!(place(&cache, &pod("apart", required("podAntiAffinity"))), "n1");
        cache.assume(pod("b", required("podAntiAffinity")), "n1");
        let told = place(&cache, &pod("c", required("podAntiAffinity")));
        assert!(
            told.starts_with("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."),
            "{told}"
        );
        assert_eq!(place(&cache, &pod("d", json!({}))), "n2", "n1's pod does not want it");
    }

    #[test]
    fn spreading_counts_pods_by_zone() {
        let spread = json!({"topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }]});
        let mut cache = nodes(&[json!({}), json!({})]);
        cache.assume(pod("a", spread.clone()), "n1");
        assert_eq!(place(&cache, &pod("b", spread.clone())), "n2");
        cache.set_node(Arc::new(serde_json::from_value(json!({"metadata": {"name": "n3"}, "status": {"allocatable": {"cpu": "4", "memory": "4Gi", "pods": "9"}}})).unwrap()));
        let mut full = spread;
        full["nodeSelector"] = json!({"kubernetes.io/hostname": "n1"});
        // Only n1's zone counts for a pod that may be nowhere else.
        assert_eq!(place(&cache, &pod("c", full)), "n1");
    }

    #[test]
    fn equals_are_drawn_by_the_seed_and_the_same_in_every_run() {
        let cache = nodes(&[json!({}), json!({}), json!({})]);
        let run = |seed| {
            let (seed, mut start) = (Seed::new(seed), 0);
            let framework = Framework::new(default_profile());
            let pick = |i: usize| {
                let pod = pod(&format!("p{i}"), json!({}));
                let chance = (&seed, &mut start);
                schedule(&framework, &cache.snapshot(), &Listers::default(), &pod, chance, VIRTUAL_START)
                    .1
                    .chosen
            };
            (0..10).map(pick).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        let first = run(1);
        assert!(first.iter().any(|node| *node != first[0]), "chance decides: {first:?}");
    }
}
