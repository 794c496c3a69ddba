//! The composition root: builds, starts and stops a cluster. The only room that knows the API server, the network, the
//! runtime and every component.
//!
//! A [`Cluster`] is a value: nothing is global, several live in one process, and dropping one ends all of it.

mod config;
mod kubeconfig;
mod node;
mod run;
pub mod scenarios;

pub use config::{ClusterConfig, ClusterError, Component, Time};
pub use run::Cluster;
