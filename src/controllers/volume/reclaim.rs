//! What becomes of a volume whose claim is gone.
// Models pkg/controller/volume/persistentvolume (reclaimVolume, deleteVolumeOperation) and pkg/volume/hostpath (hostPathDeleter).

use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::DeleteParams;

use super::binder::Binder;
use super::binding::Told;
use crate::controllers::context::{Error, gone_is_fine};
use crate::meta::storage::{self, PROVISIONED_BY};

impl Binder {
    /// Keeps a released volume or has it deleted, as its policy says. `false`: it could not be done.
    pub(super) async fn reclaim(&self, volume: &Arc<PersistentVolume>) -> Result<bool, Error> {
        let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        let (reason, message) = match policy.unwrap_or_default() {
            "Retain" => return Ok(true),
            "Delete" => match self.delete(volume).await? {
                Ok(()) => return Ok(true),
                Err(why) => ("VolumeFailedDelete", why),
            },
            "Recycle" => ("VolumeFailedRecycle", "No recycler plugin found for the volume!".to_owned()),
            _ => (
                "VolumeUnknownReclaimPolicy",
                "Volume has unrecognized PersistentVolumeReclaimPolicy".to_owned(),
            ),
        };
        self.bindings.fail_volume(volume, Told { reason, message: &message }).await?;
        Ok(false)
    }

    /// Deletes what the volume is made of, and then the volume. The inner error is why it cannot be done.
    async fn delete(&self, volume: &PersistentVolume) -> Result<Result<(), String>, Error> {
        let provisioner = storage::annotation(&volume.metadata, PROVISIONED_BY);
        let Some(spec) = volume.spec.as_ref().filter(|_| volume.metadata.deletion_timestamp.is_none()) else {
            // It is on its way out already.
            return Ok(Ok(()));
        };
        if (!provisioner.is_empty() && !provisioner.starts_with("kubernetes.io/")) || spec.csi.is_some() {
            // Who made it takes it away.
            return Ok(Ok(()));
        }
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        let Some(host) = &spec.host_path else {
            let why = "no deletable volume plugin matched";
            return Ok(Err(format!("error getting deleter volume plugin for volume {name:?}: {why}")));
        };
        let below_tmp = host.path.split_once("/tmp/").is_some_and(|(_, rest)| !rest.is_empty());
        if !below_tmp {
            return Ok(Err(format!(
                "host_path deleter only supports /tmp/.+ but received provided {}",
                host.path
            )));
        }
        if let Err(why) = self.directories.remove(&host.path).await {
            return Ok(Err(why));
        }
        gone_is_fine(self.bindings.volume_api().delete(name, &DeleteParams::default()).await)?;
        Ok(Ok(()))
    }
}
