//! StorageClass: who makes volumes, how, and when.
// Models pkg/registry/storage/storageclass, pkg/apis/storage/v1 (defaults) and pkg/apis/storage/validation (ValidateStorageClass).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::StorageClass;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::Kind;
use crate::api::kinds::core::pod::old_node_label;
use crate::api::kinds::unset::text;
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::storage;

/// The most that all parameters may hold, in bytes, and how many there may be.
const MAX_PARAMETER_BYTES: usize = 256 * 1024;
const MAX_PARAMETERS: usize = 512;
const RECLAIM_POLICIES: [&str; 2] = ["Delete", "Retain"];
const BINDING_MODES: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];

/// `storage.k8s.io/v1` StorageClass.
pub struct StorageClassKind;

impl Kind for StorageClassKind {
    type Object = StorageClass;
    const SHORT_NAMES: &'static [&'static str] = &["sc"];

    fn default(class: &mut StorageClass) {
        class.reclaim_policy.get_or_insert_with(|| "Delete".to_owned());
        class.volume_binding_mode.get_or_insert_with(|| "Immediate".to_owned());
    }

    fn validate(class: &StorageClass) -> Vec<FieldError> {
        let field = FieldPath::new("provisioner");
        let mut errors = match class.provisioner.as_str() {
            "" => vec![FieldError::required(&field, "")],
            provisioner => checks::qualified_name(&provisioner.to_lowercase(), &field),
        };
        errors.extend(validate_parameters(class.parameters.as_ref(), &FieldPath::new("parameters")));
        let policy = text(&class.reclaim_policy);
        if !policy.is_empty() && !RECLAIM_POLICIES.contains(&policy) {
            let field = FieldPath::new("reclaimPolicy");
            errors.push(FieldError::not_supported(&field, policy, &RECLAIM_POLICIES));
        }
        let field = FieldPath::new("volumeBindingMode");
        match class.volume_binding_mode.as_deref() {
            None => errors.push(FieldError::required(&field, "")),
            Some(mode) if BINDING_MODES.contains(&mode) => {}
            Some(mode) => errors.push(FieldError::not_supported(&field, mode, &BINDING_MODES)),
        }
        let topologies = class.allowed_topologies.as_deref().unwrap_or_default();
        errors.extend(validate_topologies(topologies, &FieldPath::new("allowedTopologies")));
        errors
    }

    fn validate_update(new: &StorageClass, old: &StorageClass) -> Vec<FieldError> {
        let field = FieldPath::new;
        let mut errors = checks::immutable(
            &new.parameters.clone().unwrap_or_default(),
            &old.parameters.clone().unwrap_or_default(),
            &field("parameters"),
        );
        errors.extend(checks::immutable(&new.provisioner, &old.provisioner, &field("provisioner")));
        errors.extend(checks::immutable(&new.reclaim_policy, &old.reclaim_policy, &field("reclaimPolicy")));
        errors.extend(checks::immutable(
            &new.volume_binding_mode,
            &old.volume_binding_mode,
            &field("volumeBindingMode"),
        ));
        errors
    }

    fn warnings(class: &StorageClass, _old: Option<&StorageClass>) -> Vec<String> {
        let field = FieldPath::new("allowedTopologies");
        let mut warnings = vec![];
        for (index, term) in class.allowed_topologies.iter().flatten().enumerate() {
            let field = field.index(index).child("matchLabelExpressions");
            for (index, expression) in term.match_label_expressions.iter().flatten().enumerate() {
                let why = old_node_label(&expression.key);
                warnings.extend(why.map(|why| format!("{}: {why}", field.index(index).child("key"))));
            }
        }
        warnings
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Provisioner", "Who makes the volumes"),
            Column::string("ReclaimPolicy", "What becomes of a volume whose claim is gone"),
            Column::string("VolumeBindingMode", "When a claim gets its volume"),
            Column::string("AllowVolumeExpansion", "Whether volumes may grow"),
            Column::AGE,
        ]
    }

    fn row(class: &StorageClass, now: Timestamp) -> Vec<Cell> {
        let mut name = class.metadata.name.clone().unwrap_or_default();
        if storage::is_default_class(class.metadata.annotations.as_ref()) {
            name.push_str(" (default)");
        }
        let or =
            |value: &Option<String>, otherwise: &str| value.clone().unwrap_or_else(|| otherwise.to_owned());
        vec![
            name.into(),
            class.provisioner.clone().into(),
            or(&class.reclaim_policy, "Delete").into(),
            or(&class.volume_binding_mode, "Immediate").into(),
            class.allow_volume_expansion.unwrap_or_default().into(),
            cells::age(&class.metadata, now),
        ]
    }
}

fn validate_parameters(parameters: Option<&BTreeMap<String, String>>, field: &FieldPath) -> Vec<FieldError> {
    let count = parameters.map_or(0, BTreeMap::len);
    if count > MAX_PARAMETERS {
        return vec![FieldError::too_long(field, MAX_PARAMETERS)];
    }
    let (mut errors, mut size) = (vec![], 0);
    for (key, value) in parameters.into_iter().flatten() {
        if key.is_empty() {
            errors.push(FieldError::invalid(field, "", "field can not be empty."));
        }
        size += key.len() + value.len();
    }
    if size > MAX_PARAMETER_BYTES {
        errors.push(FieldError::too_long(field, MAX_PARAMETER_BYTES));
    }
    errors
}

fn validate_topologies(terms: &[TopologySelectorTerm], field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut before) = (vec![], Vec::<BTreeMap<&str, BTreeSet<&str>>>::new());
    for (index, term) in terms.iter().enumerate() {
        let field = field.index(index).child("matchLabelExpressions");
        let mut keys = BTreeMap::new();
        for (index, expression) in term.match_label_expressions.iter().flatten().enumerate() {
            let field = field.index(index);
            if expression.values.is_empty() {
                errors.push(FieldError::required(&field.child("values"), ""));
            }
            let mut values = BTreeSet::new();
            for (index, value) in expression.values.iter().enumerate() {
                if !values.insert(value.as_str()) {
                    errors.push(FieldError::duplicate(&field.child("values").index(index), value.as_str()));
                }
            }
            errors.extend(checks::qualified_name(&expression.key, &field.child("key")));
            if keys.insert(expression.key.as_str(), values).is_some() {
                errors.push(FieldError::duplicate(&field.child("key"), expression.key.as_str()));
            }
        }
        errors
            .extend(before.iter().filter(|other| **other == keys).map(|_| FieldError::duplicate(&field, "")));
        before.push(keys);
    }
    errors
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{change_refused, defaulted, refused, row};

    const FAST: &str = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast, annotations: \
                        {storageclass.kubernetes.io/is-default-class: 'true'}}, provisioner: disks.example.test, allowVolumeExpansion: true}";

    #[test]
    fn a_class_deletes_and_binds_at_once_unless_it_says_otherwise() {
        let yaml = defaulted(FAST);
        assert!(
            yaml.contains("reclaimPolicy: Delete") && yaml.contains("volumeBindingMode: Immediate"),
            "{yaml}"
        );
        assert_eq!(
            row(FAST, "2026-01-01T00:00:00Z"),
            "NAME=fast (default) | PROVISIONER=disks.example.test | RECLAIMPOLICY=Delete | VOLUMEBINDINGMODE=Immediate | \
             ALLOWVOLUMEEXPANSION=true | AGE=<unknown>"
        );
    }

    #[test]
    fn what_a_class_is_never_changes() {
        assert_eq!(
            change_refused(FAST, &FAST.replace("disks.", "other.")),
            "provisioner: Invalid value: \"other.example.test\": field is immutable"
        );
        assert_eq!(change_refused(FAST, &FAST.replace("'true'", "'false'")), "");
    }

    #[test]
    fn wrong_values_are_refused_in_kubernetes_words() {
        let wrong = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: a}, provisioner: '', reclaimPolicy: Recycle, \
                     volumeBindingMode: Later, allowedTopologies: [{matchLabelExpressions: [{key: a, values: [x, x]}, {key: a, values: []}]}]}";
        insta::assert_snapshot!(refused(wrong), @r#"
        provisioner: Required value
        reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"
        volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"
        allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "x"
        allowedTopologies[0].matchLabelExpressions[1].values: Required value
        allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "a"
        "#);
    }
}
