//! Nodes and pods as the scheduler looks at them: what they have and ask for is reckoned once, when they change.
// Models pkg/scheduler/framework/types.go (NodeInfo, PodInfo).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, PodAffinityTerm};

use super::resource::{Missing, Resource, pod_requests};
use crate::meta::selector::Selector;

/// A pod and what follows from its spec.
#[derive(Debug)]
pub struct PodInfo {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What it asks for.
    pub requests: Resource,
    /// The same, where what is missing counts as a little.
    pub non_zero: Resource,
    /// The host ports that it takes.
    pub ports: Vec<HostPort>,
    /// Pods that must be near.
    pub required_affinity: Vec<Term>,
    /// Pods that must not be near.
    pub required_anti_affinity: Vec<Term>,
    /// Pods that should be near (positive weight) or should not (negative).
    pub preferred: Vec<(i64, Term)>,
}

/// A port of a node's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The address; `0.0.0.0` for all.
    pub ip: String,
    /// TCP, UDP or SCTP.
    pub protocol: String,
    /// The number.
    pub port: i32,
}

impl HostPort {
    /// Whether the two cannot be had together.
    pub fn conflicts(&self, other: &Self) -> bool {
        let same_ip = self.ip == other.ip || self.ip == "0.0.0.0" || other.ip == "0.0.0.0";
        same_ip && self.protocol == other.protocol && self.port == other.port
    }
}

/// A term of a pod's affinity to other pods.
#[derive(Clone, Debug)]
pub struct Term {
    namespaces: Vec<String>,
    namespace_selector: Selector,
    selector: Selector,
    /// The label whose values tell what is near.
    pub topology_key: String,
}

impl Term {
    fn new(term: &PodAffinityTerm, namespace: &str) -> Self {
        let selector = |selector: Option<&_>| match selector {
            Some(selector) => Selector::from_label_selector(selector).unwrap_or_else(|_| Selector::nothing()),
            None => Selector::nothing(),
        };
        let mut namespaces = term.namespaces.clone().unwrap_or_default();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(namespace.to_owned());
        }
        Self {
            namespaces,
            namespace_selector: selector(term.namespace_selector.as_ref()),
            selector: selector(term.label_selector.as_ref()),
            topology_key: term.topology_key.clone(),
        }
    }

    /// Whether the term means this pod, whose namespace has these labels.
    pub fn matches(&self, pod: &Pod, namespace_labels: &BTreeMap<String, String>) -> bool {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        (self.namespaces.iter().any(|name| name == namespace)
            || self.namespace_selector.matches(namespace_labels))
            && self.selector.matches_optional(pod.metadata.labels.as_ref())
    }
}

impl PodInfo {
    /// Reckons what follows from the pod.
    pub fn new(pod: Arc<Pod>) -> Self {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let terms = |terms: Option<&Vec<PodAffinityTerm>>| -> Vec<Term> {
            terms.into_iter().flatten().map(|term| Term::new(term, &namespace)).collect()
        };
        let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
        let (mut near, mut apart, mut preferred) = (vec![], vec![], vec![]);
        if let Some(affinity) = affinity.and_then(|affinity| affinity.pod_affinity.as_ref()) {
            near = terms(affinity.required_during_scheduling_ignored_during_execution.as_ref());
            for weighted in affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
                preferred
                    .push((i64::from(weighted.weight), Term::new(&weighted.pod_affinity_term, &namespace)));
            }
        }
        if let Some(affinity) = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref()) {
            apart = terms(affinity.required_during_scheduling_ignored_during_execution.as_ref());
            for weighted in affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
                preferred
                    .push((-i64::from(weighted.weight), Term::new(&weighted.pod_affinity_term, &namespace)));
            }
        }
        Self {
            requests: pod_requests(&pod, Missing::IsZero),
            non_zero: pod_requests(&pod, Missing::IsSmall),
            ports: host_ports(&pod),
            required_affinity: near,
            required_anti_affinity: apart,
            preferred,
            pod,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Its UID.
    pub fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Its priority.
    pub fn priority(&self) -> i32 {
        self.pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
    }

    /// Whether it has any wish about other pods.
    pub fn has_affinity(&self) -> bool {
        !(self.required_affinity.is_empty()
            && self.required_anti_affinity.is_empty()
            && self.preferred.is_empty())
    }
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return vec![] };
    let sidecars =
        spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let text = |value: &Option<String>, default: &str| {
        value.clone().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|&number| number > 0)?;
            Some(HostPort {
                ip: text(&port.host_ip, "0.0.0.0"),
                protocol: text(&port.protocol, "TCP"),
                port: number,
            })
        })
        .collect()
}

/// A node with its pods, and what they take together.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// The node; none while only its pods are known.
    node: Option<Arc<Node>>,
    /// What pods may have.
    pub allocatable: Resource,
    /// The pods, by UID.
    pods: BTreeMap<String, Arc<PodInfo>>,
    /// What they ask for.
    pub requested: Resource,
    /// The same, where what is missing counts as a little.
    pub non_zero_requested: Resource,
    /// The sizes of the images that are there, by each of their names.
    pub images: BTreeMap<String, i64>,
}

impl NodeInfo {
    /// The node, if it is known.
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }

    /// Its name; empty while the node is not known.
    pub fn name(&self) -> &str {
        self.node.as_ref().and_then(|node| node.metadata.name.as_deref()).unwrap_or_default()
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.node.as_ref()?.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The pods, by UID.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<PodInfo>> {
        self.pods.values()
    }

    /// How many pods there are.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// Takes in the node's new state; `None` when it has gone.
    pub fn set_node(&mut self, node: Option<Arc<Node>>) {
        let status = node.as_ref().and_then(|node| node.status.as_ref());
        self.allocatable = Resource::from_list(status.and_then(|status| status.allocatable.as_ref()));
        let images = status.into_iter().flat_map(|status| status.images.iter().flatten());
        self.images = images
            .flat_map(|image| {
                image.names.iter().flatten().map(|name| (name.clone(), image.size_bytes.unwrap_or(0)))
            })
            .collect();
        self.node = node;
    }

    /// Puts a pod on the node.
    pub fn add_pod(&mut self, pod: Arc<PodInfo>) {
        self.remove_pod(pod.uid());
        self.requested.add(&pod.requests);
        self.non_zero_requested.add(&pod.non_zero);
        self.pods.insert(pod.uid().to_owned(), pod);
    }

    /// Takes a pod off the node.
    pub fn remove_pod(&mut self, uid: &str) {
        if let Some(pod) = self.pods.remove(uid) {
            self.requested.subtract(&pod.requests);
            self.non_zero_requested.subtract(&pod.non_zero);
        }
    }
}
