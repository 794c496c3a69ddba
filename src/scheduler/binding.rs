//! Gives a pod its node: first its volumes, and when they are there the binding itself.
// Models pkg/scheduler/framework/plugins/{defaultbinder,volumebinding} (BindPodVolumes, checkBindings).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use serde_json::Value;

use super::assumed::VolumePlan;
use super::listers::Listers;
use super::queue::Queued;
use crate::client;
use crate::clock::Clock;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{key_of, revision_of};
use crate::meta::storage::{SELECTED_NODE, annotation};
use crate::meta::storage_match::{claim_ref, is_fully_bound, reachable_from, volume_name};

/// How long a pod waits for its volumes.
// Models the bindTimeoutSeconds of VolumeBindingArgs.
const VOLUMES_TIMEOUT: Duration = Duration::from_secs(600);

/// How a write ended.
pub(super) enum Written {
    /// Well, or nobody needs to know.
    Done,
    /// A binding was refused.
    NotBound(Box<Queued>, String),
}

/// What a binding needs.
pub(super) struct Binder {
    pub(super) client: kube::Client,
    pub(super) recorder: Recorder,
    pub(super) clock: Clock,
    pub(super) listers: Arc<Listers>,
}

/// What is assumed of volumes for as long as this lives.
pub(super) struct Assumption {
    listers: Arc<Listers>,
    plan: VolumePlan,
}

impl Assumption {
    /// Takes the plan as carried out.
    pub(super) fn new(listers: Arc<Listers>, plan: VolumePlan) -> Self {
        listers.assumed.assume(&plan);
        Self { listers, plan }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.plan.is_empty()
    }
}

impl Drop for Assumption {
    fn drop(&mut self) {
        self.listers.assumed.forget(&self.plan);
    }
}

impl Binder {
    /// Gives the pod its node, and before that the volumes that are assumed.
    pub(super) async fn bind(self, queued: Queued, node: Arc<Node>, assumption: Assumption) -> Written {
        let cause = revision_of(&queued.pod.pod.metadata).max(queued.cause);
        let name = node.metadata.name.clone().unwrap_or_default();
        let outcome = client::because_of(cause, async {
            if !assumption.plan.is_empty() {
                self.bind_volumes(&assumption.plan, &node)
                    .await
                    .map_err(|why| format!("running PreBind plugin \"VolumeBinding\": {why}"))?;
            }
            drop(assumption);
            self.bind_pod(&queued, &name).await
        });
        match outcome.await {
            Ok(()) => Written::Done,
            Err(text) => Written::NotBound(Box::new(queued), text),
        }
    }

    async fn bind_pod(&self, queued: &Queued, node: &str) -> Result<(), String> {
        let pod = &queued.pod;
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(pod.name().to_owned()),
                namespace: Some(pod.namespace().to_owned()),
                uid: Some(pod.uid().to_owned()),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                kind: Some("Node".to_owned()),
                name: Some(node.to_owned()),
                ..ObjectReference::default()
            },
        };
        let pods: Api<k8s_openapi::api::core::v1::Pod> =
            Api::namespaced(self.client.clone(), pod.namespace());
        let params = PostParams::default();
        let request = pods.create_subresource::<Binding, Value>("binding", pod.name(), &params, &binding);
        let failed = |error| format!("running Bind plugin \"DefaultBinder\": {}", words(&error));
        request.await.map_err(failed)?;
        let text = format!("Successfully assigned {}/{} to {node}", pod.namespace(), pod.name());
        let reference = reference_to(&*pod.pod);
        self.recorder.event_with_action(&reference, EventType::Normal, "Scheduled", "Binding", text);
        Ok(())
    }

    /// Writes what was decided and waits until the claims are bound.
    async fn bind_volumes(&self, plan: &VolumePlan, node: &Node) -> Result<(), String> {
        let params = PostParams::default();
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let mut waiting = vec![];
        for (volume, claim) in &plan.volumes {
            let (_, name) = key_of(&volume.metadata);
            let written = volumes.replace(&name, &params, volume).await.map_err(|error| words(&error))?;
            waiting.push(Waiting { claim: claim.clone(), volume: Some(written) });
        }
        for claim in &plan.claims {
            let (namespace, name) = key_of(&claim.metadata);
            let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &namespace);
            let written = claims.replace(&name, &params, claim).await.map_err(|error| words(&error))?;
            waiting.push(Waiting { claim: Arc::new(written), volume: None });
        }
        let done = self.clock.timeout(VOLUMES_TIMEOUT, self.bound(&waiting, node)).await;
        done.unwrap_or_else(|_| Err("context deadline exceeded".to_owned()))
            .map_err(|why| format!("binding volumes: {why}"))
    }

    async fn bound(&self, waiting: &[Waiting], node: &Node) -> Result<(), String> {
        let mut claims = self.listers.claims.subscribe();
        let mut volumes = self.listers.volumes.subscribe();
        loop {
            let mut all = true;
            for one in waiting {
                all &= one.is_bound(&self.listers, node)?;
            }
            if all {
                return Ok(());
            }
            tokio::select! { biased;
                Some(_) = claims.recv() => {}
                Some(_) = volumes.recv() => {}
                else => return Err("the cluster has ended".to_owned()),
            }
        }
    }
}

/// A claim that is to be bound.
struct Waiting {
    /// As it was written last.
    claim: Arc<PersistentVolumeClaim>,
    /// The volume that it was given, as it was written; `None` if one has to be made.
    volume: Option<PersistentVolume>,
}

impl Waiting {
    /// Whether it is bound by now; an error if it never will be.
    fn is_bound(&self, listers: &Listers, node: &Node) -> Result<bool, String> {
        let (namespace, name) = key_of(&self.claim.metadata);
        let claim = listers.claims.get(&namespace, &name).ok_or_else(|| {
            format!("failed to check binding: could not find object \"{namespace}/{name}\"")
        })?;
        if let Some(written) = &self.volume {
            let (_, volume) = key_of(&written.metadata);
            let Some(found) = listers.volumes.get("", &volume) else {
                return Err(format!("failed to check binding: could not find object {volume:?}"));
            };
            if revision_of(&written.metadata) > revision_of(&found.metadata) {
                return Ok(false);
            }
            check_reach(&found, node)?;
            if claim_ref(&found)
                .is_none_or(|reference| reference.uid.as_deref().unwrap_or_default().is_empty())
            {
                return Err(format!("ClaimRef got reset for pv {volume:?}"));
            }
            return Ok(is_fully_bound(&claim));
        }
        if revision_of(&self.claim.metadata) > revision_of(&claim.metadata) {
            return Ok(false);
        }
        let selected = annotation(&claim.metadata, SELECTED_NODE);
        if Some(selected) != node.metadata.name.as_deref() {
            return Err(format!("provisioning failed for PVC {name:?}"));
        }
        if let Some(volume) = volume_name(&claim).and_then(|name| listers.volumes.get("", name)) {
            check_reach(&volume, node)?;
        }
        Ok(is_fully_bound(&claim))
    }
}

fn check_reach(volume: &PersistentVolume, node: &Node) -> Result<(), String> {
    if reachable_from(volume, node) {
        return Ok(());
    }
    let (volume, node) = (key_of(&volume.metadata).1, key_of(&node.metadata).1);
    Err(format!("pv {volume:?} node affinity doesn't match node {node:?}: no matching NodeSelectorTerms"))
}

/// What the API server said.
pub(super) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
