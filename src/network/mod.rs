//! The pod network: addresses, Services and names.
//!
//! [`Fabric`] is the network of the simulation: a pod's IP and port is a listener of byte streams in memory, so curl in a
//! pod, a probe, a Service and `kubectl port-forward` move real bytes, and two clusters in one process never meet.
//! Components in this room keep it up to date from the API, as kube-proxy and the cluster's DNS do on a real node.

mod affinity;
mod datagrams;
mod dns;
mod fabric;
mod host;
pub mod kernel;
mod namespace;
mod node_ports;
mod outside;
mod places;
pub mod policy;
mod proxy;
mod proxy_health;
mod proxy_server;
mod rules;
mod serve;

pub use dns::{CLUSTER_DNS, CLUSTER_DOMAIN, ClusterDns};
pub use fabric::{Fabric, JoinError, Resolve};
pub use host::NetHost;
pub use node_ports::HostNodePorts;
pub use outside::{HostSockets, Outside};
pub use places::{HostPort, PodPlace, PodPlaces};
pub use proxy::KubeProxy;
pub use rules::{Backend, ExternalPort, Otherwise, Protocol, ServicePort, ServiceRules};
pub use serve::{Greeting, ServerTls, not_found, plain, serve};
