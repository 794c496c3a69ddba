//! PersistentVolumeClaim: a request for storage, bound to a volume that fits.
// Models pkg/registry/core/persistentvolumeclaim, pkg/api/persistentvolumeclaim and pkg/apis/core/validation
// (ValidatePersistentVolumeClaim, ValidatePersistentVolumeClaimUpdate).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, TypedLocalObjectReference,
    TypedObjectReference,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::pod::{default_claim_spec, default_resource_list, validate_claim_spec};
use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Rules, Traits, WriteContext};
use crate::api::kinds::unset::{default_text, text};
use crate::api::kinds::{cells, checks, diff, internal};
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};
use crate::meta::quantity::{Format, Quantity};
use crate::meta::storage;

/// The states of a claim that grows.
const RESIZE_STATES: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
];

/// `v1` PersistentVolumeClaim.
pub struct PersistentVolumeClaimKind;

impl Kind for PersistentVolumeClaimKind {
    type Object = PersistentVolumeClaim;
    const SHORT_NAMES: &'static [&'static str] = &["pvc"];
    const TRAITS: Traits = Traits { status: true, generation: false, scale: false };
    const RULES: Rules = Rules { returns_deleted: true, ..Rules::USUAL };

    fn default(claim: &mut PersistentVolumeClaim) {
        let status = claim.status.get_or_insert_default();
        default_text(&mut status.phase, "Pending");
        for list in [&mut status.capacity, &mut status.allocated_resources].into_iter().flatten() {
            default_resource_list(list);
        }
        default_claim_spec(claim.spec.get_or_insert_default());
    }

    fn prepare_create(
        _context: &WriteContext<'_>,
        claim: &mut PersistentVolumeClaim,
    ) -> Result<(), ApiError> {
        claim.status = Some(PersistentVolumeClaimStatus {
            phase: Some("Pending".to_owned()),
            ..PersistentVolumeClaimStatus::default()
        });
        settle_sources(claim.spec.get_or_insert_default(), None);
        Ok(())
    }

    fn prepare_update(
        _context: &WriteContext<'_>,
        new: &mut PersistentVolumeClaim,
        old: &PersistentVolumeClaim,
    ) -> Result<(), ApiError> {
        settle_sources(new.spec.get_or_insert_default(), old.spec.as_ref());
        Ok(())
    }

    fn validate(claim: &PersistentVolumeClaim) -> Vec<FieldError> {
        validate_claim_spec(&claim.spec.clone().unwrap_or_default(), &FieldPath::new("spec"))
    }

    fn validate_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> Vec<FieldError> {
        let mut errors = Self::validate(new);
        errors.extend(validate_change(new, old));
        errors
    }

    fn validate_status_update(new: &PersistentVolumeClaim, _old: &PersistentVolumeClaim) -> Vec<FieldError> {
        let mut errors = vec![];
        if new.spec.as_ref().is_none_or(|spec| spec.access_modes.as_ref().is_none_or(Vec::is_empty)) {
            errors.push(FieldError::required(&FieldPath::new("Spec").child("accessModes"), ""));
        }
        let Some(status) = &new.status else { return errors };
        let field = FieldPath::new("status");
        for (list, name) in
            [(&status.capacity, "capacity"), (&status.allocated_resources, "allocatedResources")]
        {
            for (key, quantity) in list.iter().flatten() {
                let negative = Quantity::try_from(quantity).is_ok_and(|quantity| quantity.value() < 0);
                let why = "must be a valid resource quantity";
                let shown = Quantity::try_from(quantity).map_or(0, Quantity::value);
                errors.extend(negative.then(|| FieldError::invalid(&field.child(name).key(key), shown, why)));
            }
        }
        let states = status.allocated_resource_statuses.iter().flatten();
        let wrong = states.filter(|(_, state)| !RESIZE_STATES.contains(&state.as_str()));
        let field = field.child("allocatedResourceStatuses");
        errors.extend(wrong.map(|(key, _)| {
            let mut known = RESIZE_STATES;
            known.sort_unstable();
            FieldError::not_supported(&field, key.as_str(), &known)
        }));
        errors
    }

    fn warnings(claim: &PersistentVolumeClaim, _old: Option<&PersistentVolumeClaim>) -> Vec<String> {
        let mut warnings = vec![];
        if storage::has_annotation(&claim.metadata, storage::BETA_STORAGE_CLASS) {
            let field = FieldPath::new("metadata").child("annotations").key(storage::BETA_STORAGE_CLASS);
            let why = "deprecated since v1.8; use \"storageClassName\" attribute instead";
            warnings.push(format!("{field}: {why}"));
        }
        let resources = claim.spec.as_ref().and_then(|spec| spec.resources.clone()).unwrap_or_default();
        let field = FieldPath::new("spec").child("resources");
        for (list, name) in [(&resources.requests, "requests"), (&resources.limits, "limits")] {
            let Some(quantity) = list.as_ref().and_then(|list| list.get("storage")) else { continue };
            let Ok(quantity) = Quantity::try_from(quantity) else { continue };
            if quantity.milli_value() % 1000 != 0 {
                warnings.push(format!(
                    "{}: fractional byte value \"{quantity}\" is invalid, must be an integer",
                    field.child(name).key("storage")
                ));
            }
        }
        warnings
    }

    fn selectable_fields(claim: &PersistentVolumeClaim) -> Vec<(&'static str, String)> {
        vec![("name", claim.metadata.name.clone().unwrap_or_default())]
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Status", "Whether the claim has its volume"),
            Column::string("Volume", "The volume that it is bound to"),
            Column::string("Capacity", "How much fits into the volume"),
            Column::string("Access Modes", "How the volume can be mounted"),
            Column::string("StorageClass", "The class that the claim asks for"),
            Column::string("VolumeAttributesClass", "The class of attributes that it asks for"),
            Column::AGE,
            Column::string("VolumeMode", "Whether it wants a file system or a bare device").wide(),
        ]
    }

    fn row(claim: &PersistentVolumeClaim, now: Timestamp) -> Vec<Cell> {
        let (spec, status) =
            (claim.spec.clone().unwrap_or_default(), claim.status.clone().unwrap_or_default());
        let phase = match claim.metadata.deletion_timestamp {
            Some(_) => "Terminating".to_owned(),
            None => status.phase.unwrap_or_default(),
        };
        let volume = text(&spec.volume_name);
        let (capacity, modes) = match volume {
            "" => (String::new(), String::new()),
            _ => (
                cells::quantity(status.capacity.as_ref().and_then(|capacity| capacity.get("storage"))),
                storage::access_modes(status.access_modes.as_deref()),
            ),
        };
        let or_unset = |value: &Option<String>| value.clone().unwrap_or_else(|| "<unset>".to_owned());
        vec![
            cells::name(&claim.metadata),
            phase.into(),
            volume.into(),
            capacity.into(),
            modes.into(),
            storage::claim_class(claim).into(),
            or_unset(&spec.volume_attributes_class_name).into(),
            cells::age(&claim.metadata, now),
            or_unset(&spec.volume_mode).into(),
        ]
    }
}

/// `dataSource` and `dataSourceRef` say the same; of the older one only what it always could say counts.
// Models EnforceDataSourceBackwardsCompatibility and NormalizeDataSources.
fn settle_sources(spec: &mut PersistentVolumeClaimSpec, old: Option<&PersistentVolumeClaimSpec>) {
    // Another namespace needs a feature that is off.
    let foreign = spec.data_source_ref.as_ref().is_some_and(|source| !text(&source.namespace).is_empty());
    if foreign && old.is_none_or(|old| old.data_source_ref.is_none()) {
        spec.data_source_ref = None;
    }
    let in_use = old.is_some_and(|old| old.data_source.is_some() || old.data_source_ref.is_some());
    if !in_use && spec.data_source_ref.is_none() {
        spec.data_source = spec.data_source.take().filter(|source| {
            matches!(
                (source.kind.as_str(), text(&source.api_group)),
                ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
            )
        });
    }
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(source), None) => {
            spec.data_source_ref = Some(TypedObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
                namespace: None,
            });
        }
        (None, Some(source)) if text(&source.namespace).is_empty() => {
            spec.data_source = Some(TypedLocalObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
            });
        }
        _ => {}
    }
}

fn requested(spec: &PersistentVolumeClaimSpec) -> Option<&ApiQuantity> {
    spec.resources.as_ref()?.requests.as_ref()?.get("storage")
}

fn amount(quantity: Option<&ApiQuantity>) -> Quantity {
    let zero = Quantity::from_units(0, Format::BinarySi);
    quantity.and_then(|quantity| Quantity::try_from(quantity).ok()).unwrap_or(zero)
}

/// A claim asks once; a bound one may ask for more.
fn validate_change(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> Vec<FieldError> {
    let (spec, was) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let status = old.status.clone().unwrap_or_default();
    let field = FieldPath::new("spec");
    let mut errors = vec![];
    let (mut now, mut before) = (spec.clone(), was.clone());
    // The controller names the volume, once.
    if text(&before.volume_name).is_empty() {
        before.volume_name = now.volume_name.clone();
    }
    let beta = |claim: &PersistentVolumeClaim| {
        storage::annotation(&claim.metadata, storage::BETA_STORAGE_CLASS).to_owned()
    };
    let (has_beta, had_beta) = (
        storage::has_annotation(&new.metadata, storage::BETA_STORAGE_CLASS),
        storage::has_annotation(&old.metadata, storage::BETA_STORAGE_CLASS),
    );
    let same_as_beta = had_beta && now.storage_class_name.as_deref() == Some(beta(old).as_str());
    if same_as_beta && was.storage_class_name.is_none() && (!has_beta || beta(new) == beta(old)) {
        now.storage_class_name = None;
    } else {
        if beta(new) != beta(old) {
            let field = FieldPath::new("metadata").child("annotations").child(storage::BETA_STORAGE_CLASS);
            errors.push(FieldError::invalid(&field, beta(new), "field is immutable"));
        }
        // The default class may come later.
        let first = now.storage_class_name.is_some() && was.storage_class_name.is_none();
        if first && (!had_beta || same_as_beta) {
            now.storage_class_name = None;
        }
    }
    if text(&status.phase) == "Bound" {
        if let (Some(requests), Some(size)) =
            (now.resources.as_mut().and_then(|resources| resources.requests.as_mut()), requested(&was))
        {
            requests.insert("storage".to_owned(), size.clone());
        }
        now.volume_attributes_class_name = before.volume_attributes_class_name.clone();
    }
    let shown = |spec: &PersistentVolumeClaimSpec| {
        internal::pretty("PersistentVolumeClaimSpec", &serde_json::to_value(spec).unwrap_or_default())
    };
    let (shown_now, shown_before) = (shown(&now), shown(&before));
    if shown_now != shown_before {
        let difference = diff::unified(&shown_before, &shown_now);
        let why = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{difference}"
        );
        errors.push(FieldError::forbidden(&field, why));
    }
    let capacity = amount(status.capacity.as_ref().and_then(|capacity| capacity.get("storage")));
    let size = amount(requested(&spec));
    if size < amount(requested(&was)) && size <= capacity {
        let field = field.child("resources").child("requests").child("storage");
        errors.push(FieldError::forbidden(&field, "field can not be less than status.capacity"));
    }
    errors.extend(checks::immutable(&spec.volume_mode, &was.volume_mode, &FieldPath::new("volumeMode")));
    if spec.volume_attributes_class_name != was.volume_attributes_class_name
        && status.current_volume_attributes_class_name.is_some()
    {
        let what = match spec.volume_attributes_class_name.as_deref() {
            None => Some("nil"),
            Some("") => Some("empty string"),
            Some(_) => None,
        };
        let field = field.child("volumeAttributesClassName");
        errors.extend(what.map(|what| {
            let why = format!(
                "update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
            );
            FieldError::forbidden(&field, why)
        }));
    }
    errors
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{World, change_refused, created, refused, row, shown};

    fn claim(spec: &str, status: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: books, namespace: default}}, \
             spec: {{accessModes: [ReadWriteOnce], {spec}}}, status: {{{status}}}}}"
        )
    }

    const ASKS: &str = "resources: {requests: {storage: 3Gi}}, storageClassName: manual";
    const BOUND: &str = "phase: Bound, capacity: {storage: 5Gi}, accessModes: [ReadWriteOnce]";

    #[test]
    fn a_new_claim_waits() {
        let (kind, object) = created(&World::new(), &claim(ASKS, BOUND)).unwrap();
        insta::assert_snapshot!(shown(&*kind, &*object), @"
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata:
          name: books
          namespace: default
        spec:
          accessModes:
          - ReadWriteOnce
          resources:
            requests:
              storage: 3Gi
          storageClassName: manual
          volumeMode: Filesystem
        status:
          phase: Pending
        ");
        assert_eq!(
            row(&claim(&format!("{ASKS}, volumeName: shelf-two"), BOUND), "2026-01-01T00:00:00Z"),
            "NAME=books | STATUS=Bound | VOLUME=shelf-two | CAPACITY=5Gi | ACCESS MODES=RWO | STORAGECLASS=manual | \
             VOLUMEATTRIBUTESCLASS=<unset> | AGE=<unknown> | VOLUMEMODE=Filesystem"
        );
    }

    #[test]
    fn wrong_claims_are_refused_in_kubernetes_words() {
        let wrong = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {accessModes: [ReadWriteSometimes], \
                     resources: {requests: {storage: 0}}, dataSourceRef: {kind: Cat, name: ''}}}";
        insta::assert_snapshot!(refused(wrong), @r#"
        spec.accessModes: Unsupported value: "ReadWriteSometimes": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"
        spec.resources[storage]: Invalid value: "0": must be greater than zero
        spec.dataSourceRef.name: Required value
        spec.dataSourceRef: Invalid value: "Cat": must be 'PersistentVolumeClaim' when referencing the default apiGroup
        "#);
    }

    #[test]
    fn a_claim_asks_once() {
        let bound = claim(&format!("{ASKS}, volumeName: shelf-two"), BOUND);
        insta::assert_snapshot!(change_refused(&bound, &bound.replace("storageClassName: manual", "storageClassName: fast")), @r#"
        spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims
        @@ -10,7 +10,7 @@
           }
          },
          "VolumeName": "shelf-two",
        - "StorageClassName": "manual",
        + "StorageClassName": "fast",
          "VolumeMode": "Filesystem",
          "DataSource": null,
          "DataSourceRef": null,
        "#);
        assert_eq!(
            change_refused(&bound, &bound.replace("storage: 3Gi", "storage: 1Gi")),
            "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
        );
        assert_eq!(change_refused(&bound, &bound.replace("storage: 3Gi", "storage: 9Gi")), "");
        let free = claim("resources: {requests: {storage: 3Gi}}", "phase: Pending");
        assert_eq!(
            change_refused(&free, &claim(ASKS, "phase: Pending")),
            "",
            "a default class may come later"
        );
        let named = claim("resources: {requests: {storage: 3Gi}}, volumeName: a", "phase: Pending");
        assert_eq!(change_refused(&free, &named), "");
        assert!(change_refused(&named, &free).contains("spec is immutable"), "the volume is named once");
    }
}
