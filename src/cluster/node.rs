//! One node of a cluster: its place in the network, its runtime, its kubelet and its kube-proxy.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Weak};

use k8s_openapi::api::core::v1::Node;
use tokio::task::JoinHandle;

use super::config::{ClusterError, Component, NODE_NETWORK};
use super::real;
use super::storage::ClusterStorage;
use crate::api::auth::{Pki, UserInfo};
use crate::api::server_config;
use crate::bash::ProcessInfo;
use crate::client::{self, ApiService};
use crate::clock::Clock;
use crate::events::Recorder;
use crate::informer::{Change, Informers};
use crate::kubelet::{Dependencies, Kubelet, KubeletConfig, NodeConfig, ServerSecurity};
use crate::network::{Fabric, KubeProxy, NetHost, ServerTls};
use crate::runtime::ContainerRuntime;
use crate::runtime::containerd::{Containerd, ContainerdRuntime};
use crate::runtime::sim::{NodeDisk, Pace, SimConfig, SimRuntime};
use crate::scheduler::Decisions;
use crate::seed::Seed;

/// What every node of a cluster shares.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) service: ApiService,
    pub(super) informers: Informers,
    pub(super) fabric: Fabric,
    pub(super) clock: Clock,
    pub(super) seed: Seed,
    pub(super) pace: Pace,
    /// The machine's containerd, if containers are real.
    pub(super) containerd: Option<Arc<Containerd>>,
    pub(super) pki: Pki,
    /// By what kubelets know the API server.
    pub(super) api_server_token: Arc<str>,
    /// Where the cluster's volumes are.
    pub(super) storage: ClusterStorage,
    /// Where the scheduler tells what it decides.
    pub(super) decisions: Decisions,
}

/// A node. Dropping it stops what runs on it.
pub(super) struct ClusterNode {
    pub(super) machine: Machine,
    config: NodeConfig,
    shared: Shared,
    kubelet: Option<Kubelet>,
    proxy: Option<KubeProxy>,
    _pod_cidr: Option<Follower>,
}

impl std::fmt::Debug for ClusterNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.machine.name;
        let runs =
            [Component::KubeProxy, Component::Kubelet].map(|component| (component, self.runs(component)));
        f.debug_struct("ClusterNode").field("name", name).field("runs", &runs).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("name", &self.name)
            .field("ip", &self.host.ip())
            .finish_non_exhaustive()
    }
}

/// The machine under a node: it is there whether or not a kubelet runs.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) host: NetHost,
    pub(super) runtime: NodeRuntime,
    /// The machine's files, if they are simulated.
    pub(super) disk: Option<NodeDisk>,
}

/// Who runs a node's containers.
#[derive(Clone)]
pub(super) enum NodeRuntime {
    Sim(Arc<SimRuntime>),
    Containerd(Arc<ContainerdRuntime>),
}

impl NodeRuntime {
    fn as_cri(&self) -> Arc<dyn ContainerRuntime> {
        match self {
            Self::Sim(runtime) => runtime.clone(),
            Self::Containerd(runtime) => runtime.clone(),
        }
    }

    fn as_sim(&self) -> Option<&Arc<SimRuntime>> {
        match self {
            Self::Sim(runtime) => Some(runtime),
            Self::Containerd(_) => None,
        }
    }
}

/// A task that ends with its owner.
struct Follower(JoinHandle<()>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The name of the node of that number, as minikube names them: `minikube`, `minikube-m02`, ...
pub(super) fn name(index: usize) -> String {
    if index == 0 { "minikube".to_owned() } else { format!("minikube-m{:02}", index + 1) }
}

/// The address of the node of that number.
pub(super) fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(NODE_NETWORK) + 2 + index as u32)
}

/// The machine under a node for who logs in there. It does not keep what runs on it.
#[derive(Clone)]
pub struct NodeMachine {
    name: String,
    host: NetHost,
    runtime: Weak<dyn ContainerRuntime>,
    sim: Option<Weak<SimRuntime>>,
    disk: Option<NodeDisk>,
}

impl std::fmt::Debug for NodeMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeMachine")
            .field("name", &self.name)
            .field("ip", &self.host.ip())
            .finish_non_exhaustive()
    }
}

impl NodeMachine {
    /// The node's name, which is the machine's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its place in the network, with the loopback.
    pub fn host(&self) -> &NetHost {
        &self.host
    }

    /// Its container runtime; `None` when the cluster has ended.
    pub fn runtime(&self) -> Option<Arc<dyn ContainerRuntime>> {
        self.runtime.upgrade()
    }

    /// Its files, if the machine is simulated; a real one's are this machine's.
    pub fn disk(&self) -> Option<&NodeDisk> {
        self.disk.as_ref()
    }

    /// The processes of every simulated container by the container's id; none of real ones, which are the kernel's.
    pub fn processes(&self) -> Vec<(String, Vec<ProcessInfo>)> {
        let sim = self.sim.as_ref().and_then(Weak::upgrade);
        sim.map(|runtime| runtime.processes()).unwrap_or_default()
    }
}

impl Machine {
    pub(super) fn handle(&self) -> NodeMachine {
        NodeMachine {
            name: self.name.clone(),
            host: self.host.clone(),
            runtime: Arc::downgrade(&self.runtime.as_cri()),
            sim: self.runtime.as_sim().map(Arc::downgrade),
            disk: self.disk.clone(),
        }
    }

    /// Puts images on the node's disk, as a machine may be delivered with some.
    pub(super) fn deliver(&self, images: &[String]) -> Result<(), ClusterError> {
        let Some(runtime) = self.runtime.as_sim() else { return Ok(()) };
        images
            .iter()
            .try_for_each(|image| runtime.preload(image))
            .map_err(|error| ClusterError::Image(error.to_string()))
    }

    /// Puts a machine into the network, with a runtime.
    pub(super) fn new(index: usize, shared: &Shared) -> Result<Self, ClusterError> {
        let (name, ip) = (name(index), IpAddr::V4(address(index)));
        let host = shared.fabric.join_node(ip, &name).map_err(|_| ClusterError::Address(ip))?;
        if let Some(containerd) = &shared.containerd {
            let runtime = NodeRuntime::Containerd(Arc::new(containerd.node(&name)));
            return Ok(Self { name, host, runtime, disk: None });
        }
        let disk = shared.storage.disk(&shared.clock);
        let runtime = Arc::new(SimRuntime::new(SimConfig {
            node: name.clone(),
            fabric: shared.fabric.clone(),
            clock: shared.clock.clone(),
            seed: shared.seed.clone(),
            pace: shared.pace,
            disk: disk.clone(),
        }));
        // Until a controller gives the node a range it has the one that it is likely to get.
        runtime.set_pod_cidr(Ipv4Addr::new(10, 244, index as u8, 0), 24);
        runtime.set_node_host(host.clone());
        Ok(Self { name, host, runtime: NodeRuntime::Sim(runtime), disk: Some(disk) })
    }
}

impl ClusterNode {
    /// A node on that machine, without a kubelet and a kube-proxy.
    pub(super) fn new(machine: Machine, shared: Shared) -> Self {
        // Real pods have their addresses of CNI.
        let pod_cidr = machine.runtime.as_sim().map(|runtime| {
            let following = follow_pod_cidr(machine.name.clone(), runtime.clone(), shared.informers.clone());
            Follower(tokio::spawn(following))
        });
        let mut config = NodeConfig::new(&machine.name, machine.host.ip(), &shared.seed);
        if shared.containerd.is_some() {
            real::describe(&mut config);
        }
        Self { machine, config, shared, kubelet: None, proxy: None, _pod_cidr: pod_cidr }
    }

    /// Whether that component runs here.
    pub(super) fn runs(&self, component: Component) -> bool {
        match component {
            Component::Kubelet => self.kubelet.is_some(),
            Component::KubeProxy => self.proxy.is_some(),
            Component::Scheduler | Component::ControllerManager => false,
        }
    }

    /// Starts the kubelet, which registers the node. It adopts the pods that run already.
    pub(super) async fn start_kubelet(&mut self) -> Result<(), ClusterError> {
        let Shared { service, informers, clock, seed, .. } = &self.shared;
        let Machine { name, host, runtime, .. } = &self.machine;
        let user = UserInfo::new(&format!("system:node:{name}"), &["system:nodes"]);
        let client = client::component(service, "kubelet", user);
        let recorder = Recorder::new(client.clone(), "kubelet", name, clock.clone());
        let dependencies = Dependencies {
            client,
            informers: informers.clone(),
            runtime: runtime.as_cri(),
            host: host.clone(),
            clock: clock.clone(),
            seed: seed.clone(),
            recorder,
            security: Some(self.security()),
        };
        let config = KubeletConfig::new(self.config.clone());
        let started = Kubelet::start(config, dependencies).await;
        self.kubelet = Some(started.map_err(|error| ClusterError::Kubelet(error.to_string()))?);
        Ok(())
    }

    /// The kubelet's server has a certificate of its own, which no authority of the cluster signed, and knows the clients of
    /// the cluster's.
    fn security(&self) -> ServerSecurity {
        let (name, ip) = (self.machine.name.clone(), self.machine.host.ip());
        let pki = self.shared.pki.clone();
        let tls = ServerTls::new(move || {
            let own = Pki::generate(Seed::from_entropy()).ok()?;
            let identity = own.server(std::slice::from_ref(&name), &[ip]).ok()?;
            server_config(&pki, &identity).ok()
        });
        ServerSecurity { tls, api_server_token: self.shared.api_server_token.clone() }
    }

    /// Stops the kubelet; the containers go on.
    pub(super) async fn stop_kubelet(&mut self) {
        if let Some(kubelet) = self.kubelet.take() {
            kubelet.stop().await;
        }
    }

    /// Starts kube-proxy, which brings the node's rules up to date.
    pub(super) async fn start_proxy(&mut self) {
        let Shared { informers, clock, .. } = &self.shared;
        self.proxy = Some(KubeProxy::start(&self.machine.host, informers, clock).await);
    }

    /// Stops kube-proxy; the rules stay as they are.
    pub(super) async fn stop_proxy(&mut self) {
        if let Some(proxy) = self.proxy.take() {
            proxy.stop().await;
        }
    }
}

/// Hands the node's range of pod addresses to its runtime.
async fn follow_pod_cidr(name: String, runtime: Arc<SimRuntime>, informers: Informers) {
    let mut changes = informers.of::<Node>().subscribe();
    while let Some(change) = changes.recv().await {
        let (Change::Added(node) | Change::Modified(_, node)) = change else { continue };
        if node.metadata.name.as_deref() != Some(&name) {
            continue;
        }
        let cidr = node.spec.as_ref().and_then(|spec| spec.pod_cidr.as_deref()).and_then(parse_cidr);
        if let Some((network, bits)) = cidr {
            runtime.set_pod_cidr(network, bits);
        }
    }
}

fn parse_cidr(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (network, bits) = text.split_once('/')?;
    Some((network.parse().ok()?, bits.parse().ok().filter(|bits| *bits <= 30)?))
}
