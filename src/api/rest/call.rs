//! What every verb works with: the store and the kinds ([`Rest`]), the request ([`Call`]) and the answer ([`Reply`]).

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::facts::FactsCache;
use super::leases::EventLeases;
use crate::api::Probes;
use crate::api::admission::{AdmissionContext, Chain};
use crate::api::allocations::Allocations;
use crate::api::auth::UserInfo;
use crate::api::codec;
use crate::api::kind::{DynKind, KindInfo, Object, WriteContext};
use crate::api::registry::{KindRef, Registry};
use crate::api::status::{ApiError, GroupResource};
use crate::clock::Clock;
use crate::seed::Seed;
use crate::store::{Author, KeyValue, Payload, Revision, Store, StoreError};

/// The generic machinery of one API server. Cheap to clone; clones are one server.
#[derive(Clone, Debug)]
pub struct Rest {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    pub(super) seed: Seed,
    pub(super) allocations: Arc<Allocations>,
    pub(super) admission: Chain,
    pub(super) facts: FactsCache,
    pub(super) leases: EventLeases,
}

/// Who does what to which resource.
#[derive(Clone)]
pub struct Call {
    /// The kind of the resource.
    pub kind: KindRef,
    /// The namespace; empty for kinds without one, and for lists over all.
    pub namespace: String,
    /// The name; empty if the URL has none.
    pub name: String,
    /// The sub-resource; empty for the object itself.
    pub subresource: String,
    /// Who asks.
    pub user: UserInfo,
    /// The part of the User-Agent that names a field manager who does not name itself.
    pub agent: String,
    /// What history says of the write.
    pub author: Author,
    /// How the other components are, for what is reckoned from that.
    pub probes: Probes,
}

impl Call {
    /// What the kind says of itself.
    pub fn info(&self) -> &KindInfo {
        self.kind.info()
    }

    /// The resource for messages.
    pub fn resource(&self) -> GroupResource {
        self.info().group_resource()
    }

    /// The key of the object that the URL names.
    pub fn key(&self) -> String {
        self.info().storage_key(&self.namespace, &self.name)
    }

    /// 404 for the object that the URL names.
    pub fn not_found(&self) -> ApiError {
        ApiError::not_found(&self.resource(), &self.name)
    }
}

/// The answer of a verb, before it takes the form that the client wants.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status code.
    pub code: u16,
    /// The answer.
    pub content: Content,
    /// What the client should know besides.
    pub warnings: Vec<String>,
}

/// What an answer holds.
#[derive(Debug)]
pub enum Content {
    /// One object of the call's kind, as JSON.
    Object(Bytes),
    /// Objects of the call's kind.
    List(Page),
    /// A JSON object of another kind, which is never turned into a table: a Status, a Scale.
    Other(Bytes),
}

/// A list, or a piece of one.
#[derive(Debug, Default)]
pub struct Page {
    /// The objects, as JSON with kind and apiVersion.
    pub items: Vec<Bytes>,
    /// The revision that the list is of.
    pub revision: Revision,
    /// Where the next page goes on; empty if this was the last.
    pub r#continue: String,
    /// How many objects are still to come, if that is known.
    pub remaining: Option<usize>,
}

impl Reply {
    /// 200 with an object of the call's kind.
    pub fn object(bytes: Bytes) -> Self {
        Self::new(200, Content::Object(bytes))
    }

    /// An answer without warnings.
    pub fn new(code: u16, content: Content) -> Self {
        Self { code, content, warnings: vec![] }
    }

    /// The answer with these warnings too.
    #[must_use]
    pub fn warn(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

impl Rest {
    /// The machinery over a store.
    pub fn new(
        store: Store,
        registry: Registry,
        clock: Clock,
        seed: Seed,
        allocations: Arc<Allocations>,
        admission: Chain,
    ) -> Self {
        let (facts, leases) = (FactsCache::default(), EventLeases::default());
        Self {
            shared: Arc::new(Shared { store, registry, clock, seed, allocations, admission, facts, leases }),
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The kinds.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The cluster's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The cluster's source of chance.
    pub fn seed(&self) -> &Seed {
        &self.shared.seed
    }

    /// The admission chain.
    pub fn admission(&self) -> &Chain {
        &self.shared.admission
    }

    pub(super) fn write_context<'a>(&'a self, call: &'a Call, dry_run: bool) -> WriteContext<'a> {
        WriteContext {
            clock: &self.shared.clock,
            seed: &self.shared.seed,
            store: &self.shared.store,
            allocations: &self.shared.allocations,
            user: &call.user,
            dry_run,
        }
    }

    /// What admission plugins may look at.
    pub fn admission_context(&self) -> AdmissionContext<'_> {
        AdmissionContext {
            clock: &self.shared.clock,
            seed: &self.shared.seed,
            store: &self.shared.store,
            registry: &self.shared.registry,
        }
    }

    /// A stored object as the kind serves it.
    pub fn bytes(&self, kind: &dyn DynKind, kv: &KeyValue) -> Result<Bytes, ApiError> {
        match kind.info().stored_as {
            None => Ok(kv.value.clone()),
            Some(_) => Ok(codec::encode(kind.info(), &self.value(kind, kv)?).at(kv.mod_revision)),
        }
    }

    /// A stored object as the kind serves it, as a JSON value.
    pub fn value(&self, kind: &dyn DynKind, kv: &KeyValue) -> Result<Value, ApiError> {
        let stored: Value = serde_json::from_slice(&kv.value).map_err(ApiError::internal)?;
        Ok(kind
            .info()
            .stored_as
            .map_or_else(|| stored.clone(), |conversion| (conversion.from_storage)(stored.clone())))
    }

    /// A stored object, decoded.
    pub fn decode(&self, kind: &dyn DynKind, kv: &KeyValue) -> Result<Box<dyn Object>, ApiError> {
        kind.decode(self.value(kind, kv)?)
    }

    /// The bytes under which an object of the kind is stored.
    pub(super) fn payload(&self, info: &KindInfo, value: &Value) -> Result<Payload, ApiError> {
        let Some(conversion) = info.stored_as else { return Ok(codec::encode(info, value)) };
        let (group, version, plural) = conversion.storage;
        let storage = self.shared.registry.resource(group, version, plural).ok_or_else(|| {
            ApiError::internal(format!(
                "{plural}.{version}.{group}, which {} is stored as, is not served",
                info.plural
            ))
        })?;
        Ok(codec::encode(storage.info(), &(conversion.to_storage)(value.clone())))
    }

    /// The object that the call names, or 404.
    pub fn stored(&self, call: &Call) -> Result<Arc<KeyValue>, ApiError> {
        self.shared.store.get(&call.key()).ok_or_else(|| call.not_found())
    }
}

/// The store's refusals, for a client.
pub(super) fn store_error(error: &StoreError) -> ApiError {
    match error {
        StoreError::Compacted { .. } => {
            ApiError::expired("The resourceVersion for the provided list is too old.")
        }
        other => ApiError::internal(other),
    }
}

/// 504: the revision asked for is yet to come.
// Models k8s.io/apiserver/pkg/storage (NewTooLargeResourceVersionError).
pub(super) fn too_large_revision(asked: Revision, current: Revision) -> ApiError {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    ApiError::new(504, "Timeout", message)
        .cause("ResourceVersionTooLarge", "Too large resource version", None)
        .retry_after(1)
}
