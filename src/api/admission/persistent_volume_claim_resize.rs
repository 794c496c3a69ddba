//! PersistentVolumeClaimResize: a claim may grow only when it is bound and its class allows it.
// Models plugin/pkg/admission/storage/persistentvolume/resize.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::ApiError;
use crate::meta::quantity::Quantity;
use crate::meta::storage;

/// The plugin.
pub struct PersistentVolumeClaimResize;

impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn validate(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        if request.operation != Operation::Update || !request.is("", "persistentvolumeclaims", "") {
            return Ok(());
        }
        let (Some(claim), Some(old)) =
            (request.object_as::<PersistentVolumeClaim>(), request.old_as::<PersistentVolumeClaim>())
        else {
            return Ok(());
        };
        if size(claim) <= size(old) {
            return Ok(());
        }
        let phase = old.status.as_ref().and_then(|status| status.phase.as_deref());
        if phase != Some("Bound") {
            return Err(request.forbidden("Only bound persistent volume claims can be expanded"));
        }
        let class = storage::claim_class(claim);
        let allowed = !class.is_empty()
            && class == storage::claim_class(old)
            && context
                .read::<StorageClass>("", class)
                .is_some_and(|class| class.allow_volume_expansion == Some(true));
        if allowed {
            return Ok(());
        }
        let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc \
                   must support resize";
        Err(request.forbidden(why))
    }
}

fn size(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    Quantity::try_from(resources.requests.as_ref()?.get("storage")?).ok()
}
