//! The taint eviction controller: puts pods out of nodes with `NoExecute` taints, each when its toleration ends. Started
//! from the controllers' table.
// Models pkg/controller/tainteviction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::super::context::{Context, Error, Handle, Workshop, gone_is_fine};
use super::super::queue::Queue;
use super::plan::{Stay, stay};
use crate::clock::Clock;
use crate::events::{EventType, Recorder};
use crate::informer::{Change, Informer, ObjectKey, key_of, revision_of};

const NAME: &str = "taint-eviction-controller";

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
    /// Since when each pod's toleration runs.
    since: BTreeMap<ObjectKey, Timestamp>,
    /// The pods of each node.
    by_node: BTreeMap<String, BTreeSet<ObjectKey>>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<ObjectKey> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        recorder: context.recorder(NAME),
        clock: context.clock.clone(),
        nodes: context.informers.of(),
        pods: context.informers.of(),
        state: Mutex::default(),
    });
    let mut workshop = Workshop::new();
    let (this, wake) = (controller.clone(), queue.clone());
    workshop.on(&controller.nodes, move |change| {
        let relevant = match change {
            Change::Modified(old, new) => taints(old) != taints(new),
            Change::Added(node) => !taints(node).is_empty(),
            Change::Deleted(_) => true,
        };
        if relevant {
            let meta = &change.object().metadata;
            let pods = this.state().by_node.get(meta.name.as_deref().unwrap_or_default()).cloned();
            pods.into_iter().flatten().for_each(|pod| wake.add(pod, revision_of(meta)));
        }
    });
    let (this, wake) = (controller.clone(), queue.clone());
    workshop.on(&controller.pods, move |change| {
        let pod = change.object();
        let key = key_of(&pod.metadata);
        let Some(node) = node_name(pod) else { return };
        let mut state = this.state();
        let there = state.by_node.entry(node.to_owned()).or_default();
        match change {
            Change::Deleted(_) => drop(there.remove(&key)),
            _ => drop(there.insert(key.clone())),
        }
        let tolerations = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.tolerations.clone());
        let relevant = match change {
            Change::Modified(old, new) => node_name(old).is_none() || tolerations(old) != tolerations(new),
            _ => true,
        };
        if relevant {
            wake.add(key, revision_of(&pod.metadata));
        }
    });
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(&key).await }
    })
}

fn taints(node: &Node) -> Vec<&k8s_openapi::api::core::v1::Taint> {
    let all = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    all.filter(|taint| taint.effect == crate::meta::taint::NO_EXECUTE).collect()
}

fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

impl Controller {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(pod) = self.pods.get(&key.0, &key.1) else {
            self.state().since.remove(key);
            return Ok(None);
        };
        let node = node_name(&pod).and_then(|name| self.nodes.get("", name));
        let allowed = node.map_or(Stay::Forever, |node| stay(&pod, &node));
        let now = self.clock.now();
        let Stay::For(time) = allowed else {
            if self.state().since.remove(key).is_some() {
                self.tell(key, format!("Cancelling deletion of Pod {}/{}", key.0, key.1));
            }
            return Ok(None);
        };
        if pod.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let since = *self.state().since.entry(key.clone()).or_insert(now);
        let left = time - now.duration_since(since);
        if left.is_positive() {
            return Ok(Duration::try_from(left).ok());
        }
        self.evict(key, &pod, now).await?;
        self.state().since.remove(key);
        Ok(None)
    }

    async fn evict(&self, key: &ObjectKey, pod: &Pod, now: Timestamp) -> Result<(), Error> {
        self.tell(key, format!("Marking for deletion Pod {}/{}", key.0, key.1));
        let condition = PodCondition {
            type_: "DisruptionTarget".to_owned(),
            status: "True".to_owned(),
            reason: Some("DeletionByTaintManager".to_owned()),
            message: Some("Taint manager: deleting due to NoExecute taint".to_owned()),
            last_transition_time: Some(Time(now)),
            observed_generation: pod.metadata.generation,
            ..PodCondition::default()
        };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.0);
        let patch = Patch::Strategic(
            json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}),
        );
        gone_is_fine(api.patch_status(&key.1, &PatchParams::default(), &patch).await)?;
        gone_is_fine(api.delete(&key.1, &DeleteParams::default()).await)?;
        Ok(())
    }

    fn tell(&self, key: &ObjectKey, text: String) {
        let reference = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(key.0.clone()),
            name: Some(key.1.clone()),
            ..ObjectReference::default()
        };
        self.recorder.event(&reference, EventType::Normal, "TaintManagerEviction", text);
    }
}
