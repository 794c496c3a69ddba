//! The spec of a claim for storage, inside a pod or on its own.
// Models pkg/apis/core/validation (ValidatePersistentVolumeClaimSpec).

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;

use super::resources::validate_resource_value;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::meta::quantity::Quantity;

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// A claim's spec.
pub(crate) fn validate_claim_spec(spec: &PersistentVolumeClaimSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    let modes_field = field.child("accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(&modes_field, "at least 1 access mode is required"));
    }
    if let Some(selector) = &spec.selector {
        errors.extend(checks::label_selector(selector, &field.child("selector")));
    }
    for mode in modes.iter().filter(|mode| !ACCESS_MODES.contains(&mode.as_str())) {
        errors.push(FieldError::not_supported(&modes_field, mode.as_str(), &ACCESS_MODES));
    }
    let alone = modes.iter().any(|mode| mode == "ReadWriteOncePod");
    if alone && modes.iter().any(|mode| mode != "ReadWriteOncePod" && ACCESS_MODES.contains(&mode.as_str())) {
        errors.push(FieldError::forbidden(
            &modes_field,
            "may not use ReadWriteOncePod with other access modes",
        ));
    }
    let storage_field = field.child("resources").key("storage");
    match spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get("storage")) {
        None => errors.push(FieldError::required(&storage_field, "")),
        Some(storage) => match Quantity::try_from(storage) {
            Ok(value) if value.signum() <= 0 => {
                errors.push(FieldError::invalid(
                    &storage_field,
                    value.to_string(),
                    "must be greater than zero",
                ));
            }
            _ => errors.extend(validate_resource_value("storage", storage, &storage_field)),
        },
    }
    if let Some(class) = spec.storage_class_name.as_ref().filter(|class| !class.is_empty()) {
        errors.extend(checks::dns_subdomain(class, &field.child("storageClassName")));
    }
    if let Some(mode) = spec.volume_mode.as_deref().filter(|mode| !["Block", "Filesystem"].contains(mode)) {
        errors.push(FieldError::not_supported(&field.child("volumeMode"), mode, &["Block", "Filesystem"]));
    }
    if let Some(class) = spec.volume_attributes_class_name.as_ref().filter(|class| !class.is_empty()) {
        errors.extend(checks::dns_subdomain(class, &field.child("volumeAttributesClassName")));
    }
    errors
}
