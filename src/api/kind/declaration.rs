//! The declaration of a kind: one trait with a default body for all that most kinds have in common.

use jiff::Timestamp;
use k8s_openapi::ListableResource;
use k8s_openapi::Metadata;
use schemars::JsonSchema;

use super::object::ApiObject;
use super::rules::{Conversion, Rules, Scale, Traits, WriteContext};
use crate::api::allocations::Allocations;
use crate::api::field::FieldError;
use crate::api::probes::Probes;
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};

/// A resource kind of the API.
pub trait Kind: Send + Sync + 'static {
    /// The type that `k8s-openapi` has for it.
    type Object: ApiObject + ListableResource + JsonSchema;
    /// Short names, like `po`.
    const SHORT_NAMES: &'static [&'static str] = &[];
    /// Categories, like `all`.
    const CATEGORIES: &'static [&'static str] = &[];
    /// The verbs, sorted; kinds that are only answered with (like `TokenReview`) have `create` alone.
    const VERBS: &'static [&'static str] =
        &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    /// Which sub-resources and counters it has.
    const TRAITS: Traits = Traits { status: false, generation: false, scale: false };
    /// What the machinery may do with its objects.
    const RULES: Rules = Rules::USUAL;
    /// Where objects are stored, if another version of the kind is: kinds with the same one share their objects.
    const STORED_AS: Option<Conversion> = None;
    /// A warning that every request for the kind gets, like `v1 Endpoints is deprecated in v1.33+; use ...`.
    const WARNING: Option<&'static str> = None;

    /// The name in singular; lower case of the kind unless it says otherwise.
    fn singular() -> String {
        <Self::Object as k8s_openapi::Resource>::KIND.to_lowercase()
    }
    /// Fills in what the user may leave out.
    fn default(_object: &mut Self::Object) {}
    /// Sets what the server decides at creation (the machinery has already done metadata and emptied the status).
    /// May refuse, and may take from `context.allocations` unless it is a dry run.
    fn prepare_create(_context: &WriteContext<'_>, _object: &mut Self::Object) -> Result<(), ApiError> {
        Ok(())
    }
    /// Sets what the server decides at an update (the status is already the old one's).
    fn prepare_update(
        _context: &WriteContext<'_>,
        _new: &mut Self::Object,
        _old: &Self::Object,
    ) -> Result<(), ApiError> {
        Ok(())
    }
    /// Sets what the server decides at an update of the status (all but the status, the labels, the annotations and the
    /// finalizers is already the old one's).
    fn prepare_status_update(_context: &WriteContext<'_>, _new: &mut Self::Object, _old: &Self::Object) {}
    /// What is wrong with a new object, besides its metadata.
    fn validate(_object: &Self::Object) -> Vec<FieldError> {
        vec![]
    }
    /// What is wrong with a change, besides what `validate` says of the new object.
    fn validate_update(_new: &Self::Object, _old: &Self::Object) -> Vec<FieldError> {
        vec![]
    }
    /// What is wrong with a change of the status.
    fn validate_status_update(_new: &Self::Object, _old: &Self::Object) -> Vec<FieldError> {
        vec![]
    }
    /// What is wrong with a change through a sub-resource that may change what updates may not: `finalize`,
    /// `ephemeralcontainers`, `resize`. Only what the sub-resource is for differs from the old object.
    fn validate_subresource_update(
        _subresource: &str,
        _new: &Self::Object,
        _old: &Self::Object,
    ) -> Vec<FieldError> {
        vec![]
    }
    /// What is wrong with the name; a DNS subdomain unless the kind says otherwise. `prefix` is true for a generateName.
    fn validate_name(name: &str, prefix: bool) -> Vec<String> {
        crate::meta::names::dns1123_subdomain(name, prefix)
    }
    /// Warnings that a create or update is answered with.
    fn warnings(_object: &Self::Object, _old: Option<&Self::Object>) -> Vec<String> {
        vec![]
    }
    /// The grace period in seconds that a deletion gets: `requested` is what the client asked for. `None`: the kind goes
    /// at once. The machinery marks the object and keeps it until a deletion with grace 0 arrives.
    fn grace_period(_object: &Self::Object, _requested: Option<i64>) -> Option<i64> {
        None
    }
    /// Changes the object when its deletion begins and it stays for a while (a Namespace becomes `Terminating`).
    fn begin_deletion(_object: &mut Self::Object) {}
    /// Gives back what `prepare_create` took. Called after the object has left the store.
    fn after_delete(_allocations: &Allocations, _object: &Self::Object) {}
    /// Gives back what `dropped` took and `kept` does not need. Called after an update was stored with the old object as
    /// `dropped`, and after one was refused behind `prepare_update` with the new object as `dropped` (not for a dry run).
    fn after_replace(_allocations: &Allocations, _dropped: &Self::Object, _kept: &Self::Object) {}
    /// Whether deletion must wait although there are no finalizers in the metadata (a Namespace's `spec.finalizers`).
    fn holds_deletion(_object: &Self::Object) -> bool {
        false
    }
    /// What `spec.replicas`, `status.replicas` and the selector are, for the scale sub-resource.
    fn scale(_object: &Self::Object) -> Option<Scale> {
        None
    }
    /// Sets `spec.replicas`.
    fn set_scale(_object: &mut Self::Object, _replicas: i32) {}
    /// The fields that a field selector may name, besides `metadata.name` and `metadata.namespace`, with their values.
    /// Names must be the same for every object.
    fn selectable_fields(_object: &Self::Object) -> Vec<(&'static str, String)> {
        vec![]
    }
    /// The objects, if they are not stored but reckoned at each read (ComponentStatus), by name. Such kinds can be read only.
    fn computed(_probes: &Probes) -> Option<Vec<Self::Object>> {
        None
    }
    /// The table's columns.
    fn columns() -> Vec<Column> {
        vec![Column::NAME, Column { name: "Created At", ..Column::AGE }]
    }
    /// One row of the table.
    fn row(object: &Self::Object, _now: Timestamp) -> Vec<Cell> {
        let meta = object.metadata();
        let created =
            meta.creation_timestamp.as_ref().map(|time| time.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        vec![meta.name.clone().into(), created.into()]
    }
}
