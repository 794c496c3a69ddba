//! What a resource kind declares, and the object-safe form that the generic machinery works with.
//!
//! A kind implements [`Kind`] over its `k8s-openapi` type, which already says group, version, plural and scope. Every
//! function has a default body, so a plain kind is a few lines. `registry` wraps each in [`Typed`], which is what REST,
//! discovery, tables and the rest see as `dyn DynKind`.

use std::any::{Any, TypeId};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, ListableResource, Metadata, ResourceScope};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::allocations::Allocations;
use super::auth::UserInfo;
use super::field::FieldError;
use super::probes::Probes;
use super::schema::{self, TypeInfo};
use super::status::{ApiError, GroupResource};
use super::table::{Cell, Column};
use crate::clock::Clock;
use crate::seed::Seed;
use crate::store::Store;

/// What a hook may use besides the object.
#[derive(Clone, Copy, Debug)]
pub struct WriteContext<'a> {
    /// The cluster's time.
    pub clock: &'a Clock,
    /// The cluster's source of chance.
    pub seed: &'a Seed,
    /// The store, to look other objects up.
    pub store: &'a Store,
    /// The IPs and ports that Services have taken.
    pub allocations: &'a Allocations,
    /// Who asks.
    pub user: &'a UserInfo,
    /// Nothing is kept: leave no trace outside the object.
    pub dry_run: bool,
}

/// What happens to a kind's `metadata.generation` and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The kind has a status sub-resource: create and update ignore the status, an update of the status ignores the rest.
    pub status: bool,
    /// `metadata.generation` starts at 1 and goes up with each change of the spec.
    pub generation: bool,
    /// The kind has a scale sub-resource; see [`Kind::scale`].
    pub scale: bool,
}

/// What the generic machinery may do with a kind's objects; most kinds have [`Rules::USUAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A PUT of a name that does not exist creates it.
    pub create_on_update: bool,
    /// An update without a resourceVersion is taken as of the newest.
    pub unconditional_update: bool,
    /// A deletion is answered with the object, not with a Status.
    pub returns_deleted: bool,
    /// The status that a new object brings along is kept (Nodes).
    pub status_at_create: bool,
    /// What a deletion without a policy does with dependents.
    pub dependents: Dependents,
    /// For how long an object lives (Events).
    pub ttl_seconds: Option<u64>,
}

/// What a deletion without a policy does with an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependents {
    /// The garbage collector deletes them.
    Deleted,
    /// They stay.
    Orphaned,
    /// The kind never has any, whatever the policy.
    None,
}

impl Rules {
    /// What most kinds have.
    pub const USUAL: Self = Self {
        create_on_update: false,
        unconditional_update: true,
        returns_deleted: false,
        status_at_create: false,
        dependents: Dependents::Deleted,
        ttl_seconds: None,
    };
}

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

/// How objects of one version become objects of the version that is stored, and back. Both are JSON objects.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// The group, version and plural under which the objects are stored.
    pub storage: (&'static str, &'static str, &'static str),
    /// To the stored version.
    pub to_storage: fn(Value) -> Value,
    /// From the stored version.
    pub from_storage: fn(Value) -> Value,
}

/// The numbers of a scale sub-resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How many are wanted.
    pub spec_replicas: i32,
    /// How many there are.
    pub status_replicas: i32,
    /// The label selector in its string form.
    pub selector: String,
}

/// An object on its way through the write pipeline. Admission plugins look into it with [`dyn Object::get`].
pub trait Object: Any + Debug + Send + Sync {
    /// Its metadata.
    fn meta(&self) -> &ObjectMeta;
    /// Its metadata, to change.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    /// The object as JSON (without Kubernetes' zero values; `encode` adds those).
    fn to_value(&self) -> Value;
    /// A copy.
    fn boxed_clone(&self) -> Box<dyn Object>;
}

impl dyn Object {
    /// The object as its own type, if it is one.
    pub fn get<T: Object>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }

    /// The object as its own type, to change, if it is one.
    pub fn get_mut<T: Object>(&mut self) -> Option<&mut T> {
        (self as &mut dyn Any).downcast_mut()
    }
}

/// The bounds that every `k8s-openapi` object with metadata fulfils.
pub trait ApiObject:
    k8s_openapi::Resource
    + Metadata<Ty = ObjectMeta>
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<T> ApiObject for T where
    T: k8s_openapi::Resource
        + Metadata<Ty = ObjectMeta>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + Sync
        + 'static
{
}

impl<T: ApiObject> Object for T {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.metadata_mut()
    }
    fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("k8s-openapi types have string keys only")
    }
    fn boxed_clone(&self) -> Box<dyn Object> {
        Box::new(self.clone())
    }
}

/// What a kind says of itself, once and for all.
#[derive(Clone, Debug)]
pub struct KindInfo {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, like `v1`.
    pub version: String,
    /// The kind, like `Deployment`.
    pub kind: String,
    /// The kind of a list, like `DeploymentList`.
    pub list_kind: String,
    /// The plural that URLs use.
    pub plural: String,
    /// The singular.
    pub singular: String,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Short names.
    pub short_names: Vec<String>,
    /// Categories.
    pub categories: Vec<String>,
    /// Verbs, sorted.
    pub verbs: Vec<String>,
    /// Sub-resources and counters.
    pub traits: Traits,
    /// What the machinery may do with its objects.
    pub rules: Rules,
    /// How objects are stored, if in another version.
    pub stored_as: Option<Conversion>,
    /// A warning for every request.
    pub warning: Option<String>,
    /// The type in `schema`, like `io.k8s.api.apps.v1.Deployment`; `None` for custom resources.
    pub schema_type: Option<String>,
    /// The schema of a custom resource, if it has one.
    pub schema: Option<Arc<TypeInfo>>,
}

impl KindInfo {
    /// The fields: the table's for a built-in kind, its own for a custom resource.
    pub fn type_info(&self) -> Option<&TypeInfo> {
        match &self.schema_type {
            Some(name) => schema::lookup(name),
            None => self.schema.as_deref(),
        }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The resource for messages.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(&self.group, &self.plural)
    }

    /// Where its objects are stored: `/registry/deployments/`, or `/registry/<group>/<plural>/` as etcd has it for
    /// groups outside the built-in ones.
    pub fn storage_prefix(&self) -> String {
        let (group, plural) = self
            .stored_as
            .map_or((self.group.as_str(), self.plural.as_str()), |c| (c.storage.0, c.storage.2));
        match (group, plural) {
            ("", "services") => "/registry/services/specs/".to_owned(),
            ("", "endpoints") => "/registry/services/endpoints/".to_owned(),
            ("", "nodes") => "/registry/minions/".to_owned(),
            ("", "replicationcontrollers") => "/registry/controllers/".to_owned(),
            ("networking.k8s.io", "ingresses") => "/registry/ingress/".to_owned(),
            ("policy", "poddisruptionbudgets") => "/registry/poddisruptionbudgets/".to_owned(),
            ("apiregistration.k8s.io" | "apiextensions.k8s.io", plural) => {
                format!("/registry/{group}/{plural}/")
            }
            (group, plural) if self.schema_type.is_none() => format!("/registry/{group}/{plural}/"),
            (_, plural) => format!("/registry/{plural}/"),
        }
    }

    /// The key of one object.
    pub fn storage_key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced {
            format!("{}{namespace}/{name}", self.storage_prefix())
        } else {
            format!("{}{name}", self.storage_prefix())
        }
    }
}

/// A kind as the generic machinery sees it. Objects handed in must be of the kind; the machinery decodes them with
/// [`DynKind::decode`] and never mixes kinds.
pub trait DynKind: Send + Sync {
    /// What the kind says of itself.
    fn info(&self) -> &KindInfo;
    /// Reads an object. The value has been checked against the schema; a mismatch is a `BadRequest`.
    fn decode(&self, value: Value) -> Result<Box<dyn Object>, ApiError>;
    /// See [`Kind::default`].
    fn default(&self, object: &mut dyn Object);
    /// See [`Kind::prepare_create`].
    fn prepare_create(&self, context: &WriteContext<'_>, object: &mut dyn Object) -> Result<(), ApiError>;
    /// See [`Kind::prepare_update`].
    fn prepare_update(
        &self,
        context: &WriteContext<'_>,
        new: &mut dyn Object,
        old: &dyn Object,
    ) -> Result<(), ApiError>;
    /// See [`Kind::prepare_status_update`].
    fn prepare_status_update(&self, context: &WriteContext<'_>, new: &mut dyn Object, old: &dyn Object);
    /// See [`Kind::validate`].
    fn validate(&self, object: &dyn Object) -> Vec<FieldError>;
    /// See [`Kind::validate_update`].
    fn validate_update(&self, new: &dyn Object, old: &dyn Object) -> Vec<FieldError>;
    /// See [`Kind::validate_status_update`].
    fn validate_status_update(&self, new: &dyn Object, old: &dyn Object) -> Vec<FieldError>;
    /// See [`Kind::validate_subresource_update`].
    fn validate_subresource_update(
        &self,
        subresource: &str,
        new: &dyn Object,
        old: &dyn Object,
    ) -> Vec<FieldError>;
    /// See [`Kind::validate_name`].
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String>;
    /// See [`Kind::warnings`].
    fn warnings(&self, object: &dyn Object, old: Option<&dyn Object>) -> Vec<String>;
    /// See [`Kind::grace_period`].
    fn grace_period(&self, object: &dyn Object, requested: Option<i64>) -> Option<i64>;
    /// See [`Kind::begin_deletion`].
    fn begin_deletion(&self, object: &mut dyn Object);
    /// See [`Kind::after_delete`].
    fn after_delete(&self, allocations: &Allocations, object: &dyn Object);
    /// See [`Kind::after_replace`].
    fn after_replace(&self, allocations: &Allocations, dropped: &dyn Object, kept: &dyn Object);
    /// See [`Kind::holds_deletion`].
    fn holds_deletion(&self, object: &dyn Object) -> bool;
    /// See [`Kind::scale`].
    fn scale(&self, object: &dyn Object) -> Option<Scale>;
    /// See [`Kind::set_scale`].
    fn set_scale(&self, object: &mut dyn Object, replicas: i32);
    /// See [`Kind::selectable_fields`].
    fn selectable_fields(&self, object: &dyn Object) -> Vec<(&'static str, String)>;
    /// See [`Kind::computed`].
    fn computed(&self, probes: &Probes) -> Option<Vec<Box<dyn Object>>>;
    /// See [`Kind::columns`].
    fn columns(&self) -> Vec<Column>;
    /// See [`Kind::row`].
    fn row(&self, object: &dyn Object, now: Timestamp) -> Vec<Cell>;
    /// Adds the kind's OpenAPI schema, with descriptions, to `generator`; `None` for custom resources.
    fn json_schema(&self, generator: &mut SchemaGenerator) -> Option<schemars::Schema>;
    /// The schema of a custom resource as OpenAPI v3 has it; `None` for built-in kinds.
    fn open_api(&self) -> Option<Value> {
        None
    }
}

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
