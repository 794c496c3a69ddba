//! The pod network: addresses, Services and names.
//!
//! [`Fabric`] is the network of the simulation: a pod's IP and port is a listener of byte streams in memory, so curl in a
//! pod, a probe, a Service and `kubectl port-forward` move real bytes, and two clusters in one process never meet.
//! Components in this room keep it up to date from the API, as kube-proxy and the cluster's DNS do on a real node.

mod dns;
mod fabric;
pub mod kernel;
mod node_ports;
mod outside;
mod proxy;
mod proxy_health;
mod proxy_server;
mod rules;
mod serve;

pub use dns::{CLUSTER_DOMAIN, ClusterDns};
pub use fabric::{Fabric, JoinError, NetHost, Resolve};
pub use node_ports::HostNodePorts;
pub use outside::{HostSockets, Outside};
pub use proxy::KubeProxy;
pub use rules::{Backend, ServicePort, ServiceRules};
pub use serve::{Greeting, ServerTls, not_found, plain, serve};
