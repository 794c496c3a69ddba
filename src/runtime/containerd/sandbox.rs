//! Sandboxes: from the kubelet's words to the CRI's and back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::config::{NODE_LABEL, NodeConfig, OWNER, OWNER_LABEL};
use super::proto::cri;
use crate::network::{HostPort, Protocol};
use crate::runtime::api::{SandboxConfig, SandboxState, SandboxStatus};

/// The annotation that remembers whether a pod uses the node's network.
const HOST_NETWORK: &str = "k8s-learn.io/host-network";
/// The annotation that remembers a pod's ports on the node.
const HOST_PORTS: &str = "k8s-learn.io/host-ports";

/// The labels by which a node knows what is its own.
pub(super) fn own_labels(node: &str) -> BTreeMap<String, String> {
    [(NODE_LABEL, node), (OWNER_LABEL, OWNER)].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// Where the logs of a pod's containers are.
pub(super) fn log_directory(state: &Path, config: &SandboxConfig) -> PathBuf {
    state.join("logs").join(format!("{}_{}_{}", config.namespace, config.name, config.uid))
}

/// The sandbox for the CRI.
pub(super) fn config(of: &NodeConfig, config: &SandboxConfig) -> cri::PodSandboxConfig {
    let (node, state) = (of.node.as_str(), of.state.as_path());
    let mut labels = config.labels.clone();
    labels.extend(own_labels(node));
    let ports = config.host_ports.iter().map(host_port_text);
    let annotations = [
        (HOST_NETWORK.to_owned(), config.host_network.to_string()),
        (HOST_PORTS.to_owned(), ports.collect::<Vec<_>>().join(",")),
    ];
    let network = if config.host_network { cri::NamespaceMode::Node } else { cri::NamespaceMode::Pod };
    let namespaces = cri::NamespaceOption {
        network: network.into(),
        pid: cri::NamespaceMode::Container.into(),
        ipc: cri::NamespaceMode::Pod.into(),
        target_id: String::new(),
    };
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: config.name.clone(),
            uid: config.uid.clone(),
            namespace: config.namespace.clone(),
            attempt: config.attempt,
        }),
        hostname: config.hostname.clone(),
        log_directory: log_directory(state, config).to_string_lossy().into_owned(),
        dns_config: Some(cri::DnsConfig {
            servers: config.dns.servers.clone(),
            searches: config.dns.searches.clone(),
            options: config.dns.options.clone(),
        }),
        labels,
        annotations: annotations.into(),
        linux: Some(cri::LinuxPodSandboxConfig {
            cgroup_parent: of.cgroup_parent.clone(),
            security_context: Some(cri::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces),
                seccomp: Some(unconfined()),
                ..Default::default()
            }),
            ..Default::default()
        }),
    }
}

/// No system call is refused, as for pods that do not say otherwise.
pub(super) fn unconfined() -> cri::SecurityProfile {
    cri::SecurityProfile {
        profile_type: cri::security_profile::ProfileType::Unconfined.into(),
        ..Default::default()
    }
}

/// A sandbox as the CRI lists it, with the addresses that were asked for separately.
pub(super) fn status(sandbox: cri::PodSandbox, ips: Vec<IpAddr>) -> SandboxStatus {
    let metadata = sandbox.metadata.unwrap_or_default();
    let mut labels = sandbox.labels;
    labels.retain(|key, _| key != NODE_LABEL && key != OWNER_LABEL);
    let annotation = |name: &str| sandbox.annotations.get(name).map_or("", String::as_str);
    let config = SandboxConfig {
        name: metadata.name,
        uid: metadata.uid,
        namespace: metadata.namespace,
        attempt: metadata.attempt,
        labels,
        host_network: annotation(HOST_NETWORK) == "true",
        host_ports: annotation(HOST_PORTS).split(',').filter_map(host_port).collect(),
        ..SandboxConfig::default()
    };
    let ready = sandbox.state == i32::from(cri::PodSandboxState::SandboxReady);
    SandboxStatus {
        id: sandbox.id,
        config,
        state: if ready { SandboxState::Ready } else { SandboxState::NotReady },
        created_at: time(sandbox.created_at).unwrap_or_default(),
        ips,
    }
}

/// `8080:80/tcp`, and `127.0.0.1:8080:80/tcp` for a port of one address.
fn host_port_text(own: &HostPort) -> String {
    let ip = own.ip.map(|ip| format!("{ip}:")).unwrap_or_default();
    format!("{ip}{}:{}/{}", own.port, own.inside, own.protocol)
}

fn host_port(text: &str) -> Option<HostPort> {
    let (ports, protocol) = text.rsplit_once('/')?;
    let (host, inside) = ports.rsplit_once(':')?;
    let (ip, port) = host.rsplit_once(':').map_or((None, host), |(ip, port)| (Some(ip), port));
    let protocol = Protocol::of(Some(&protocol.to_ascii_uppercase()))?;
    let ip = ip.map(str::parse).transpose().ok()?;
    Some(HostPort { port: port.parse().ok()?, inside: inside.parse().ok()?, protocol, ip })
}

/// The addresses of a sandbox.
pub(super) fn addresses(status: &cri::PodSandboxStatus) -> Vec<IpAddr> {
    let Some(network) = &status.network else { return vec![] };
    let more = network.additional_ips.iter().map(|ip| ip.ip.as_str());
    std::iter::once(network.ip.as_str()).chain(more).filter_map(|ip| ip.parse().ok()).collect()
}

/// A time in the CRI's nanoseconds; none for zero.
pub(super) fn time(nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok().filter(|_| nanoseconds != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kubelet_must_know_again_comes_back() {
        let wanted = SandboxConfig {
            name: "web".to_owned(),
            uid: "u".to_owned(),
            namespace: "default".to_owned(),
            attempt: 2,
            labels: [("app".to_owned(), "web".to_owned())].into(),
            host_ports: [(8080, Protocol::Tcp, Some([127, 0, 0, 1].into())), (53, Protocol::Udp, None)]
                .map(|(port, protocol, ip)| HostPort { port, inside: 80, protocol, ip })
                .into(),
            ..SandboxConfig::default()
        };
        let node = NodeConfig {
            node: "minikube".to_owned(),
            state: "/state".into(),
            clock: crate::clock::Clock::real(),
            places: Default::default(),
            cgroup_parent: "/k8s-learn".to_owned(),
        };
        let sent = config(&node, &wanted);
        assert_eq!(sent.linux.as_ref().unwrap().cgroup_parent, "/k8s-learn");
        assert_eq!(sent.labels[NODE_LABEL], "minikube");
        assert_eq!(sent.log_directory, "/state/logs/default_web_u");
        let listed = cri::PodSandbox {
            metadata: sent.metadata,
            labels: sent.labels,
            annotations: sent.annotations,
            ..Default::default()
        };
        let known = status(listed, vec![]).config;
        assert_eq!(format!("{known:?}"), format!("{wanted:?}"));
    }
}
