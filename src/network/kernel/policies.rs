//! What pods may take and make, as parts of the table. Pure.
//!
//! Packets between pods are forwarded by this machine, and packets to it come in: there each isolated pod has a chain a
//! direction. What this machine itself sends is its nodes' own, and passes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::table::Table;
use crate::network::policy::{Allowance, Block, Peers, PodRules, PolicyRules, PortRange, Ports};
use crate::network::rules::Protocol;

/// Writes the rules. `nodes` are the nodes' addresses by name.
pub(super) fn write(table: &mut Table, rules: &PolicyRules, nodes: &BTreeMap<String, IpAddr>) {
    for name in ["ingress", "egress"] {
        table.map(name, "type ipv4_addr : verdict;");
    }
    for hook in ["forward", "input"] {
        let name = format!("policy-{hook}");
        // Behind what Services make of addresses, and behind their refusals.
        table.base_chain(&name, &format!("type filter hook {hook} priority 10; policy accept;"));
        if rules.pods.is_empty() {
            continue;
        }
        table.rule(&name, "ct state established,related accept");
        table.rule(&name, "ip saddr vmap @egress");
        if hook == "forward" {
            table.rule(&name, "ip daddr vmap @ingress");
        }
    }
    for (ip, own) in rules.pods.iter().filter(|(ip, _)| ip.is_ipv4()) {
        pod(table, *ip, own, nodes.get(&own.node));
    }
}

fn pod(table: &mut Table, ip: IpAddr, own: &PodRules, node: Option<&IpAddr>) {
    for (name, peer, allowances) in [("ingress", "saddr", &own.ingress), ("egress", "daddr", &own.egress)] {
        let Some(allowances) = allowances else { continue };
        let chain = format!("{name}/{ip}");
        // Itself and the node that it is on.
        let always: Vec<String> = std::iter::once(&ip).chain(node).map(ToString::to_string).collect();
        table.rule(&chain, format!("ip {peer} {{ {} }} return", always.join(", ")));
        for allowance in allowances {
            for rule in matches(allowance, peer) {
                table.rule(&chain, format!("{rule} return").trim_start());
            }
        }
        table.rule(&chain, "drop");
        table.element(name, ip.to_string(), format!("jump {chain}"));
    }
}

/// What packets look like that an allowance is about: one of these.
fn matches(allowance: &Allowance, peer: &str) -> Vec<String> {
    let peers = match &allowance.peers {
        Peers::Everybody => vec![String::new()],
        Peers::These { pods, blocks } => {
            let pods: Vec<String> = pods.iter().filter(|ip| ip.is_ipv4()).map(ToString::to_string).collect();
            let pods = (!pods.is_empty()).then(|| format!("ip {peer} {{ {} }}", pods.join(", ")));
            pods.into_iter().chain(blocks.iter().filter_map(|own| block(own, peer))).collect()
        }
    };
    let ports = match &allowance.ports {
        Ports::Every => vec![String::new()],
        Ports::These(ranges) => {
            [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().filter_map(|p| of(ranges, p)).collect()
        }
    };
    let both = |peer: &String| ports.iter().map(|port| format!("{peer} {port}").trim().to_owned()).collect();
    peers.iter().flat_map::<Vec<String>, _>(both).collect()
}

fn block(block: &Block, peer: &str) -> Option<String> {
    if !block.range.network().is_ipv4() {
        return None;
    }
    let holes: String = block.except.iter().map(|hole| format!(" ip {peer} != {hole}")).collect();
    Some(format!("ip {peer} {}{holes}", block.range))
}

/// The ports of one protocol. Ranges that meet become one: the kernel's tools refuse such that overlap.
fn of(ranges: &BTreeSet<PortRange>, protocol: Protocol) -> Option<String> {
    let mut merged: Vec<(u16, u16)> = vec![];
    for range in ranges.iter().filter(|range| range.protocol == protocol) {
        match merged.last_mut() {
            Some((_, last)) if range.first <= last.saturating_add(1) => *last = (*last).max(range.last),
            _ => merged.push((range.first, range.last)),
        }
    }
    let text = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    match merged[..] {
        [] => None,
        [(0, u16::MAX)] => Some(format!("meta l4proto {protocol}")),
        _ => {
            let all: Vec<String> = merged.iter().map(text).collect();
            Some(format!("{protocol} dport {{ {} }}", all.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::cidr::Cidr;

    fn written(own: PodRules) -> String {
        let mut table = Table::default();
        let rules = PolicyRules { pods: [([10, 244, 0, 2].into(), own)].into() };
        write(&mut table, &rules, &[("n".to_owned(), [192, 168, 49, 2].into())].into());
        table.whole()
    }

    fn range(protocol: Protocol, first: u16, last: u16) -> PortRange {
        PortRange { protocol, first, last }
    }

    #[test]
    fn each_isolated_pod_has_a_chain_a_direction() {
        let of = |text: &str| Cidr::parse_sloppy(text).unwrap();
        let block = Block { range: of("10.0.0.0/8"), except: vec![of("10.1.0.0/16"), of("10.1.0.0/24")] };
        let peers = Peers::These {
            pods: [[10, 244, 0, 3].into(), [10, 244, 0, 4].into()].into(),
            blocks: vec![block],
        };
        let ports = Ports::These(
            [
                range(Protocol::Tcp, 80, 90),
                range(Protocol::Tcp, 85, 95),
                range(Protocol::Tcp, 99, 99),
                range(Protocol::Udp, 0, u16::MAX),
            ]
            .into(),
        );
        let text = written(PodRules {
            node: "n".to_owned(),
            ingress: Some(vec![Allowance { peers, ports }]),
            egress: None,
            ..PodRules::default()
        });
        for line in [
            "add rule ip k8s-learn ingress/10.244.0.2 ip saddr { 10.244.0.2, 192.168.49.2 } return\n\
             add rule ip k8s-learn ingress/10.244.0.2 ip saddr { 10.244.0.3, 10.244.0.4 } tcp dport { 80-95, 99 } return\n\
             add rule ip k8s-learn ingress/10.244.0.2 ip saddr { 10.244.0.3, 10.244.0.4 } meta l4proto udp return\n\
             add rule ip k8s-learn ingress/10.244.0.2 ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16 ip saddr != 10.1.0.0/24 tcp dport { 80-95, 99 } return\n",
            "ingress/10.244.0.2 drop",
            "element ip k8s-learn ingress { 10.244.0.2 : jump ingress/10.244.0.2 }",
            "policy-forward ct state established,related accept",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
        assert!(!text.contains("egress/"), "{text}");
    }

    #[test]
    fn everything_and_nothing() {
        let everything = Allowance { peers: Peers::Everybody, ports: Ports::Every };
        let nobody = Peers::These { pods: BTreeSet::new(), blocks: vec![] };
        let text = written(PodRules {
            ingress: Some(vec![everything]),
            egress: Some(vec![
                Allowance { peers: nobody, ports: Ports::Every },
                Allowance { peers: Peers::Everybody, ports: Ports::These(BTreeSet::new()) },
            ]),
            ..PodRules::default()
        });
        assert!(text.contains("add rule ip k8s-learn ingress/10.244.0.2 return\n"), "{text}");
        assert_eq!(
            text.matches("rule ip k8s-learn egress/10.244.0.2 ").count(),
            2,
            "itself, and no more: {text}"
        );
        let mut none = Table::default();
        write(&mut none, &PolicyRules::default(), &BTreeMap::new());
        assert!(!none.whole().contains("add rule"), "without policies packets pass no rule");
    }
}
