//! Volumes of storage systems outside the cluster. What a disk needs to be found is checked, no more.
// Models pkg/apis/core/validation (the volume sources of single systems).

use k8s_openapi::api::core::v1::{CSIVolumeSource, ISCSIVolumeSource, Volume};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;

/// A text that must be there.
pub(super) fn required(value: &str, field: &FieldPath) -> Vec<FieldError> {
    if value.is_empty() { vec![FieldError::required(field, "")] } else { vec![] }
}

/// The sources that the volume has, with what is wrong with each.
pub(crate) fn validate(volume: &Volume, field: &FieldPath) -> Vec<(&'static str, Vec<FieldError>)> {
    let mut given = network(volume, field);
    given.extend(clouds(volume, field));
    given
}

fn network(volume: &Volume, field: &FieldPath) -> Vec<(&'static str, Vec<FieldError>)> {
    let mut given = vec![];
    if let Some(nfs) = &volume.nfs {
        let field = field.child("nfs");
        let mut errors = required(&nfs.server, &field.child("server"));
        errors.extend(required(&nfs.path, &field.child("path")));
        if !nfs.path.starts_with('/') {
            errors.push(FieldError::invalid(
                &field.child("path"),
                nfs.path.as_str(),
                "must be an absolute path",
            ));
        }
        given.push(("nfs", errors));
    }
    if let Some(iscsi) = &volume.iscsi {
        given.push(("iscsi", validate_iscsi(iscsi, &field.child("iscsi"))));
    }
    if let Some(glusterfs) = &volume.glusterfs {
        let field = field.child("glusterfs");
        let mut errors = required(&glusterfs.endpoints, &field.child("endpoints"));
        errors.extend(required(&glusterfs.path, &field.child("path")));
        given.push(("glusterfs", errors));
    }
    if let Some(rbd) = &volume.rbd {
        let field = field.child("rbd");
        let mut errors = list(&rbd.monitors, &field.child("monitors"));
        errors.extend(required(&rbd.image, &field.child("image")));
        given.push(("rbd", errors));
    }
    if let Some(cephfs) = &volume.cephfs {
        given.push(("cephFS", list(&cephfs.monitors, &field.child("cephfs").child("monitors"))));
    }
    if let Some(quobyte) = &volume.quobyte {
        let field = field.child("quobyte");
        let why = "must be a host:port pair or multiple pairs separated by commas";
        let mut errors = vec![];
        if quobyte.registry.is_empty() {
            errors.push(FieldError::required(&field.child("registry"), why));
        } else if quobyte.registry.split(',').any(|pair| !pair.contains(':')) {
            errors.push(FieldError::invalid(&field.child("registry"), quobyte.registry.as_str(), why));
        }
        errors.extend(required(&quobyte.volume, &field.child("volume")));
        given.push(("quobyte", errors));
    }
    if let Some(fc) = &volume.fc {
        let field = field.child("fc");
        let (names, ids) =
            (fc.target_wwns.as_ref().map_or(0, Vec::len), fc.wwids.as_ref().map_or(0, Vec::len));
        let mut errors = vec![];
        if names == 0 && ids == 0 {
            errors.push(FieldError::required(
                &field.child("targetWWNs"),
                "must specify either targetWWNs or wwids, but not both",
            ));
        }
        if names > 0 && fc.lun.is_none() {
            errors.push(FieldError::required(
                &field.child("lun"),
                "lun is required if targetWWNs is specified",
            ));
        }
        given.push(("fc", errors));
    }
    if let Some(csi) = &volume.csi {
        given.push(("csi", validate_csi(csi, &field.child("csi"))));
    }
    if let Some(flex) = &volume.flex_volume {
        given.push(("flexVolume", required(&flex.driver, &field.child("flexVolume").child("driver"))));
    }
    if let Some(flocker) = &volume.flocker {
        let field = field.child("flocker");
        let none = text(&flocker.dataset_name).is_empty() && text(&flocker.dataset_uuid).is_empty();
        let why = "one of datasetName and datasetUUID is required";
        given.push(("flocker", if none { vec![FieldError::required(&field, why)] } else { vec![] }));
    }
    given
}

fn clouds(volume: &Volume, field: &FieldPath) -> Vec<(&'static str, Vec<FieldError>)> {
    let mut given = vec![];
    let partition = |number: Option<i32>, field: &FieldPath| {
        let wrong = number.filter(|number| !(0..=255).contains(number));
        let why = "must be between 0 and 255, inclusive";
        wrong.map(|number| FieldError::invalid(&field.child("partition"), number, why))
    };
    if let Some(disk) = &volume.gce_persistent_disk {
        let field = field.child("persistentDisk");
        let mut errors = required(&disk.pd_name, &field.child("pdName"));
        errors.extend(partition(disk.partition, &field));
        given.push(("gcePersistentDisk", errors));
    }
    if let Some(disk) = &volume.aws_elastic_block_store {
        let field = field.child("awsElasticBlockStore");
        let mut errors = required(&disk.volume_id, &field.child("volumeID"));
        errors.extend(partition(disk.partition, &field));
        given.push(("awsElasticBlockStore", errors));
    }
    if let Some(disk) = &volume.cinder {
        given.push(("cinder", required(&disk.volume_id, &field.child("cinder").child("volumeID"))));
    }
    if let Some(file) = &volume.azure_file {
        let field = field.child("azureFile");
        let mut errors = required(&file.secret_name, &field.child("secretName"));
        errors.extend(required(&file.share_name, &field.child("shareName")));
        given.push(("azureFile", errors));
    }
    if let Some(disk) = &volume.azure_disk {
        let field = field.child("azureDisk");
        let mut errors = required(&disk.disk_name, &field.child("diskName"));
        errors.extend(required(&disk.disk_uri, &field.child("diskURI")));
        given.push(("azureDisk", errors));
    }
    if let Some(disk) = &volume.vsphere_volume {
        given.push((
            "vsphereVolume",
            required(&disk.volume_path, &field.child("vsphereVolume").child("volumePath")),
        ));
    }
    if let Some(disk) = &volume.photon_persistent_disk {
        given.push((
            "photonPersistentDisk",
            required(&disk.pd_id, &field.child("photonPersistentDisk").child("pdID")),
        ));
    }
    if let Some(disk) = &volume.portworx_volume {
        given.push((
            "portworxVolume",
            required(&disk.volume_id, &field.child("portworxVolume").child("volumeID")),
        ));
    }
    if let Some(disk) = &volume.scale_io {
        let field = field.child("scaleIO");
        let mut errors = required(&disk.gateway, &field.child("gateway"));
        errors.extend(required(&disk.system, &field.child("system")));
        errors.extend(required(text(&disk.volume_name), &field.child("volumeName")));
        given.push(("scaleIO", errors));
    }
    if let Some(disk) = &volume.storageos {
        given.push((
            "storageos",
            required(text(&disk.volume_name), &field.child("storageos").child("volumeName")),
        ));
    }
    given
}

fn list(list: &[String], field: &FieldPath) -> Vec<FieldError> {
    if list.is_empty() { vec![FieldError::required(field, "")] } else { vec![] }
}

fn validate_iscsi(iscsi: &ISCSIVolumeSource, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = required(&iscsi.target_portal, &field.child("targetPortal"));
    errors.extend(required(&iscsi.iqn, &field.child("iqn")));
    if !iscsi.iqn.is_empty() && !["iqn", "eui", "naa"].iter().any(|start| iscsi.iqn.starts_with(start)) {
        let why = "must be valid format starting with iqn, eui, or naa";
        errors.push(FieldError::invalid(&field.child("iqn"), iscsi.iqn.as_str(), why));
    }
    if !(0..=255).contains(&iscsi.lun) {
        errors.push(FieldError::invalid(
            &field.child("lun"),
            iscsi.lun,
            "must be between 0 and 255, inclusive",
        ));
    }
    let chap = iscsi.chap_auth_discovery == Some(true) || iscsi.chap_auth_session == Some(true);
    if chap && iscsi.secret_ref.is_none() {
        errors.push(FieldError::required(&field.child("secretRef"), ""));
    }
    errors
}

fn validate_csi(csi: &CSIVolumeSource, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = validate_csi_driver(&csi.driver, &field.child("driver"));
    if let Some(secret) = &csi.node_publish_secret_ref {
        match secret.name.as_str() {
            "" => errors.push(FieldError::required(&field.child("nodePublishSecretRef").child("name"), "")),
            name => errors.extend(checks::dns_subdomain(name, &field.child("name"))),
        }
    }
    errors
}

/// The name of a CSI driver.
pub(crate) fn validate_csi_driver(driver: &str, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = required(driver, field);
    if driver.len() > 63 {
        errors.push(FieldError::too_long(field, 63));
    }
    if !driver.is_empty() {
        let wrong = crate::meta::names::dns1123_subdomain(&driver.to_lowercase(), false);
        errors.extend(checks::each(wrong, field, driver));
    }
    errors
}
