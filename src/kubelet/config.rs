//! What a kubelet is told when it starts: its node, its cluster, and what it works with.
//!
//! Built by the cluster (`cluster.rs`); data only.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Taint;

use crate::clock::Clock;
use crate::events::Recorder;
use crate::informer::Informers;
use crate::network::{NetHost, ServerTls};
use crate::runtime::ContainerRuntime;
use crate::seed::Seed;

/// The port of the kubelet's server.
pub const SERVER_PORT: u16 = 10_250;
/// The port on which the kubelet says that it is well, on the node's loopback.
pub const HEALTH_PORT: u16 = 10_248;

/// The machine that a kubelet says it runs on.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The node's name.
    pub name: String,
    /// The node's own address.
    pub ip: IpAddr,
    /// What it has, as quantities: `cpu`, `memory`, `ephemeral-storage`, `pods` and so on.
    pub capacity: BTreeMap<String, String>,
    /// Labels besides those every node has.
    pub labels: BTreeMap<String, String>,
    /// Taints from the start.
    pub taints: Vec<Taint>,
    /// Like `Debian GNU/Linux 12 (bookworm)`.
    pub os_image: String,
    /// Like `6.1.0`.
    pub kernel_version: String,
    /// Go's name for the processor, like `amd64`.
    pub architecture: String,
    /// The machine's id, 32 hexadecimal digits.
    pub machine_id: String,
    /// The id of this boot, a UUID.
    pub boot_id: String,
}

impl NodeConfig {
    /// A node with two cores and 8 GiB of memory. Its ids are drawn from `seed`.
    pub fn new(name: &str, ip: IpAddr, seed: &Seed) -> Self {
        let capacity = [
            ("cpu", "2"),
            ("ephemeral-storage", "61202244Ki"),
            ("hugepages-1Gi", "0"),
            ("hugepages-2Mi", "0"),
            ("memory", "8148892Ki"),
            ("pods", "110"),
        ];
        Self {
            name: name.to_owned(),
            ip,
            capacity: capacity.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into(),
            labels: BTreeMap::new(),
            taints: vec![],
            os_image: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            kernel_version: "6.1.0".to_owned(),
            architecture: "amd64".to_owned(),
            machine_id: seed.hex(16),
            boot_id: seed.uuid().to_string(),
        }
    }
}

/// A kubelet's configuration.
#[derive(Clone, Debug)]
pub struct KubeletConfig {
    /// The machine.
    pub node: NodeConfig,
    /// The version that it reports, like `v1.36.2`.
    pub version: String,
    /// The domain that Services have names in: `cluster.local`.
    pub cluster_domain: String,
    /// The cluster's DNS servers; none: pods resolve as their node does.
    pub cluster_dns: Vec<IpAddr>,
}

impl KubeletConfig {
    /// The usual configuration on a machine.
    pub fn new(node: NodeConfig) -> Self {
        Self {
            node,
            version: "v1.36.2".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            cluster_dns: vec![IpAddr::from([10, 96, 0, 10])],
        }
    }
}

/// What a kubelet works with.
#[derive(Clone)]
pub struct Dependencies {
    /// A client that acts as `system:node:NAME` and is called `kubelet`.
    pub client: kube::Client,
    /// The cluster's informers.
    pub informers: Informers,
    /// Whoever runs the containers.
    pub runtime: Arc<dyn ContainerRuntime>,
    /// The node's place in the network.
    pub host: NetHost,
    /// The cluster's time.
    pub clock: Clock,
    /// The cluster's chance.
    pub seed: Seed,
    /// The kubelet's voice: component `kubelet` on the node's name.
    pub recorder: Recorder,
    /// Who may ask its server; without it, everybody, and without TLS.
    pub security: Option<ServerSecurity>,
}

/// How the kubelet's server tells who asks.
#[derive(Clone, Debug)]
pub struct ServerSecurity {
    /// The server's side of TLS; client certificates are checked against the cluster's authority.
    pub tls: Arc<ServerTls>,
    /// What the API server shows in place of TLS: its wire is in this process.
    pub api_server_token: Arc<str>,
}
