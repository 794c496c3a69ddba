//! Keeps a deleted claim for as long as a pod uses it. Started from the controllers' table.
// Models pkg/controller/volume/pvcprotection.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Api, ListParams, PostParams};

use super::ephemeral::{claims_of, is_made_for};
use crate::controllers::context::{Context, Error, Handle, Workshop, gone_is_fine};
use crate::controllers::pods;
use crate::controllers::queue::Queue;
use crate::informer::{Change, Informer, ObjectKey, key_of, revision_of};
use crate::meta::storage::{CLAIM_FINALIZER, has_finalizer};

const NAME: &str = "persistentvolumeclaim-protection-controller";

struct Controller {
    client: kube::Client,
    claims: Informer<PersistentVolumeClaim>,
    pods: Informer<Pod>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<ObjectKey> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        claims: context.informers.of(),
        pods: context.informers.of(),
    });
    let mut workshop = Workshop::new();
    workshop.wake(&controller.claims, &queue, |change| {
        let meta = &change.object().metadata;
        let wanted = meta.deletion_timestamp.is_some() == has_finalizer(meta, CLAIM_FINALIZER);
        (wanted && !matches!(change, Change::Deleted(_))).then(|| key_of(meta))
    });
    let wake = queue.clone();
    workshop.on(&controller.pods, move |change| {
        let pod = change.object();
        // A pod that will go on using its claims changes nothing.
        if matches!(change, Change::Deleted(_)) || pods::is_terminal(pod) || !has_node(pod) {
            for (_, name) in claims_of(pod) {
                let namespace = pod.metadata.namespace.clone().unwrap_or_default();
                wake.add((namespace, name), revision_of(&pod.metadata));
            }
        }
    });
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(&key).await }
    })
}

fn has_node(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|name| !name.is_empty())
}

/// Whether the pod, which has a node, uses the claim.
fn uses(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let shut_down =
        pod.metadata.deletion_timestamp.is_some() && pod.metadata.deletion_grace_period_seconds == Some(0);
    has_node(pod)
        && claims_of(pod).iter().any(|(volume, name)| {
            claim.metadata.name.as_deref() == Some(name)
                && (volume.ephemeral.is_none() || (!shut_down && is_made_for(claim, pod)))
        })
}

impl Controller {
    async fn reconcile(&self, (namespace, name): &ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(claim) = self.claims.get(namespace, name) else { return Ok(None) };
        let deleted = claim.metadata.deletion_timestamp.is_some();
        let finalized = has_finalizer(&claim.metadata, CLAIM_FINALIZER);
        let mut updated = PersistentVolumeClaim::clone(&claim);
        let finalizers = updated.metadata.finalizers.get_or_insert_default();
        if deleted && finalized && !self.is_used(&claim, namespace).await? {
            finalizers.retain(|finalizer| finalizer != CLAIM_FINALIZER);
        } else if !deleted && !finalized {
            finalizers.push(CLAIM_FINALIZER.to_owned());
        } else {
            return Ok(None);
        }
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), namespace);
        gone_is_fine(api.replace(name, &PostParams::default(), &updated).await)?;
        Ok(None)
    }

    /// Asks the cache, and if that says no the server: what is let go of cannot be had again.
    async fn is_used(&self, claim: &PersistentVolumeClaim, namespace: &str) -> Result<bool, Error> {
        if self.pods.list_namespace(namespace).iter().any(|pod| uses(pod, claim)) {
            return Ok(true);
        }
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let live = api.list(&ListParams::default()).await?;
        Ok(live.items.iter().any(|pod| uses(pod, claim)))
    }
}
