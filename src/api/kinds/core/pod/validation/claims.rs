//! The spec of a claim for storage, inside a pod or on its own.
// Models pkg/apis/core/validation (ValidatePersistentVolumeClaimSpec).

use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, TypedObjectReference};

use super::resources::validate_resource_value;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
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
    errors.extend(validate_access_modes(modes, &modes_field));
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
    errors.extend(validate_sources(spec, field));
    if let Some(class) = spec.volume_attributes_class_name.as_ref().filter(|class| !class.is_empty()) {
        errors.extend(checks::dns_subdomain(class, &field.child("volumeAttributesClassName")));
    }
    errors
}

/// The access modes of a claim or a volume.
pub(crate) fn validate_access_modes(modes: &[String], field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for mode in modes.iter().filter(|mode| !ACCESS_MODES.contains(&mode.as_str())) {
        errors.push(FieldError::not_supported(field, mode.as_str(), &ACCESS_MODES));
    }
    let alone = modes.iter().any(|mode| mode == "ReadWriteOncePod");
    if alone && modes.iter().any(|mode| mode != "ReadWriteOncePod" && ACCESS_MODES.contains(&mode.as_str())) {
        errors.push(FieldError::forbidden(field, "may not use ReadWriteOncePod with other access modes"));
    }
    errors
}

/// What the volume is to be filled with.
// Models validateDataSource, validateDataSourceRef and isDataSourceEqualDataSourceRef.
fn validate_sources(spec: &PersistentVolumeClaimSpec, field: &FieldPath) -> Vec<FieldError> {
    let older = spec.data_source.as_ref().map(|source| TypedObjectReference {
        api_group: source.api_group.clone(),
        kind: source.kind.clone(),
        name: source.name.clone(),
        namespace: None,
    });
    let mut errors = vec![];
    for (source, name) in [(older.as_ref(), "dataSource"), (spec.data_source_ref.as_ref(), "dataSourceRef")] {
        errors.extend(source.iter().flat_map(|source| validate_source(source, &field.child(name))));
    }
    if let (Some(older), Some(source)) = (&older, &spec.data_source_ref) {
        let why = match text(&source.namespace) {
            "" if older.kind == source.kind
                && older.name == source.name
                && text(&older.api_group) == text(&source.api_group) =>
            {
                return errors;
            }
            "" => "must match dataSourceRef",
            _ => "may not be specified when dataSourceRef.namespace is specified",
        };
        errors.push(FieldError::invalid(field, field.child("dataSource").to_string(), why));
    }
    errors
}

fn validate_source(source: &TypedObjectReference, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (value, name) in [(&source.name, "name"), (&source.kind, "kind")] {
        errors.extend(value.is_empty().then(|| FieldError::required(&field.child(name), "")));
    }
    match text(&source.api_group) {
        "" if source.kind != "PersistentVolumeClaim" => {
            let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.push(FieldError::invalid(field, source.kind.as_str(), why));
        }
        "" => {}
        group => errors.extend(checks::dns_subdomain(group, &field.child("apiGroup"))),
    }
    let namespace = text(&source.namespace);
    if !namespace.is_empty() {
        errors.extend(checks::dns_label(namespace, &field.child("namespace")));
    }
    errors
}
