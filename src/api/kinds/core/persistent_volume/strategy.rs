//! The declaration of PersistentVolume.
// Models pkg/registry/core/persistentvolume, pkg/apis/core/validation (ValidatePersistentVolume) and pkg/volume/validation.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec, PersistentVolumeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::sources;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Rules, Traits, WriteContext};
use crate::api::kinds::core::pod::{
    default_resource_list, node_term_warnings, validate_access_modes, validate_node_selector,
};
use crate::api::kinds::unset::{default_text, text};
use crate::api::kinds::{cells, checks, diff, internal};
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};
use crate::meta::quantity::Quantity;
use crate::meta::storage;

const RECLAIM_POLICIES: [&str; 3] = ["Delete", "Recycle", "Retain"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// Sources that can be mounted with options.
const WITH_MOUNT_OPTIONS: [&str; 13] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];

/// `v1` PersistentVolume.
pub struct PersistentVolumeKind;

impl Kind for PersistentVolumeKind {
    type Object = PersistentVolume;
    const SHORT_NAMES: &'static [&'static str] = &["pv"];
    const TRAITS: Traits = Traits { status: true, generation: false, scale: false };
    const RULES: Rules = Rules { returns_deleted: true, ..Rules::USUAL };

    fn default(volume: &mut PersistentVolume) {
        default_text(&mut volume.status.get_or_insert_default().phase, "Pending");
        let spec = volume.spec.get_or_insert_default();
        default_text(&mut spec.persistent_volume_reclaim_policy, "Retain");
        spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
        spec.capacity.iter_mut().for_each(default_resource_list);
        sources::default(spec);
    }

    fn prepare_create(context: &WriteContext<'_>, volume: &mut PersistentVolume) -> Result<(), ApiError> {
        volume.status = Some(PersistentVolumeStatus {
            phase: Some("Pending".to_owned()),
            last_phase_transition_time: Some(Time(context.clock.now())),
            ..PersistentVolumeStatus::default()
        });
        Ok(())
    }

    fn prepare_status_update(context: &WriteContext<'_>, new: &mut PersistentVolume, old: &PersistentVolume) {
        let before = old.status.clone().unwrap_or_default();
        let status = new.status.get_or_insert_default();
        let (given, was) = (&status.last_phase_transition_time, &before.last_phase_transition_time);
        if text(&status.phase) == text(&before.phase) {
            status.last_phase_transition_time = given.clone().or_else(|| was.clone());
        } else if given.is_none() || given == was {
            status.last_phase_transition_time = Some(Time(context.clock.now()));
        }
    }

    fn validate(volume: &PersistentVolume) -> Vec<FieldError> {
        let spec = volume.spec.clone().unwrap_or_default();
        let mut errors = validate_spec(&spec, &FieldPath::new("spec"));
        let fields = serde_json::to_value(&spec).unwrap_or_default();
        let options = storage::has_annotation(&volume.metadata, storage::BETA_MOUNT_OPTIONS);
        if options && WITH_MOUNT_OPTIONS.iter().all(|name| fields.get(name).is_none()) {
            let field = FieldPath::new("metadata").child("annotations").child(storage::BETA_MOUNT_OPTIONS);
            errors.push(FieldError::forbidden(&field, "may not specify mount options for this volume type"));
        }
        errors
    }

    fn validate_update(new: &PersistentVolume, old: &PersistentVolume) -> Vec<FieldError> {
        let mut errors = Self::validate(new);
        let (mut spec, was) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
        // The secret for growing may be added later.
        if let (Some(csi), Some(before)) = (&mut spec.csi, &was.csi)
            && before.controller_expand_secret_ref.is_none()
        {
            csi.controller_expand_secret_ref = None;
        }
        let shown = |spec: &PersistentVolumeSpec| {
            internal::pretty("PersistentVolumeSource", &serde_json::to_value(spec).unwrap_or_default())
        };
        let (now, before) = (shown(&spec), shown(&was));
        if now != before {
            let difference = diff::unified(&before, &now);
            let why = format!("spec.persistentvolumesource is immutable after creation\n{difference}");
            let field = FieldPath::new("spec").child("persistentvolumesource");
            errors.push(FieldError::forbidden(&field, why));
        }
        errors.extend(checks::immutable(&spec.volume_mode, &was.volume_mode, &FieldPath::new("volumeMode")));
        let affinity = FieldPath::new("nodeAffinity");
        if was.node_affinity.is_some() && spec.node_affinity != was.node_affinity {
            let value = serde_json::to_value(&spec.node_affinity).unwrap_or(Value::Null);
            let why = "field is immutable, except for updating from beta label to GA";
            errors.push(FieldError::invalid(&affinity, value, why));
        }
        if was.volume_attributes_class_name.is_some() && spec.volume_attributes_class_name.is_none() {
            let field = FieldPath::new("spec").child("volumeAttributesClassName");
            errors.push(FieldError::forbidden(&field, "update from non-nil value to nil is forbidden"));
        }
        errors
    }

    fn warnings(volume: &PersistentVolume, _old: Option<&PersistentVolume>) -> Vec<String> {
        let field = FieldPath::default();
        let spec = volume.spec.clone().unwrap_or_default();
        let mut warnings = vec![];
        for (key, newer) in [
            (
                storage::BETA_STORAGE_CLASS,
                "deprecated since v1.8; use \"storageClassName\" attribute instead",
            ),
            (storage::BETA_MOUNT_OPTIONS, "deprecated since v1.31; use \"mountOptions\" attribute instead"),
        ] {
            if storage::has_annotation(&volume.metadata, key) {
                warnings.push(format!("{}: {newer}", field.child("metadata").child("annotations").key(key)));
            }
        }
        let field = FieldPath::new("spec");
        if text(&spec.persistent_volume_reclaim_policy) == "Recycle" {
            warnings.push(format!(
                "{}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
                field.child("persistentVolumeReclaimPolicy")
            ));
        }
        let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
        let terms = required.map(|selector| &selector.node_selector_terms).into_iter().flatten();
        let terms_field = field.child("nodeAffinity").child("required").child("nodeSelectorTerms");
        for (index, term) in terms.enumerate() {
            warnings.extend(node_term_warnings(term, &terms_field.index(index)));
        }
        let old = [
            (spec.cephfs.is_some(), "cephfs", "v1.28, non-functional in v1.31+"),
            (
                spec.photon_persistent_disk.is_some(),
                "photonPersistentDisk",
                "v1.11, non-functional in v1.16+",
            ),
            (spec.scale_io.is_some(), "scaleIO", "v1.16, non-functional in v1.22+"),
            (spec.storageos.is_some(), "storageOS", "v1.22, non-functional in v1.25+"),
            (spec.glusterfs.is_some(), "glusterfs", "v1.25, non-functional in v1.26+"),
            (spec.rbd.is_some(), "rbd", "v1.28, non-functional in v1.31+"),
        ];
        let old = old.iter().filter(|(used, ..)| *used);
        warnings.extend(old.map(|(_, name, since)| format!("{}: deprecated in {since}", field.child(name))));
        warnings
    }

    fn selectable_fields(volume: &PersistentVolume) -> Vec<(&'static str, String)> {
        vec![("name", volume.metadata.name.clone().unwrap_or_default())]
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Capacity", "How much fits in"),
            Column::string("Access Modes", "How the volume can be mounted"),
            Column::string("Reclaim Policy", "What becomes of the volume when its claim is gone"),
            Column::string("Status", "Whether the volume is free, bound, or left over"),
            Column::string("Claim", "The claim that it is bound to"),
            Column::string("StorageClass", "The class that it belongs to"),
            Column::string("VolumeAttributesClass", "The class of its attributes"),
            Column::string("Reason", "Why it is in its state"),
            Column::AGE,
            Column::string("VolumeMode", "Whether it is a file system or a bare device").wide(),
        ]
    }

    fn row(volume: &PersistentVolume, now: Timestamp) -> Vec<Cell> {
        let (spec, status) =
            (volume.spec.clone().unwrap_or_default(), volume.status.clone().unwrap_or_default());
        let claim = spec.claim_ref.as_ref();
        let claim = claim.map(|claim| format!("{}/{}", text(&claim.namespace), text(&claim.name)));
        let phase = match volume.metadata.deletion_timestamp {
            Some(_) => "Terminating".to_owned(),
            None => status.phase.unwrap_or_default(),
        };
        let or_unset = |value: Option<String>| value.unwrap_or_else(|| "<unset>".to_owned());
        vec![
            cells::name(&volume.metadata),
            cells::quantity(spec.capacity.as_ref().and_then(|capacity| capacity.get("storage"))).into(),
            storage::access_modes(spec.access_modes.as_deref()).into(),
            text(&spec.persistent_volume_reclaim_policy).into(),
            phase.into(),
            claim.unwrap_or_default().into(),
            storage::volume_class(volume).into(),
            or_unset(spec.volume_attributes_class_name).into(),
            status.reason.unwrap_or_default().into(),
            cells::age(&volume.metadata, now),
            or_unset(spec.volume_mode).into(),
        ]
    }
}

fn validate_spec(spec: &PersistentVolumeSpec, field: &FieldPath) -> Vec<FieldError> {
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    let mut errors = vec![];
    if modes.is_empty() {
        errors.push(FieldError::required(&field.child("accessModes"), ""));
    }
    errors.extend(validate_access_modes(modes, &field.child("accessModes")));
    errors.extend(validate_capacity(spec, &field.child("capacity")));
    let policy = text(&spec.persistent_volume_reclaim_policy);
    let policy_field = field.child("persistentVolumeReclaimPolicy");
    if !policy.is_empty() && !RECLAIM_POLICIES.contains(&policy) {
        errors.push(FieldError::not_supported(&policy_field, policy, &RECLAIM_POLICIES));
    }
    if let Some(affinity) = &spec.node_affinity {
        let field = field.child("nodeAffinity").child("required");
        match &affinity.required {
            Some(selector) => errors.extend(validate_node_selector(selector, &field)),
            None => errors.push(FieldError::required(&field, "must specify required node constraints")),
        }
    }
    errors.extend(sources::validate(spec, field));
    let root = spec
        .host_path
        .as_ref()
        .is_some_and(|host| host.path.split('/').all(|part| part.is_empty() || part == "."));
    if root && policy == "Recycle" {
        errors.push(FieldError::forbidden(&policy_field, "may not be 'recycle' for a hostPath mount of '/'"));
    }
    let class = text(&spec.storage_class_name);
    if !class.is_empty() {
        errors.extend(checks::dns_subdomain(class, &field.child("storageClassName")));
    }
    if let Some(mode) = spec.volume_mode.as_deref().filter(|mode| !VOLUME_MODES.contains(mode)) {
        errors.push(FieldError::not_supported(&field.child("volumeMode"), mode, &VOLUME_MODES));
    }
    if let Some(class) = &spec.volume_attributes_class_name {
        let own = field.child("volumeAttributesClassName");
        match class.as_str() {
            "" => errors.push(FieldError::required(&own, "an empty string is disallowed")),
            class => errors.extend(checks::dns_subdomain(class, &own)),
        }
        if spec.csi.is_none() {
            let why = "has to be specified when using volumeAttributesClassName";
            errors.push(FieldError::required(&field.child("csi"), why));
        }
    }
    errors
}

fn validate_capacity(spec: &PersistentVolumeSpec, field: &FieldPath) -> Vec<FieldError> {
    let capacity = spec.capacity.clone().unwrap_or_default();
    let mut errors = vec![];
    if capacity.is_empty() {
        errors.push(FieldError::required(field, ""));
    }
    if !capacity.contains_key("storage") || capacity.len() > 1 {
        let value =
            spec.capacity.as_ref().map_or(Value::Null, |list| serde_json::to_value(list).unwrap_or_default());
        errors.push(FieldError::not_supported(field, value, &["storage"]));
    }
    for (name, quantity) in &capacity {
        let Ok(value) = Quantity::try_from(quantity) else { continue };
        let field = field.key(name);
        if value.value() < 0 {
            errors.push(FieldError::invalid(&field, value.value(), "must be a valid resource quantity"));
        }
        if value.signum() <= 0 {
            errors.push(FieldError::invalid(&field, value.to_string(), "must be greater than zero"));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{World, change_refused, created, refused, row, shown};

    fn volume(rest: &str) -> String {
        format!("{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: shelf}}, {rest}}}")
    }

    const SHELF: &str = "spec: {capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce, ReadOnlyMany], hostPath: {path: /mnt/x}, \
                         claimRef: {namespace: default, name: books}}";

    #[test]
    fn a_new_volume_is_as_a_real_cluster_makes_it() {
        let (kind, object) = created(&World::new(), &volume(SHELF)).unwrap();
        insta::assert_snapshot!(shown(&*kind, &*object), @r#"
        apiVersion: v1
        kind: PersistentVolume
        metadata:
          name: shelf
        spec:
          accessModes:
          - ReadWriteOnce
          - ReadOnlyMany
          capacity:
            storage: 10Gi
          claimRef:
            name: books
            namespace: default
          hostPath:
            path: /mnt/x
            type: ""
          persistentVolumeReclaimPolicy: Retain
          volumeMode: Filesystem
        status:
          lastPhaseTransitionTime: "2026-01-01T00:00:00Z"
          phase: Pending
        "#);
        assert_eq!(
            row(&volume(SHELF), "2026-01-01T00:00:00Z"),
            "NAME=shelf | CAPACITY=10Gi | ACCESS MODES=RWO,ROX | RECLAIM POLICY=Retain | STATUS=Pending | CLAIM=default/books | \
             STORAGECLASS= | VOLUMEATTRIBUTESCLASS=<unset> | REASON= | AGE=<unknown> | VOLUMEMODE=Filesystem"
        );
    }

    #[test]
    fn wrong_volumes_are_refused_in_kubernetes_words() {
        insta::assert_snapshot!(refused(&volume("spec: {accessModes: [ReadWriteOnce]}")), @r#"
        spec.capacity: Required value
        spec.capacity: Unsupported value: null: supported values: "storage"
        spec: Required value: must specify a volume type
        "#);
        insta::assert_snapshot!(
            refused(&volume(
                "spec: {accessModes: [Never], capacity: {storage: 0}, local: {path: ../x}, nfs: {server: a, path: /b}, \
                 persistentVolumeReclaimPolicy: Burn, volumeMode: Tape}"
            )),
            @r#"
        spec.accessModes: Unsupported value: "Never": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
        spec.capacity[storage]: Invalid value: "0": must be greater than zero
        spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Recycle", "Retain"
        spec.local: Forbidden: may not specify more than 1 volume type
        spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"
        "#
        );
        let csi = volume(
            "spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1}, csi: {driver: '', volumeHandle: ''}}",
        );
        insta::assert_snapshot!(refused(&csi), @r"
        spec.csi.driver: Required value
        spec.csi.volumeHandle: Required value
        ");
    }

    #[test]
    fn where_a_volume_is_never_changes() {
        insta::assert_snapshot!(change_refused(&volume(SHELF), &volume(&SHELF.replace("/mnt/x", "/mnt/y"))), @r#"
        spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation
        @@ -2,7 +2,7 @@
          "GCEPersistentDisk": null,
          "AWSElasticBlockStore": null,
          "HostPath": {
        -  "Path": "/mnt/x",
        +  "Path": "/mnt/y",
           "Type": ""
          },
          "Glusterfs": null,
        "#);
        assert_eq!(change_refused(&volume(SHELF), &volume(&SHELF.replace("10Gi", "20Gi"))), "");
    }
}
