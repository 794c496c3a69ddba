//! Watches nodes and their leases, and acts on those that have fallen silent. Started from the controllers' table.
//!
//! Kubernetes looks at every node every five seconds; here each node has a timer that ends its grace period, and a sign of
//! life puts it off.
// Models pkg/controller/nodelifecycle/node_lifecycle_controller.go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::super::context::{Context, Error, Handle, Workshop, gone_is_fine, is_not_found};
use super::super::pods;
use super::super::queue::Queue;
use super::plan::{self, Execution};
use crate::clock::Clock;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Change, Informer, revision_of};

const NAME: &str = "node-lifecycle-controller";
/// Events come from a component of its own name.
const SOURCE: &str = "node-controller";
const LEASES: &str = "kube-node-lease";
/// How long a node may be silent.
const GRACE: SignedDuration = SignedDuration::from_secs(50);
/// How long a node may take to say anything at all.
const STARTUP_GRACE: SignedDuration = SignedDuration::from_secs(60);
/// How long until the next node of a zone has its pods put out.
const EVICTION_INTERVAL: SignedDuration = SignedDuration::from_secs(10);
/// From this share of unready nodes on, a zone counts as disrupted.
const UNHEALTHY_SHARE: f64 = 0.55;

struct Controller {
    client: kube::Client,
    recorder: Recorder,
    clock: Clock,
    nodes: Informer<Node>,
    pods: Informer<Pod>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When each node last gave a sign of life. Those that are here have been greeted.
    seen: BTreeMap<String, Timestamp>,
    /// When the last node of each zone had its pods put out.
    evicted: BTreeMap<String, Timestamp>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<String> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        recorder: Recorder::new(context.client(NAME), SOURCE, "", context.clock.clone()),
        clock: context.clock.clone(),
        nodes: context.informers.of(),
        pods: context.informers.of(),
        state: Mutex::default(),
    });
    let mut workshop = Workshop::new();
    let (this, wake) = (controller.clone(), queue.clone());
    workshop.on(&controller.nodes, move |change| {
        this.node_changed(change);
        let meta = &change.object().metadata;
        wake.add(meta.name.clone().unwrap_or_default(), revision_of(meta));
    });
    let this = controller.clone();
    workshop.on(&context.informers.of::<Lease>(), move |change| {
        let lease = change.object();
        let fresh = match change {
            Change::Added(_) => true,
            Change::Modified(old, new) => renewed(old) != renewed(new),
            Change::Deleted(_) => false,
        };
        if fresh && lease.metadata.namespace.as_deref() == Some(LEASES) {
            this.alive(lease.metadata.name.as_deref().unwrap_or_default());
        }
    });
    workshop.work(NAME, queue, move |name| {
        let this = controller.clone();
        async move { this.reconcile(&name).await }
    })
}

fn renewed(lease: &Lease) -> Option<Timestamp> {
    lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0)
}

fn heartbeat(node: &Node) -> Option<Timestamp> {
    plan::condition(node, "Ready")?.last_heartbeat_time.as_ref().map(|time| time.0)
}

fn zone(node: &Node) -> String {
    let labels = node.metadata.labels.as_ref();
    let label = |key: &str| labels.and_then(|map| map.get(key)).map(String::as_str).unwrap_or_default();
    format!("{}:{}", label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"))
}

impl Controller {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node gave a sign of life. One that nobody knows yet is greeted first.
    fn alive(&self, name: &str) {
        let now = self.clock.now();
        if let Some(seen) = self.state().seen.get_mut(name) {
            *seen = now;
        }
    }

    fn node_changed(&self, change: &Change<Node>) {
        if let Change::Modified(old, new) = change
            && heartbeat(old) != heartbeat(new)
        {
            self.alive(new.metadata.name.as_deref().unwrap_or_default());
        }
        if let Change::Deleted(node) = change {
            let name = node.metadata.name.as_deref().unwrap_or_default();
            if self.state().seen.remove(name).is_some() {
                self.tell(
                    node,
                    "RemovingNode",
                    &format!("Node {name} event: Removing Node {name} from Controller"),
                );
            }
        }
    }

    fn tell(&self, node: &Node, reason: &str, text: &str) {
        self.recorder.event(&reference_to(node), EventType::Normal, reason, text);
    }

    async fn reconcile(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(node) = self.nodes.get("", name) else { return Ok(None) };
        let mut node = Node::clone(&node);
        let now = self.clock.now();
        let seen = self.greet(&node, now);
        let grace = if plan::ready(&node).is_some() { GRACE } else { STARTUP_GRACE };
        let deadline = seen.saturating_add(grace).unwrap_or(Timestamp::MAX);
        if now > deadline {
            node = self.silence(node, now).await?;
        }
        let (execution, turn) = self.execution(&node, now);
        if let Some(taints) = plan::taints(&node, execution, now) {
            let patch = json!({"metadata": {"resourceVersion": node.metadata.resource_version}, "spec": {"taints": taints}});
            let api: Api<Node> = Api::all(self.client.clone());
            gone_is_fine(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await)?;
        }
        self.label(&node).await?;
        // Just behind the deadline, and when it is the node's turn.
        let left = (deadline > now).then(|| deadline.duration_since(now) + SignedDuration::from_millis(1));
        let next = [left, turn].into_iter().flatten().min();
        Ok(next.and_then(|left| Duration::try_from(left).ok()))
    }

    /// When the node last gave a sign of life; a node that is new is made known.
    fn greet(&self, node: &Node, now: Timestamp) -> Timestamp {
        let name = node.metadata.name.clone().unwrap_or_default();
        if let Some(seen) = self.state().seen.get(&name) {
            return *seen;
        }
        self.tell(
            node,
            "RegisteredNode",
            &format!("Node {name} event: Registered Node {name} in Controller"),
        );
        let created = node.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let seen = if plan::ready(node).is_some() { now } else { created };
        self.state().seen.insert(name, seen);
        seen
    }

    /// Says that nobody knows how the node is, and that its pods are not ready.
    async fn silence(&self, node: Node, now: Timestamp) -> Result<Node, Error> {
        let Some(silenced) = plan::silenced(&node, now) else { return Ok(node) };
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let api: Api<Node> = Api::all(self.client.clone());
        let was_ready = plan::ready(&node) == Some("True");
        let node = api.replace_status(name, &PostParams::default(), &silenced).await?;
        if was_ready {
            self.tell(&node, "NodeNotReady", &format!("Node {name} status is now: NodeNotReady"));
            self.mark_pods_not_ready(name, now).await?;
        }
        Ok(node)
    }

    // Models pkg/controller/util/node (MarkPodsNotReady).
    async fn mark_pods_not_ready(&self, node: &str, now: Timestamp) -> Result<(), Error> {
        for pod in self.pods.list() {
            let here = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
            let Some(mut condition) = pods::condition(&pod, "Ready").filter(|_| here).cloned() else {
                continue;
            };
            if condition.status == "False" {
                continue;
            }
            condition.status = "False".to_owned();
            condition.last_transition_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
            condition.observed_generation = pod.metadata.generation;
            let api: Api<Pod> =
                Api::namespaced(self.client.clone(), pod.metadata.namespace.as_deref().unwrap_or_default());
            let patch = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            match api.patch_status(name, &PatchParams::default(), &patch).await {
                Err(error) if is_not_found(&error) => continue,
                other => other?,
            };
            self.recorder.event(
                &reference_to(&*pod),
                EventType::Warning,
                "NodeNotReady",
                "Node is not ready",
            );
        }
        Ok(())
    }

    /// Whether the node's pods may be put out now, and if not, when it is its turn. Where every node has fallen silent
    /// the fault is more likely ours, and nobody is put out.
    // Models handleDisruption and the zones' rate limits.
    fn execution(&self, node: &Node, now: Timestamp) -> (Execution, Option<SignedDuration>) {
        if plan::ready(node).is_none_or(|status| status == "True") {
            return (Execution::Stop, None);
        }
        let key = if plan::ready(node) == Some("False") { plan::NOT_READY } else { plan::UNREACHABLE };
        let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        let tainted = taints
            .into_iter()
            .any(|taint| taint.key == key && taint.effect == crate::meta::taint::NO_EXECUTE);
        let name = node.metadata.name.as_deref();
        let all = self.nodes.list();
        // The cache may not know yet what has just been written of this one.
        let is_ready =
            |other: &&Arc<Node>| other.metadata.name.as_deref() != name && plan::ready(other) == Some("True");
        if !all.iter().any(|other| is_ready(&other)) {
            return (Execution::Stop, None);
        }
        if tainted {
            return (Execution::Wait, None);
        }
        let zone = zone(node);
        let neighbours: Vec<&Arc<Node>> = all.iter().filter(|other| self::zone(other) == zone).collect();
        let unready = neighbours.iter().filter(|other| !is_ready(other)).count();
        // Shares of small numbers.
        let share = unready as f64 / neighbours.len().max(1) as f64;
        if unready > 2 && unready < neighbours.len() && share >= UNHEALTHY_SHARE {
            return (Execution::Wait, Some(EVICTION_INTERVAL));
        }
        let mut state = self.state();
        match state.evicted.get(&zone).map(|last| EVICTION_INTERVAL - now.duration_since(*last)) {
            Some(left) if left.is_positive() => (Execution::Wait, Some(left)),
            _ => {
                state.evicted.insert(zone, now);
                (Execution::Start, None)
            }
        }
    }

    /// Keeps the old names of two labels in step with the new ones.
    // Models reconcileNodeLabels.
    async fn label(&self, node: &Node) -> Result<(), Error> {
        let Some(labels) = &node.metadata.labels else { return Ok(()) };
        let names = [
            ("kubernetes.io/os", "beta.kubernetes.io/os"),
            ("kubernetes.io/arch", "beta.kubernetes.io/arch"),
        ];
        let wrong: BTreeMap<&str, &String> = names
            .into_iter()
            .filter_map(|(new, old)| Some((old, labels.get(new)?)))
            .filter(|(old, value)| labels.get(*old) != Some(*value))
            .collect();
        if !wrong.is_empty() {
            let api: Api<Node> = Api::all(self.client.clone());
            let patch = Patch::Strategic(json!({"metadata": {"labels": wrong}}));
            let name = node.metadata.name.as_deref().unwrap_or_default();
            gone_is_fine(api.patch(name, &PatchParams::default(), &patch).await)?;
        }
        Ok(())
    }
}
