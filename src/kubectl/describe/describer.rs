//! What a describer is, and the table of them by kind. A kind that is not in it is described by its fields.

use async_trait::async_trait;

use super::generic::{self, Generic};
use super::related::{Failure, Related};
use super::{
    config_map, deployment, endpoint_slice, endpoints, limit_range, namespace, network_policy, node,
    persistent_volume, persistent_volume_claim, pod, quota, replica_set, replication_controller, secret,
    service, service_account, storage_class,
};

/// What describers are asked to show.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether events are shown.
    pub show_events: bool,
}

/// Describes objects of some kinds.
#[async_trait]
pub trait Describer: Send + Sync {
    /// Groups and kinds.
    fn kinds(&self) -> &'static [(&'static str, &'static str)];

    /// The description of one object.
    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure>;
}

/// Every kind with a description of its own.
pub static DESCRIBERS: &[&dyn Describer] = &[
    &config_map::ConfigMap,
    &deployment::Deployment,
    &endpoint_slice::EndpointSlice,
    &endpoints::Endpoints,
    &limit_range::LimitRange,
    &namespace::Namespace,
    &network_policy::NetworkPolicy,
    &node::Node,
    &persistent_volume::PersistentVolume,
    &persistent_volume_claim::PersistentVolumeClaim,
    &pod::Pod,
    &quota::ResourceQuota,
    &replica_set::ReplicaSet,
    &replication_controller::ReplicationController,
    &secret::Secret,
    &service::Service,
    &service_account::ServiceAccount,
    &storage_class::StorageClass,
];

/// An object's type, as the cluster names it.
#[derive(Clone, Copy, Debug)]
pub struct TypeName<'a> {
    /// The API group; empty for the core one.
    pub group: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// `v1` or `group/version`.
    pub api_version: &'a str,
    /// The plural.
    pub plural: &'a str,
}

/// Describes one object, whatever its type.
pub async fn describe(
    related: &dyn Related,
    of: TypeName<'_>,
    (namespace, name): (&str, &str),
    settings: Settings,
) -> Result<String, Failure> {
    let known = DESCRIBERS.iter().find(|describer| describer.kinds().contains(&(of.group, of.kind)));
    match known {
        Some(describer) => describer.describe(related, namespace, name, settings).await,
        None => generic::describe(related, &Generic { type_name: of, namespace, name, settings }).await,
    }
}
