//! Volumes that are claims: from the pod's words through the claim to what its PersistentVolume is made of.
// Models pkg/kubelet/volumemanager/populator (createVolumeSpec, getPVCExtractPV, getPVSpec).

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use kube::api::Api;

use super::super::config::Dependencies;
use super::super::spec;
use crate::meta::owner::is_controlled_by;
use crate::meta::storage::{CLAIM_FINALIZER, has_finalizer};
use crate::meta::storage_match::{claim_ref, volume_name};

/// What a claim of a pod comes down to.
pub(super) struct Claim {
    /// The volume behind it.
    pub(super) volume: PersistentVolume,
    /// Whether the pod wants to read only.
    pub(super) read_only: bool,
}

/// The name of the claim that a volume of the pod is, if it is one, and whether it was made for the pod.
pub(super) fn claim_name(pod: &Pod, volume: &Volume) -> Option<(String, bool)> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some((source.claim_name.clone(), false)),
        (None, Some(_)) => Some((format!("{}-{}", spec::name(pod), volume.name), true)),
        (None, None) => None,
    }
}

/// Finds the volume behind a claim. The error is why it cannot be had.
pub(super) async fn resolve(
    deps: &Dependencies,
    pod: &Pod,
    volume: &Volume,
    name: &str,
    ephemeral: bool,
) -> Result<Claim, String> {
    let namespace = spec::namespace(pod);
    let failed = |why: String| format!("error processing PVC {namespace}/{name}: {why}");
    let claim = bound_claim(deps, namespace, name).await.map_err(failed)?;
    if ephemeral && !is_controlled_by(&claim.metadata, spec::uid(pod)) {
        let pod = spec::name(pod);
        return Err(format!(
            "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
        ));
    }
    let persistent = volume_of(deps, &claim).await.map_err(failed)?;
    let mode = persistent.spec.as_ref().and_then(|spec| spec.volume_mode.as_deref()).unwrap_or("Filesystem");
    let all = spec::init_containers(pod).iter().chain(spec::containers(pod));
    for container in all {
        let mounted = container.volume_mounts.iter().flatten().any(|mount| mount.name == volume.name);
        let device = container.volume_devices.iter().flatten().any(|device| device.name == volume.name);
        for (used, wanted, place) in
            [(mounted, "Filesystem", "volumeMounts"), (device, "Block", "volumeDevices")]
        {
            if used && mode != wanted {
                let name = &volume.name;
                return Err(format!("volume {name} has volumeMode {mode}, but is specified in {place}"));
            }
        }
    }
    let source = volume.persistent_volume_claim.as_ref();
    let read_only = source.is_some_and(|source| source.read_only == Some(true));
    Ok(Claim { volume: persistent, read_only })
}

async fn bound_claim(
    deps: &Dependencies,
    namespace: &str,
    name: &str,
) -> Result<PersistentVolumeClaim, String> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(deps.client.clone(), namespace);
    let claim = api
        .get(name)
        .await
        .map_err(|error| format!("failed to fetch PVC from API server: {}", words(&error)))?;
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    if claim.metadata.deletion_timestamp.is_some() && !has_finalizer(&claim.metadata, CLAIM_FINALIZER) {
        Err("PVC is being deleted".to_owned())
    } else if phase != Some("Bound") {
        Err("PVC is not bound".to_owned())
    } else if volume_name(&claim).is_none() {
        Err("PVC has empty pvc.Spec.VolumeName".to_owned())
    } else {
        Ok(claim)
    }
}

async fn volume_of(deps: &Dependencies, claim: &PersistentVolumeClaim) -> Result<PersistentVolume, String> {
    let name = volume_name(claim).unwrap_or_default();
    let api: Api<PersistentVolume> = Api::all(deps.client.clone());
    let volume = api
        .get(name)
        .await
        .map_err(|error| format!("failed to fetch PV {name} from API server: {}", words(&error)))?;
    let Some(reference) = claim_ref(&volume) else {
        return Err(format!(
            "found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
        ));
    };
    if reference.uid != claim.metadata.uid {
        let text = |uid: &Option<String>| uid.clone().unwrap_or_default();
        return Err(format!(
            "found PV object {name} but its pv.Spec.ClaimRef.UID {} does not point to claim.UID {}",
            text(&reference.uid),
            text(&claim.metadata.uid)
        ));
    }
    Ok(volume)
}

/// The server's own words.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
