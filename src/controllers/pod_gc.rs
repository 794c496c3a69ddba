//! Clears away pods that nobody will end: of nodes that are gone, deleted before they had a node, ended and too many.
//! Started from the controllers' table.
//!
//! Kubernetes looks every twenty seconds; here what happens to pods and nodes calls for a look.
// Models pkg/controller/podgc.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::context::{Context, Error, Handle, Workshop, gone_is_fine};
use super::pods;
use super::queue::Queue;
use crate::clock::Clock;
use crate::informer::{Change, Informer, revision_of};

const NAME: &str = "pod-garbage-collector-controller";
/// How long a node may be missing before its pods go.
const QUARANTINE: Duration = Duration::from_secs(40);
/// How many ended pods are kept.
const TERMINATED_THRESHOLD: usize = 12_500;
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// The pods of a node that is gone, or out of service.
    Node(String),
    /// A pod that was deleted and has no node.
    Unscheduled(String, String),
    /// The pods that have ended.
    Terminated,
}

struct Controller {
    client: kube::Client,
    clock: Clock,
    nodes: Informer<Node>,
    pods: Informer<Pod>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<Key> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        clock: context.clock.clone(),
        nodes: context.informers.of(),
        pods: context.informers.of(),
    });
    let mut workshop = Workshop::new();
    let wake = queue.clone();
    workshop.on(&controller.nodes, move |change| {
        let name = change.object().metadata.name.clone().unwrap_or_default();
        match change {
            Change::Deleted(_) => wake.add_after(Key::Node(name), QUARANTINE),
            _ if is_out_of_service(change.object()) => {
                wake.add(Key::Node(name), revision_of(&change.object().metadata))
            }
            _ => {}
        }
    });
    let (this, wake) = (controller.clone(), queue.clone());
    workshop.on(&controller.pods, move |change| {
        if matches!(change, Change::Deleted(_)) {
            return;
        }
        let pod = change.object();
        let meta = &pod.metadata;
        match node_name(pod) {
            None if meta.deletion_timestamp.is_some() => {
                let (namespace, name) = crate::informer::key_of(meta);
                wake.add(Key::Unscheduled(namespace, name), revision_of(meta));
            }
            None => {}
            Some(node) if this.nodes.get("", node).is_none() => {
                wake.add_after(Key::Node(node.to_owned()), QUARANTINE)
            }
            Some(node) if meta.deletion_timestamp.is_some() => {
                wake.add(Key::Node(node.to_owned()), revision_of(meta))
            }
            Some(_) if pods::is_terminal(pod) => wake.add(Key::Terminated, revision_of(meta)),
            Some(_) => {}
        }
    });
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(&key).await }
    })
}

fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

fn is_out_of_service(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.into_iter().any(|taint| taint.key == OUT_OF_SERVICE)
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

impl Controller {
    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        match key {
            Key::Node(name) => self.clear_node(name).await?,
            Key::Unscheduled(namespace, name) => {
                if let Some(pod) = self.pods.get(namespace, name)
                    && pod.metadata.deletion_timestamp.is_some()
                    && node_name(&pod).is_none()
                {
                    self.remove(&pod, None).await?;
                }
            }
            Key::Terminated => self.clear_terminated().await?,
        }
        Ok(None)
    }

    async fn clear_node(&self, name: &str) -> Result<(), Error> {
        // The cache may be behind.
        let node = Api::<Node>::all(self.client.clone()).get_opt(name).await?;
        let here = |pod: &&Arc<Pod>| node_name(pod) == Some(name);
        for pod in self.pods.list().iter().filter(here) {
            match &node {
                None => {
                    let told = ("DeletionByPodGC", "PodGC: node no longer exists");
                    self.remove(pod, Some(told)).await?;
                }
                Some(node)
                    if is_out_of_service(node)
                        && !is_ready(node)
                        && pod.metadata.deletion_timestamp.is_some() =>
                {
                    self.remove(pod, None).await?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    async fn clear_terminated(&self) -> Result<(), Error> {
        let mut ended: Vec<Arc<Pod>> = self.pods.list();
        ended.retain(|pod| pods::is_terminal(pod));
        let surplus = ended.len().saturating_sub(TERMINATED_THRESHOLD);
        ended.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        for pod in ended.iter().take(surplus) {
            self.remove(pod, None).await?;
        }
        Ok(())
    }

    /// Marks a pod as failed unless it has come to its end, and deletes it at once.
    // Models markFailedAndDeletePodWithCondition.
    async fn remove(&self, pod: &Pod, told: Option<(&str, &str)>) -> Result<(), Error> {
        let api: Api<Pod> =
            Api::namespaced(self.client.clone(), pod.metadata.namespace.as_deref().unwrap_or_default());
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        if !pods::is_terminal(pod) {
            let condition = told.map(|(reason, message)| PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message.to_owned()),
                last_transition_time: Some(Time(self.clock.now())),
                observed_generation: pod.metadata.generation,
                ..PodCondition::default()
            });
            let conditions: Vec<PodCondition> = condition.into_iter().collect();
            let patch = json!({
                "metadata": {"uid": pod.metadata.uid},
                "status": {"phase": "Failed", "conditions": conditions},
            });
            gone_is_fine(api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await)?;
        }
        let mut params = DeleteParams::default().grace_period(0);
        params.preconditions =
            Some(kube::api::Preconditions { uid: pod.metadata.uid.clone(), resource_version: None });
        gone_is_fine(api.delete(name, &params).await)?;
        Ok(())
    }
}
