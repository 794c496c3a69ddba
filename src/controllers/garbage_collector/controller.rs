//! Deletes objects whose owners are gone, and carries out foreground and orphaning deletions. Started from the
//! controllers' table.
// Models pkg/controller/garbagecollector/garbagecollector.go.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy};
use serde_json::{Value, json};

use super::super::context::{Context, Error, Handle, Workshop, gone_is_fine, is_not_found};
use super::super::queue::Queue;
use super::graph::{FOREGROUND, Identity, Node, ORPHAN, Work};
use super::monitor::{self, Shared};

const NAME: &str = "garbage-collector-controller";
/// Kubernetes' component is called otherwise than its place in the table.
const COMPONENT: &str = "generic-garbage-collector";

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<Work> = Queue::new(context.clock.clone());
    let shared = Arc::new(Shared::new(context.client(COMPONENT), context.clock.clone(), queue.clone()));
    let mut workshop = Workshop::new();
    workshop.spawn(monitor::run(shared.clone()));
    workshop.work(NAME, queue, move |work| {
        let collector = Collector { shared: shared.clone() };
        async move {
            collector.shared.listed().await;
            match work {
                Work::Delete(uid) => collector.attempt_to_delete(&uid).await?,
                Work::Orphan(uid) => collector.orphan(&uid).await?,
            }
            Ok(None::<Duration>)
        }
    })
}

struct Collector {
    shared: Arc<Shared>,
}

/// An object's owners by what becomes of them.
#[derive(Default)]
struct Owners {
    /// There to stay, or at least not waiting for this object.
    solid: Vec<OwnerReference>,
    /// Gone.
    dangling: Vec<OwnerReference>,
    /// Waiting for their dependents to go.
    waiting: Vec<OwnerReference>,
}

impl Collector {
    /// The API of an object's kind; none if there is no such kind.
    fn api(&self, identity: &Identity) -> Option<Api<DynamicObject>> {
        let kind = self.shared.kind(&identity.api_version, &identity.kind)?;
        let client = self.shared.client.clone();
        Some(match kind.namespaced {
            true => Api::namespaced_with(client, &identity.namespace, &kind.resource),
            false => Api::all_with(client, &kind.resource),
        })
    }

    /// The object as it is now; none if it is gone, or another one has its name.
    async fn live(&self, identity: &Identity) -> Result<Option<ObjectMeta>, Error> {
        let Some(api) = self.api(identity) else {
            return Err(Error::Inconsistent(format!(
                "no matches for kind {:?} in {:?}",
                identity.kind, identity.api_version
            )));
        };
        let found = api.get_metadata_opt(&identity.name).await?;
        Ok(found
            .map(|object| object.metadata)
            .filter(|meta| meta.uid.as_deref() == Some(identity.uid.as_str())))
    }

    fn node(&self, uid: &str) -> Option<Node> {
        self.shared.graph().get(uid).cloned()
    }

    // Models attemptToDeleteItem.
    async fn attempt_to_delete(&self, uid: &str) -> Result<(), Error> {
        let Some(node) = self.node(uid) else { return Ok(()) };
        if node.is_deleting && !node.deletes_dependents {
            return Ok(());
        }
        let Some(latest) = self.live(&node.identity).await? else {
            let work = {
                let mut graph = self.shared.graph();
                graph.note_absent(uid);
                graph.remove(uid)
            };
            self.shared.add(work, None);
            return Ok(());
        };
        if node.deletes_dependents {
            return self.after_dependents(&node, &latest).await;
        }
        let references = latest.owner_references.clone().unwrap_or_default();
        if references.is_empty() {
            return Ok(());
        }
        let owners = self.classify(&node, references).await?;
        if !owners.solid.is_empty() {
            if owners.dangling.is_empty() && owners.waiting.is_empty() {
                return Ok(());
            }
            return self.patch(&node.identity, owner_patch(&latest, &owners.solid)).await;
        }
        let policy = if !owners.waiting.is_empty() && !node.dependents.is_empty() {
            self.unblock(&node, &latest).await?;
            PropagationPolicy::Foreground
        } else {
            let has = |name: &str| latest.finalizers.iter().flatten().any(|finalizer| finalizer == name);
            match (has(ORPHAN), has(FOREGROUND)) {
                (true, _) => PropagationPolicy::Orphan,
                (false, true) => PropagationPolicy::Foreground,
                (false, false) => PropagationPolicy::Background,
            }
        };
        self.delete(&node.identity, policy).await
    }

    /// Two that wait for each other would wait for ever: the one lets the other go.
    async fn unblock(&self, node: &Node, latest: &ObjectMeta) -> Result<(), Error> {
        let circular = {
            let graph = self.shared.graph();
            node.dependents
                .iter()
                .any(|uid| graph.get(uid).is_some_and(|dependent| dependent.deletes_dependents))
        };
        if circular {
            let mut owners = latest.owner_references.clone().unwrap_or_default();
            owners.iter_mut().for_each(|owner| owner.block_owner_deletion = Some(false));
            self.patch(&node.identity, json!({"metadata": {"ownerReferences": owners, "uid": latest.uid}}))
                .await?;
        }
        Ok(())
    }

    // Models classifyReferences and isDangling.
    async fn classify(&self, node: &Node, references: Vec<OwnerReference>) -> Result<Owners, Error> {
        let mut owners = Owners::default();
        for reference in references {
            if self.shared.graph().is_absent(&reference.uid) {
                owners.dangling.push(reference);
                continue;
            }
            let identity = Identity {
                api_version: reference.api_version.clone(),
                kind: reference.kind.clone(),
                namespace: node.identity.namespace.clone(),
                name: reference.name.clone(),
                uid: reference.uid.clone(),
            };
            let namespaced =
                self.shared.kind(&identity.api_version, &identity.kind).is_some_and(|kind| kind.namespaced);
            // What has no namespace cannot have an owner in one.
            let owner = match namespaced && node.identity.namespace.is_empty() {
                true => None,
                false => self.live(&identity).await?,
            };
            match owner {
                None => {
                    self.shared.graph().note_absent(&reference.uid);
                    owners.dangling.push(reference);
                }
                Some(meta) => {
                    let waits = meta.finalizers.iter().flatten().any(|finalizer| finalizer == FOREGROUND);
                    match meta.deletion_timestamp.is_some() && waits {
                        true => owners.waiting.push(reference),
                        false => owners.solid.push(reference),
                    }
                }
            }
        }
        Ok(owners)
    }

    /// Lets an owner go whose dependents have gone, and sees to those that have not.
    // Models processDeletingDependentsItem.
    async fn after_dependents(&self, node: &Node, latest: &ObjectMeta) -> Result<(), Error> {
        let blocking: Vec<(String, bool)> = {
            let graph = self.shared.graph();
            let blocking = graph.blocking(&node.identity.uid);
            blocking.into_iter().map(|node| (node.identity.uid.clone(), node.deletes_dependents)).collect()
        };
        if blocking.is_empty() {
            return self.remove_finalizer(&node.identity, latest, FOREGROUND).await;
        }
        let work = blocking.into_iter().filter(|(_, busy)| !busy).map(|(uid, _)| Work::Delete(uid)).collect();
        self.shared.add(work, None);
        Ok(())
    }

    /// Takes an owner out of its dependents, then lets it go.
    // Models attemptToOrphanWorker.
    async fn orphan(&self, uid: &str) -> Result<(), Error> {
        let Some(node) = self.node(uid) else { return Ok(()) };
        for dependent in node.dependents.iter().filter_map(|uid| self.node(uid)) {
            let Some(latest) = self.live(&dependent.identity).await? else { continue };
            let mut left = latest.owner_references.clone().unwrap_or_default();
            left.retain(|owner| owner.uid != uid);
            self.patch(&dependent.identity, owner_patch(&latest, &left)).await?;
        }
        let Some(latest) = self.live(&node.identity).await? else { return Ok(()) };
        self.remove_finalizer(&node.identity, &latest, ORPHAN).await
    }

    async fn remove_finalizer(
        &self,
        identity: &Identity,
        latest: &ObjectMeta,
        name: &str,
    ) -> Result<(), Error> {
        let finalizers = latest.finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == name) {
            return Ok(());
        }
        let left: Vec<String> = finalizers.into_iter().filter(|finalizer| finalizer != name).collect();
        let patch = json!({"metadata": {"resourceVersion": latest.resource_version, "finalizers": left}});
        self.patch(identity, patch).await
    }

    async fn patch(&self, identity: &Identity, patch: Value) -> Result<(), Error> {
        let Some(api) = self.api(identity) else { return Ok(()) };
        // A merge patch, since custom resources know no other.
        let result = api.patch_metadata(&identity.name, &PatchParams::default(), &Patch::Merge(patch)).await;
        Ok(gone_is_fine(result)?)
    }

    async fn delete(&self, identity: &Identity, policy: PropagationPolicy) -> Result<(), Error> {
        let Some(api) = self.api(identity) else { return Ok(()) };
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions { uid: Some(identity.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        match api.delete(&identity.name, &params).await {
            Err(error) if is_not_found(&error) => {
                let work = self.shared.graph().remove(&identity.uid);
                self.shared.add(work, None);
                Ok(())
            }
            other => Ok(other.map(drop)?),
        }
    }
}

/// Sets the owners, if the object is still as it was.
fn owner_patch(latest: &ObjectMeta, owners: &[OwnerReference]) -> Value {
    let owners = if owners.is_empty() { Value::Null } else { json!(owners) };
    json!({"metadata": {"resourceVersion": latest.resource_version, "uid": latest.uid, "ownerReferences": owners}})
}
