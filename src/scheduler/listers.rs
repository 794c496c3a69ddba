//! The other kinds that plugins look at: by name, or all of a namespace. In tests they are plain lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{
    Namespace, PersistentVolume, PersistentVolumeClaim, ReplicationController, Service,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;

use kube::api::{Api, ListParams};
use tokio::sync::mpsc;

use super::assumed::Assumed;
use crate::informer::{Cached, Change, Informer, Informers, key_of};

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

    /// What happens to the objects from now on, beginning with those that are there.
    pub(super) fn subscribe(&self) -> mpsc::UnboundedReceiver<Change<K>> {
        match self {
            Self::Informer(informer) => informer.subscribe(),
            Self::Fixed(_) => mpsc::unbounded_channel().1,
        }
    }

    /// The informer of the kind with its first list, if the API serves the kind.
    async fn served(client: &kube::Client, informers: &Informers) -> Self {
        let first = Api::<K>::all(client.clone()).list(&ListParams::default().limit(1)).await;
        if matches!(first, Err(kube::Error::Api(status)) if status.code == 404) {
            return Self::default();
        }
        let informer = informers.of();
        informer.synced().await;
        Self::Informer(informer)
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
    /// What was decided of volumes and claims, but not seen yet.
    pub assumed: Assumed,
}

impl Listers {
    /// Over the cluster's informers. A kind that the API does not serve has no objects.
    pub async fn new(client: &kube::Client, informers: &Informers) -> Self {
        Self {
            namespaces: Source::served(client, informers).await,
            services: Source::served(client, informers).await,
            replication_controllers: Source::served(client, informers).await,
            replica_sets: Source::served(client, informers).await,
            stateful_sets: Source::served(client, informers).await,
            claims: Source::served(client, informers).await,
            volumes: Source::served(client, informers).await,
            storage_classes: Source::served(client, informers).await,
            disruption_budgets: Source::served(client, informers).await,
            assumed: Assumed::default(),
        }
    }

    /// A claim as it is, or was just decided to be.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
        self.claims.get(namespace, name).map(|claim| self.assumed.claim(claim))
    }

    /// Every volume as it is, or was just decided to be.
    pub fn persistent_volumes(&self) -> Vec<Arc<PersistentVolume>> {
        self.volumes.list("").into_iter().map(|volume| self.assumed.volume(volume)).collect()
    }

    /// The labels of a namespace.
    pub fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        self.namespaces
            .get("", name)
            .and_then(|namespace| namespace.metadata.labels.clone())
            .unwrap_or_default()
    }
}
