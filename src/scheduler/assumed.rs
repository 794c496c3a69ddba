//! Volumes and claims as the scheduler has decided them to be, until the cache shows the same: no volume is given to two
//! pods while the first decision is on its way to the API.
// Models pkg/scheduler/framework/plugins/volumebinding/assume_cache.go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::informer::{ObjectKey, key_of, revision_of};

/// What has to be written before a pod can be bound: volumes with their claims in them, and claims with their node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VolumePlan {
    /// Volumes that the pod's claims get, with the claims.
    pub volumes: Vec<(Arc<PersistentVolume>, Arc<PersistentVolumeClaim>)>,
    /// Claims whose volumes have to be made, with the node on them.
    pub claims: Vec<Arc<PersistentVolumeClaim>>,
}

impl VolumePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty() && self.claims.is_empty()
    }
}

/// The objects that were decided but not seen yet.
#[derive(Debug, Default)]
pub struct Assumed {
    volumes: Mutex<BTreeMap<ObjectKey, Arc<PersistentVolume>>>,
    claims: Mutex<BTreeMap<ObjectKey, Arc<PersistentVolumeClaim>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The assumed object if the cache has nothing newer, else the cached one.
fn newest<K>(
    assumed: &Mutex<BTreeMap<ObjectKey, Arc<K>>>,
    cached: Arc<K>,
    meta: fn(&K) -> &ObjectMeta,
) -> Arc<K> {
    let key = key_of(meta(&cached));
    let mut assumed = lock(assumed);
    let Some(own) = assumed.get(&key) else { return cached };
    if revision_of(meta(own)) >= revision_of(meta(&cached)) {
        return own.clone();
    }
    assumed.remove(&key);
    cached
}

impl Assumed {
    /// A volume as it was decided.
    pub fn volume(&self, cached: Arc<PersistentVolume>) -> Arc<PersistentVolume> {
        newest(&self.volumes, cached, |volume| &volume.metadata)
    }

    /// A claim as it was decided.
    pub fn claim(&self, cached: Arc<PersistentVolumeClaim>) -> Arc<PersistentVolumeClaim> {
        newest(&self.claims, cached, |claim| &claim.metadata)
    }

    /// Takes a decision as done.
    pub fn assume(&self, plan: &VolumePlan) {
        let volumes = plan.volumes.iter().map(|(volume, _)| (key_of(&volume.metadata), volume.clone()));
        lock(&self.volumes).extend(volumes);
        let claims = plan.claims.iter().map(|claim| (key_of(&claim.metadata), claim.clone()));
        lock(&self.claims).extend(claims);
    }

    /// The decision is known to everybody by now, or came to nothing.
    pub fn forget(&self, plan: &VolumePlan) {
        let mut volumes = lock(&self.volumes);
        plan.volumes.iter().for_each(|(volume, _)| drop(volumes.remove(&key_of(&volume.metadata))));
        let mut claims = lock(&self.claims);
        plan.claims.iter().for_each(|claim| drop(claims.remove(&key_of(&claim.metadata))));
    }
}
