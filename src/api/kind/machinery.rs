//! A kind as the generic machinery sees it. Built-in kinds become one through `typed`, custom resources by themselves.

use jiff::Timestamp;
use schemars::SchemaGenerator;
use serde_json::Value;

use super::info::KindInfo;
use super::object::Object;
use super::rules::{Scale, WriteContext};
use crate::api::allocations::Allocations;
use crate::api::field::FieldError;
use crate::api::probes::Probes;
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};

/// A kind as the generic machinery sees it. Objects handed in must be of the kind; the machinery decodes them with
/// [`DynKind::decode`] and never mixes kinds.
pub trait DynKind: Send + Sync {
    /// What the kind says of itself.
    fn info(&self) -> &KindInfo;
    /// Reads an object. The value has been checked against the schema; a mismatch is a `BadRequest`.
    fn decode(&self, value: Value) -> Result<Box<dyn Object>, ApiError>;
    /// See [`super::Kind::default`].
    fn default(&self, object: &mut dyn Object);
    /// See [`super::Kind::prepare_create`].
    fn prepare_create(&self, context: &WriteContext<'_>, object: &mut dyn Object) -> Result<(), ApiError>;
    /// See [`super::Kind::prepare_update`].
    fn prepare_update(
        &self,
        context: &WriteContext<'_>,
        new: &mut dyn Object,
        old: &dyn Object,
    ) -> Result<(), ApiError>;
    /// See [`super::Kind::prepare_status_update`].
    fn prepare_status_update(&self, context: &WriteContext<'_>, new: &mut dyn Object, old: &dyn Object);
    /// See [`super::Kind::validate`].
    fn validate(&self, object: &dyn Object) -> Vec<FieldError>;
    /// See [`super::Kind::validate_update`].
    fn validate_update(&self, new: &dyn Object, old: &dyn Object) -> Vec<FieldError>;
    /// See [`super::Kind::validate_status_update`].
    fn validate_status_update(&self, new: &dyn Object, old: &dyn Object) -> Vec<FieldError>;
    /// See [`super::Kind::validate_subresource_update`].
    fn validate_subresource_update(
        &self,
        subresource: &str,
        new: &dyn Object,
        old: &dyn Object,
    ) -> Vec<FieldError>;
    /// See [`super::Kind::validate_name`].
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String>;
    /// See [`super::Kind::warnings`].
    fn warnings(&self, object: &dyn Object, old: Option<&dyn Object>) -> Vec<String>;
    /// See [`super::Kind::grace_period`].
    fn grace_period(&self, object: &dyn Object, requested: Option<i64>) -> Option<i64>;
    /// See [`super::Kind::begin_deletion`].
    fn begin_deletion(&self, object: &mut dyn Object);
    /// See [`super::Kind::after_delete`].
    fn after_delete(&self, allocations: &Allocations, object: &dyn Object);
    /// See [`super::Kind::after_replace`].
    fn after_replace(&self, allocations: &Allocations, dropped: &dyn Object, kept: &dyn Object);
    /// See [`super::Kind::holds_deletion`].
    fn holds_deletion(&self, object: &dyn Object) -> bool;
    /// See [`super::Kind::scale`].
    fn scale(&self, object: &dyn Object) -> Option<Scale>;
    /// See [`super::Kind::set_scale`].
    fn set_scale(&self, object: &mut dyn Object, replicas: i32);
    /// See [`super::Kind::selectable_fields`].
    fn selectable_fields(&self, object: &dyn Object) -> Vec<(&'static str, String)>;
    /// See [`super::Kind::computed`].
    fn computed(&self, probes: &Probes) -> Option<Vec<Box<dyn Object>>>;
    /// See [`super::Kind::columns`].
    fn columns(&self) -> Vec<Column>;
    /// See [`super::Kind::row`].
    fn row(&self, object: &dyn Object, now: Timestamp) -> Vec<Cell>;
    /// Adds the kind's OpenAPI schema, with descriptions, to `generator`; `None` for custom resources.
    fn json_schema(&self, generator: &mut SchemaGenerator) -> Option<schemars::Schema>;
    /// The schema of a custom resource as OpenAPI v3 has it; `None` for built-in kinds.
    fn open_api(&self) -> Option<Value> {
        None
    }
}
