//! From policies, pods and namespaces to what each pod may take and make. Pure.
// Models the comments of staging/src/k8s.io/api/networking/v1 and test/e2e/network/netpol.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::rules::{Allowance, Block, Peers, PodRules, PolicyRules, PortRange, Ports};
use crate::meta::cidr::Cidr;
use crate::meta::selector::Selector;
use crate::network::rules::Protocol;

type Labels = BTreeMap<String, String>;

/// A pod as policies see it. Pods of the host's network are none: their packets are the node's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyPod {
    pub namespace: String,
    pub name: String,
    pub node: String,
    /// `None`: it has no address yet, and nobody can mean it.
    pub ip: Option<IpAddr>,
    pub labels: Labels,
    /// The ports that its containers give names.
    pub ports: Vec<NamedPort>,
}

/// A container's port with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPort {
    pub name: String,
    pub protocol: Protocol,
    pub number: u16,
}

/// What pods may do under these policies. Policies are a union: what one allows, none takes away.
pub fn plan(
    policies: &[Arc<NetworkPolicy>],
    pods: &[PolicyPod],
    namespaces: &[Arc<Namespace>],
) -> PolicyRules {
    let labels = namespaces.iter().filter_map(|namespace| {
        Some((namespace.metadata.name.clone()?, namespace.metadata.labels.clone().unwrap_or_default()))
    });
    let world = World { pods, namespaces: labels.collect() };
    let mut rules = PolicyRules::default();
    for policy in policies {
        let Some(spec) = &policy.spec else { continue };
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        let selector = selector(spec.pod_selector.as_ref());
        let selected = pods.iter().filter(|pod| pod.namespace == namespace && selector.matches(&pod.labels));
        for (pod, ip) in selected.filter_map(|pod| Some((pod, pod.ip?))) {
            let own = rules.pods.entry(ip).or_insert_with(|| PodRules {
                name: format!("{}/{}", pod.namespace, pod.name),
                node: pod.node.clone(),
                ..PodRules::default()
            });
            world.add(own, pod, namespace, spec);
        }
    }
    rules
}

/// A selector that cannot be read selects nothing. None at all selects everything, as an empty one does.
fn selector(selector: Option<&LabelSelector>) -> Selector {
    match selector {
        None => Selector::everything(),
        Some(selector) => Selector::from_label_selector(selector).unwrap_or_else(|_| Selector::nothing()),
    }
}

/// Whom policies can mean.
struct World<'a> {
    pods: &'a [PolicyPod],
    namespaces: BTreeMap<String, Labels>,
}

/// The peers of a rule before they are written as addresses.
enum Meant<'a> {
    Everybody,
    These { pods: Vec<&'a PolicyPod>, blocks: Vec<Block> },
}

impl<'a> World<'a> {
    /// Adds what a policy allows one of its pods.
    fn add(&self, own: &mut PodRules, pod: &PolicyPod, namespace: &str, spec: &NetworkPolicySpec) {
        let has = |name: &str| spec.policy_types.iter().flatten().any(|own| own == name);
        if has("Ingress") {
            let allowed = own.ingress.get_or_insert_default();
            for rule in spec.ingress.iter().flatten() {
                let peers = self.meant(namespace, rule.from.as_deref().unwrap_or_default()).written();
                let ports = ports_of(rule.ports.as_deref().unwrap_or_default(), |port, protocol| {
                    pod.numbers(port, protocol)
                });
                allowed.push(Allowance { peers, ports });
            }
        }
        if has("Egress") {
            let allowed = own.egress.get_or_insert_default();
            for rule in spec.egress.iter().flatten() {
                let meant = self.meant(namespace, rule.to.as_deref().unwrap_or_default());
                allowed.extend(self.egress(&meant, rule.ports.as_deref().unwrap_or_default()));
            }
        }
    }

    fn meant(&self, namespace: &str, peers: &[NetworkPolicyPeer]) -> Meant<'a> {
        if peers.is_empty() {
            return Meant::Everybody;
        }
        let (mut pods, mut blocks) = (vec![], vec![]);
        for peer in peers {
            if let Some(block) = &peer.ip_block {
                blocks.extend(read_block(block));
                continue;
            }
            let of_pods = selector(peer.pod_selector.as_ref());
            let of_namespaces = peer.namespace_selector.as_ref().map(|own| selector(Some(own)));
            pods.extend(self.pods.iter().filter(|pod| {
                let there = match &of_namespaces {
                    None => pod.namespace == namespace,
                    Some(wanted) => {
                        self.namespaces.get(&pod.namespace).is_some_and(|labels| wanted.matches(labels))
                    }
                };
                there && of_pods.matches(&pod.labels)
            }));
        }
        Meant::These { pods, blocks }
    }

    /// A name stands for another number at each peer, so that each number is an allowance of its own.
    fn egress(&self, meant: &Meant<'_>, ports: &[NetworkPolicyPort]) -> Vec<Allowance> {
        let mut allowances = vec![];
        let numbered = ports_of(ports, |_, _| vec![]);
        if numbered != Ports::These(BTreeSet::new()) {
            allowances.push(Allowance { peers: meant.written(), ports: numbered });
        }
        let mut named: BTreeMap<PortRange, BTreeSet<IpAddr>> = BTreeMap::new();
        for port in ports {
            let (Some(IntOrString::String(name)), Some(protocol)) =
                (&port.port, Protocol::of(port.protocol.as_deref()))
            else {
                continue;
            };
            let pods: Vec<&PolicyPod> = match meant {
                Meant::Everybody => self.pods.iter().collect(),
                Meant::These { pods, .. } => pods.clone(),
            };
            for (pod, ip) in pods.into_iter().filter_map(|pod| Some((pod, pod.ip?))) {
                for number in pod.numbers(name, protocol) {
                    let range = PortRange { protocol, first: number, last: number };
                    named.entry(range).or_default().insert(ip);
                }
            }
        }
        allowances.extend(named.into_iter().map(|(range, pods)| Allowance {
            peers: Peers::These { pods, blocks: vec![] },
            ports: Ports::These([range].into()),
        }));
        allowances
    }
}

impl Meant<'_> {
    fn written(&self) -> Peers {
        match self {
            Self::Everybody => Peers::Everybody,
            Self::These { pods, blocks } => {
                Peers::These { pods: pods.iter().filter_map(|pod| pod.ip).collect(), blocks: blocks.clone() }
            }
        }
    }
}

impl PolicyPod {
    fn numbers(&self, name: &str, protocol: Protocol) -> Vec<u16> {
        let own = self.ports.iter().filter(|port| port.name == name && port.protocol == protocol);
        own.map(|port| port.number).collect()
    }
}

fn read_block(block: &IPBlock) -> Option<Block> {
    let except = block.except.iter().flatten().filter_map(|hole| Cidr::parse_sloppy(hole)).collect();
    Some(Block { range: Cidr::parse_sloppy(&block.cidr)?, except })
}

/// The ports of a rule; `named` tells the numbers of a name.
fn ports_of(ports: &[NetworkPolicyPort], named: impl Fn(&str, Protocol) -> Vec<u16>) -> Ports {
    if ports.is_empty() {
        return Ports::Every;
    }
    let mut ranges = BTreeSet::new();
    for port in ports {
        let Some(protocol) = Protocol::of(port.protocol.as_deref()) else { continue };
        let number = |number: i32| u16::try_from(number).ok();
        match &port.port {
            None => {
                ranges.insert(PortRange { protocol, first: 0, last: u16::MAX });
            }
            Some(IntOrString::Int(first)) => {
                let last = port.end_port.unwrap_or(*first);
                if let (Some(first), Some(last)) = (number(*first), number(last)) {
                    ranges.insert(PortRange { protocol, first, last });
                }
            }
            Some(IntOrString::String(name)) => {
                let one = |number| PortRange { protocol, first: number, last: number };
                ranges.extend(named(name, protocol).into_iter().map(one));
            }
        }
    }
    Ports::These(ranges)
}

#[cfg(test)]
mod tests {
    use super::super::rules::End;
    use super::*;
    use serde_json::{Value, json};

    /// Namespaces `x` and `y`, in each the pods `a` (on n1) and `b` (on n2), labelled by what they are called. `b` serves
    /// `http` on 8080, `x/a` on 80.
    fn pods() -> Vec<PolicyPod> {
        let mut pods = vec![];
        for (third, namespace) in ["x", "y"].into_iter().enumerate() {
            for (last, name) in ["a", "b"].into_iter().enumerate() {
                let number = if name == "a" { 80 } else { 8080 };
                pods.push(PolicyPod {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    node: format!("n{}", last + 1),
                    ip: Some([10, 244, third as u8, last as u8].into()),
                    labels: [("pod".to_owned(), name.to_owned())].into(),
                    ports: vec![NamedPort { name: "http".to_owned(), protocol: Protocol::Tcp, number }],
                });
            }
        }
        pods
    }

    fn made(policies: &[Value]) -> PolicyRules {
        let policies: Vec<Arc<NetworkPolicy>> = policies
            .iter()
            .map(|spec| {
                let mut spec = spec.clone();
                if spec["policyTypes"].is_null() {
                    spec["policyTypes"] = json!(["Ingress"]);
                }
                let policy = json!({"metadata": {"name": "p", "namespace": "x"}, "spec": spec});
                Arc::new(serde_json::from_value(policy).unwrap())
            })
            .collect();
        let namespace =
            |name: &str| json!({"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}});
        let namespaces: Vec<Arc<Namespace>> =
            ["x", "y"].map(|name| Arc::new(serde_json::from_value(namespace(name)).unwrap())).into();
        plan(&policies, &pods(), &namespaces)
    }

    /// Whether `x/a y/b 80` passes under `rules`; an end may be an address, or a node as `n1`.
    fn passes(rules: &PolicyRules, connection: &str) -> bool {
        let words: Vec<&str> = connection.split(' ').collect();
        let (port, protocol) = words[2].split_once('/').unwrap_or((words[2], "TCP"));
        let pods = pods();
        let end = |word: &'static str| -> End<'static> {
            let known = pods.iter().find(|pod| format!("{}/{}", pod.namespace, pod.name) == word);
            match (known, word) {
                (Some(pod), _) => End { ip: pod.ip.unwrap(), node: None },
                (None, "n1" | "n2") => {
                    End { ip: [192, 168, 49, word.as_bytes()[1]].into(), node: Some(word) }
                }
                (None, address) => End { ip: address.parse().unwrap(), node: None },
            }
        };
        let (from, to) = (end(words[0].to_owned().leak()), end(words[1].to_owned().leak()));
        let (port, protocol) = (port.parse().unwrap(), Protocol::of(Some(protocol)).unwrap());
        rules.allows_egress(from.ip, to, port, protocol) && rules.allows_ingress(to.ip, from, port, protocol)
    }

    /// What it shows, the policies, what passes under them, what does not.
    type Case = (&'static str, Vec<Value>, &'static [&'static str], &'static [&'static str]);

    #[test]
    fn policies_mean_what_the_api_says() {
        let deny = json!({"podSelector": {}});
        let only_a = json!({"podSelector": {"matchLabels": {"pod": "a"}}});
        let ingress = |rules: Value| json!({"podSelector": {"matchLabels": {"pod": "a"}}, "ingress": rules});
        let egress = |rules: Value| json!({"podSelector": {"matchLabels": {"pod": "a"}}, "egress": rules, "policyTypes": ["Egress"]});
        let of_b = json!({"podSelector": {"matchLabels": {"pod": "b"}}});
        let in_y = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "y"}}});
        let b_in_y =
            json!({"namespaceSelector": in_y["namespaceSelector"], "podSelector": of_b["podSelector"]});
        let cases: Vec<Case> = vec![
            ("no policy", vec![], &["x/a x/b 80", "y/a x/b 80", "10.9.9.9 x/a 80"], &[]),
            (
                "default deny is about its namespace, and not about oneself or the own node",
                vec![deny.clone()],
                &["x/a x/a 80", "x/a y/a 80", "n1 x/a 80", "n2 x/b 80", "y/a y/b 80"],
                &["x/b x/a 80", "y/a x/a 80", "n2 x/a 80", "10.9.9.9 x/a 80"],
            ),
            ("others are free", vec![only_a.clone()], &["x/a x/b 80", "y/a x/b 80"], &["x/b x/a 80"]),
            (
                "a pod selector is about the policy's own namespace",
                vec![ingress(json!([{"from": [of_b]}]))],
                &["x/b x/a 80"],
                &["y/b x/a 80", "y/a x/a 80"],
            ),
            (
                "a namespace selector is about every pod there",
                vec![ingress(json!([{"from": [in_y]}]))],
                &["y/a x/a 80", "y/b x/a 80"],
                &["x/b x/a 80"],
            ),
            (
                "both must fit",
                vec![ingress(json!([{"from": [b_in_y]}]))],
                &["y/b x/a 80"],
                &["y/a x/a 80", "x/b x/a 80"],
            ),
            (
                "two peers are either",
                vec![ingress(json!([{"from": [of_b, in_y]}]))],
                &["x/b x/a 80", "y/a x/a 80"],
                &["10.9.9.9 x/a 80"],
            ),
            (
                "an empty namespace selector is every pod, and no address",
                vec![ingress(json!([{"from": [{"namespaceSelector": {}}]}]))],
                &["x/b x/a 80", "y/a x/a 80"],
                &["10.9.9.9 x/a 80"],
            ),
            (
                "an empty rule is everything",
                vec![ingress(json!([{}]))],
                &["10.9.9.9 x/a 80", "y/a x/a 9/UDP"],
                &[],
            ),
            (
                "blocks have holes",
                vec![ingress(
                    json!([{"from": [{"ipBlock": {"cidr": "10.9.0.0/16", "except": ["10.9.8.0/24"]}}]}]),
                )],
                &["10.9.9.9 x/a 80", "10.9.7.255 x/a 80"],
                &["10.9.8.1 x/a 80", "10.8.9.9 x/a 80", "x/b x/a 80"],
            ),
            (
                "ports by number, range, protocol and name",
                vec![ingress(
                    json!([{"ports": [{"port": 81}, {"port": 90, "endPort": 95}, {"port": 53, "protocol": "UDP"}, {"port": "http"}]}]),
                )],
                &["x/b x/a 81", "x/b x/a 90", "x/b x/a 95", "x/b x/a 53/UDP", "x/b x/a 80"],
                &["x/b x/a 82", "x/b x/a 89", "x/b x/a 96", "x/b x/a 53", "x/b x/a 81/UDP", "x/b x/a 8080"],
            ),
            (
                "a name that the pod does not have allows nothing",
                vec![ingress(json!([{"ports": [{"port": "https"}]}]))],
                &[],
                &["x/b x/a 80", "x/b x/a 443"],
            ),
            (
                "a port without a number is all of its protocol",
                vec![ingress(json!([{"ports": [{"protocol": "UDP"}]}]))],
                &["x/b x/a 7/UDP"],
                &["x/b x/a 7"],
            ),
            (
                "several policies are a union",
                vec![
                    deny.clone(),
                    ingress(json!([{"from": [of_b]}])),
                    ingress(json!([{"ports": [{"port": 81}]}])),
                ],
                &["x/b x/a 80", "y/a x/a 81"],
                &["y/a x/a 80", "x/a x/b 80"],
            ),
            (
                "egress is about what a pod makes",
                vec![egress(
                    json!([{"to": [of_b]}, {"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}], "ports": [{"port": 443}]}]),
                )],
                &["x/a x/b 80", "x/a 10.9.1.1 443", "x/b x/a 80", "y/a x/a 80", "x/a n1 10250"],
                &["x/a y/b 80", "x/a 10.9.1.1 80", "x/a n2 10250"],
            ),
            (
                "a name means another number at each end",
                vec![egress(json!([{"ports": [{"port": "http"}]}]))],
                &["x/a x/b 8080", "x/a y/a 80"],
                &["x/a x/b 80", "x/a y/a 8080", "x/a 10.9.9.9 80"],
            ),
            (
                "both directions at once",
                vec![
                    json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{"to": [of_b]}]}),
                ],
                &["x/a x/a 80"],
                // It may be made, but not taken.
                &["x/a x/b 80", "y/a x/a 80"],
            ),
            (
                "rules of a direction that the types leave out count for nothing",
                vec![json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}], "egress": []})],
                &["x/a y/a 80", "y/a x/a 80"],
                &[],
            ),
        ];
        for (what, policies, allowed, denied) in cases {
            let rules = made(&policies);
            for (connections, expected) in [(allowed, true), (denied, false)] {
                for connection in connections {
                    assert_eq!(passes(&rules, connection), expected, "{what}: {connection}\n{rules:#?}");
                }
            }
        }
    }

    #[test]
    fn pods_without_an_address_and_selectors_that_cannot_be_read_mean_nobody() {
        let mut pods = pods();
        pods[0].ip = None;
        let policy = json!({"metadata": {"name": "p", "namespace": "x"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchExpressions": [{"key": "k", "operator": "Near"}]}}]}]}});
        let rules = plan(&[Arc::new(serde_json::from_value(policy).unwrap())], &pods, &[]);
        assert_eq!(rules.pods.len(), 1);
        let only = rules.pods.values().next().unwrap();
        assert_eq!((only.name.as_str(), only.node.as_str(), &only.egress), ("x/b", "n2", &None));
        let nobody = Peers::These { pods: BTreeSet::new(), blocks: vec![] };
        assert_eq!(only.ingress, Some(vec![Allowance { peers: nobody, ports: Ports::Every }]));
    }
}
