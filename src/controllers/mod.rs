//! The controllers: each watches some kinds and makes the world what their objects ask for.
//!
//! A controller is a file or folder with pure planning functions under a thin reconcile. It sees a client, informers, a
//! clock and a seed ([`Context`]), never another controller. [`all`] is the table that the cluster starts them from.

mod context;
mod deployment;
mod discovery;
mod endpoints;
mod expectations;
mod garbage_collector;
mod namespace;
mod node_ipam;
mod node_lifecycle;
mod percent;
mod pod_gc;
mod pods;
mod queue;
mod replicaset;
mod root_ca;
mod service_account;
mod volume;

pub use context::{Clients, Context, Handle};
pub use volume::VolumeDirectories;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Controller {
    /// Its name, like `deployment-controller`.
    pub name: &'static str,
    /// Starts it; the handle stops it when dropped. Needs a tokio runtime.
    pub start: fn(&Context) -> Handle,
}

/// Every controller, in the order in which they are started.
pub fn all() -> &'static [Controller] {
    const fn row(name: &'static str, start: fn(&Context) -> Handle) -> Controller {
        Controller { name, start }
    }
    const ALL: &[Controller] = &[
        row("service-account-controller", service_account::start),
        row("root-ca-certificate-publisher-controller", root_ca::start),
        row("node-ipam-controller", node_ipam::start_ipam),
        row("ttl-controller", node_ipam::start_ttl),
        row("node-lifecycle-controller", node_lifecycle::controller::start),
        row("taint-eviction-controller", node_lifecycle::eviction::start),
        row("deployment-controller", deployment::controller::start),
        row("replicaset-controller", replicaset::controller::start_replica_sets),
        row("replication-controller", replicaset::controller::start_replication_controllers),
        row("endpoints-controller", endpoints::legacy::start),
        row("endpointslice-controller", endpoints::slice_controller::start),
        row("persistentvolume-binder-controller", volume::binder::start),
        row("persistentvolumeclaim-protection-controller", volume::claim_protection::start),
        row("persistentvolume-protection-controller", volume::volume_protection::start),
        row("ephemeral-volume-controller", volume::ephemeral::start),
        row("storage-provisioner", volume::provisioner::start),
        row("namespace-controller", namespace::controller::start),
        row("pod-garbage-collector-controller", pod_gc::start),
        row("garbage-collector-controller", garbage_collector::controller::start),
    ];
    ALL
}
