//! DefaultStorageClass: a claim that says nothing about its class gets the default one.
// Models plugin/pkg/admission/storage/storageclass/setdefault and pkg/volume/util (GetDefaultClass).

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::ApiError;
use crate::meta::storage;

/// The plugin.
pub struct DefaultStorageClass;

impl Plugin for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        if request.operation != Operation::Create || !request.is("", "persistentvolumeclaims", "") {
            return Ok(());
        }
        let Some(claim) = request.object_as_mut::<PersistentVolumeClaim>() else { return Ok(()) };
        if !storage::claim_has_class(claim)
            && let Some(class) = default_class(context.list("")).and_then(|class| class.metadata.name)
        {
            claim.spec.get_or_insert_default().storage_class_name = Some(class);
        }
        Ok(())
    }
}

/// The default class; of several the newest, then the first by name.
fn default_class(classes: Vec<StorageClass>) -> Option<StorageClass> {
    let marked =
        classes.into_iter().filter(|class| storage::is_default_class(class.metadata.annotations.as_ref()));
    marked.min_by_key(|class| {
        let created = class.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (Reverse(created), class.metadata.name.clone())
    })
}
