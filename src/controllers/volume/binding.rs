//! The writes that bind a claim and a volume to each other, and that part them again.
// Models pkg/controller/volume/persistentvolume/pv_controller.go (bind, unbindVolume, updateClaimStatus, updateVolumePhase).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, PostParams};

use super::fresh::Fresh;
use crate::controllers::context::Error;
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::Informers;
use crate::meta::storage::{self, BIND_COMPLETED, BOUND_BY_CONTROLLER};
use crate::meta::storage_match::{bind_volume, volume_name};

/// Claims and volumes, to read and to write.
pub(super) struct Bindings {
    client: kube::Client,
    pub(super) recorder: Recorder,
    pub(super) claims: Fresh<PersistentVolumeClaim>,
    pub(super) volumes: Fresh<PersistentVolume>,
}

/// What is told of a change of phase.
pub(super) struct Told<'a> {
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

pub(super) fn claim_phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub(super) fn volume_phase(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

impl Bindings {
    pub(super) fn new(client: kube::Client, recorder: Recorder, informers: &Informers) -> Self {
        Self { client, recorder, claims: Fresh::new(informers.of()), volumes: Fresh::new(informers.of()) }
    }

    pub(super) fn volume_api(&self) -> Api<PersistentVolume> {
        Api::all(self.client.clone())
    }

    pub(super) fn claim_api(&self, namespace: &str) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Writes a claim but its status.
    pub(super) async fn update_claim(
        &self,
        claim: &PersistentVolumeClaim,
    ) -> Result<Arc<PersistentVolumeClaim>, Error> {
        let (namespace, name) = names(&claim.metadata);
        let written = self.claim_api(namespace).replace(name, &PostParams::default(), claim).await?;
        Ok(self.claims.wrote(written))
    }

    /// Writes a volume but its status.
    pub(super) async fn update_volume(
        &self,
        volume: &PersistentVolume,
    ) -> Result<Arc<PersistentVolume>, Error> {
        let (_, name) = names(&volume.metadata);
        let written = self.volume_api().replace(name, &PostParams::default(), volume).await?;
        Ok(self.volumes.wrote(written))
    }

    /// Sets a claim's phase, and what it has of its volume.
    pub(super) async fn set_claim_status(
        &self,
        claim: &Arc<PersistentVolumeClaim>,
        phase: &str,
        volume: Option<&PersistentVolume>,
    ) -> Result<Arc<PersistentVolumeClaim>, Error> {
        let mut updated = PersistentVolumeClaim::clone(claim);
        let status = updated.status.get_or_insert_default();
        let changes_phase = status.phase.as_deref() != Some(phase);
        let was_pending = status.phase.as_deref() == Some("Pending");
        status.phase = Some(phase.to_owned());
        match volume.and_then(|volume| volume.spec.as_ref()) {
            None => {
                status.access_modes = None;
                status.capacity = None;
                status.current_volume_attributes_class_name = None;
            }
            Some(spec) => {
                status.access_modes = spec.access_modes.clone();
                // Later a claim may grow on its own.
                if changes_phase {
                    status.capacity = spec.capacity.clone();
                }
                if was_pending && phase == "Bound" {
                    let class = &spec.volume_attributes_class_name;
                    status.current_volume_attributes_class_name = class.clone();
                }
            }
        }
        if updated.status == claim.status {
            return Ok(claim.clone());
        }
        let (namespace, name) = names(&claim.metadata);
        let written =
            self.claim_api(namespace).replace_status(name, &PostParams::default(), &updated).await?;
        Ok(self.claims.wrote(written))
    }

    /// Sets a claim's phase without a volume and says why, once.
    pub(super) async fn lose_claim(
        &self,
        claim: &Arc<PersistentVolumeClaim>,
        told: Told<'_>,
    ) -> Result<(), Error> {
        if claim_phase(claim) == "Lost" {
            return Ok(());
        }
        let claim = self.set_claim_status(claim, "Lost", None).await?;
        self.recorder.event(&reference_to(&*claim), EventType::Warning, told.reason, told.message);
        Ok(())
    }

    /// Sets a volume's phase.
    pub(super) async fn set_volume_phase(
        &self,
        volume: &Arc<PersistentVolume>,
        phase: &str,
        message: &str,
    ) -> Result<Arc<PersistentVolume>, Error> {
        if volume_phase(volume) == phase {
            return Ok(volume.clone());
        }
        let mut updated = PersistentVolume::clone(volume);
        let status = updated.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        status.message = Some(message.to_owned()).filter(|message| !message.is_empty());
        let (_, name) = names(&volume.metadata);
        let written = self.volume_api().replace_status(name, &PostParams::default(), &updated).await?;
        Ok(self.volumes.wrote(written))
    }

    /// Sets a volume's phase to Failed and says why, once.
    pub(super) async fn fail_volume(
        &self,
        volume: &Arc<PersistentVolume>,
        told: Told<'_>,
    ) -> Result<(), Error> {
        if volume_phase(volume) == "Failed" {
            return Ok(());
        }
        let volume = self.set_volume_phase(volume, "Failed", told.message).await?;
        self.recorder.event(&reference_to(&*volume), EventType::Warning, told.reason, told.message);
        Ok(())
    }

    /// Binds the two to each other. Each of the four writes is left out if it would change nothing, so that it can be begun
    /// again wherever it stopped.
    pub(super) async fn bind(
        &self,
        volume: &Arc<PersistentVolume>,
        claim: &Arc<PersistentVolumeClaim>,
    ) -> Result<(), Error> {
        let volume = match bind_volume(volume, claim) {
            Some(bound) => self.update_volume(&bound).await?,
            None => volume.clone(),
        };
        let volume = self.set_volume_phase(&volume, "Bound", "").await?;
        let claim = self.bind_claim(claim, &volume).await?;
        self.set_claim_status(&claim, "Bound", Some(&volume)).await?;
        Ok(())
    }

    async fn bind_claim(
        &self,
        claim: &Arc<PersistentVolumeClaim>,
        volume: &PersistentVolume,
    ) -> Result<Arc<PersistentVolumeClaim>, Error> {
        let mut bound = PersistentVolumeClaim::clone(claim);
        if volume_name(claim) != volume.metadata.name.as_deref() {
            bound.spec.get_or_insert_default().volume_name = volume.metadata.name.clone();
            if !storage::has_annotation(&bound.metadata, BOUND_BY_CONTROLLER) {
                storage::annotate(&mut bound.metadata, BOUND_BY_CONTROLLER, "yes");
            }
        }
        if !storage::has_annotation(&bound.metadata, BIND_COMPLETED) {
            storage::annotate(&mut bound.metadata, BIND_COMPLETED, "yes");
        }
        if bound == **claim { Ok(claim.clone()) } else { self.update_claim(&bound).await }
    }

    /// Gives a volume free that a claim did not take after all. One that the user kept for the claim stays kept.
    pub(super) async fn unbind(&self, volume: &PersistentVolume) -> Result<(), Error> {
        let mut free = volume.clone();
        let spec = free.spec.get_or_insert_default();
        if storage::has_annotation(&volume.metadata, BOUND_BY_CONTROLLER) {
            spec.claim_ref = None;
            if let Some(annotations) = &mut free.metadata.annotations {
                annotations.remove(BOUND_BY_CONTROLLER);
            }
        } else if let Some(reference) = &mut spec.claim_ref {
            reference.uid = None;
        }
        let volume = self.update_volume(&free).await?;
        self.set_volume_phase(&volume, "Available", "").await?;
        Ok(())
    }
}

fn names(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> (&str, &str) {
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}
