//! Makes the claims of a pod's ephemeral volumes. They are the pod's, and go with it. Started from the controllers' table.
// Models pkg/controller/volume/ephemeral and k8s.io/component-helpers/storage/ephemeral.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};

use crate::controllers::context::{Context, Error, Handle, Workshop, message};
use crate::controllers::queue::Queue;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Change, Informer, ObjectKey, key_of, revision_of};
use crate::meta::owner::{controller_ref, is_controlled_by};

const NAME: &str = "ephemeral-volume-controller";
/// Who speaks.
const COMPONENT: &str = "ephemeral_volume";

struct Controller {
    client: kube::Client,
    recorder: Recorder,
    pods: Informer<Pod>,
    claims: Informer<PersistentVolumeClaim>,
}

/// The volumes of a pod that are claims, with the claims' names.
pub(super) fn claims_of(pod: &Pod) -> Vec<(&Volume, String)> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => Some((volume, source.claim_name.clone())),
            (None, Some(_)) => Some((volume, format!("{name}-{}", volume.name))),
            (None, None) => None,
        })
        .collect()
}

/// Whether one of the pod's volumes is that claim.
pub(super) fn uses(pod: &Pod, claim: &str) -> bool {
    claims_of(pod).iter().any(|(_, name)| name == claim)
}

/// Whether the claim was made for an ephemeral volume of the pod.
pub(super) fn is_made_for(claim: &PersistentVolumeClaim, pod: &Pod) -> bool {
    claim.metadata.namespace == pod.metadata.namespace
        && is_controlled_by(&claim.metadata, pod.metadata.uid.as_deref().unwrap_or_default())
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<ObjectKey> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        recorder: context.recorder(COMPONENT),
        pods: context.informers.of(),
        claims: context.informers.of(),
    });
    let mut workshop = Workshop::new();
    workshop.wake(&controller.pods, &queue, |change| {
        let pod = change.object();
        let ephemeral = claims_of(pod).iter().any(|(volume, _)| volume.ephemeral.is_some());
        (matches!(change, Change::Added(_)) && ephemeral).then(|| key_of(&pod.metadata))
    });
    let (wake, pods) = (queue.clone(), controller.pods.clone());
    workshop.on(&controller.claims, move |change| {
        let Change::Deleted(claim) = change else { return };
        let (namespace, name) = key_of(&claim.metadata);
        for pod in pods.list_namespace(&namespace).iter().filter(|pod| uses(pod, &name)) {
            wake.add(key_of(&pod.metadata), revision_of(&claim.metadata));
        }
    });
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(&key).await }
    })
}

impl Controller {
    async fn reconcile(&self, (namespace, name): &ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(pod) = self.pods.get(namespace, name) else { return Ok(None) };
        if pod.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        for (volume, claim) in claims_of(&pod) {
            if let Err(why) = self.have(&pod, volume, &claim, namespace).await {
                let text = format!("ephemeral volume {}: {why}", volume.name);
                self.recorder.event(&reference_to(&*pod), EventType::Warning, "FailedBinding", text.clone());
                return Err(Error::Inconsistent(format!("pod {namespace}/{name}, {text}")));
            }
        }
        Ok(None)
    }

    async fn have(&self, pod: &Pod, volume: &Volume, name: &str, namespace: &str) -> Result<(), String> {
        let template = volume.ephemeral.as_ref().and_then(|source| source.volume_claim_template.as_ref());
        let Some(template) = template else { return Ok(()) };
        if let Some(claim) = self.claims.get(namespace, name) {
            if is_made_for(&claim, pod) {
                return Ok(());
            }
            let (namespace, pod) = key_of(&pod.metadata);
            return Err(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            ));
        }
        let meta = template.metadata.clone().unwrap_or_default();
        let claim = PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                owner_references: Some(vec![controller_ref::<Pod>(&pod.metadata)]),
                annotations: meta.annotations,
                labels: meta.labels,
                ..ObjectMeta::default()
            },
            spec: Some(template.spec.clone()),
            status: None,
        };
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), namespace);
        let created = api.create(&PostParams::default(), &claim).await;
        created.map(drop).map_err(|error| format!("create PVC {name}: {}", message(&error)))
    }
}
