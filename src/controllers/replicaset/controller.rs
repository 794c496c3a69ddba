//! Keeps the number of pods that a ReplicaSet or ReplicationController asks for. Started from the controllers' table.
// Models pkg/controller/replicaset/replica_set.go.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::super::context::{
    Context, Error, Handle, Workshop, is_conflict, is_namespace_terminating, is_not_found, message,
};
use super::super::expectations::Expectations;
use super::super::pods::{self, PodIndex};
use super::super::queue::Queue;
use super::owner::ReplicaOwner;
use super::plan;
use crate::clock::Clock;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Change, Informer, ObjectKey, key_of, revision_of};
use crate::meta::owner::{controller_of, controller_ref, is_controlled_by};
use crate::store::Revision;

/// How many pods the first batch creates; each batch that succeeds doubles it.
const SLOW_START: usize = 1;

/// Starts the ReplicaSet controller.
pub(crate) fn start_replica_sets(context: &Context) -> Handle {
    Controller::<ReplicaSet>::start(context)
}

/// Starts the ReplicationController's controller.
pub(crate) fn start_replication_controllers(context: &Context) -> Handle {
    Controller::<ReplicationController>::start(context)
}

struct Controller<O> {
    client: kube::Client,
    recorder: Recorder,
    clock: Clock,
    owners: Informer<O>,
    pods: PodIndex,
    expectations: Expectations,
    queue: Queue<ObjectKey>,
}

impl<O: ReplicaOwner> Controller<O> {
    fn start(context: &Context) -> Handle {
        let queue = Queue::new(context.clock.clone());
        let controller = Arc::new(Self {
            client: context.client(O::CONTROLLER),
            recorder: context.recorder(O::CONTROLLER),
            clock: context.clock.clone(),
            owners: context.informers.of(),
            pods: PodIndex::default(),
            expectations: Expectations::default(),
            queue: queue.clone(),
        });
        let mut workshop = Workshop::new();
        let this = controller.clone();
        workshop.on(&controller.owners, move |change| {
            if let Change::Deleted(owner) = change {
                this.expectations.forget(&key_of(owner.metadata()));
            }
            this.queue.add(key_of(change.object().metadata()), revision_of(change.object().metadata()));
        });
        let this = controller.clone();
        workshop.on(&context.informers.of(), move |change| this.pod_changed(change));
        workshop.work(O::CONTROLLER, queue, move |key| {
            let this = controller.clone();
            async move { this.reconcile(&key).await }
        })
    }

    fn pod_changed(&self, change: &Change<Pod>) {
        self.pods.apply(change);
        let revision = revision_of(&change.object().metadata);
        match change {
            Change::Added(pod) if pod.metadata.deletion_timestamp.is_some() => self.pod_gone(pod, revision),
            Change::Added(pod) => match self.owner_of(pod) {
                Some(owner) => {
                    self.expectations.creation_observed(&owner);
                    self.queue.add(owner, revision);
                }
                None => self.wake_matching(pod, revision),
            },
            Change::Modified(old, new) => {
                if new.metadata.deletion_timestamp.is_some() && old.metadata.deletion_timestamp.is_none() {
                    self.pod_gone(new, revision);
                }
                let moved = controller_of(&old.metadata) != controller_of(&new.metadata);
                if moved && let Some(owner) = self.owner_of(old) {
                    self.queue.add(owner, revision);
                }
                match self.owner_of(new) {
                    Some(owner) => self.queue.add(owner, revision),
                    None if moved || old.metadata.labels != new.metadata.labels => {
                        self.wake_matching(new, revision)
                    }
                    None => {}
                }
            }
            Change::Deleted(pod) => self.pod_gone(pod, revision),
        }
    }

    fn pod_gone(&self, pod: &Pod, revision: Option<Revision>) {
        if let Some(owner) = self.owner_of(pod) {
            self.expectations.deletion_observed(&owner, &key_of(&pod.metadata));
            self.queue.add(owner, revision);
        }
    }

    /// The key of the pod's controller, if it is of our kind and still the one that is meant.
    fn owner_of(&self, pod: &Pod) -> Option<ObjectKey> {
        let reference = controller_of(&pod.metadata)?;
        if reference.kind != <O as k8s_openapi::Resource>::KIND {
            return None;
        }
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let owner = self.owners.get(namespace, &reference.name)?;
        (owner.metadata().uid.as_deref() == Some(reference.uid.as_str())).then(|| key_of(owner.metadata()))
    }

    /// A pod without a controller: whoever selects it may want it.
    fn wake_matching(&self, pod: &Pod, revision: Option<Revision>) {
        if controller_of(&pod.metadata).is_some() {
            return;
        }
        for owner in self.owners.list_namespace(pod.metadata.namespace.as_deref().unwrap_or_default()) {
            if owner
                .selector()
                .is_ok_and(|s| !s.is_empty() && s.matches_optional(pod.metadata.labels.as_ref()))
            {
                self.queue.add(key_of(owner.metadata()), revision);
            }
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(owner) = self.owners.get(&key.0, &key.1) else {
            self.expectations.forget(key);
            return Ok(None);
        };
        let meta = owner.metadata();
        let may_count = self.expectations.satisfied(key, self.clock.now());
        let selector = owner.selector().map_err(Error::Inconsistent)?;
        let mut candidates = self.pods.owned_by(meta.uid.as_deref().unwrap_or_default());
        let terminating = candidates
            .iter()
            .filter(|pod| {
                pods::is_terminating(pod) && selector.matches_optional(pod.metadata.labels.as_ref())
            })
            .count();
        candidates.extend(self.pods.orphans_in(&key.0));
        let claims = plan::claims(meta, &selector, candidates);
        let active = self.settle(&owner, claims).await?;
        let outcome = match may_count && meta.deletion_timestamp.is_none() {
            true => self.manage(&owner, key, &active).await,
            false => Ok(()),
        };
        let failure = outcome.as_ref().err().map(ToString::to_string);
        let now = self.clock.now();
        let status = plan::status(&*owner, &active, terminating, failure.as_deref(), now);
        let unavailable = status.ready_replicas != status.available_replicas;
        self.write_status(&owner, status).await?;
        outcome?;
        let wait = owner.min_ready_seconds();
        Ok((wait > 0 && unavailable).then(|| plan_next(&active, wait, now)).flatten())
    }

    /// Adopts and releases; returns the pods that are the owner's.
    async fn settle(&self, owner: &O, claims: plan::Claims) -> Result<Vec<Arc<Pod>>, Error> {
        let mut own = claims.own;
        let namespace = owner.metadata().namespace.as_deref().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        if !claims.adopt.is_empty() {
            self.may_adopt(owner, namespace).await?;
        }
        for pod in claims.adopt {
            let patch = json!({"metadata": {
                "ownerReferences": [controller_ref::<O>(owner.metadata())],
                "uid": pod.metadata.uid,
            }});
            match patch_pod(&pods, &pod.metadata, patch).await {
                Ok(adopted) => own.push(Arc::new(adopted)),
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for pod in claims.release {
            let patch = json!({"metadata": {
                "ownerReferences": [{"$patch": "delete", "uid": owner.metadata().uid}],
                "uid": pod.metadata.uid,
            }});
            match patch_pod(&pods, &pod.metadata, patch).await {
                Ok(_) => {}
                // Gone, or another pod of that name by now: nothing left to let go.
                Err(error) if is_not_found(&error) || is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(own)
    }

    /// The cache may be behind: asks the API whether the owner is still there and staying.
    async fn may_adopt(&self, owner: &O, namespace: &str) -> Result<(), Error> {
        let name = owner.metadata().name.as_deref().unwrap_or_default();
        let fresh = Api::<O>::namespaced(self.client.clone(), namespace).get(name).await?;
        if fresh.metadata().uid != owner.metadata().uid || fresh.metadata().deletion_timestamp.is_some() {
            return Err(Error::Inconsistent(format!("{namespace}/{name} has just been deleted")));
        }
        Ok(())
    }

    async fn manage(&self, owner: &O, key: &ObjectKey, active: &[Arc<Pod>]) -> Result<(), Error> {
        let wanted = usize::try_from(owner.replicas()).unwrap_or(0);
        if active.len() < wanted {
            self.create_pods(owner, key, (wanted - active.len()).min(plan::BURST_REPLICAS)).await
        } else if active.len() > wanted {
            let count = (active.len() - wanted).min(plan::BURST_REPLICAS);
            let related = self.related_pods(owner);
            let doomed = plan::pods_to_delete(active.to_vec(), &related, count, self.clock.now());
            self.delete_pods(owner, key, doomed).await
        } else {
            Ok(())
        }
    }

    /// One pod, then two, four and so on: when the first is refused, the rest would be too.
    async fn create_pods(&self, owner: &O, key: &ObjectKey, count: usize) -> Result<(), Error> {
        let Some(template) = owner.template() else { return Ok(()) };
        self.expectations.expect_creations(key, count, self.clock.now());
        let name = owner.metadata().name.as_deref().unwrap_or_default();
        let pod = plan::pod_from_template(template, name, controller_ref::<O>(owner.metadata()));
        let (mut left, mut batch) = (count, SLOW_START.min(count));
        while batch > 0 {
            let results = join_all((0..batch).map(|_| self.create_pod(owner, &key.0, &pod))).await;
            let mut failure = None;
            for result in results {
                match result {
                    Ok(()) => left -= 1,
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            if let Some(error) = failure {
                // What was not created will not be seen either.
                (0..left).for_each(|_| self.expectations.creation_observed(key));
                return if is_namespace_terminating(&error) { Ok(()) } else { Err(error.into()) };
            }
            batch = (2 * batch).min(left);
        }
        Ok(())
    }

    async fn create_pod(&self, owner: &O, namespace: &str, pod: &Pod) -> Result<(), kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        match pods.create(&PostParams::default(), pod).await {
            Ok(created) => {
                let text = format!("Created pod: {}", created.metadata.name.unwrap_or_default());
                self.recorder.event(&reference_to(owner), EventType::Normal, "SuccessfulCreate", text);
                Ok(())
            }
            Err(error) => {
                if !is_namespace_terminating(&error) {
                    let text = format!("Error creating: {}", message(&error));
                    self.recorder.event(&reference_to(owner), EventType::Warning, "FailedCreate", text);
                }
                Err(error)
            }
        }
    }

    async fn delete_pods(&self, owner: &O, key: &ObjectKey, doomed: Vec<Arc<Pod>>) -> Result<(), Error> {
        let keys = doomed.iter().map(|pod| key_of(&pod.metadata)).collect();
        self.expectations.expect_deletions(key, keys, self.clock.now());
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &key.0);
        let results = join_all(doomed.iter().map(|pod| {
            let (pods, name) = (&pods, pod.metadata.name.clone().unwrap_or_default());
            async move { (pods.delete(&name, &DeleteParams::default()).await, name) }
        }))
        .await;
        let mut failure = None;
        for (result, name) in results {
            let reference = reference_to(owner);
            let Err(error) = result else {
                let text = format!("Deleted pod: {name}");
                self.recorder.event(&reference, EventType::Normal, "SuccessfulDelete", text);
                continue;
            };
            self.expectations.deletion_observed(key, &(key.0.clone(), name));
            if !is_not_found(&error) {
                let text = format!("Error deleting: {}", message(&error));
                self.recorder.event(&reference, EventType::Warning, "FailedDelete", text);
                failure = Some(Error::Inconsistent(format!("unable to delete pods: {}", message(&error))));
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The pods of all owners that the same controller has: of a Deployment, the other ReplicaSets' too.
    fn related_pods(&self, owner: &O) -> Vec<Arc<Pod>> {
        let namespace = owner.metadata().namespace.as_deref().unwrap_or_default();
        let uids: Vec<String> = match controller_of(owner.metadata()) {
            None => owner.metadata().uid.iter().cloned().collect(),
            Some(reference) => (self.owners.list_namespace(namespace).iter())
                .filter(|other| is_controlled_by(other.metadata(), &reference.uid))
                .filter_map(|other| other.metadata().uid.clone())
                .collect(),
        };
        uids.iter().flat_map(|uid| self.pods.owned_by(uid)).collect()
    }

    /// Writes the status unless it says the same; a second time if the object has changed meanwhile.
    async fn write_status(
        &self,
        owner: &O,
        mut status: k8s_openapi::api::apps::v1::ReplicaSetStatus,
    ) -> Result<(), Error> {
        let meta = owner.metadata();
        let old = owner.status();
        if plan::same_status(&old, &status) && meta.generation == old.observed_generation {
            return Ok(());
        }
        status.observed_generation = meta.generation;
        let api: Api<O> = Api::namespaced(self.client.clone(), meta.namespace.as_deref().unwrap_or_default());
        let name = meta.name.as_deref().unwrap_or_default();
        let mut updated = owner.clone();
        updated.set_status(status.clone());
        match api.replace_status(name, &PostParams::default(), &updated).await {
            Err(error) if is_conflict(&error) => {}
            Err(error) if is_not_found(&error) => return Ok(()),
            other => return other.map(drop).map_err(Error::from),
        }
        let mut fresh = api.get(name).await?;
        fresh.set_status(status);
        api.replace_status(name, &PostParams::default(), &fresh).await?;
        Ok(())
    }
}

fn plan_next(active: &[Arc<Pod>], min_ready_seconds: i32, now: jiff::Timestamp) -> Option<Duration> {
    pods::next_availability(active, min_ready_seconds, now)
        .or_else(|| Some(Duration::from_secs(u64::try_from(min_ready_seconds).unwrap_or(0))))
}

async fn patch_pod(pods: &Api<Pod>, meta: &ObjectMeta, patch: serde_json::Value) -> Result<Pod, kube::Error> {
    let name = meta.name.as_deref().unwrap_or_default();
    pods.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await
}
