//! One node of a cluster: its place in the network, its runtime, its kubelet and its kube-proxy.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use tokio::task::JoinHandle;

use super::config::{ClusterError, NODE_NETWORK};
use crate::api::auth::UserInfo;
use crate::client::{self, ApiService};
use crate::clock::Clock;
use crate::events::Recorder;
use crate::informer::{Change, Informers};
use crate::kubelet::{Dependencies, Kubelet, KubeletConfig, NodeConfig};
use crate::network::{Fabric, KubeProxy, NetHost};
use crate::runtime::sim::{Pace, SimConfig, SimRuntime};
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
}

/// A node. Dropping it stops what runs on it.
pub(super) struct ClusterNode {
    pub(super) name: String,
    pub(super) host: NetHost,
    runtime: Arc<SimRuntime>,
    shared: Shared,
    kubelet: Option<Kubelet>,
    _proxy: KubeProxy,
    _pod_cidr: Follower,
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

impl ClusterNode {
    /// Puts a machine into the network, with a runtime and without a kubelet.
    pub(super) fn new(index: usize, shared: Shared) -> Result<Self, ClusterError> {
        let (name, ip) = (name(index), IpAddr::V4(address(index)));
        let host = shared.fabric.join_node(ip, &name).map_err(|_| ClusterError::Address(ip))?;
        let runtime = Arc::new(SimRuntime::new(SimConfig {
            node: name.clone(),
            fabric: shared.fabric.clone(),
            clock: shared.clock.clone(),
            seed: shared.seed.clone(),
            pace: shared.pace,
        }));
        // Until a controller gives the node a range it has the one that it is likely to get.
        runtime.set_pod_cidr(Ipv4Addr::new(10, 244, index as u8, 0), 24);
        let pod_cidr =
            Follower(tokio::spawn(follow_pod_cidr(name.clone(), runtime.clone(), shared.informers.clone())));
        let proxy = KubeProxy::start(&name, &shared.informers, shared.fabric.clone());
        Ok(Self { name, host, runtime, shared, kubelet: None, _proxy: proxy, _pod_cidr: pod_cidr })
    }

    /// Puts images on the node's disk, as a machine may be delivered with some.
    pub(super) fn deliver(&self, images: &[String]) -> Result<(), ClusterError> {
        images
            .iter()
            .try_for_each(|image| self.runtime.preload(image))
            .map_err(|error| ClusterError::Image(error.to_string()))
    }

    /// Starts the kubelet, which registers the node. It adopts the pods that run already.
    pub(super) async fn start_kubelet(&mut self) -> Result<(), ClusterError> {
        let Shared { service, informers, clock, seed, .. } = &self.shared;
        let user = UserInfo::new(&format!("system:node:{}", self.name), &["system:nodes"]);
        let client = client::component(service, "kubelet", user);
        let recorder = Recorder::new(client.clone(), "kubelet", &self.name, clock.clone());
        let config = KubeletConfig::new(NodeConfig::new(&self.name, self.host.ip(), seed));
        let dependencies = Dependencies {
            client,
            informers: informers.clone(),
            runtime: self.runtime.clone(),
            host: self.host.clone(),
            clock: clock.clone(),
            seed: seed.clone(),
            recorder,
        };
        self.kubelet = Some(
            Kubelet::start(config, dependencies).await.map_err(|e| ClusterError::Kubelet(e.to_string()))?,
        );
        Ok(())
    }

    /// Stops the kubelet; the containers go on.
    pub(super) async fn stop_kubelet(&mut self) {
        if let Some(kubelet) = self.kubelet.take() {
            kubelet.stop().await;
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
