//! Where a container mounts its volumes.
// Models pkg/apis/core/validation (ValidateVolumeMounts, ValidateVolumeDevices).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Volume, VolumeMount};

use super::paths;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::unset::text;

pub(super) fn validate(
    container: &Container,
    volumes: &BTreeMap<String, Volume>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = validate_mounts(container, volumes, &field.child("volumeMounts"));
    errors.extend(validate_devices(container, volumes, &field.child("volumeDevices")));
    errors
}

fn validate_mounts(
    container: &Container,
    volumes: &BTreeMap<String, Volume>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    let devices = || container.volume_devices.iter().flatten();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let own = field.index(index);
        let (name_field, path_field) = (own.child("name"), own.child("mountPath"));
        let (name, path) = (mount.name.as_str(), mount.mount_path.as_str());
        if name.is_empty() {
            errors.push(FieldError::required(&name_field, ""));
        }
        if !volumes.contains_key(name) {
            errors.push(FieldError::not_found(&name_field, name));
        }
        if path.is_empty() {
            errors.push(FieldError::required(&path_field, ""));
        }
        if !seen.insert(path) {
            errors.push(FieldError::invalid(&path_field, path, "must be unique"));
        }
        if devices().any(|device| device.name == name) {
            errors.push(FieldError::invalid(&name_field, name, "must not already exist in volumeDevices"));
        }
        if devices().any(|device| device.device_path == path) {
            errors.push(FieldError::invalid(
                &path_field,
                path,
                "must not already exist as a path in volumeDevices",
            ));
        }
        errors.extend(validate_mount(mount, container, &own, field));
    }
    errors
}

/// The rest of a mount. Kubernetes names these fields as if they were the list's, not the mount's.
fn validate_mount(
    mount: &VolumeMount,
    container: &Container,
    own: &FieldPath,
    list: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    let (path, expression) = (text(&mount.sub_path), text(&mount.sub_path_expr));
    if !path.is_empty() {
        errors.extend(paths::descending(path, &list.child("subPath")));
    }
    if !expression.is_empty() {
        if !path.is_empty() {
            let why = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(&own.child("subPathExpr"), expression, why));
        }
        errors.extend(paths::descending(expression, &list.child("subPathExpr")));
    }
    if let Some(propagation) = &mount.mount_propagation {
        let field = list.child("mountPropagation");
        let known = ["Bidirectional", "HostToContainer", "None"];
        if !known.contains(&propagation.as_str()) {
            errors.push(FieldError::not_supported(&field, propagation.as_str(), &known));
        }
        let privileged =
            container.security_context.as_ref().and_then(|context| context.privileged) == Some(true);
        if propagation == "Bidirectional" && !privileged {
            let why = "Bidirectional mount propagation is available only to privileged containers";
            errors.push(FieldError::forbidden(&field, why));
        }
    }
    errors.extend(validate_recursive(mount, &list.child("recursiveReadOnly")));
    errors
}

fn validate_recursive(mount: &VolumeMount, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errors.push(FieldError::forbidden(field, "may only be specified when readOnly is true"));
            }
            if mount.mount_propagation.as_deref().is_some_and(|propagation| propagation != "None") {
                let why = "may only be specified when mountPropagation is None or not specified";
                errors.push(FieldError::forbidden(field, why));
            }
        }
        Some(other) => {
            errors.push(FieldError::not_supported(field, other, &["Disabled", "Enabled", "IfPossible"]))
        }
    }
    errors
}

fn validate_devices(
    container: &Container,
    volumes: &BTreeMap<String, Volume>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let (mut errors, mut paths_seen, mut names_seen) = (vec![], BTreeSet::new(), BTreeSet::new());
    let mounts = || container.volume_mounts.iter().flatten();
    for (index, device) in container.volume_devices.iter().flatten().enumerate() {
        let field = field.index(index);
        let (name_field, path_field) = (field.child("name"), field.child("devicePath"));
        let (name, path) = (device.name.as_str(), device.device_path.as_str());
        if name.is_empty() {
            errors.push(FieldError::required(&name_field, ""));
        } else if !names_seen.insert(name) {
            errors.push(FieldError::invalid(&name_field, name, "must be unique"));
        }
        match volumes.get(name) {
            None => errors.push(FieldError::not_found(&name_field, name)),
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                let why =
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(FieldError::invalid(&name_field, name, why));
            }
            Some(_) => {}
        }
        if path.is_empty() {
            errors.push(FieldError::required(&path_field, ""));
        }
        if paths_seen.contains(path) {
            errors.push(FieldError::invalid(&path_field, path, "must be unique"));
        }
        if path.is_empty() || paths::no_backsteps(path, &path_field).is_empty() {
            paths_seen.insert(path);
        } else {
            errors.push(FieldError::invalid(&path_field, path, "can not contain backsteps ('..')"));
        }
        if mounts().any(|mount| mount.name == name) {
            errors.push(FieldError::invalid(&name_field, name, "must not already exist in volumeMounts"));
        }
        if mounts().any(|mount| mount.mount_path == path) {
            errors.push(FieldError::invalid(
                &path_field,
                path,
                "must not already exist as a path in volumeMounts",
            ));
        }
    }
    errors
}
