//! The scheduler's task: takes in what happens to pods and nodes, tries pods one after the other, binds without waiting.
// Models pkg/scheduler/{scheduler,eventhandlers,schedule_one}.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodCondition,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, JoinSet};

use super::binding::{Assumption, Binder, Written};
use super::cache::Cache;
use super::cycle::{Outcome, schedule};
use super::decision::Decisions;
use super::framework::{ClusterEvent, Framework};
use super::info::PodInfo;
use super::listers::Listers;
use super::plugins::default_profile;
use super::queue::{Queued, SchedulingQueue};
use crate::client;
use crate::clock::Clock;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Change, Informers, revision_of};
use crate::seed::Seed;
use crate::store::Revision;

/// The name by which pods ask for this scheduler.
const NAME: &str = "default-scheduler";
/// How long an event's note may be.
const MAX_NOTE: usize = 1024;

/// A running scheduler; dropping it stops it.
#[derive(Debug)]
pub struct Scheduler {
    decisions: Decisions,
    tasks: JoinSet<()>,
}

impl Scheduler {
    /// What it decided lately, and why.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Stops it, and returns when nothing of it runs any more.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Starts the scheduler. `client` names itself `kube-scheduler`.
/// What it decides is told in `decisions`.
pub fn start(
    client: kube::Client,
    informers: &Informers,
    clock: Clock,
    seed: Seed,
    decisions: Decisions,
) -> Scheduler {
    let state = State {
        recorder: Recorder::new(client.clone(), NAME, "", clock.clone()),
        client,
        clock,
        seed,
        framework: Framework::new(default_profile()),
        listers: Arc::default(),
        cache: Cache::default(),
        queue: SchedulingQueue::default(),
        decisions: decisions.clone(),
        next_node: 0,
        writes: JoinSet::new(),
        binding: BTreeMap::new(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(state.run(informers.clone()));
    Scheduler { decisions, tasks }
}

struct State {
    client: kube::Client,
    recorder: Recorder,
    clock: Clock,
    seed: Seed,
    framework: Framework,
    listers: Arc<Listers>,
    cache: Cache,
    queue: SchedulingQueue,
    decisions: Decisions,
    /// Where the next look at the nodes begins.
    next_node: usize,
    /// Bindings and other writes under way.
    writes: JoinSet<Written>,
    /// The bindings that wait for volumes, by the pods' UIDs.
    binding: BTreeMap<String, AbortHandle>,
}

struct Feeds {
    nodes: UnboundedReceiver<Change<Node>>,
    pods: UnboundedReceiver<Change<Pod>>,
    claims: UnboundedReceiver<Change<PersistentVolumeClaim>>,
    volumes: UnboundedReceiver<Change<PersistentVolume>>,
    classes: UnboundedReceiver<Change<StorageClass>>,
    namespaces: UnboundedReceiver<Change<Namespace>>,
}

impl State {
    async fn run(mut self, informers: Informers) {
        let (nodes, pods) = (informers.of::<Node>(), informers.of::<Pod>());
        nodes.synced().await;
        pods.synced().await;
        self.listers = Arc::new(Listers::new(&self.client, &informers).await);
        let mut feeds = Feeds {
            nodes: nodes.subscribe(),
            pods: pods.subscribe(),
            claims: self.listers.claims.subscribe(),
            volumes: self.listers.volumes.subscribe(),
            classes: self.listers.storage_classes.subscribe(),
            namespaces: self.listers.namespaces.subscribe(),
        };
        loop {
            self.drain(&mut feeds);
            if let Some(queued) = self.queue.pop(self.clock.now()) {
                self.schedule_one(queued);
                // Others must get on with it, too: bindings above all.
                tokio::task::yield_now().await;
                continue;
            }
            self.wait(&mut feeds).await;
        }
    }

    /// Waits until there is something to take in or a pause is over.
    async fn wait(&mut self, feeds: &mut Feeds) {
        let wake = self.queue.next_wake();
        let clock = self.clock.clone();
        let pause = async {
            match wake {
                Some(time) => clock.sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { biased;
            Some(change) = feeds.nodes.recv() => self.node_changed(&change),
            Some(change) = feeds.pods.recv() => self.pod_changed(&change),
            Some(written) = self.writes.join_next() => self.written(written),
            Some(change) = feeds.claims.recv() => self.claim_changed(&change),
            Some(change) = feeds.volumes.recv() => if !matches!(change, Change::Deleted(_)) {
                self.react(&ClusterEvent::Storage, revision_of(&change.object().metadata));
            },
            Some(change) = feeds.classes.recv() => self.class_changed(&change),
            Some(change) = feeds.namespaces.recv() => self.react(&ClusterEvent::Namespace, revision_of(&change.object().metadata)),
            () = pause => {}
        }
    }

    /// Takes in everything that has happened, so that the next decision is made on what is known.
    fn drain(&mut self, feeds: &mut Feeds) {
        while let Ok(change) = feeds.nodes.try_recv() {
            self.node_changed(&change);
        }
        while let Ok(change) = feeds.pods.try_recv() {
            self.pod_changed(&change);
        }
        while let Some(written) = self.writes.try_join_next() {
            self.written(written);
        }
    }

    fn react(&mut self, event: &ClusterEvent, cause: Option<Revision>) {
        self.queue.react(&self.framework, event, cause, self.clock.now());
    }

    fn claim_changed(&mut self, change: &Change<PersistentVolumeClaim>) {
        if !matches!(change, Change::Deleted(_)) {
            let claim = change.object();
            self.react(&ClusterEvent::Claim(claim.clone()), revision_of(&claim.metadata));
        }
    }

    fn class_changed(&mut self, change: &Change<StorageClass>) {
        let helps = match change {
            Change::Added(_) => true,
            Change::Modified(old, new) => old.allowed_topologies != new.allowed_topologies,
            Change::Deleted(_) => false,
        };
        if helps {
            self.react(&ClusterEvent::Storage, revision_of(&change.object().metadata));
        }
    }

    fn node_changed(&mut self, change: &Change<Node>) {
        let cause = revision_of(&change.object().metadata);
        let event = match change {
            Change::Added(node) => {
                self.cache.set_node(node.clone());
                ClusterEvent::NodeAdded(node.clone())
            }
            Change::Modified(old, new) => {
                self.cache.set_node(new.clone());
                if same_for_pods(old, new) {
                    return;
                }
                ClusterEvent::NodeUpdated(old.clone(), new.clone())
            }
            Change::Deleted(node) => {
                return self.cache.remove_node(node.metadata.name.as_deref().unwrap_or_default());
            }
        };
        self.react(&event, cause);
    }

    fn pod_changed(&mut self, change: &Change<Pod>) {
        let pod = change.object();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let cause = revision_of(&pod.metadata);
        if matches!(change, Change::Deleted(_)) || is_terminal(pod) {
            self.queue.remove(&uid);
            self.cache.remove_pod(&uid);
            if let Some(binding) = self.binding.remove(&uid) {
                binding.abort();
            }
            // Room on its node, or on the one that it was waiting for.
            return self.react(&ClusterEvent::PodDeleted(pod.clone()), cause);
        }
        if node_name(pod).is_some() {
            self.queue.remove(&uid);
            self.binding.remove(&uid);
            self.cache.set_pod(Arc::new(PodInfo::new(pod.clone())));
            let event = match change {
                Change::Modified(old, new) if node_name(old).is_some() => {
                    ClusterEvent::PodUpdated(old.clone(), new.clone())
                }
                _ => ClusterEvent::PodAssigned(pod.clone()),
            };
            return self.react(&event, cause);
        }
        let ours = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or(NAME) == NAME;
        if !ours || pod.metadata.deletion_timestamp.is_some() || self.cache.is_assumed(&uid) {
            return;
        }
        let nominated =
            pod.status.as_ref().and_then(|status| status.nominated_node_name.clone()).unwrap_or_default();
        self.cache.nominate(Arc::new(PodInfo::new(pod.clone())), &nominated);
        self.queue.add(&self.framework, pod.clone(), cause, self.clock.now());
    }

    fn schedule_one(&mut self, queued: Queued) {
        let snapshot = self.cache.snapshot();
        let now = self.clock.now();
        let chance = (&self.seed, &mut self.next_node);
        let (outcome, decision) =
            schedule(&self.framework, &snapshot, &self.listers, &queued.pod, chance, now);
        self.decisions.push(decision);
        match outcome {
            Outcome::Bind(info, plan) => {
                self.cache.assume(queued.pod.clone(), info.name());
                let assumption = Assumption::new(self.listers.clone(), plan);
                let waits = !assumption.is_empty();
                let uid = queued.pod.uid().to_owned();
                let binder = Binder {
                    client: self.client.clone(),
                    recorder: self.recorder.clone(),
                    clock: self.clock.clone(),
                    listers: self.listers.clone(),
                };
                let node = info.node().cloned().unwrap_or_default();
                let binding = self.writes.spawn(binder.bind(queued, node, assumption));
                if waits {
                    self.binding.insert(uid, binding);
                }
            }
            Outcome::Unschedulable { message, rejectors, preempt } => {
                let nominated = preempt.as_ref().map(|(node, _)| node.clone()).unwrap_or_default();
                self.cache.nominate(queued.pod.clone(), &nominated);
                if let Some((node, victims)) = preempt {
                    self.preempt(&queued, &node, victims);
                }
                self.tell(&queued, "Unschedulable", &message, &nominated);
                self.queue.add_unschedulable(queued, rejectors, now);
            }
        }
    }

    /// Evicts pods so that there is room for a more important one.
    fn preempt(&mut self, queued: &Queued, node: &str, victims: Vec<Arc<PodInfo>>) {
        for victim in victims {
            let text = format!("Preempted by pod {} on node {node}", queued.pod.uid());
            let reference = reference_to(&*victim.pod);
            self.recorder.event_with_action(&reference, EventType::Normal, "Preempted", "Preempting", text);
            let eviction = evict(self.client.clone(), victim.pod.clone(), self.clock.now());
            let cause = queued.cause;
            self.writes.spawn(async move {
                client::because_of(cause, eviction).await;
                Written::Done
            });
        }
    }

    /// Tells the pod why it has no node: an event and a condition.
    // Models handleSchedulingFailure and updatePod.
    fn tell(&mut self, queued: &Queued, reason: &str, message: &str, nominated: &str) {
        let pod = &queued.pod.pod;
        let mut note = message.to_owned();
        if note.len() > MAX_NOTE {
            let end = (0..=MAX_NOTE - 4).rev().find(|&end| note.is_char_boundary(end)).unwrap_or(0);
            note.truncate(end);
            note += " ...";
        }
        let reference = reference_to(&**pod);
        self.recorder.event_with_action(
            &reference,
            EventType::Warning,
            "FailedScheduling",
            "Scheduling",
            note,
        );
        if let Some(patch) = condition_patch(pod, reason, message, nominated, self.clock.now()) {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), queued.pod.namespace());
            let (name, cause) = (queued.pod.name().to_owned(), queued.cause);
            self.writes.spawn(async move {
                let params = PatchParams::default();
                let patch = Patch::Strategic(patch);
                let written = pods.patch_status(&name, &params, &patch);
                if let Err(error) = client::because_of(cause, written).await {
                    tracing::debug!(pod = name, %error, "the condition was not written");
                }
                Written::Done
            });
        }
    }

    fn written(&mut self, written: Result<Written, tokio::task::JoinError>) {
        let Ok(Written::NotBound(queued, error)) = written else { return };
        let uid = queued.pod.uid().to_owned();
        self.binding.remove(&uid);
        if !self.cache.is_assumed(&uid) {
            // It has gone, or has a node after all.
            return;
        }
        self.cache.forget(&uid);
        self.react(&ClusterEvent::PodDeleted(queued.pod.pod.clone()), queued.cause);
        self.tell(&queued, "SchedulerError", &error, "");
        self.queue.add_failed(*queued, self.clock.now());
    }
}

fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether nothing changed that could matter to a pod; heartbeats do not.
fn same_for_pods(old: &Node, new: &Node) -> bool {
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    old.spec == new.spec && old.metadata.labels == new.metadata.labels && allocatable(old) == allocatable(new)
}

/// Marks the pod as preempted and deletes it.
async fn evict(client: kube::Client, pod: Arc<Pod>, now: jiff::Timestamp) {
    let pods: Api<Pod> = Api::namespaced(client, pod.metadata.namespace.as_deref().unwrap_or_default());
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let condition = PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("PreemptionByScheduler".to_owned()),
        message: Some(format!("{NAME}: preempting to accommodate a higher priority pod")),
        last_transition_time: Some(Time(now)),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    };
    let patch = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
    if let Err(error) = pods.patch_status(name, &PatchParams::default(), &patch).await {
        tracing::debug!(pod = name, %error, "the victim was not marked");
    }
    if let Err(error) = pods.delete(name, &DeleteParams::default()).await {
        tracing::debug!(pod = name, %error, "the victim was not deleted");
    }
}

/// The change of the pod's status, if it is one.
fn condition_patch(
    pod: &Pod,
    reason: &str,
    message: &str,
    nominated: &str,
    now: jiff::Timestamp,
) -> Option<Value> {
    let status = pod.status.as_ref();
    let old = status
        .and_then(|s| s.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled"));
    let was_nominated = status.and_then(|status| status.nominated_node_name.as_deref()).unwrap_or_default();
    let same = old.is_some_and(|old| {
        old.status == "False"
            && old.reason.as_deref() == Some(reason)
            && old.message.as_deref() == Some(message)
            && old.observed_generation == pod.metadata.generation
    });
    if same && was_nominated == nominated {
        return None;
    }
    let since = old.filter(|old| old.status == "False").and_then(|old| old.last_transition_time.clone());
    let mut status = json!({"conditions": [PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: since.or(Some(Time(now))),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    }]});
    if was_nominated != nominated {
        status["nominatedNodeName"] = if nominated.is_empty() { Value::Null } else { json!(nominated) };
    }
    Some(json!({"status": status}))
}
