//! `update`, and the pipeline that every change of an object goes through: PUT, patches, status, scale and the other
//! sub-resources that change their parent.
// Models k8s.io/apiserver/pkg/endpoints/handlers (UpdateResource), .../registry/generic/registry (Store.Update) and
// .../registry/rest (BeforeUpdate).

use std::sync::Arc;

use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::call::{Call, Content, Reply, Rest, store_error};
use super::create::{Review, dedup_owners, ensure_namespace, record_manager};
use super::metadata;
use crate::api::admission::Operation;
use crate::api::codec::{self, MediaType, Target};
use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::Object;
use crate::api::options::WriteOptions;
use crate::api::status::ApiError;
use crate::store::{Compare, KeyValue, Op, Txn};

/// How often a change is made anew because somebody else was faster. Each failure means that another write went through.
const MAX_ATTEMPTS: usize = 100;

/// What an object becomes.
#[derive(Debug, Default)]
pub struct Change {
    /// The whole object.
    pub value: Value,
    /// The managers of fields are in it already (an apply).
    pub managed: bool,
    /// What the client should know.
    pub warnings: Vec<String>,
}

/// The state that a change starts from.
struct Before {
    kv: Arc<KeyValue>,
    value: Value,
    object: Box<dyn Object>,
}

/// What became of one attempt.
#[derive(Debug)]
enum Attempt {
    Stored(Bytes),
    /// Somebody else has written the object meanwhile.
    Raced,
}

impl Rest {
    /// Replaces an object with a body.
    pub fn update(
        &self,
        call: &Call,
        options: &WriteOptions,
        body: &[u8],
        media: MediaType,
    ) -> Result<Reply, ApiError> {
        let decoded = codec::decode(call.info(), body, media, options.field_validation)?;
        let uid =
            decoded.value.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let create = call.info().rules.create_on_update && call.subresource.is_empty();
        let reply = self.change(call, options, create, |before| {
            if let Some(before) = before {
                check_uid(call, before, &uid)?;
            }
            Ok(Change { value: decoded.value.clone(), ..Change::default() })
        })?;
        Ok(reply.warn(decoded.warnings))
    }

    /// Makes of the stored object what `change` says, again if somebody else writes in between. With `create`, what is not
    /// there is created; `change` then gets `None`.
    pub fn change(
        &self,
        call: &Call,
        options: &WriteOptions,
        create: bool,
        change: impl Fn(Option<&Value>) -> Result<Change, ApiError>,
    ) -> Result<Reply, ApiError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(kv) = self.store().get(&call.key()) else {
                if !create {
                    return Err(call.not_found());
                }
                let new = change(None)?;
                check_name(call, &new.value)?;
                match self.create_changed(call, options, new) {
                    Err(error) if error.reason() == "AlreadyExists" => continue,
                    outcome => return outcome,
                }
            };
            let value = self.value(&*call.kind, &kv)?;
            let new = change(Some(&value))?;
            let mut object = call.kind.decode(as_decoded(call, value.clone())?)?;
            // What is read from a store gets defaults too, so that old and new differ in what was changed alone.
            call.kind.default(&mut *object);
            let before = Before { object, kv, value };
            let mut warnings = new.warnings;
            match self.change_once(call, options, &before, new.value, new.managed, &mut warnings)? {
                Attempt::Stored(bytes) => return Ok(Reply::new(200, Content::Object(bytes)).warn(warnings)),
                Attempt::Raced => {}
            }
        }
        Err(conflict(call))
    }

    fn change_once(
        &self,
        call: &Call,
        options: &WriteOptions,
        before: &Before,
        value: Value,
        managed: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Attempt, ApiError> {
        check_name(call, &value)?;
        check_revision(call, before, &value)?;
        let value = as_decoded(call, keep_what_is_not_asked_for(call, before, value))?;
        let mut object = call.kind.decode(value)?;
        ensure_namespace(call, object.meta_mut())?;
        dedup_owners(object.meta_mut(), warnings, false);
        call.kind.default(&mut *object);
        if !managed {
            record_manager(call, Some(&before.value), &mut *object, &self.manager(call, options))?;
        }
        let (operation, dry_run) = (Operation::Update, options.dry_run);
        let (object_to_be, old) = (Some(&mut *object), Some(&*before.object));
        self.admit(call, Review { operation, object: object_to_be, old, dry_run }, warnings)?;
        dedup_owners(object.meta_mut(), warnings, true);
        self.prepare(call, options, before, &mut *object)?;
        let outcome = self.finish(call, options, before, &mut *object, warnings);
        if !options.dry_run {
            // What the kind took for the new object, or what only the old one needs, goes back.
            let (new, old, allocations) = (&*object, &*before.object, &self.shared.allocations);
            match &outcome {
                Ok(Attempt::Stored(_)) => call.kind.after_replace(allocations, old, new),
                Ok(Attempt::Raced) | Err(_) => call.kind.after_replace(allocations, new, old),
            }
        }
        outcome
    }

    /// The part of a change that comes after the kind has prepared the object.
    fn finish(
        &self,
        call: &Call,
        options: &WriteOptions,
        before: &Before,
        object: &mut dyn Object,
        warnings: &mut Vec<String>,
    ) -> Result<Attempt, ApiError> {
        self.validate(call, before, object)?;
        if call.subresource.is_empty() {
            warnings.extend(call.kind.warnings(object, Some(&*before.object)));
        }
        let (operation, dry_run) = (Operation::Update, options.dry_run);
        let (object_to_be, old) = (Some(&mut *object), Some(&*before.object));
        self.judge(call, Review { operation, object: object_to_be, old, dry_run }, warnings)?;
        self.store_changed(call, options, before, object)
    }

    /// What the server decides: metadata that clients cannot change, and the kind's own part.
    fn prepare(
        &self,
        call: &Call,
        options: &WriteOptions,
        before: &Before,
        object: &mut dyn Object,
    ) -> Result<(), ApiError> {
        let (context, old) = (self.write_context(call, options.dry_run), before.object.meta());
        keep_system_fields(object.meta_mut(), old);
        match call.subresource.as_str() {
            "status" => {
                object.meta_mut().owner_references = old.owner_references.clone();
                call.kind.prepare_status_update(&context, object, &*before.object);
            }
            subresource if changes_what_updates_cannot(subresource) => {}
            _ => call.kind.prepare_update(&context, object, &*before.object)?,
        }
        let counts =
            call.info().traits.generation && !["status", "finalize"].contains(&call.subresource.as_str());
        if counts && object.meta().generation == old.generation && differs_in_spec(object, &*before.object) {
            object.meta_mut().generation = Some(old.generation.unwrap_or(0) + 1);
        }
        Ok(())
    }

    fn validate(&self, call: &Call, before: &Before, object: &dyn Object) -> Result<(), ApiError> {
        let info = call.info();
        let mut errors = metadata::errors(&*call.kind, object.meta());
        errors.extend(metadata::update_errors(object.meta(), before.object.meta()));
        match call.subresource.as_str() {
            "status" => errors.extend(call.kind.validate_status_update(object, &*before.object)),
            subresource if changes_what_updates_cannot(subresource) => {
                errors.extend(call.kind.validate_subresource_update(subresource, object, &*before.object));
            }
            _ => {
                errors.extend(call.kind.validate_update(object, &*before.object));
                let known: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let whole = call.kind.validate(object).into_iter();
                errors.extend(whole.filter(|error| !known.contains(&error.to_string())));
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(&info.group, &info.kind, &call.name, &errors))
        }
    }

    fn store_changed(
        &self,
        call: &Call,
        options: &WriteOptions,
        before: &Before,
        object: &mut dyn Object,
    ) -> Result<Attempt, ApiError> {
        let (info, revision) = (call.info(), before.kv.mod_revision);
        let only_times = same_managers(object.meta(), before.object.meta());
        if only_times {
            // A change of nothing but the times of managers is no change.
            let times = std::mem::replace(
                &mut object.meta_mut().managed_fields,
                before.object.meta().managed_fields.clone(),
            );
            if self.payload(info, &object.to_value())?.at(revision) == before.kv.value {
                return Ok(Attempt::Stored(self.bytes(&*call.kind, &before.kv)?));
            }
            object.meta_mut().managed_fields = times;
        }
        let value = object.to_value();
        let payload = self.payload(info, &value)?;
        if payload.at(revision) == before.kv.value {
            return Ok(Attempt::Stored(self.bytes(&*call.kind, &before.kv)?));
        }
        let gone = goes_with_this_update(call, object, before);
        if options.dry_run {
            return Ok(Attempt::Stored(codec::encode(info, &value).at(revision)));
        }
        let key = before.kv.key.to_string();
        let op = if gone {
            Op::Bury { key: key.clone(), tombstone: self.payload(info, &before.value)? }
        } else {
            Op::Put { key: key.clone(), value: payload, lease: before.kv.lease }
        };
        let txn =
            Txn { compares: vec![Compare::ModRevision(key, revision)], success: vec![op], failure: vec![] };
        let answer = self.store().txn(txn, call.author.clone()).map_err(|error| store_error(&error))?;
        if !answer.succeeded {
            return Ok(Attempt::Raced);
        }
        match answer.puts.first() {
            Some(kv) => Ok(Attempt::Stored(self.bytes(&*call.kind, kv)?)),
            None => {
                call.kind.after_delete(&self.shared.allocations, object);
                Ok(Attempt::Stored(codec::encode(info, &value).at(revision)))
            }
        }
    }

    /// Changes the stored object as it is, past admission, validation and the record of managers: for what the server
    /// itself writes on behalf of a sub-resource (the node of a pod). `edit` sees the object as the kind serves it.
    pub fn write_through(
        &self,
        call: &Call,
        dry_run: bool,
        edit: impl Fn(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Value, ApiError> {
        for _ in 0..MAX_ATTEMPTS {
            let kv = self.stored(call)?;
            let mut value = self.value(&*call.kind, &kv)?;
            edit(&mut value)?;
            if dry_run {
                return Ok(value);
            }
            let key = kv.key.to_string();
            let put =
                Op::Put { key: key.clone(), value: self.payload(call.info(), &value)?, lease: kv.lease };
            let txn = Txn {
                compares: vec![Compare::ModRevision(key, kv.mod_revision)],
                success: vec![put],
                failure: vec![],
            };
            let answer = self.store().txn(txn, call.author.clone()).map_err(|error| store_error(&error))?;
            if let Some(kv) = answer.puts.first() {
                return self.value(&*call.kind, kv);
            }
        }
        Err(conflict(call))
    }
}

/// Whether a sub-resource is there to change what an update of the object may not. The kind's rules for updates do not
/// hold for it.
fn changes_what_updates_cannot(subresource: &str) -> bool {
    ["finalize", "ephemeralcontainers", "resize"].contains(&subresource)
}

/// Whether the update takes the last thing away that held up the object's deletion.
// Models ShouldDeleteDuringUpdate.
fn goes_with_this_update(call: &Call, object: &dyn Object, before: &Before) -> bool {
    let old = before.object.meta();
    object.meta().finalizers.as_deref().unwrap_or_default().is_empty()
        && old.deletion_timestamp.is_some()
        && old.deletion_grace_period_seconds.unwrap_or(0) == 0
        && !call.kind.holds_deletion(object)
}

fn check_uid(call: &Call, before: &Value, uid: &str) -> Result<(), ApiError> {
    let have = before.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    if uid.is_empty() || uid == have {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
         precondition: {uid}, UID in object meta: {have}",
        call.key()
    );
    Err(ApiError::conflict(&call.resource(), &call.name, &why))
}

fn check_name(call: &Call, value: &Value) -> Result<(), ApiError> {
    let of = |field: &str| value.pointer(field).and_then(Value::as_str).unwrap_or_default();
    let (name, namespace) = (of("/metadata/name"), of("/metadata/namespace"));
    if call.info().namespaced && !namespace.is_empty() && namespace != call.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    if name.is_empty() {
        let message = format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name
        );
        return Err(ApiError::bad_request(message));
    }
    if name != call.name {
        let message =
            format!("the name of the object ({name}) does not match the name on the URL ({})", call.name);
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

fn check_revision(call: &Call, before: &Before, value: &Value) -> Result<(), ApiError> {
    let info = call.info();
    match value.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default() {
        "" | "0" if info.rules.unconditional_update => Ok(()),
        "" | "0" => {
            let field = FieldPath::new("metadata").child("resourceVersion");
            let error = FieldError::invalid(&field, 0, "must be specified for an update");
            Err(ApiError::invalid(&info.group, &info.plural, &call.name, &[error]))
        }
        asked if asked == before.kv.mod_revision.to_string() => Ok(()),
        _ => Err(conflict(call)),
    }
}

fn conflict(call: &Call) -> ApiError {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    ApiError::conflict(&call.resource(), &call.name, why)
}

/// An update leaves the status alone; an update of the status leaves all but status and metadata alone.
fn keep_what_is_not_asked_for(call: &Call, before: &Before, mut value: Value) -> Value {
    let Some(new) = value.as_object_mut() else { return value };
    if call.subresource == "status" {
        let mut kept = before.value.clone();
        if let Some(kept) = kept.as_object_mut() {
            for field in ["metadata", "status"] {
                match new.remove(field) {
                    Some(own) => kept.insert(field.to_owned(), own),
                    None => kept.remove(field),
                };
            }
        }
        return kept;
    }
    if call.info().traits.status {
        match before.value.get("status") {
            Some(status) => new.insert("status".to_owned(), status.clone()),
            None => new.remove("status"),
        };
    }
    value
}

fn keep_system_fields(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.resource_version = old.resource_version.clone();
    new.generation = old.generation;
    new.self_link = None;
    if new.uid.as_deref().unwrap_or_default().is_empty() {
        new.uid = old.uid.clone();
    }
    if old.creation_timestamp.is_some() {
        new.creation_timestamp = old.creation_timestamp.clone();
    }
    if old.deletion_timestamp.is_some() {
        new.deletion_timestamp = old.deletion_timestamp.clone();
    }
    if new.deletion_grace_period_seconds.is_none() {
        new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    }
}

/// A value of any origin as a decoded body would be: without the zero values that stored objects have.
fn as_decoded(call: &Call, value: Value) -> Result<Value, ApiError> {
    Ok(codec::from_unstructured(&Target::of(call.info()), value).map_err(ApiError::internal)?.value)
}

/// Whether two states differ in something else than metadata and status.
fn differs_in_spec(new: &dyn Object, old: &dyn Object) -> bool {
    let spec = |object: &dyn Object| {
        let mut value = object.to_value();
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !["metadata", "status"].contains(&name.as_str()));
        }
        value
    };
    spec(new) != spec(old)
}

/// Whether the managers are the same but for their times.
fn same_managers(new: &ObjectMeta, old: &ObjectMeta) -> bool {
    let timeless = |meta: &ObjectMeta| {
        let mut entries = meta.managed_fields.clone().unwrap_or_default();
        entries.iter_mut().for_each(|entry| entry.time = None);
        entries
    };
    timeless(new) == timeless(old)
}
