//! Binds claims to volumes, has volumes made for claims of classes with a provisioner, and releases volumes whose claims
//! are gone. Started from the controllers' table.
//!
//! Kubernetes looks at everything every fifteen seconds; here a claim that waits is looked at as often, and at once when a
//! volume or a class changes.
// Models pkg/controller/volume/persistentvolume (syncClaim, syncVolume).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;

use super::binding::{Bindings, Told, volume_phase};
use super::directories::VolumeDirectories;
use crate::controllers::context::{Context, Error, Handle, Workshop};
use crate::controllers::pods;
use crate::controllers::queue::Queue;
use crate::events::{EventType, reference_to};
use crate::informer::{Change, Informer, key_of, revision_of};
use crate::meta::storage::{
    self, BETA_STORAGE_PROVISIONER, BIND_COMPLETED, BOUND_BY_CONTROLLER, PROVISIONED_BY, SELECTED_NODE,
    STORAGE_PROVISIONER,
};
use crate::meta::storage_match::{
    self, Seeker, access_modes_fit, binds_late, claim_ref, find_matching, is_bound_to, modes_mismatch,
    volume_name,
};
use crate::store::Revision;

const NAME: &str = "persistentvolume-binder-controller";
/// Who speaks.
const COMPONENT: &str = "persistentvolume-controller";
/// How often a claim that waits is looked at.
const RESYNC: Duration = Duration::from_secs(15);
/// The drivers that took over from provisioners which were part of Kubernetes.
const MIGRATED: [(&str, &str); 7] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/azure-file", "file.csi.azure.com"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
    ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
];

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Claim(String, String),
    Volume(String),
    /// A claim that changed: of its own writes the controller knows all.
    ChangedClaim(String, String),
    /// A volume that changed.
    ChangedVolume(String),
}

pub(super) struct Binder {
    pub(super) bindings: Bindings,
    pub(super) directories: Arc<dyn VolumeDirectories>,
    classes: Informer<StorageClass>,
    pods: Informer<Pod>,
    queue: Queue<Key>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<Key> = Queue::new(context.clock.clone());
    let bindings = Bindings::new(context.client(NAME), context.recorder(COMPONENT), &context.informers);
    let controller = Arc::new(Binder {
        bindings,
        directories: context.directories.clone(),
        classes: context.informers.of(),
        pods: context.informers.of(),
        queue: queue.clone(),
    });
    let mut workshop = Workshop::new();
    controller.watch(&mut workshop);
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(key).await }
    })
}

fn claim_key(claim: &PersistentVolumeClaim) -> Key {
    let (namespace, name) = key_of(&claim.metadata);
    Key::Claim(namespace, name)
}

impl Binder {
    fn watch(self: &Arc<Self>, workshop: &mut Workshop) {
        let this = self.clone();
        workshop.on(self.bindings.claims.informer(), move |change| {
            let claim = change.object();
            let cause = revision_of(&claim.metadata);
            if matches!(change, Change::Deleted(_)) {
                this.bindings.claims.forget(claim);
                if let Some(volume) = volume_name(claim) {
                    this.queue.add(Key::Volume(volume.to_owned()), cause);
                }
            } else {
                let (namespace, name) = key_of(&claim.metadata);
                this.queue.add(Key::ChangedClaim(namespace, name), cause);
            }
        });
        let this = self.clone();
        workshop.on(self.bindings.volumes.informer(), move |change| {
            let volume = change.object();
            let cause = revision_of(&volume.metadata);
            match change {
                Change::Deleted(_) => {
                    this.bindings.volumes.forget(volume);
                    if let Some(claim) = claim_ref(volume) {
                        let of = |text: &Option<String>| text.clone().unwrap_or_default();
                        this.queue.add(Key::Claim(of(&claim.namespace), of(&claim.name)), cause);
                    }
                }
                _ => this.queue.add(Key::ChangedVolume(key_of(&volume.metadata).1), cause),
            }
            let free = volume_phase(volume) == "Available" && claim_ref(volume).is_none();
            let came_free = match change {
                Change::Modified(old, _) => volume_phase(old) != "Available" || claim_ref(old).is_some(),
                _ => true,
            };
            if free && came_free {
                let class = storage::volume_class(volume);
                // Claims of a class that binds late are the scheduler's.
                if !binds_late(this.classes.get("", class).as_deref()) {
                    this.wake_waiting(cause, |claim| storage::claim_class(claim) == class);
                }
            }
        });
        let this = self.clone();
        workshop.on(&self.classes, move |change| {
            let class = change.object();
            if matches!(change, Change::Deleted(_)) {
                return;
            }
            let default = storage::is_default_class(class.metadata.annotations.as_ref());
            this.wake_waiting(revision_of(&class.metadata), |claim| {
                Some(storage::claim_class(claim)) == class.metadata.name.as_deref()
                    || (default && !storage::claim_has_class(claim))
            });
        });
    }

    /// Has the claims looked at that wait, and that what happened may help.
    fn wake_waiting(&self, cause: Option<Revision>, helps: impl Fn(&PersistentVolumeClaim) -> bool) {
        for claim in self.bindings.claims.list() {
            if !storage::has_annotation(&claim.metadata, BIND_COMPLETED) && helps(&claim) {
                self.queue.add(claim_key(&claim), cause);
            }
        }
    }

    async fn reconcile(&self, key: Key) -> Result<Option<Duration>, Error> {
        match key {
            Key::Claim(namespace, name) => match self.bindings.claims.get(&namespace, &name) {
                Some(claim) => self.sync_claim(&claim).await,
                None => Ok(None),
            },
            Key::Volume(name) => match self.bindings.volumes.get("", &name) {
                Some(volume) => self.sync_volume(&volume).await,
                None => Ok(None),
            },
            // Only now is it sure that the answers to the controller's own writes have come.
            Key::ChangedClaim(namespace, name) => {
                let claim = self.bindings.claims.get(&namespace, &name);
                if let Some(claim) = claim.filter(|claim| !self.bindings.claims.is_own(claim)) {
                    self.queue.add(claim_key(&claim), revision_of(&claim.metadata));
                }
                Ok(None)
            }
            Key::ChangedVolume(name) => {
                let volume = self.bindings.volumes.get("", &name);
                if let Some(volume) = volume.filter(|volume| !self.bindings.volumes.is_own(volume)) {
                    self.queue.add(Key::Volume(name), revision_of(&volume.metadata));
                }
                Ok(None)
            }
        }
    }

    async fn sync_claim(&self, claim: &Arc<PersistentVolumeClaim>) -> Result<Option<Duration>, Error> {
        if storage::has_annotation(&claim.metadata, BIND_COMPLETED) {
            self.sync_bound_claim(claim).await?;
            return Ok(None);
        }
        let bound = match volume_name(claim) {
            None => self.sync_free_claim(claim).await?,
            Some(name) => self.sync_choosy_claim(claim, name).await?,
        };
        Ok((!bound).then_some(RESYNC))
    }

    /// A claim that takes any volume. The answer is whether it has one now.
    async fn sync_free_claim(&self, claim: &Arc<PersistentVolumeClaim>) -> Result<bool, Error> {
        let class = self.classes.get("", storage::claim_class(claim));
        let delayed = binds_late(class.as_deref());
        if let Some(volume) = self.best_match(claim, delayed) {
            self.bindings.bind(&volume, claim).await?;
            return Ok(true);
        }
        if self.assign_default_class(claim).await? {
            return Ok(false);
        }
        if delayed && !storage::has_annotation(&claim.metadata, SELECTED_NODE) {
            self.tell_delayed(claim);
        } else if !storage::claim_class(claim).is_empty() {
            self.provision(claim, class.as_deref()).await?;
            return Ok(false);
        } else {
            let message = "no persistent volumes available for this claim and no storage class is set";
            self.tell(claim, EventType::Normal, "FailedBinding", message);
        }
        self.bindings.set_claim_status(claim, "Pending", None).await?;
        Ok(false)
    }

    /// A claim that names its volume. The answer is whether it has it now.
    async fn sync_choosy_claim(&self, claim: &Arc<PersistentVolumeClaim>, name: &str) -> Result<bool, Error> {
        let Some(volume) = self.bindings.volumes.get("", name) else {
            self.bindings.set_claim_status(claim, "Pending", None).await?;
            return Ok(false);
        };
        if claim_ref(&volume).is_none() {
            let Err(why) = satisfies(&volume, claim) else {
                self.bindings.bind(&volume, claim).await?;
                return Ok(true);
            };
            let message = format!("Cannot bind to requested volume {name:?}: {why}");
            self.tell(claim, EventType::Warning, "VolumeMismatch", &message);
        } else if is_bound_to(&volume, claim) {
            self.bindings.bind(&volume, claim).await?;
            return Ok(true);
        } else {
            let message = format!("volume {name:?} already bound to a different claim.");
            self.tell(claim, EventType::Warning, "FailedBinding", &message);
            if storage::has_annotation(&claim.metadata, BOUND_BY_CONTROLLER) {
                let (namespace, claim) = key_of(&claim.metadata);
                let why = format!(
                    "invalid binding of claim \"{namespace}/{claim}\" to volume {name:?}: volume already claimed"
                );
                return Err(Error::Inconsistent(why));
            }
        }
        self.bindings.set_claim_status(claim, "Pending", None).await?;
        Ok(false)
    }

    /// A claim that had its volume: it should have it still.
    async fn sync_bound_claim(&self, claim: &Arc<PersistentVolumeClaim>) -> Result<(), Error> {
        let lost = |message| Told { reason: "ClaimLost", message };
        let Some(name) = volume_name(claim) else {
            let message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
            return self.bindings.lose_claim(claim, lost(message)).await;
        };
        let Some(volume) = self.bindings.volumes.get("", name) else {
            let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            return self.bindings.lose_claim(claim, lost(message)).await;
        };
        match claim_ref(&volume) {
            Some(reference) if reference.uid != claim.metadata.uid => {
                let message = "Two claims are bound to the same volume, this one is bound incorrectly";
                self.bindings.lose_claim(claim, Told { reason: "ClaimMisbound", message }).await
            }
            _ => self.bindings.bind(&volume, claim).await,
        }
    }

    async fn sync_volume(&self, volume: &Arc<PersistentVolume>) -> Result<Option<Duration>, Error> {
        let reference = claim_ref(volume).filter(|r| r.uid.as_ref().is_some_and(|uid| !uid.is_empty()));
        let Some(reference) = reference else {
            self.bindings.set_volume_phase(volume, "Available", "").await?;
            return Ok(None);
        };
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let (namespace, name) = (of(&reference.namespace), of(&reference.name));
        let same = |claim: &Arc<PersistentVolumeClaim>| claim.metadata.uid == reference.uid;
        let mut claim = self.bindings.claims.get(&namespace, &name).filter(same);
        let settled = matches!(volume_phase(volume), "Released" | "Failed");
        if claim.is_none() && !settled {
            // The cache may not have it yet, and what is released may be deleted.
            let live = self.bindings.claim_api(&namespace).get_opt(&name).await?;
            claim = live.map(Arc::new).filter(same);
        }
        let Some(claim) = claim else {
            return self.release(volume).await;
        };
        match volume_name(&claim) {
            None => {
                self.meet(volume, &claim);
                Ok(None)
            }
            Some(own) if Some(own) == volume.metadata.name.as_deref() => {
                self.bindings.set_volume_phase(volume, "Bound", "").await?;
                Ok(None)
            }
            Some(_) => {
                let policy =
                    volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
                if storage::has_annotation(&volume.metadata, PROVISIONED_BY) && policy == Some("Delete") {
                    return self.release(volume).await;
                }
                self.bindings.unbind(volume).await?;
                Ok(None)
            }
        }
    }

    /// The volume has its claim, but the claim does not know.
    fn meet(&self, volume: &PersistentVolume, claim: &PersistentVolumeClaim) {
        let (Some(own), Some(wanted)) = (&volume.spec, &claim.spec) else { return };
        if !modes_mismatch(wanted, own) {
            return self.queue.add(claim_key(claim), revision_of(&volume.metadata));
        }
        let (volume_name, claim_name) = (key_of(&volume.metadata).1, key_of(&claim.metadata).1);
        let text = format!(
            "Cannot bind PersistentVolume to requested PersistentVolumeClaim {claim_name:?} due to incompatible volumeMode."
        );
        self.bindings.recorder.event(&reference_to(volume), EventType::Warning, "VolumeMismatch", text);
        let text = format!(
            "Cannot bind PersistentVolume {volume_name:?} to requested PersistentVolumeClaim due to incompatible volumeMode."
        );
        self.tell(claim, EventType::Warning, "VolumeMismatch", &text);
    }

    async fn release(&self, volume: &Arc<PersistentVolume>) -> Result<Option<Duration>, Error> {
        let volume = match volume_phase(volume) {
            "Released" | "Failed" => volume.clone(),
            _ => self.bindings.set_volume_phase(volume, "Released", "").await?,
        };
        let done = self.reclaim(&volume).await?;
        Ok((!done).then_some(RESYNC))
    }

    fn tell(&self, claim: &PersistentVolumeClaim, kind: EventType, reason: &str, message: &str) {
        self.bindings.recorder.event(&reference_to(claim), kind, reason, message);
    }

    /// The volume for the claim: of those with the fewest access modes that will do, the smallest.
    // Models persistentVolumeOrderedIndex.findByClaim.
    fn best_match(&self, claim: &PersistentVolumeClaim, delayed: bool) -> Option<Arc<PersistentVolume>> {
        let wanted = claim.spec.as_ref()?;
        let fitting: Vec<_> = self
            .bindings
            .volumes
            .list()
            .into_iter()
            .filter(|volume| volume.spec.as_ref().is_some_and(|spec| access_modes_fit(wanted, spec)))
            .collect();
        let modes = |volume: &PersistentVolume| {
            let spec = volume.spec.as_ref();
            let text = storage::access_modes(spec.and_then(|spec| spec.access_modes.as_deref()));
            (text.split(',').count(), text)
        };
        let groups: BTreeSet<_> = fitting.iter().map(|volume| modes(volume)).collect();
        groups.iter().find_map(|group| {
            let alike: Vec<_> = fitting.iter().filter(|volume| modes(volume) == *group).cloned().collect();
            find_matching(claim, &alike, &BTreeSet::new(), Seeker::Controller { delayed })
        })
    }

    /// Gives a claim that says nothing about its class the default one, if there is one by now.
    async fn assign_default_class(&self, claim: &PersistentVolumeClaim) -> Result<bool, Error> {
        if storage::claim_has_class(claim) {
            return Ok(false);
        }
        let classes = self.classes.list();
        let marked =
            classes.iter().filter(|class| storage::is_default_class(class.metadata.annotations.as_ref()));
        let newest = marked.min_by_key(|class| {
            let created = class.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (std::cmp::Reverse(created), class.metadata.name.clone())
        });
        let Some(class) = newest else { return Ok(false) };
        let mut updated = claim.clone();
        updated.spec.get_or_insert_default().storage_class_name = class.metadata.name.clone();
        // Not as an own write: with its class the claim is to be looked at again.
        let (namespace, name) = key_of(&claim.metadata);
        let api = self.bindings.claim_api(&namespace);
        api.replace(&name, &PostParams::default(), &updated).await?;
        Ok(true)
    }

    /// Says what a claim of a class that binds late waits for.
    fn tell_delayed(&self, claim: &PersistentVolumeClaim) {
        let (namespace, name) = key_of(&claim.metadata);
        let waiting: Vec<String> = self
            .pods
            .list_namespace(&namespace)
            .iter()
            .filter(|pod| !pods::is_terminal(pod) && !has_node(pod) && super::ephemeral::uses(pod, &name))
            .filter_map(|pod| pod.metadata.name.clone())
            .collect();
        let (reason, message) = match waiting.as_slice() {
            [] => {
                ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned())
            }
            [pod] => ("WaitForPodScheduled", format!("waiting for pod {pod} to be scheduled")),
            pods => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", pods.join(","))),
        };
        self.tell(claim, EventType::Normal, reason, &message);
    }

    /// Has a volume made for the claim: by somebody else, for no provisioner is part of Kubernetes any more.
    async fn provision(
        &self,
        claim: &Arc<PersistentVolumeClaim>,
        class: Option<&StorageClass>,
    ) -> Result<(), Error> {
        let Some(class) = class else {
            let message = format!("storageclass.storage.k8s.io {:?} not found", storage::claim_class(claim));
            self.tell(claim, EventType::Warning, "ProvisioningFailed", &message);
            return Ok(());
        };
        let named = class.provisioner.as_str();
        let migrated = MIGRATED.iter().find(|(older, _)| *older == named).map(|(_, driver)| *driver);
        if migrated.is_none() && named.starts_with("kubernetes.io/") {
            let message = format!("no volume plugin matched name: {named}");
            self.tell(claim, EventType::Warning, "ProvisioningFailed", &message);
            return Ok(());
        }
        let provisioner = migrated.unwrap_or(named);
        let mut claim = claim.clone();
        if storage::annotation(&claim.metadata, STORAGE_PROVISIONER) != provisioner {
            let mut updated = PersistentVolumeClaim::clone(&claim);
            for key in [BETA_STORAGE_PROVISIONER, STORAGE_PROVISIONER] {
                storage::annotate(&mut updated.metadata, key, provisioner);
            }
            claim = self.bindings.update_claim(&updated).await?;
        }
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system \
             administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
        );
        self.tell(&claim, EventType::Normal, "ExternalProvisioning", &message);
        Ok(())
    }
}

fn has_node(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|name| !name.is_empty())
}

/// Whether the volume that a claim names will do, or why not.
// Models checkVolumeSatisfyClaim.
fn satisfies(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Result<(), String> {
    let (Some(own), Some(wanted)) = (&volume.spec, &claim.spec) else { return Ok(()) };
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    let attributes = |class: &Option<String>| class.clone().unwrap_or_default();
    if volume.metadata.deletion_timestamp.is_some() {
        Err(format!("the volume is marked for deletion {name:?}"))
    } else if storage_match::capacity(volume) < storage_match::requested(claim) {
        Err("requested PV is too small".to_owned())
    } else if storage::volume_class(volume) != storage::claim_class(claim) {
        Err("storageClassName does not match".to_owned())
    } else if attributes(&own.volume_attributes_class_name)
        != attributes(&wanted.volume_attributes_class_name)
    {
        Err("volumeAttributesClassName does not match".to_owned())
    } else if modes_mismatch(wanted, own) {
        Err("incompatible volumeMode".to_owned())
    } else if !access_modes_fit(wanted, own) {
        Err("incompatible accessMode".to_owned())
    } else {
        Ok(())
    }
}
