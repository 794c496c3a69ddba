//! StorageObjectInUseProtection: claims and volumes get the finalizers that keep them while they are in use.
//!
//! The protection controllers take the finalizers away.
// Models plugin/pkg/admission/storage/storageobjectinuseprotection.

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::ApiError;
use crate::meta::storage;

/// The plugin.
pub struct StorageObjectInUseProtection;

impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        _context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        let finalizer = if request.is("", "persistentvolumeclaims", "") {
            storage::CLAIM_FINALIZER
        } else if request.is("", "persistentvolumes", "") {
            storage::VOLUME_FINALIZER
        } else {
            return Ok(());
        };
        if request.operation == Operation::Create
            && let Some(object) = request.object.as_deref_mut()
            && !storage::has_finalizer(object.meta(), finalizer)
        {
            object.meta_mut().finalizers.get_or_insert_default().push(finalizer.to_owned());
        }
        Ok(())
    }
}
