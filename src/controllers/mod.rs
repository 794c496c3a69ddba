//! The controllers: each watches some kinds and makes the world what their objects ask for.
//!
//! A controller is a file or folder with pure planning functions under a thin reconcile. It sees a client, informers, a
//! clock and a seed ([`Context`]), never another controller. [`all`] is the table that the cluster starts them from.

mod context;
mod deployment;
mod expectations;
mod percent;
mod pods;
mod queue;
mod replicaset;

pub use context::{Clients, Context, Handle};

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
    &[
        Controller { name: "deployment-controller", start: deployment::controller::start },
        Controller { name: "replicaset-controller", start: replicaset::controller::start_replica_sets },
        Controller {
            name: "replication-controller",
            start: replicaset::controller::start_replication_controllers,
        },
    ]
}
