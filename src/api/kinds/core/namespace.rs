//! Namespace: a room for objects, which is emptied before it goes.
// Models pkg/registry/core/namespace and pkg/apis/core/validation (ValidateNamespace).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceStatus};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Rules, Traits, WriteContext};
use crate::api::kinds::unset::{default_text, text};
use crate::api::kinds::{cells, checks};
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};
use crate::meta::names;

/// The finalizer that the namespace controller takes away once the namespace is empty.
pub const FINALIZER: &str = "kubernetes";
/// The label that every namespace has: its own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Finalizers that need no prefix.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// `v1` Namespace.
pub struct NamespaceKind;

impl Kind for NamespaceKind {
    type Object = Namespace;
    const SHORT_NAMES: &'static [&'static str] = &["ns"];
    const VERBS: &'static [&'static str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
    const TRAITS: Traits = Traits { status: true, generation: false, scale: false };
    const RULES: Rules = Rules { returns_deleted: true, ..Rules::USUAL };

    fn default(namespace: &mut Namespace) {
        label(namespace);
        default_text(&mut namespace.status.get_or_insert_default().phase, "Active");
    }

    fn prepare_create(_context: &WriteContext<'_>, namespace: &mut Namespace) -> Result<(), ApiError> {
        // A generated name was not known when the defaults were set.
        label(namespace);
        namespace.status = Some(NamespaceStatus { phase: Some("Active".to_owned()), conditions: None });
        let finalizers = namespace.spec.get_or_insert_default().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
        Ok(())
    }

    fn prepare_update(
        _context: &WriteContext<'_>,
        new: &mut Namespace,
        old: &Namespace,
    ) -> Result<(), ApiError> {
        label(new);
        let finalizers = old.spec.as_ref().and_then(|spec| spec.finalizers.clone());
        new.spec.get_or_insert_default().finalizers = finalizers;
        Ok(())
    }

    fn begin_deletion(namespace: &mut Namespace) {
        namespace.status.get_or_insert_default().phase = Some("Terminating".to_owned());
    }

    fn holds_deletion(namespace: &Namespace) -> bool {
        let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
        finalizers.is_some_and(|finalizers| !finalizers.is_empty())
    }

    fn validate_name(name: &str, prefix: bool) -> Vec<String> {
        names::dns1123_label(name, prefix)
    }

    fn validate(namespace: &Namespace) -> Vec<FieldError> {
        let field = FieldPath::new("spec").child("finalizers");
        let finalizers = namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten());
        finalizers.flat_map(|finalizer| finalizer_name(finalizer, &field)).collect()
    }

    fn validate_status_update(new: &Namespace, _old: &Namespace) -> Vec<FieldError> {
        let phase = new.status.as_ref().map(|status| text(&status.phase)).unwrap_or_default();
        let (wanted, state) = match new.metadata.deletion_timestamp {
            None => ("Active", "is empty"),
            Some(_) => ("Terminating", "is not empty"),
        };
        if phase == wanted {
            return vec![];
        }
        let field = FieldPath::new("status").child("Phase");
        vec![FieldError::invalid(
            &field,
            phase,
            format!("may only be '{wanted}' if `deletionTimestamp` {state}"),
        )]
    }

    fn validate_subresource_update(subresource: &str, new: &Namespace, _old: &Namespace) -> Vec<FieldError> {
        if subresource != "finalize" {
            return vec![];
        }
        let field = FieldPath::new("spec").child("finalizers");
        let finalizers = new.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten()).enumerate();
        finalizers.flat_map(|(index, finalizer)| finalizer_name(finalizer, &field.index(index))).collect()
    }

    fn selectable_fields(namespace: &Namespace) -> Vec<(&'static str, String)> {
        let phase = namespace.status.as_ref().and_then(|status| status.phase.clone());
        vec![
            ("status.phase", phase.unwrap_or_default()),
            ("name", namespace.metadata.name.clone().unwrap_or_default()),
        ]
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Status", "Whether the namespace is in use or going away"),
            Column::AGE,
        ]
    }

    fn row(namespace: &Namespace, now: Timestamp) -> Vec<Cell> {
        let phase = namespace.status.as_ref().map(|status| text(&status.phase)).unwrap_or_default();
        vec![cells::name(&namespace.metadata), phase.into(), cells::age(&namespace.metadata, now)]
    }
}

fn label(namespace: &mut Namespace) {
    if let Some(name) = namespace.metadata.name.clone().filter(|name| !name.is_empty()) {
        namespace.metadata.labels.get_or_insert_default().insert(NAME_LABEL.to_owned(), name);
    }
}

/// What is wrong with a finalizer of the spec.
fn finalizer_name(name: &str, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = checks::qualified_name(name, field);
    if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
        errors.push(FieldError::invalid(
            field,
            name,
            "name is neither a standard finalizer name nor is it fully qualified",
        ));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kinds::samples::{World, created, read, shown};

    #[test]
    fn a_new_namespace_is_as_a_real_cluster_makes_it() {
        let (kind, object) =
            created(&World::new(), "{apiVersion: v1, kind: Namespace, metadata: {name: tea}}").unwrap();
        insta::assert_snapshot!(shown(&*kind, &*object), @"
        apiVersion: v1
        kind: Namespace
        metadata:
          labels:
            kubernetes.io/metadata.name: tea
          name: tea
        spec:
          finalizers:
          - kubernetes
        status:
          phase: Active
        ");
        assert!(kind.holds_deletion(&*object));
    }

    #[test]
    fn it_stays_until_it_is_empty_and_says_so() {
        let world = World::new();
        let (kind, mut object) =
            created(&world, "{apiVersion: v1, kind: Namespace, metadata: {name: tea}}").unwrap();
        kind.begin_deletion(&mut *object);
        let phase = object.get::<Namespace>().unwrap().status.clone().unwrap().phase;
        assert_eq!(phase.as_deref(), Some("Terminating"));
        let (_, mut update) =
            read("{apiVersion: v1, kind: Namespace, metadata: {name: tea}, spec: {finalizers: []}}");
        kind.prepare_update(&world.context(), &mut *update, &*object).unwrap();
        assert!(kind.holds_deletion(&*update), "an ordinary update does not take the finalizer away");
        let errors = kind.validate_status_update(&*object, &*object);
        let words = "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty";
        assert_eq!(errors[0].to_string(), words);
    }
}
