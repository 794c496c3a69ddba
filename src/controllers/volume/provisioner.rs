//! Makes volumes for claims as directories, and takes them away again: the storage provisioner that minikube has.
//! Started from the controllers' table.
// Models k8s.io/minikube (cmd/storage-provisioner) and sigs.k8s.io/sig-storage-lib-external-provisioner/controller.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams};

use super::binding::volume_phase;
use super::directories::VolumeDirectories;
use crate::controllers::context::{
    Context, Error, Handle, Workshop, gone_is_fine, is_already_exists, message,
};
use crate::controllers::queue::Queue;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Change, Informer, ObjectKey, key_of};
use crate::meta::storage::{
    self, BETA_STORAGE_PROVISIONER, PROVISIONED_BY, SELECTED_NODE, STORAGE_PROVISIONER,
};
use crate::meta::storage_match::{binds_late, reference_to_claim, volume_name};

/// The name that classes call it by.
const PROVISIONER: &str = "k8s.io/minikube-hostpath";
/// Which of several provisioners made a volume.
const IDENTITY: &str = "hostPathProvisionerIdentity";
/// The client's name.
const NAME: &str = "storage-provisioner";

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Claim(ObjectKey),
    Volume(String),
}

struct Provisioner {
    client: kube::Client,
    recorder: Recorder,
    identity: String,
    directories: Arc<dyn VolumeDirectories>,
    claims: Informer<PersistentVolumeClaim>,
    volumes: Informer<PersistentVolume>,
    classes: Informer<StorageClass>,
}

/// Starts the provisioner.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<Key> = Queue::new(context.clock.clone());
    let identity = context.seed.uuid().to_string();
    // The library's voice has the name of the machine and of the process in it.
    let voice = format!("{PROVISIONER}_minikube_{identity}");
    let controller = Arc::new(Provisioner {
        client: (context.clients)(NAME),
        recorder: Recorder::new((context.clients)(NAME), &voice, "", context.clock.clone()),
        identity,
        directories: context.directories.clone(),
        claims: context.informers.of(),
        volumes: context.informers.of(),
        classes: context.informers.of(),
    });
    let mut workshop = Workshop::new();
    workshop.wake(&controller.claims, &queue, |change| {
        let wanted = !matches!(change, Change::Deleted(_)) && is_ours(change.object());
        wanted.then(|| Key::Claim(key_of(&change.object().metadata)))
    });
    workshop.wake(&controller.volumes, &queue, |change| {
        let meta = &change.object().metadata;
        let ours = storage::annotation(meta, PROVISIONED_BY) == PROVISIONER;
        meta.name.clone().filter(|_| ours && !matches!(change, Change::Deleted(_))).map(Key::Volume)
    });
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move {
            match key {
                Key::Claim((namespace, name)) => this.provision(&namespace, &name).await,
                Key::Volume(name) => this.delete(&name).await,
            }
        }
    })
}

/// Whether the claim waits for this provisioner.
fn is_ours(claim: &PersistentVolumeClaim) -> bool {
    [STORAGE_PROVISIONER, BETA_STORAGE_PROVISIONER]
        .iter()
        .any(|key| storage::annotation(&claim.metadata, key) == PROVISIONER)
}

impl Provisioner {
    async fn provision(&self, namespace: &str, name: &str) -> Result<Option<Duration>, Error> {
        let Some(claim) = self.claims.get(namespace, name) else { return Ok(None) };
        let Some(class) = self.classes.get("", storage::claim_class(&claim)) else { return Ok(None) };
        let late = binds_late(Some(&class));
        let volume = format!("pvc-{}", claim.metadata.uid.as_deref().unwrap_or_default());
        if volume_name(&claim).is_some()
            || claim.metadata.deletion_timestamp.is_some()
            || (late && !storage::has_annotation(&claim.metadata, SELECTED_NODE))
            || self.volumes.get("", &volume).is_some()
        {
            return Ok(None);
        }
        // The cache may not have it yet.
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        if api.get_opt(&volume).await?.is_some() {
            return Ok(None);
        }
        let tell = |kind, reason: &str, text: String| {
            self.recorder.event(&reference_to(&*claim), kind, reason, text);
        };
        let text = format!("External provisioner is provisioning volume for claim \"{namespace}/{name}\"");
        tell(EventType::Normal, "Provisioning", text);
        match self.make(&claim, &class, &volume).await {
            Ok(()) => {
                let text = format!("Successfully provisioned volume {volume}");
                tell(EventType::Normal, "ProvisioningSucceeded", text);
                Ok(None)
            }
            Err(why) => {
                let class = storage::claim_class(&claim);
                let text = format!("failed to provision volume with StorageClass {class:?}: {why}");
                tell(EventType::Warning, "ProvisioningFailed", text.clone());
                Err(Error::Inconsistent(text))
            }
        }
    }

    async fn make(
        &self,
        claim: &PersistentVolumeClaim,
        class: &StorageClass,
        name: &str,
    ) -> Result<(), String> {
        let (namespace, claim_name) = key_of(&claim.metadata);
        let spec = claim.spec.clone().unwrap_or_default();
        if spec.selector.is_some() {
            return Err("claim Selector is not supported".to_owned());
        }
        if spec.volume_mode.as_deref() == Some("Block") {
            return Err(format!("{PROVISIONER} does not support block volume provisioning"));
        }
        let path = format!("{}/{namespace}/{claim_name}", self.directories.root());
        self.directories.make(&path).await?;
        let storage_request = spec.resources.and_then(|resources| resources.requests?.remove("storage"));
        let capacity = storage_request.map(|quantity| [("storage".to_owned(), quantity)].into());
        let annotations = [
            (IDENTITY.to_owned(), self.identity.clone()),
            (PROVISIONED_BY.to_owned(), PROVISIONER.to_owned()),
        ];
        let volume = PersistentVolume {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                annotations: Some(annotations.into()),
                ..ObjectMeta::default()
            },
            spec: Some(PersistentVolumeSpec {
                access_modes: spec.access_modes,
                capacity,
                claim_ref: Some(reference_to_claim(claim)),
                host_path: Some(HostPathVolumeSource { path, type_: None }),
                mount_options: class.mount_options.clone(),
                persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
                storage_class_name: class.metadata.name.clone(),
                volume_mode: spec.volume_mode,
                ..PersistentVolumeSpec::default()
            }),
            status: None,
        };
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        match api.create(&PostParams::default(), &volume).await {
            Err(error) if !is_already_exists(&error) => Err(message(&error)),
            _ => Ok(()),
        }
    }

    /// Deletes a volume that was released, with its directory.
    async fn delete(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(volume) = self.volumes.get("", name) else { return Ok(None) };
        let Some(spec) = &volume.spec else { return Ok(None) };
        let wanted = volume_phase(&volume) == "Released"
            && spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete")
            && volume.metadata.deletion_timestamp.is_none();
        let Some(path) = spec.host_path.as_ref().map(|host| host.path.as_str()).filter(|_| wanted) else {
            return Ok(None);
        };
        // A volume may have been left over, and its claim made anew: then the directory is the new one's.
        let taken = self.volumes.list().iter().any(|other| {
            let host = other.spec.as_ref().and_then(|spec| spec.host_path.as_ref());
            other.metadata.name != volume.metadata.name && host.is_some_and(|host| host.path == path)
        });
        if !taken && let Err(why) = self.directories.remove(path).await {
            let reference = reference_to(&*volume);
            self.recorder.event(&reference, EventType::Warning, "VolumeFailedDelete", why.clone());
            return Err(Error::Inconsistent(why));
        }
        let api: Api<PersistentVolume> = Api::all(self.client.clone());
        gone_is_fine(api.delete(name, &DeleteParams::default()).await)?;
        Ok(None)
    }
}
