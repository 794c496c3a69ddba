//! A cluster on real containers: what it has on this machine beside its pods.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::config::{ClusterConfig, ClusterError};
use super::front_door::FrontDoor;
use super::node;
use crate::api::auth::Pki;
use crate::api::server::ApiServer;
use crate::clock::Clock;
use crate::kubelet::NodeConfig;
use crate::network::kernel::{DnsServer, Links, PacketRules};
use crate::network::{CLUSTER_DNS, ClusterDns, Fabric, HostSockets};
use crate::runtime::containerd::{Containerd, ContainerdError};

/// The cluster's name server.
const DNS: SocketAddr = SocketAddr::new(IpAddr::V4(CLUSTER_DNS), 53);

/// What a cluster has on this machine. It stays until [`RealMachine::close`].
pub(super) struct RealMachine {
    containerd: Arc<Containerd>,
    rules: PacketRules,
    _dns: DnsServer,
    door: Option<FrontDoor>,
}

fn network(why: impl std::fmt::Display) -> ClusterError {
    ClusterError::Containerd(ContainerdError::Network(why.to_string()))
}

impl RealMachine {
    /// Gives the machine the cluster's addresses, rules and name server, and the components in this process a way out to pods.
    pub(super) async fn prepare(
        containerd: &Arc<Containerd>,
        config: &ClusterConfig,
        fabric: &Fabric,
        names: Arc<ClusterDns>,
        clock: &Clock,
    ) -> Result<Self, ClusterError> {
        let node = |index| (node::name(index), IpAddr::V4(node::address(index)));
        let nodes: Vec<(String, IpAddr)> = (0..config.nodes).map(node).collect();
        let addresses: Vec<IpAddr> = nodes.iter().map(|(_, ip)| *ip).chain([DNS.ip()]).collect();
        Links::make(clock, &addresses).await.map_err(network)?;
        let dns =
            DnsServer::start(DNS, names, clock).await.map_err(|error| network(format!("{DNS}: {error}")))?;
        let rules = PacketRules::start(clock, fabric, &nodes).await.map_err(network)?;
        fabric.set_outside(Arc::new(HostSockets::beside(clock.clone())));
        containerd.course().load(&config.images).await?;
        Ok(Self { containerd: containerd.clone(), rules, _dns: dns, door: None })
    }

    /// Opens the API on the first node's address, where pods reach it.
    pub(super) async fn open(
        &mut self,
        ip: IpAddr,
        api: ApiServer,
        pki: Pki,
        clock: &Clock,
    ) -> Result<(), ClusterError> {
        let sockets = HostSockets::beside(clock.clone());
        self.door = Some(FrontDoor::open_on(&sockets, ip, api, pki, clock.clone()).await?);
        Ok(())
    }

    /// Takes everything away that the cluster made.
    pub(super) async fn close(&mut self) {
        self.rules.stop().await;
        close(&self.containerd).await;
    }
}

/// Takes everything away that the cluster made; what does not go, the next start takes away.
pub(super) async fn close(containerd: &Containerd) {
    if let Err(error) = containerd.close().await {
        tracing::error!(%error, "not everything of the cluster could be taken away");
    }
}

/// Says what this machine is.
pub(super) fn describe(config: &mut NodeConfig) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    if let Ok(cores) = std::thread::available_parallelism() {
        config.capacity.insert("cpu".to_owned(), cores.to_string());
    }
    if let Some(memory) = memory(&read("/proc/meminfo")) {
        config.capacity.insert("memory".to_owned(), memory);
    }
    let release = read("/etc/os-release");
    if let Some(name) = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")) {
        config.os_image = name.trim_matches('"').to_owned();
    }
    let kernel = read("/proc/sys/kernel/osrelease");
    if !kernel.trim().is_empty() {
        config.kernel_version = kernel.trim().to_owned();
    }
    config.architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
    .to_owned();
}

/// `24684096Ki` of `/proc/meminfo`.
fn memory(meminfo: &str) -> Option<String> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(format!("{number}Ki"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_kernel_says() {
        assert_eq!(memory("MemTotal:       24684096 kB\nMemFree: 1 kB\n").as_deref(), Some("24684096Ki"));
        assert_eq!(memory(""), None);
    }
}
