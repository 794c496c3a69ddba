//! The built-in kinds: one file a kind, one row each in [`built_in`].

pub mod apiextensions;
pub mod apps;
mod cells;
mod checks;
pub mod coordination;
pub mod core;
mod diff;
pub mod discovery;
pub mod events;
mod internal;
pub mod networking;
#[cfg(test)]
mod samples;
pub mod storage;
mod unset;

use super::kind::{DynKind, Typed};

/// Every built-in kind.
pub fn built_in() -> Vec<Box<dyn DynKind>> {
    vec![
        Typed::<apiextensions::custom_resource_definition::CustomResourceDefinitionKind>::boxed(),
        Typed::<apps::controller_revision::ControllerRevisionKind>::boxed(),
        Typed::<apps::deployment::DeploymentKind>::boxed(),
        Typed::<apps::replica_set::ReplicaSetKind>::boxed(),
        Typed::<coordination::lease::LeaseKind>::boxed(),
        Typed::<core::component_status::ComponentStatusKind>::boxed(),
        Typed::<core::config_map::ConfigMapKind>::boxed(),
        Typed::<core::endpoints::EndpointsKind>::boxed(),
        Typed::<core::event::EventKind>::boxed(),
        Typed::<core::namespace::NamespaceKind>::boxed(),
        Typed::<core::node::NodeKind>::boxed(),
        Typed::<core::persistent_volume::PersistentVolumeKind>::boxed(),
        Typed::<core::persistent_volume_claim::PersistentVolumeClaimKind>::boxed(),
        Typed::<core::pod::PodKind>::boxed(),
        Typed::<core::pod_template::PodTemplateKind>::boxed(),
        Typed::<core::replication_controller::ReplicationControllerKind>::boxed(),
        Typed::<core::secret::SecretKind>::boxed(),
        Typed::<core::service::ServiceKind>::boxed(),
        Typed::<core::service_account::ServiceAccountKind>::boxed(),
        Typed::<discovery::endpoint_slice::EndpointSliceKind>::boxed(),
        Typed::<events::event::EventKind>::boxed(),
        Typed::<networking::network_policy::NetworkPolicyKind>::boxed(),
        Typed::<storage::storage_class::StorageClassKind>::boxed(),
    ]
}
