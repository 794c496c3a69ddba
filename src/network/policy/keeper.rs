//! Keeps the rules of policies up to date: with each change of a policy, a pod, a namespace or an address at once.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use tokio_util::task::AbortOnDropHandle;

use super::plan::{NamedPort, PolicyPod, plan};
use super::rules::PolicyRules;
use crate::informer::{Informer, Informers};
use crate::network::dns::CLUSTER_DNS;
use crate::network::fabric::Fabric;
use crate::network::places::PodPlace;
use crate::network::rules::Protocol;

/// Who acts by the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcer {
    /// The fabric: they hold as soon as it has them.
    Fabric,
    /// The kernel, which tells itself when they hold.
    Kernel,
}

/// A task that keeps the rules. Dropping it leaves the last ones in force.
#[derive(Debug)]
pub struct PolicyKeeper {
    _task: AbortOnDropHandle<()>,
}

impl PolicyKeeper {
    /// Begins to keep the rules of a network.
    pub fn start(fabric: &Fabric, informers: &Informers, enforcer: Enforcer) -> Self {
        let task = follow(fabric.clone(), informers.clone(), enforcer);
        Self { _task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }
}

async fn follow(fabric: Fabric, informers: Informers, enforcer: Enforcer) {
    let (policies, pods, namespaces) =
        (informers.of::<NetworkPolicy>(), informers.of::<Pod>(), informers.of::<Namespace>());
    let (mut policy_changes, mut pod_changes, mut namespace_changes) =
        (policies.subscribe(), pods.subscribe(), namespaces.subscribe());
    let mut places = fabric.places().changes();
    policies.synced().await;
    pods.synced().await;
    namespaces.synced().await;
    loop {
        // Whatever else has happened by now is in the caches: one new set of rules covers it.
        while policy_changes.try_recv().is_ok() {}
        while pod_changes.try_recv().is_ok() {}
        while namespace_changes.try_recv().is_ok() {}
        let change = *places.borrow_and_update();
        let policies = policies.list();
        let rules = if policies.is_empty() {
            PolicyRules::default()
        } else {
            plan(&policies, &placed(&fabric.places().list(), &pods), &namespaces.list())
        };
        fabric.set_policies(rules, change);
        match enforcer {
            Enforcer::Fabric if policies.is_empty() => fabric.places().release(),
            Enforcer::Fabric => fabric.places().settle(change),
            Enforcer::Kernel => {}
        }
        let open = tokio::select! { biased;
            change = policy_changes.recv() => change.is_some(),
            change = pod_changes.recv() => change.is_some(),
            change = namespace_changes.recv() => change.is_some(),
            changed = places.changed() => changed.is_ok(),
        };
        if !open {
            return;
        }
    }
}

/// The pods that have a place, and the cluster's name server.
fn placed(places: &[PodPlace], pods: &Informer<Pod>) -> Vec<PolicyPod> {
    let pods = places.iter().filter_map(|place| {
        let pod = pods.get(&place.namespace, &place.name)?;
        Some(PolicyPod {
            namespace: place.namespace.clone(),
            name: place.name.clone(),
            node: place.node.clone(),
            ip: Some(place.ip),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            ports: named_ports(&pod),
        })
    });
    pods.chain([name_server()]).collect()
}

/// The name server is no pod here. To policies it is what it is on other clusters: a pod of `kube-system`.
fn name_server() -> PolicyPod {
    let port = |name: &str, protocol| NamedPort { name: name.to_owned(), protocol, number: 53 };
    PolicyPod {
        namespace: "kube-system".to_owned(),
        name: "coredns".to_owned(),
        node: String::new(),
        ip: Some(IpAddr::V4(CLUSTER_DNS)),
        labels: [("k8s-app".to_owned(), "kube-dns".to_owned())].into(),
        ports: vec![port("dns", Protocol::Udp), port("dns-tcp", Protocol::Tcp)],
    }
}

fn named_ports(pod: &Pod) -> Vec<NamedPort> {
    let Some(spec) = &pod.spec else { return vec![] };
    let stays = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(stays);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let named = ports.filter_map(|port| {
        Some(NamedPort {
            name: port.name.clone()?,
            protocol: Protocol::of(port.protocol.as_deref())?,
            number: u16::try_from(port.container_port).ok()?,
        })
    });
    named.collect()
}
