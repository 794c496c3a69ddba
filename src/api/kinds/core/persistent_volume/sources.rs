//! Where a volume's storage is: the sources of a PersistentVolume.
// Models pkg/apis/core/validation (ValidatePersistentVolumeSpec) and pkg/apis/core/v1 (defaults of the sources).

use k8s_openapi::api::core::v1::{CSIPersistentVolumeSource, PersistentVolumeSpec, SecretReference, Volume};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::core::pod::{
    no_backsteps, validate_csi_driver, validate_disk_sources, validate_host_path,
};
use crate::api::kinds::unset::default_text;

/// Fills in what the sources leave out.
pub(super) fn default(spec: &mut PersistentVolumeSpec) {
    if let Some(host) = &mut spec.host_path {
        host.type_.get_or_insert_default();
    }
    if let Some(rbd) = &mut spec.rbd {
        default_text(&mut rbd.pool, "rbd");
        default_text(&mut rbd.user, "admin");
        default_text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(iscsi) = &mut spec.iscsi {
        default_text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(disk) = &mut spec.azure_disk {
        disk.caching_mode.get_or_insert_with(|| "ReadWrite".to_owned());
        disk.kind.get_or_insert_with(|| "Shared".to_owned());
        disk.fs_type.get_or_insert_with(|| "ext4".to_owned());
        disk.read_only.get_or_insert(false);
    }
    if let Some(disk) = &mut spec.scale_io {
        default_text(&mut disk.storage_mode, "ThinProvisioned");
        default_text(&mut disk.fs_type, "xfs");
    }
}

/// Exactly one source, with what it needs to be found.
pub(super) fn validate(spec: &PersistentVolumeSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut given: Vec<(&str, Vec<FieldError>)> = vec![];
    given.extend(
        spec.host_path.as_ref().map(|path| ("hostPath", validate_host_path(path, &field.child("hostPath")))),
    );
    given.extend(validate_disk_sources(&as_pod_volume(spec), field));
    if let Some(local) = &spec.local {
        let own = field.child("local").child("path");
        let mut errors = match local.path.as_str() {
            "" => vec![FieldError::required(&own, "")],
            path => no_backsteps(path, &own),
        };
        if spec.node_affinity.is_none() {
            let why = "Local volume requires node affinity";
            errors.push(FieldError::required(&field.child("nodeAffinity"), why));
        }
        given.push(("local", errors));
    }
    given.extend(spec.csi.as_ref().map(|csi| ("csi", validate_csi(csi, &field.child("csi")))));
    if given.is_empty() {
        return vec![FieldError::required(field, "must specify a volume type")];
    }
    let mut errors = vec![];
    for (index, (name, wrong)) in given.into_iter().enumerate() {
        match index {
            0 => errors.extend(wrong),
            _ => {
                let why = "may not specify more than 1 volume type";
                errors.push(FieldError::forbidden(&field.child(name), why));
            }
        }
    }
    errors
}

/// The sources that pods have too, as a pod names them: what is checked of them is the same.
fn as_pod_volume(spec: &PersistentVolumeSpec) -> Volume {
    let mut spec = spec.clone();
    (spec.host_path, spec.csi) = (None, None);
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::to_value(&spec) else {
        return Volume::default();
    };
    fields.insert("name".to_owned(), "volume".into());
    serde_json::from_value(fields.into()).unwrap_or_default()
}

fn validate_csi(csi: &CSIPersistentVolumeSource, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = validate_csi_driver(&csi.driver, &field.child("driver"));
    if csi.volume_handle.is_empty() {
        errors.push(FieldError::required(&field.child("volumeHandle"), ""));
    }
    let secrets = [
        ("controllerPublishSecretRef", &csi.controller_publish_secret_ref),
        ("controllerExpandSecretRef", &csi.controller_expand_secret_ref),
        ("nodePublishSecretRef", &csi.node_publish_secret_ref),
        ("nodeExpandSecretRef", &csi.node_expand_secret_ref),
    ];
    for (name, secret) in secrets {
        errors.extend(secret.iter().flat_map(|secret| validate_secret(secret, &field.child(name))));
    }
    errors
}

fn validate_secret(secret: &SecretReference, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = match secret.name.as_deref().unwrap_or_default() {
        "" => vec![FieldError::required(&field.child("name"), "")],
        name => checks::dns_subdomain(name, &field.child("name")),
    };
    errors.extend(match secret.namespace.as_deref().unwrap_or_default() {
        "" => vec![FieldError::required(&field.child("namespace"), "")],
        namespace => checks::dns_label(namespace, &field.child("namespace")),
    });
    errors
}
