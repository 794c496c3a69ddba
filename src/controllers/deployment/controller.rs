//! Carries out what `rollout` plans for a Deployment. Started from the controllers' table.
// Models pkg/controller/deployment/deployment_controller.go.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::super::context::{
    Context, Error, Handle, Workshop, gone_is_fine, is_already_exists, is_conflict, is_namespace_terminating,
    is_not_found, message,
};
use super::super::pods::{self, PodIndex};
use super::super::queue::Queue;
use super::rollout::{Action, Plan, World, plan};
use super::{sets, status};
use crate::clock::Clock;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Change, Informer, ObjectKey, key_of, revision_of};
use crate::meta::owner::{controller_of, controller_ref};
use crate::meta::selector::Selector;
use crate::store::Revision;

const NAME: &str = "deployment-controller";

struct Controller {
    client: kube::Client,
    recorder: Recorder,
    clock: Clock,
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: PodIndex,
    queue: Queue<ObjectKey>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        recorder: context.recorder(NAME),
        clock: context.clock.clone(),
        deployments: context.informers.of(),
        sets: context.informers.of(),
        pods: PodIndex::default(),
        queue: queue.clone(),
    });
    let mut workshop = Workshop::new();
    let this = controller.clone();
    workshop.on(&controller.deployments, move |change| {
        this.queue.add(key_of(&change.object().metadata), revision_of(&change.object().metadata));
    });
    let this = controller.clone();
    workshop.on(&controller.sets, move |change| this.set_changed(change));
    let this = controller.clone();
    workshop.on(&context.informers.of::<Pod>(), move |change| this.pod_changed(change));
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(&key).await }
    })
}

impl Controller {
    fn set_changed(&self, change: &Change<ReplicaSet>) {
        let set = change.object();
        let revision = revision_of(&set.metadata);
        if let Change::Modified(old, new) = change
            && controller_of(&old.metadata) != controller_of(&new.metadata)
            && let Some(owner) = self.owner_of(old)
        {
            self.queue.add(owner, revision);
        }
        match self.owner_of(set) {
            Some(owner) => self.queue.add(owner, revision),
            None if controller_of(&set.metadata).is_none() && !matches!(change, Change::Deleted(_)) => {
                self.wake_matching(set, revision);
            }
            None => {}
        }
    }

    fn wake_matching(&self, set: &ReplicaSet, revision: Option<Revision>) {
        for deployment in
            self.deployments.list_namespace(set.metadata.namespace.as_deref().unwrap_or_default())
        {
            let matches = |s: Selector| !s.is_empty() && s.matches_optional(set.metadata.labels.as_ref());
            if selector(&deployment).is_ok_and(matches) {
                self.queue.add(key_of(&deployment.metadata), revision);
            }
        }
    }

    /// A Deployment that recreates its pods waits for the last old one to go.
    fn pod_changed(&self, change: &Change<Pod>) {
        self.pods.apply(change);
        let pod = change.object();
        let ended = matches!(change, Change::Deleted(_)) || pods::is_terminal(pod);
        let Some(reference) =
            controller_of(&pod.metadata).filter(|owner| ended && owner.kind == "ReplicaSet")
        else {
            return;
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let Some(owner) = self.sets.get(namespace, &reference.name).and_then(|set| self.owner_of(&set))
        else {
            return;
        };
        if self.deployments.get(&owner.0, &owner.1).is_some_and(|d| sets::strategy(&d) == Some("Recreate")) {
            self.queue.add(owner, revision_of(&pod.metadata));
        }
    }

    fn owner_of(&self, set: &ReplicaSet) -> Option<ObjectKey> {
        let reference = controller_of(&set.metadata).filter(|reference| reference.kind == "Deployment")?;
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let owner = self.deployments.get(namespace, &reference.name)?;
        (owner.metadata.uid.as_deref() == Some(reference.uid.as_str())).then(|| key_of(&owner.metadata))
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(deployment) = self.deployments.get(&key.0, &key.1) else { return Ok(None) };
        let selector = selector(&deployment).map_err(Error::Inconsistent)?;
        if selector.is_empty() {
            let text = "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder.event(&reference_to(&*deployment), EventType::Warning, "SelectingAll", text);
            return Ok(None);
        }
        let owned = self.claim(&deployment, &selector).await?;
        let alive = |set: &&ReplicaSet| {
            let pods = self.pods.owned_by(set.metadata.uid.as_deref().unwrap_or_default());
            pods.iter().any(|pod| !pods::is_terminal(pod))
        };
        let populated = owned.iter().filter(alive).filter_map(|set| set.metadata.uid.clone()).collect();
        let plan = plan(World {
            deployment: Deployment::clone(&deployment),
            sets: owned,
            populated,
            now: self.clock.now(),
        });
        self.carry_out(&deployment, plan).await
    }

    /// The Deployment's ReplicaSets; adopts and releases on the way.
    // Models getReplicaSetsForDeployment.
    async fn claim(&self, deployment: &Deployment, selector: &Selector) -> Result<Vec<ReplicaSet>, Error> {
        let meta = &deployment.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), namespace);
        let going = meta.deletion_timestamp.is_some();
        let mut owned = vec![];
        for set in self.sets.list_namespace(namespace) {
            let name = set.metadata.name.as_deref().unwrap_or_default();
            let matches = selector.matches_optional(set.metadata.labels.as_ref());
            match controller_of(&set.metadata) {
                Some(owner) if Some(&owner.uid) != meta.uid.as_ref() => {}
                Some(_) if matches => owned.push(ReplicaSet::clone(&set)),
                Some(_) if going => {}
                Some(_) => {
                    let patch = json!({"metadata": {
                        "ownerReferences": [{"$patch": "delete", "uid": meta.uid}],
                        "uid": set.metadata.uid,
                    }});
                    let result = api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
                    match result {
                        Err(error) if !is_not_found(&error) && !is_conflict(&error) => {
                            return Err(error.into());
                        }
                        _ => {}
                    }
                }
                None if !matches || going || set.metadata.deletion_timestamp.is_some() => {}
                None => {
                    self.may_adopt(deployment, namespace).await?;
                    let patch = json!({"metadata": {
                        "ownerReferences": [controller_ref::<Deployment>(meta)],
                        "uid": set.metadata.uid,
                    }});
                    match api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                        Ok(adopted) => owned.push(adopted),
                        Err(error) if is_not_found(&error) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(owned)
    }

    async fn may_adopt(&self, deployment: &Deployment, namespace: &str) -> Result<(), Error> {
        let name = deployment.metadata.name.as_deref().unwrap_or_default();
        let fresh = Api::<Deployment>::namespaced(self.client.clone(), namespace).get(name).await?;
        if fresh.metadata.uid != deployment.metadata.uid || fresh.metadata.deletion_timestamp.is_some() {
            return Err(Error::Inconsistent(format!("{namespace}/{name} has just been deleted")));
        }
        Ok(())
    }

    async fn carry_out(&self, deployment: &Deployment, plan: Plan) -> Result<Option<Duration>, Error> {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), namespace);
        let params = PostParams::default();
        for action in plan.actions {
            let messages = match action {
                Action::Create(set, messages) => match api.create(&params, &set).await {
                    Ok(_) => messages,
                    Err(error) => return self.creation_failed(deployment, &set, error).await,
                },
                Action::Update(set, messages) => {
                    api.replace(set.metadata.name.as_deref().unwrap_or_default(), &params, &set).await?;
                    messages
                }
                Action::Delete(name) => {
                    gone_is_fine(api.delete(&name, &DeleteParams::background()).await)?;
                    vec![]
                }
            };
            for text in messages {
                self.recorder.event(&reference_to(deployment), EventType::Normal, "ScalingReplicaSet", text);
            }
        }
        if let Some(updated) = plan.deployment {
            self.write_status(&updated).await?;
        }
        Ok(plan.again)
    }

    async fn write_status(&self, deployment: &Deployment) -> Result<(), kube::Error> {
        let meta = &deployment.metadata;
        let api: Api<Deployment> =
            Api::namespaced(self.client.clone(), meta.namespace.as_deref().unwrap_or_default());
        let name = meta.name.as_deref().unwrap_or_default();
        gone_is_fine(api.replace_status(name, &PostParams::default(), deployment).await)
    }

    /// A name that is taken by another template's ReplicaSet calls for another hash; other refusals are told.
    async fn creation_failed(
        &self,
        deployment: &Deployment,
        set: &ReplicaSet,
        error: kube::Error,
    ) -> Result<Option<Duration>, Error> {
        let (namespace, name) = key_of(&set.metadata);
        let mut told = deployment.clone();
        let status = told.status.get_or_insert_default();
        if is_already_exists(&error) {
            let template = deployment.spec.as_ref().map(|spec| &spec.template);
            let is_ours = self.sets.get(&namespace, &name).is_none_or(|taken| {
                controller_of(&taken.metadata).map(|owner| &owner.uid) == deployment.metadata.uid.as_ref()
                    && template.is_some_and(|t| {
                        sets::same_template(taken.spec.as_ref().and_then(|spec| spec.template.as_ref()), t)
                    })
            });
            // Ours, and only the cache is behind: the next look finds it.
            if !is_ours {
                status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
                self.write_status(&told).await?;
            }
            return Err(error.into());
        }
        if !is_namespace_terminating(&error) {
            let text = format!("Failed to create new replica set {name:?}: {}", message(&error));
            if status::deadline(deployment).is_some() {
                let reason = "ReplicaSetCreateError";
                let failed =
                    status::condition(status::PROGRESSING, "False", reason, text.clone(), self.clock.now());
                status::set(status, failed);
                self.write_status(&told).await?;
            }
            self.recorder.event(&reference_to(deployment), EventType::Warning, "ReplicaSetCreateError", text);
        }
        Err(error.into())
    }
}

fn selector(deployment: &Deployment) -> Result<Selector, String> {
    deployment
        .spec
        .as_ref()
        .map_or_else(|| Ok(Selector::nothing()), |spec| Selector::from_label_selector(&spec.selector))
}
