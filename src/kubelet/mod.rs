//! The kubelet: runs the pods of one node, and says how they and the node are.
//!
//! [`Kubelet::start`] registers the node, watches for pods that are bound to it, and gives each a worker that has the
//! runtime make what the pod says. It sees the API server through a client, the containers through
//! [`crate::runtime::ContainerRuntime`] and the network through its node's place in it; it never sees a controller or the
//! scheduler. Its server answers the API server's calls for logs, exec, attach and port-forward.

mod actions;
mod admission;
mod backoff;
mod config;
mod containers;
mod environment;
mod expansion;
mod fields;
mod image_name;
mod images;
mod kill;
#[allow(clippy::module_inception)]
mod kubelet;
mod last_words;
mod lifecycle;
mod lookup;
mod node;
mod pod;
mod prober;
mod pull_secrets;
mod runtime_pod;
mod server;
mod spec;
mod status;
mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod volumes;
mod worker;

pub use config::{Dependencies, HEALTH_PORT, KubeletConfig, NodeConfig, SERVER_PORT, ServerSecurity};
pub use kubelet::{Kubelet, KubeletError};
