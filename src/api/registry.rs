//! The table of kinds: one row a built-in kind, and the rows that custom resources add at run time.
//!
//! REST, discovery, OpenAPI, tables, namespace deletion, garbage collection, completion and the TUI all walk this table.
//! There is no `match kind` elsewhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::kind::DynKind;
use super::kinds;

/// A kind that the server serves.
pub type KindRef = Arc<dyn DynKind>;

/// Group, version and plural.
type Key = (String, String, String);

/// The kinds of one API server. Cheap to clone; clones see the same rows.
#[derive(Clone)]
pub struct Registry {
    rows: Arc<RwLock<BTreeMap<Key, KindRef>>>,
    revision: Arc<AtomicU64>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registry").field(&self.all().len()).finish()
    }
}

impl Registry {
    /// A registry with every built-in kind.
    pub fn built_in() -> Self {
        let registry = Self { rows: Arc::default(), revision: Arc::default() };
        for kind in kinds::built_in() {
            registry.add(kind.into());
        }
        registry
    }

    /// Adds a kind, or replaces the one of the same group, version and plural.
    pub fn add(&self, kind: KindRef) {
        let info = kind.info();
        let key = (info.group.clone(), info.version.clone(), info.plural.clone());
        self.rows.write().unwrap_or_else(PoisonError::into_inner).insert(key, kind);
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// A number that is another after every change of the rows.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Takes a kind away.
    pub fn remove(&self, group: &str, version: &str, plural: &str) -> Option<KindRef> {
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        let removed = self.rows.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.revision.fetch_add(1, Ordering::AcqRel);
        removed
    }

    /// The kind of that group, version and plural.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<KindRef> {
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        self.rows.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// The kind of that group, version and kind name.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<KindRef> {
        self.all().into_iter().find(|row| {
            let info = row.info();
            info.group == group && info.version == version && info.kind == kind
        })
    }

    /// Every kind, by group, version and plural.
    pub fn all(&self) -> Vec<KindRef> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
