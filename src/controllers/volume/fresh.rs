//! The cache of a kind together with what the controller itself has just written: a decision is never made on an object
//! that is older than the controller's own last word.
// Models the local caches of pkg/controller/volume/persistentvolume (storeObjectUpdate).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::informer::{Cached, Informer, ObjectKey, key_of, revision_of};

/// An informer and the newer objects of the controller's own writes.
pub(super) struct Fresh<K> {
    informer: Informer<K>,
    written: Mutex<BTreeMap<ObjectKey, Arc<K>>>,
}

impl<K: Cached> Fresh<K> {
    pub(super) fn new(informer: Informer<K>) -> Self {
        Self { informer, written: Mutex::default() }
    }

    pub(super) fn informer(&self) -> &Informer<K> {
        &self.informer
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Arc<K>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what the server answered to a write.
    pub(super) fn wrote(&self, object: K) -> Arc<K> {
        let object = Arc::new(object);
        self.lock().insert(key_of(object.meta()), object.clone());
        object
    }

    /// One object.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.newest(self.informer.get(namespace, name)?)
    }

    /// Every object, by namespace and name.
    pub(super) fn list(&self) -> Vec<Arc<K>> {
        self.informer.list().into_iter().filter_map(|object| self.newest(object)).collect()
    }

    fn newest(&self, cached: Arc<K>) -> Option<Arc<K>> {
        let written = self.lock();
        let own = written.get(&key_of(cached.meta())).filter(|own| {
            own.meta().uid == cached.meta().uid && revision_of(own.meta()) > revision_of(cached.meta())
        });
        Some(own.cloned().unwrap_or(cached))
    }

    /// Whether the object is as the controller itself wrote it last: then it knows all about it.
    pub(super) fn is_own(&self, object: &K) -> bool {
        let written = self.lock();
        let own = written.get(&key_of(object.meta()));
        own.is_some_and(|own| own.meta().resource_version == object.meta().resource_version)
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, object: &K) {
        self.lock().remove(&key_of(object.meta()));
    }
}
