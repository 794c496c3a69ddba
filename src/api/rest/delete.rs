//! `delete`: at once, after a grace period, or when the last finalizer goes.
// Models k8s.io/apiserver/pkg/registry/generic/registry (Store.Delete), .../registry/rest (BeforeDelete) and
// pkg/registry/core/namespace/storage (REST.Delete).

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::{Value, json};

use super::call::{Call, Content, Reply, Rest, store_error};
use super::metadata::{FOREGROUND, ORPHAN};
use crate::api::admission::Operation;
use crate::api::codec::{self, Target};
use crate::api::kind::{Dependents, Object};
use crate::api::options::DeleteOptions;
use crate::api::status::{ApiError, GroupResource};
use crate::store::{Compare, KeyValue, Op, Txn};

/// How often a deletion is made anew because somebody else wrote the object. Each failure means that a write went through.
const MAX_ATTEMPTS: usize = 100;

/// What a deletion does to an object as it is now.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It goes.
    Remove,
    /// It is going already, and finalizers keep it.
    Stay,
    /// It is written back, marked; if nothing holds it up after that, it goes.
    Mark { then_remove: bool },
    /// Its deletion goes on as it was; nothing is to be done.
    Pending,
}

impl Rest {
    /// Deletes the object that the call names, or begins to.
    pub fn delete(&self, call: &Call, options: &DeleteOptions) -> Result<Reply, ApiError> {
        let mut warnings = vec![];
        for _ in 0..MAX_ATTEMPTS {
            let kv = self.stored(call)?;
            let mut object = self.decode(&*call.kind, &kv)?;
            check_preconditions(call, object.meta(), options)?;
            warnings.extend(self.consult(call, Operation::Delete, Some(&*object), options.is_dry_run())?);
            let step = self.plan(call, options, &mut *object);
            if options.is_dry_run() {
                return self.rehearsed(call, &step, &*object, &kv);
            }
            if let Some(reply) = self.carry_out(call, &step, &*object, &kv, options)? {
                return Ok(reply.warn(warnings));
            }
        }
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Err(ApiError::conflict(&call.resource(), &call.name, why))
    }

    /// Does a step, unless somebody else has written the object.
    fn carry_out(
        &self,
        call: &Call,
        step: &Step,
        object: &dyn Object,
        kv: &KeyValue,
        options: &DeleteOptions,
    ) -> Result<Option<Reply>, ApiError> {
        match step {
            Step::Pending if call.info().rules.returns_deleted => {
                Ok(Some(Reply::object(self.bytes(&*call.kind, kv)?)))
            }
            Step::Pending => Ok(Some(success(call, object))),
            Step::Stay => {
                Ok(Some(Reply::new(still_there(options), Content::Object(self.bytes(&*call.kind, kv)?))))
            }
            Step::Remove => self.remove(call, object, kv),
            Step::Mark { then_remove } => {
                let value = self.payload(call.info(), &object.to_value())?;
                let put = Op::Put { key: kv.key.to_string(), value, lease: kv.lease };
                let Some(Some(marked)) = self.replace(call, kv, put)? else { return Ok(None) };
                if !then_remove {
                    let bytes = self.bytes(&*call.kind, &marked)?;
                    return Ok(Some(Reply::new(still_there(options), Content::Object(bytes))));
                }
                let object = self.decode(&*call.kind, &marked)?;
                let removed = self.remove(call, &*object, &marked)?;
                // Who saw the mark may have been quicker, like the kubelet of a pod that has ended: it is gone, as was asked.
                let gone = || self.shared.store.get(&call.key()).is_none();
                Ok(removed.or_else(|| gone().then(|| self.removed(call, &*object))))
            }
        }
    }

    /// Takes the object out of the store. Watchers see it as it was, with the revision of its deletion.
    fn remove(&self, call: &Call, object: &dyn Object, kv: &KeyValue) -> Result<Option<Reply>, ApiError> {
        let tombstone = self.payload(call.info(), &object.to_value())?;
        if self.replace(call, kv, Op::Bury { key: kv.key.to_string(), tombstone })?.is_none() {
            return Ok(None);
        }
        call.kind.after_delete(&self.shared.allocations, object);
        Ok(Some(self.removed(call, object)))
    }

    /// What is answered for an object that is gone.
    fn removed(&self, call: &Call, object: &dyn Object) -> Reply {
        if call.info().rules.returns_deleted {
            let revision = self.store().revision();
            Reply::object(codec::encode(call.info(), &object.to_value()).at(revision))
        } else {
            success(call, object)
        }
    }

    /// Writes if the object is still the one that was read; tells the new version of a put.
    #[allow(clippy::option_option)]
    fn replace(
        &self,
        call: &Call,
        kv: &KeyValue,
        op: Op,
    ) -> Result<Option<Option<std::sync::Arc<KeyValue>>>, ApiError> {
        let compares = vec![Compare::ModRevision(kv.key.to_string(), kv.mod_revision)];
        let txn = Txn { compares, success: vec![op], failure: vec![] };
        let answer = self.store().txn(txn, call.author.clone()).map_err(|error| store_error(&error))?;
        Ok(answer.succeeded.then(|| answer.puts.first().cloned()))
    }

    /// What a dry run answers.
    fn rehearsed(
        &self,
        call: &Call,
        step: &Step,
        object: &dyn Object,
        kv: &KeyValue,
    ) -> Result<Reply, ApiError> {
        let gone = matches!(step, Step::Remove | Step::Mark { then_remove: true });
        if gone && !call.info().rules.returns_deleted {
            return Ok(success(call, object));
        }
        Ok(Reply::object(codec::encode(call.info(), &object.to_value()).at(kv.mod_revision)))
    }

    /// Marks the object as its deletion wants it and tells what is to be done.
    fn plan(&self, call: &Call, options: &DeleteOptions, object: &mut dyn Object) -> Step {
        let now = self.now_in_seconds();
        if call.kind.holds_deletion(object) {
            if object.meta().deletion_timestamp.is_some() {
                return Step::Pending;
            }
            set_finalizers(call, options, object.meta_mut());
            object.meta_mut().deletion_timestamp = Some(Time(now));
            call.kind.begin_deletion(object);
            return Step::Mark { then_remove: false };
        }
        let grace = match self.graceful(call, options, object, now) {
            Grace::Pending => return Step::Pending,
            Grace::At(seconds) => Some(seconds),
            Grace::None => None,
        };
        let before = object.meta().clone();
        set_finalizers(call, options, object.meta_mut());
        let held = !object.meta().finalizers.as_deref().unwrap_or_default().is_empty();
        match grace {
            Some(seconds) => Step::Mark { then_remove: seconds == 0 && !held },
            None if held => {
                mark(object.meta_mut(), now);
                if *object.meta() == before {
                    return Step::Stay;
                }
                call.kind.begin_deletion(object);
                Step::Mark { then_remove: false }
            }
            None => Step::Remove,
        }
    }

    /// Sets the grace period of a kind that has one.
    fn graceful(
        &self,
        call: &Call,
        options: &DeleteOptions,
        object: &mut dyn Object,
        now: Timestamp,
    ) -> Grace {
        let asked = options.grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
        let Some(grace) = call.kind.grace_period(object, asked) else { return Grace::None };
        let generation = object.meta().generation;
        let meta = object.meta_mut();
        let Some(Time(deleted)) = meta.deletion_timestamp.clone() else {
            meta.deletion_timestamp = Some(Time(after(now, grace)));
            meta.deletion_grace_period_seconds = Some(grace);
            meta.generation = generation.map(|generation| generation + i64::from(generation > 0));
            return Grace::At(grace);
        };
        // A second deletion can only shorten the first one's grace.
        match meta.deletion_grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds }) {
            None | Some(0) => Grace::None,
            Some(had) => match asked {
                Some(mut period) if period < had => {
                    let mut until = after(after(deleted, -had), period);
                    if until < now {
                        until = now;
                        period = period.min(1);
                    }
                    meta.deletion_timestamp = Some(Time(until));
                    meta.deletion_grace_period_seconds = Some(period);
                    Grace::At(period)
                }
                _ => Grace::Pending,
            },
        }
    }
}

/// The code of a deletion that leaves the object for now: 202 tells old clients that something is still to come.
fn still_there(options: &DeleteOptions) -> u16 {
    if options.orphan_dependents == Some(false) { 202 } else { 200 }
}

enum Grace {
    /// The object is not deleted gracefully.
    None,
    /// It has so many seconds.
    At(i64),
    /// It is going already, and this deletion changes nothing.
    Pending,
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(time)
}

/// Marks an object without a grace period that finalizers hold up.
// Models markAsDeleting.
fn mark(meta: &mut ObjectMeta, now: Timestamp) {
    if meta.deletion_timestamp.is_none()
        && let Some(generation) = meta.generation.filter(|generation| *generation > 0)
    {
        meta.generation = Some(generation + 1);
    }
    if meta.deletion_timestamp.as_ref().is_none_or(|Time(time)| *time > now) {
        meta.deletion_timestamp = Some(Time(now));
    }
    meta.deletion_grace_period_seconds = Some(0);
}

/// Sets the garbage collector's finalizers as the options, or else the object and its kind, want them.
// Models deletionFinalizersForGarbageCollection.
fn set_finalizers(call: &Call, options: &DeleteOptions, meta: &mut ObjectMeta) {
    let dependents = call.info().rules.dependents;
    if dependents == Dependents::None {
        return;
    }
    let had = meta.finalizers.clone().unwrap_or_default();
    let has = |name: &str| had.iter().any(|finalizer| finalizer == name);
    let policy = match (options.orphan_dependents, options.propagation_policy.as_deref()) {
        (Some(true), _) | (_, Some("Orphan")) => ORPHAN,
        (Some(false), _) | (_, Some("Background")) => "",
        (_, Some("Foreground")) => FOREGROUND,
        _ if has(ORPHAN) => ORPHAN,
        _ if has(FOREGROUND) => FOREGROUND,
        _ if dependents == Dependents::Orphaned => ORPHAN,
        _ => "",
    };
    let mut finalizers: Vec<String> =
        had.iter().filter(|f| ![ORPHAN, FOREGROUND].contains(&f.as_str())).cloned().collect();
    if !policy.is_empty() {
        finalizers.push(policy.to_owned());
    }
    let (mut new, mut old) = (finalizers.clone(), had);
    new.sort();
    old.sort();
    if new != old {
        meta.finalizers = (!finalizers.is_empty()).then_some(finalizers);
    }
}

fn check_preconditions(call: &Call, meta: &ObjectMeta, options: &DeleteOptions) -> Result<(), ApiError> {
    let Some(preconditions) = &options.preconditions else { return Ok(()) };
    // The real server names the kind here, not the resource.
    let kind = GroupResource::new(&call.info().group, &call.info().kind);
    preconditions.check(
        &kind,
        &call.name,
        &json!({"uid": meta.uid, "resourceVersion": meta.resource_version}),
    )
}

/// The Status that tells which object is gone.
fn success(call: &Call, object: &dyn Object) -> Reply {
    let meta = object.meta();
    let mut details = json!({"name": meta.name, "kind": call.info().plural, "uid": meta.uid});
    if !call.info().group.is_empty() {
        details["group"] = Value::from(call.info().group.as_str());
    }
    let status = json!({"status": "Success", "details": details});
    Reply::new(200, Content::Other(status_bytes(&status)))
}

fn status_bytes(status: &Value) -> Bytes {
    codec::encode_value(&Target::named("", "v1", "Status"), status)
}
