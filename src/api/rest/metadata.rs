//! What is wrong with an object's metadata, for every kind alike.
// Models k8s.io/apimachinery/pkg/api/validation (ValidateObjectMetaAccessor, ValidateObjectMetaAccessorUpdate).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::DynKind;
use crate::meta::names;

/// How many bytes the annotations of one object may have.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;
/// The finalizer of a deletion that leaves dependents alone.
pub(super) const ORPHAN: &str = "orphan";
/// The finalizer of a deletion that waits for dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// What is wrong with the metadata of a new or changed object.
pub(super) fn errors(kind: &dyn DynKind, meta: &ObjectMeta) -> Vec<FieldError> {
    let field = FieldPath::new("metadata");
    let mut errors = name_errors(kind, meta, &field);
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let at = field.child("namespace");
    match (kind.info().namespaced, namespace) {
        (true, "") => errors.push(FieldError::required(&at, "")),
        (true, namespace) => {
            errors.extend(
                names::dns1123_label(namespace, false)
                    .into_iter()
                    .map(|e| FieldError::invalid(&at, namespace, e)),
            );
        }
        (false, "") => {}
        (false, _) => errors.push(FieldError::forbidden(&at, "not allowed on this type")),
    }
    if meta.generation.is_some_and(|generation| generation < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(&field.child("generation"), meta.generation, why));
    }
    errors.extend(label_errors(meta, &field.child("labels")));
    errors.extend(annotation_errors(meta, &field.child("annotations")));
    errors.extend(owner_errors(
        meta.owner_references.as_deref().unwrap_or_default(),
        &field.child("ownerReferences"),
    ));
    errors.extend(finalizer_errors(meta, &field.child("finalizers")));
    errors
}

fn name_errors(kind: &dyn DynKind, meta: &ObjectMeta, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if let Some(prefix) = meta.generate_name.as_deref().filter(|prefix| !prefix.is_empty()) {
        let at = field.child("generateName");
        errors.extend(
            kind.validate_name(prefix, true).into_iter().map(|e| FieldError::invalid(&at, prefix, e)),
        );
    }
    let at = field.child("name");
    match meta.name.as_deref() {
        None | Some("") => errors.push(FieldError::required(&at, "name or generateName is required")),
        Some(name) => errors
            .extend(kind.validate_name(name, false).into_iter().map(|e| FieldError::invalid(&at, name, e))),
    }
    errors
}

fn label_errors(meta: &ObjectMeta, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (key, value) in meta.labels.iter().flatten() {
        errors.extend(
            names::qualified_name(key).into_iter().map(|e| FieldError::invalid(field, key.as_str(), e)),
        );
        errors.extend(
            names::label_value(value).into_iter().map(|e| FieldError::invalid(field, value.as_str(), e)),
        );
    }
    errors
}

fn annotation_errors(meta: &ObjectMeta, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let mut size = 0;
    for (key, value) in meta.annotations.iter().flatten() {
        let names = names::qualified_name(&key.to_lowercase());
        errors.extend(names.into_iter().map(|e| FieldError::invalid(field, key.as_str(), e)));
        size += key.len() + value.len();
    }
    if size > MAX_ANNOTATION_BYTES {
        errors.push(FieldError::too_long(field, MAX_ANNOTATION_BYTES));
    }
    errors
}

fn owner_errors(owners: &[OwnerReference], field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let mut controller: Option<String> = None;
    for owner in owners {
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        if version.is_empty() {
            let why = "version must not be empty";
            errors.push(FieldError::invalid(&field.child("apiVersion"), owner.api_version.as_str(), why));
        }
        for (name, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if value.is_empty() {
                errors.push(FieldError::invalid(&field.child(name), value.as_str(), "must not be empty"));
            }
        }
        if group.is_empty() && version == "v1" && owner.kind == "Event" {
            errors.push(FieldError::invalid(
                field,
                json!(owner),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner.controller == Some(true) {
            let this = format!("{}/{}", owner.kind, owner.name);
            match &controller {
                Some(first) => errors.push(FieldError::invalid(
                    field,
                    json!(owners),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    ),
                )),
                None => controller = Some(this),
            }
        }
    }
    errors
}

fn finalizer_errors(meta: &ObjectMeta, field: &FieldPath) -> Vec<FieldError> {
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    let mut errors = vec![];
    for finalizer in finalizers {
        let wrong = names::qualified_name(finalizer);
        errors.extend(wrong.into_iter().map(|e| FieldError::invalid(field, finalizer.as_str(), e)));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has(ORPHAN) && has(FOREGROUND) {
        let why = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.push(FieldError::invalid(field, json!(finalizers), why));
    }
    errors
}

/// What is wrong with a change of metadata.
pub(super) fn update_errors(new: &ObjectMeta, old: &ObjectMeta) -> Vec<FieldError> {
    let field = FieldPath::new("metadata");
    let mut errors = vec![];
    if old.deletion_timestamp.is_some() {
        let had = old.finalizers.as_deref().unwrap_or_default();
        let mut added: Vec<&String> = new.finalizers.iter().flatten().filter(|f| !had.contains(f)).collect();
        added.sort();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|finalizer| format!("{finalizer:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            errors.push(FieldError::forbidden(&field.child("finalizers"), why));
        }
    }
    let immutable: [(&str, Value, Value); 6] = [
        ("name", json!(new.name), json!(old.name)),
        ("namespace", json!(new.namespace), json!(old.namespace)),
        ("uid", json!(new.uid), json!(old.uid)),
        ("creationTimestamp", json!(new.creation_timestamp), json!(old.creation_timestamp)),
        ("deletionTimestamp", json!(new.deletion_timestamp), json!(old.deletion_timestamp)),
        (
            "deletionGracePeriodSeconds",
            json!(new.deletion_grace_period_seconds),
            json!(old.deletion_grace_period_seconds),
        ),
    ];
    for (name, new, old) in immutable {
        if new != old {
            errors.push(FieldError::invalid(&field.child(name), new, "field is immutable"));
        }
    }
    errors
}
