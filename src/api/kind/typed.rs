//! A built-in kind in its object-safe form: each hook finds the object's own type and calls the declaration.

use std::any::TypeId;
use std::marker::PhantomData;

use jiff::Timestamp;
use k8s_openapi::{ClusterResourceScope, ListableResource, ResourceScope};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::declaration::Kind;
use super::info::KindInfo;
use super::machinery::DynKind;
use super::object::Object;
use super::rules::{Scale, WriteContext};
use crate::api::allocations::Allocations;
use crate::api::field::FieldError;
use crate::api::probes::Probes;
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};

/// A built-in kind in its object-safe form.
pub struct Typed<K: Kind> {
    info: KindInfo,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Typed<K> {
    /// The kind, for the registry's table.
    pub fn boxed() -> Box<dyn DynKind>
    where
        <K::Object as k8s_openapi::Resource>::Scope: ResourceScope + 'static,
    {
        use k8s_openapi::Resource;
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let namespaced =
            TypeId::of::<<K::Object as Resource>::Scope>() != TypeId::of::<ClusterResourceScope>();
        let info = KindInfo {
            group: K::Object::GROUP.to_owned(),
            version: K::Object::VERSION.to_owned(),
            kind: K::Object::KIND.to_owned(),
            list_kind: K::Object::LIST_KIND.to_owned(),
            plural: K::Object::URL_PATH_SEGMENT.to_owned(),
            singular: K::singular(),
            namespaced,
            short_names: owned(K::SHORT_NAMES),
            categories: owned(K::CATEGORIES),
            verbs: owned(K::VERBS),
            traits: K::TRAITS,
            rules: K::RULES,
            stored_as: K::STORED_AS,
            warning: K::WARNING.map(str::to_owned),
            schema_type: Some(K::Object::schema_name().into_owned()),
            schema: None,
        };
        Box::new(Self { info, kind: PhantomData })
    }
}

/// The object as the kind's own type.
fn own<K: Kind>(object: &dyn Object) -> &K::Object {
    object.get().expect("the machinery hands a kind only what the kind decoded")
}

/// The object as the kind's own type, to change.
fn own_mut<K: Kind>(object: &mut dyn Object) -> &mut K::Object {
    object.get_mut().expect("the machinery hands a kind only what the kind decoded")
}

impl<K: Kind> DynKind for Typed<K> {
    fn info(&self) -> &KindInfo {
        &self.info
    }
    fn decode(&self, value: Value) -> Result<Box<dyn Object>, ApiError> {
        let object: K::Object = serde_json::from_value(value).map_err(|error| {
            let (kind, version) = (&self.info.kind, &self.info.version);
            ApiError::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: {error}"
            ))
        })?;
        Ok(Box::new(object))
    }
    fn default(&self, object: &mut dyn Object) {
        K::default(own_mut::<K>(object));
    }
    fn prepare_create(&self, context: &WriteContext<'_>, object: &mut dyn Object) -> Result<(), ApiError> {
        K::prepare_create(context, own_mut::<K>(object))
    }
    fn prepare_update(
        &self,
        context: &WriteContext<'_>,
        new: &mut dyn Object,
        old: &dyn Object,
    ) -> Result<(), ApiError> {
        K::prepare_update(context, own_mut::<K>(new), own::<K>(old))
    }
    fn prepare_status_update(&self, context: &WriteContext<'_>, new: &mut dyn Object, old: &dyn Object) {
        K::prepare_status_update(context, own_mut::<K>(new), own::<K>(old));
    }
    fn validate(&self, object: &dyn Object) -> Vec<FieldError> {
        K::validate(own::<K>(object))
    }
    fn validate_update(&self, new: &dyn Object, old: &dyn Object) -> Vec<FieldError> {
        K::validate_update(own::<K>(new), own::<K>(old))
    }
    fn validate_status_update(&self, new: &dyn Object, old: &dyn Object) -> Vec<FieldError> {
        K::validate_status_update(own::<K>(new), own::<K>(old))
    }
    fn validate_subresource_update(
        &self,
        subresource: &str,
        new: &dyn Object,
        old: &dyn Object,
    ) -> Vec<FieldError> {
        K::validate_subresource_update(subresource, own::<K>(new), own::<K>(old))
    }
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        K::validate_name(name, prefix)
    }
    fn warnings(&self, object: &dyn Object, old: Option<&dyn Object>) -> Vec<String> {
        K::warnings(own::<K>(object), old.map(own::<K>))
    }
    fn grace_period(&self, object: &dyn Object, requested: Option<i64>) -> Option<i64> {
        K::grace_period(own::<K>(object), requested)
    }
    fn begin_deletion(&self, object: &mut dyn Object) {
        K::begin_deletion(own_mut::<K>(object));
    }
    fn after_delete(&self, allocations: &Allocations, object: &dyn Object) {
        K::after_delete(allocations, own::<K>(object));
    }
    fn after_replace(&self, allocations: &Allocations, dropped: &dyn Object, kept: &dyn Object) {
        K::after_replace(allocations, own::<K>(dropped), own::<K>(kept));
    }
    fn holds_deletion(&self, object: &dyn Object) -> bool {
        K::holds_deletion(own::<K>(object))
    }
    fn scale(&self, object: &dyn Object) -> Option<Scale> {
        K::scale(own::<K>(object))
    }
    fn set_scale(&self, object: &mut dyn Object, replicas: i32) {
        K::set_scale(own_mut::<K>(object), replicas);
    }
    fn selectable_fields(&self, object: &dyn Object) -> Vec<(&'static str, String)> {
        K::selectable_fields(own::<K>(object))
    }
    fn computed(&self, probes: &Probes) -> Option<Vec<Box<dyn Object>>> {
        Some(K::computed(probes)?.into_iter().map(|object| Box::new(object) as Box<dyn Object>).collect())
    }
    fn columns(&self) -> Vec<Column> {
        K::columns()
    }
    fn row(&self, object: &dyn Object, now: Timestamp) -> Vec<Cell> {
        K::row(own::<K>(object), now)
    }
    fn json_schema(&self, generator: &mut SchemaGenerator) -> Option<schemars::Schema> {
        Some(generator.subschema_for::<K::Object>())
    }
}
