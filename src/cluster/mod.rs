//! The composition root: builds, starts and stops a cluster. The only room that knows the API server, the network, the
//! runtime and every component.
//!
//! A [`Cluster`] is a value: nothing is global, several live in one process, and dropping one ends all of it.

mod components;
mod config;
mod control_plane;
mod front_door;
mod kubeconfig;
mod node;
mod real;
mod run;
pub mod scenarios;
mod storage;

pub use components::{Changed, ComponentError, ComponentStatus, Components};
pub use config::{ClusterConfig, ClusterError, Component, RuntimeConfig, Time, UnknownComponent};
pub use node::NodeMachine;
pub use run::Cluster;
