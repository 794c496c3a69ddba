//! The other kinds that plugins look at: by name, or all of a namespace. In tests they are plain lists.
#![cfg_attr(not(test), allow(clippy::large_enum_variant))]

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{
    Namespace, PersistentVolume, PersistentVolumeClaim, ReplicationController, Service,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;

use crate::informer::{Cached, Informer, Informers, key_of};

/// Where objects of a kind come from.
#[derive(Debug)]
pub enum Source<K> {
    /// The cluster.
    Informer(Informer<K>),
    /// A list.
    Fixed(Vec<Arc<K>>),
}

impl<K> Default for Source<K> {
    fn default() -> Self {
        Self::Fixed(vec![])
    }
}

impl<K: Cached> Source<K> {
    /// One object; the namespace is empty for what has none.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        match self {
            Self::Informer(informer) => informer.get(namespace, name),
            Self::Fixed(list) => {
                let key = (namespace.to_owned(), name.to_owned());
                list.iter().find(|object| key_of(object.meta()) == key).cloned()
            }
        }
    }

    /// All objects of a namespace.
    pub fn list(&self, namespace: &str) -> Vec<Arc<K>> {
        match self {
            Self::Informer(informer) => informer.list_namespace(namespace),
            Self::Fixed(list) => {
                list.iter().filter(|object| key_of(object.meta()).0 == namespace).cloned().collect()
            }
        }
    }

    async fn synced(&self) {
        if let Self::Informer(informer) = self {
            informer.synced().await;
        }
    }
}

/// The kinds that plugins look at besides pods and nodes.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Listers {
    pub namespaces: Source<Namespace>,
    pub services: Source<Service>,
    pub replication_controllers: Source<ReplicationController>,
    pub replica_sets: Source<ReplicaSet>,
    pub stateful_sets: Source<StatefulSet>,
    pub claims: Source<PersistentVolumeClaim>,
    pub volumes: Source<PersistentVolume>,
    pub storage_classes: Source<StorageClass>,
    pub disruption_budgets: Source<PodDisruptionBudget>,
}

impl Listers {
    /// Over the cluster's informers.
    pub fn new(informers: &Informers) -> Self {
        Self {
            namespaces: Source::Informer(informers.of()),
            services: Source::Informer(informers.of()),
            replication_controllers: Source::Informer(informers.of()),
            replica_sets: Source::Informer(informers.of()),
            stateful_sets: Source::Informer(informers.of()),
            claims: Source::Informer(informers.of()),
            volumes: Source::Informer(informers.of()),
            storage_classes: Source::Informer(informers.of()),
            disruption_budgets: Source::Informer(informers.of()),
        }
    }

    /// Waits until all have been listed.
    pub async fn synced(&self) {
        self.namespaces.synced().await;
        self.services.synced().await;
        self.replication_controllers.synced().await;
        self.replica_sets.synced().await;
        self.stateful_sets.synced().await;
        self.claims.synced().await;
        self.volumes.synced().await;
        self.storage_classes.synced().await;
        self.disruption_budgets.synced().await;
    }

    /// The labels of a namespace.
    pub fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        self.namespaces
            .get("", name)
            .and_then(|namespace| namespace.metadata.labels.clone())
            .unwrap_or_default()
    }
}
