//! `create`: a new object, from a body or from an apply that found nothing.
// Models k8s.io/apiserver/pkg/endpoints/handlers (createHandler) and .../registry/generic/registry (Store.create).

use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use serde_json::Value;

use super::call::{Call, Content, Reply, Rest, store_error};
use super::metadata;
use super::update::Change;
use crate::api::admission::{AdmissionRequest, Operation};
use crate::api::codec::{self, MediaType, Target};
use crate::api::kind::Object;
use crate::api::managed_fields::{self, By};
use crate::api::options::WriteOptions;
use crate::api::status::ApiError;
use crate::store::{Compare, Op, Txn};

/// How often a generated name may be taken.
const MAX_NAME_ATTEMPTS: usize = 8;
/// The longest that the fixed part of a generated name may be, in bytes.
const MAX_GENERATED_PREFIX_BYTES: usize = 58;

impl Rest {
    /// Creates an object from a body.
    pub fn create(
        &self,
        call: &Call,
        options: &WriteOptions,
        body: &[u8],
        media: MediaType,
    ) -> Result<Reply, ApiError> {
        let decoded = codec::decode(call.info(), body, media, options.field_validation)?;
        Ok(self.create_value(call, options, decoded.value)?.warn(decoded.warnings))
    }

    /// Creates an object that was decoded already.
    pub fn create_value(&self, call: &Call, options: &WriteOptions, value: Value) -> Result<Reply, ApiError> {
        self.create_changed(call, options, Change { value, ..Change::default() })
    }

    /// Creates an object of a body or of an apply.
    pub(super) fn create_changed(
        &self,
        call: &Call,
        options: &WriteOptions,
        new: Change,
    ) -> Result<Reply, ApiError> {
        let mut warnings = new.warnings;
        let mut object = self.new_object(call, options, new.value, new.managed, &mut warnings)?;
        let review = Review {
            operation: Operation::Create,
            object: Some(&mut *object),
            old: None,
            dry_run: options.dry_run,
        };
        self.admit(call, review, &mut warnings)?;
        dedup_owners(object.meta_mut(), &mut warnings, true);
        let generated = object.meta().name.as_deref().unwrap_or_default().is_empty()
            && object.meta().generate_name.as_deref().is_some_and(|prefix| !prefix.is_empty());
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.create_once(call, options, object.boxed_clone(), &mut warnings) {
                Err(error)
                    if generated && error.reason() == "AlreadyExists" && attempts < MAX_NAME_ATTEMPTS => {}
                Err(error) => return Err(error),
                Ok(bytes) => return Ok(Reply::new(201, Content::Object(bytes)).warn(warnings)),
            }
        }
    }

    /// The object as admission sees it: decoded, defaulted, with its managers.
    fn new_object(
        &self,
        call: &Call,
        options: &WriteOptions,
        mut value: Value,
        managed: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Box<dyn Object>, ApiError> {
        let info = call.info();
        if info.traits.status && !info.rules.status_at_create {
            value.as_object_mut().map(|object| object.remove("status"));
        }
        let mut object = call.kind.decode(value)?;
        let meta = object.meta_mut();
        wipe_system_fields(meta);
        ensure_namespace(call, meta)?;
        if meta.resource_version.as_deref().is_some_and(|version| !["", "0"].contains(&version)) {
            return Err(ApiError::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        meta.resource_version = None;
        dedup_owners(meta, warnings, false);
        call.kind.default(&mut *object);
        if !managed {
            let manager = self.manager(call, options);
            record_manager(call, None, &mut *object, &manager)?;
        }
        Ok(object)
    }

    /// One attempt to store the object under its name, or under one that is generated.
    fn create_once(
        &self,
        call: &Call,
        options: &WriteOptions,
        mut object: Box<dyn Object>,
        warnings: &mut Vec<String>,
    ) -> Result<Bytes, ApiError> {
        let context = self.write_context(call, options.dry_run);
        self.fill_system_fields(call, object.meta_mut())?;
        call.kind.prepare_create(&context, &mut *object)?;
        let stored = self.store_new(call, options, &mut *object, warnings);
        if stored.is_err() && !options.dry_run {
            // What the kind took for the object goes back.
            call.kind.after_delete(&self.shared.allocations, &*object);
        }
        if stored.is_ok() {
            warnings.extend(call.kind.warnings(&*object, None));
        }
        stored
    }

    fn store_new(
        &self,
        call: &Call,
        options: &WriteOptions,
        object: &mut dyn Object,
        warnings: &mut Vec<String>,
    ) -> Result<Bytes, ApiError> {
        let info = call.info();
        let mut errors = metadata::errors(&*call.kind, object.meta());
        errors.extend(call.kind.validate(object));
        let name = object.meta().name.clone().unwrap_or_default();
        if !errors.is_empty() {
            return Err(ApiError::invalid(&info.group, &info.kind, &name, &errors));
        }
        let (operation, dry_run) = (Operation::Create, options.dry_run);
        self.judge(call, Review { operation, object: Some(object), old: None, dry_run }, warnings)?;
        let key = info.storage_key(&call.namespace, &name);
        let value = object.to_value();
        if options.dry_run {
            return match self.store().get(&key) {
                Some(kv) => Err(self.already_exists(call, &name, &kv.value)),
                None => Ok(codec::encode_value(&Target::of(info), &value)),
            };
        }
        let lease = info.rules.ttl_seconds.map(|ttl| self.lease(ttl)).transpose()?.unwrap_or(0);
        let put = Op::Put { key: key.clone(), value: self.payload(info, &value)?, lease };
        let txn =
            Txn { compares: vec![Compare::ModRevision(key.clone(), 0)], success: vec![put], failure: vec![] };
        let answer = self.store().txn(txn, call.author.clone()).map_err(|error| store_error(&error))?;
        match answer.puts.first() {
            Some(kv) => self.bytes(&*call.kind, kv),
            None => Err(self.already_exists(
                call,
                &name,
                &self.store().get(&key).map(|kv| kv.value.clone()).unwrap_or_default(),
            )),
        }
    }

    fn already_exists(&self, call: &Call, name: &str, existing: &[u8]) -> ApiError {
        let mut error = ApiError::already_exists(&call.resource(), name);
        let existing: Value = serde_json::from_slice(existing).unwrap_or_default();
        if existing.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
            error.0.message = Some(format!("object is being deleted: {error}"));
        }
        error
    }

    /// What the system sets on every new object.
    fn fill_system_fields(&self, call: &Call, meta: &mut ObjectMeta) -> Result<(), ApiError> {
        meta.creation_timestamp = Some(Time(self.now_in_seconds()));
        meta.uid = Some(self.seed().uuid().to_string());
        meta.generation = call.info().traits.generation.then_some(1);
        if meta.name.as_deref().unwrap_or_default().is_empty()
            && let Some(prefix) = meta.generate_name.as_deref().filter(|prefix| !prefix.is_empty())
        {
            let mut end = prefix.len().min(MAX_GENERATED_PREFIX_BYTES);
            while !prefix.is_char_boundary(end) {
                end -= 1;
            }
            meta.name = Some(format!("{}{}", &prefix[..end], self.seed().suffix(5)));
        }
        ensure_namespace(call, meta)
    }

    /// The time as metadata has it.
    pub(super) fn now_in_seconds(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.clock().now().as_second()).unwrap_or_default()
    }

    /// Who manages the fields that this call sets.
    pub(super) fn manager<'a>(&self, call: &'a Call, options: &'a WriteOptions) -> By<'a> {
        let manager = if options.field_manager.is_empty() { &call.agent } else { &options.field_manager };
        By { manager, subresource: &call.subresource, now: self.now_in_seconds() }
    }

    /// The changing step of admission.
    pub fn admit(&self, call: &Call, review: Review<'_>, warnings: &mut Vec<String>) -> Result<(), ApiError> {
        let mut request = review.request(call);
        let outcome = self.admission().admit(&mut request, &self.admission_context());
        warnings.append(&mut request.warnings);
        outcome
    }

    /// The judging step of admission.
    pub fn judge(&self, call: &Call, review: Review<'_>, warnings: &mut Vec<String>) -> Result<(), ApiError> {
        let mut request = review.request(call);
        let outcome = self.admission().validate(&mut request, &self.admission_context());
        warnings.append(&mut request.warnings);
        outcome
    }

    /// Both steps, for what brings no new object along.
    pub fn consult(
        &self,
        call: &Call,
        operation: Operation,
        old: Option<&(dyn Object + 'static)>,
        dry_run: bool,
    ) -> Result<Vec<String>, ApiError> {
        let mut warnings = vec![];
        let review = || Review { operation, object: None, old, dry_run };
        self.admit(call, review(), &mut warnings)?;
        self.judge(call, review(), &mut warnings)?;
        Ok(warnings)
    }
}

/// What admission is asked about: what is done, with which object in place of which, and whether it counts.
pub struct Review<'a> {
    /// What is done.
    pub operation: Operation,
    /// The object as it is to be.
    pub object: Option<&'a mut (dyn Object + 'static)>,
    /// The object as it is.
    pub old: Option<&'a (dyn Object + 'static)>,
    /// Nothing is kept.
    pub dry_run: bool,
}

impl<'a> Review<'a> {
    fn request(self, call: &'a Call) -> AdmissionRequest<'a> {
        AdmissionRequest {
            operation: self.operation,
            kind: call.info(),
            subresource: &call.subresource,
            namespace: &call.namespace,
            name: &call.name,
            object: self.object,
            old: self.old,
            user: &call.user,
            dry_run: self.dry_run,
            warnings: vec![],
        }
    }
}

/// Records who manages which fields, from the difference between two states.
pub(super) fn record_manager(
    call: &Call,
    old: Option<&Value>,
    new: &mut dyn Object,
    by: &By<'_>,
) -> Result<(), ApiError> {
    let mut value = new.to_value();
    managed_fields::update(call.info(), old, &mut value, by);
    let entries = value.pointer_mut("/metadata/managedFields").map(Value::take).unwrap_or_default();
    let entries: Option<Vec<ManagedFieldsEntry>> =
        serde_json::from_value(entries).map_err(ApiError::internal)?;
    new.meta_mut().managed_fields = entries.filter(|entries| !entries.is_empty());
    Ok(())
}

fn wipe_system_fields(meta: &mut ObjectMeta) {
    meta.creation_timestamp = None;
    meta.uid = None;
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = None;
    meta.self_link = None;
}

/// The object's namespace is the request's, or empty.
pub(super) fn ensure_namespace(call: &Call, meta: &mut ObjectMeta) -> Result<(), ApiError> {
    let wanted = if call.info().namespaced { call.namespace.as_str() } else { "" };
    match meta.namespace.as_deref().unwrap_or_default() {
        have if have == wanted => {}
        "" => meta.namespace = Some(wanted.to_owned()),
        _ if wanted.is_empty() => meta.namespace = None,
        _ => {
            let message =
                "the namespace of the provided object does not match the namespace sent on the request";
            return Err(ApiError::bad_request(message));
        }
    }
    if wanted.is_empty() {
        meta.namespace = None;
    }
    Ok(())
}

/// Drops owner references that are there twice, and says so.
pub(super) fn dedup_owners(meta: &mut ObjectMeta, warnings: &mut Vec<String>, after_admission: bool) {
    let Some(owners) = &mut meta.owner_references else { return };
    let mut kept: Vec<OwnerReference> = vec![];
    let mut dropped = vec![];
    for owner in owners.drain(..) {
        if kept.contains(&owner) { dropped.push(owner.uid) } else { kept.push(owner) }
    }
    *owners = kept;
    if !dropped.is_empty() {
        let uids = dropped.join(", ");
        warnings.push(if after_admission {
            format!(
                ".metadata.ownerReferences contains duplicate entries after mutating admission happens; API server dedups \
                 owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; \
                 duplicate UID(s) observed: {uids}"
            )
        } else {
            format!(
                ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may \
                 reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {uids}"
            )
        });
    }
}
