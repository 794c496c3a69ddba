//! kube-proxy's rules of every node as parts of the table. Pure.
//!
//! All nodes are one machine, so the packets of each are told apart: those of a pod by the pod's address, those that come from
//! elsewhere by the node's address that they are for. A node's own maps say what its kube-proxy has last made of Services.
// Models pkg/proxy/nftables (syncProxyRules).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::table::Table;
use super::{NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK};
use crate::network::places::PodPlace;
use crate::network::rules::{ExternalPort, Otherwise, Protocol, ServicePort, ServiceRules};

/// The mark of packets that get the node's address for their client's, as kube-proxy has it.
const MASQUERADE_MARK: &str = "0x4000";
/// An address, a protocol and a port, and what becomes of packets for them.
const SERVICES: &str = "type ipv4_addr . inet_proto . inet_service : verdict;";
/// The same for any address of a node.
const PORTS: &str = "type inet_proto . inet_service : verdict;";
const BY_ADDRESS: &str = "type ipv4_addr : verdict;";

/// A node with what is known of it.
pub(super) struct NodeRules {
    pub(super) name: String,
    pub(super) ip: IpAddr,
    pub(super) rules: Arc<ServiceRules>,
}

/// Writes the rules of all nodes, of which the first has the packets that come from this machine, and the pods' own ports on
/// their nodes.
pub(super) fn write(table: &mut Table, nodes: &[NodeRules], places: &[PodPlace]) {
    let Some(first) = nodes.first() else { return };
    base(table, &first.name);
    for node in nodes {
        let mut writer = Writer { table, node: &node.name, written: vec![] };
        writer.frame(node.ip, &first.name);
        for place in places.iter().filter(|place| place.node == node.name && place.ip.is_ipv4()) {
            writer.place(place);
        }
        writer.rules(&node.rules);
    }
}

/// What packets come to by themselves.
fn base(table: &mut Table, first: &str) {
    for hook in ["prerouting", "output"] {
        let name = format!("nat-{hook}");
        table.base_chain(&name, &format!("type nat hook {hook} priority -100; policy accept;"));
        table.rule(&name, "ip saddr vmap @pods-nat");
        table.rule(&name, format!("goto {first}/nat"));
    }
    for hook in ["forward", "input", "output"] {
        let name = format!("filter-{hook}");
        table.base_chain(&name, &format!("type filter hook {hook} priority 0; policy accept;"));
        table.rule(&name, "ct state established,related accept");
        table.rule(&name, "ip saddr vmap @pods-filter");
        table.rule(&name, format!("goto {first}/filter"));
    }
    for name in ["pods-nat", "pods-filter", "nodes-nat", "nodes-filter"] {
        table.map(name, BY_ADDRESS);
    }
    table.rule("refuse", "meta l4proto tcp reject with tcp reset");
    table.rule("refuse", "reject");
    table.set("hairpins", "type ipv4_addr . ipv4_addr;");
    let leaving = "nat-postrouting";
    table.base_chain(leaving, "type nat hook postrouting priority 100; policy accept;");
    // A pod that reaches itself through a Service must see an answer from where it asked.
    table.rule(leaving, "ip saddr . ip daddr @hairpins masquerade");
    table.rule(leaving, format!("meta mark and {MASQUERADE_MARK} == {MASQUERADE_MARK} masquerade"));
    let inside = format!("{{ {POD_NETWORK}, {SERVICE_NETWORK}, {NODE_NETWORK} }}");
    table.rule(leaving, format!("ip saddr {POD_NETWORK} ip daddr != {inside} masquerade"));
}

/// Writes the rules of one node.
struct Writer<'a> {
    table: &'a mut Table,
    node: &'a str,
    /// The ports that have chains already.
    written: Vec<(ServicePort, Protocol, String)>,
}

impl Writer<'_> {
    fn own(&self, name: &str) -> String {
        format!("{}/{name}", self.node)
    }

    /// The node's maps and the chains that ask them.
    fn frame(&mut self, ip: IpAddr, first: &str) {
        let key = "meta l4proto . th dport";
        for (kind, services, ports) in
            [("nat", "services", "node-ports"), ("filter", "no-services", "no-node-ports")]
        {
            let (chain, last) = (self.own(kind), self.own(&format!("{kind}-ports")));
            let (services, ports) = (self.own(services), self.own(ports));
            self.table.map(&services, SERVICES);
            self.table.map(&ports, PORTS);
            self.table.rule(&chain, format!("ip daddr . {key} vmap @{services}"));
            self.table.rule(&chain, format!("ip daddr vmap @nodes-{kind}"));
            // Connections to the loopback keep its address, with which nobody answers: a socket serves those.
            let local = "ip daddr != 127.0.0.0/8 fib daddr type local";
            self.table.rule(&chain, format!("{local} goto {first}/{kind}-ports"));
            self.table.chain(&last);
            if ip.is_ipv4() {
                self.table.element(&format!("nodes-{kind}"), ip.to_string(), format!("goto {last}"));
            }
        }
        self.table.set(&self.own("pods"), "type ipv4_addr;");
    }

    /// A pod of the node.
    fn place(&mut self, place: &PodPlace) {
        let ip = place.ip.to_string();
        for kind in ["nat", "filter"] {
            let verdict = format!("goto {}", self.own(kind));
            self.table.element(&format!("pods-{kind}"), ip.clone(), verdict);
        }
        self.table.member(&self.own("pods"), ip);
        let chain = self.own("nat-ports");
        for port in place.host_ports.iter().filter(|port| port.ip.is_none_or(|ip| ip.is_ipv4())) {
            let target = SocketAddr::new(place.ip, port.inside);
            let at = port.ip.map(|ip| format!("ip daddr {ip} ")).unwrap_or_default();
            self.table.rule(&chain, format!("{at}{} dport {} dnat to {target}", port.protocol, port.port));
            self.hairpin(place.ip);
        }
    }

    fn rules(&mut self, rules: &ServiceRules) {
        // Behind the pods' own ports, which go before.
        let ports = self.own("node-ports");
        self.table.rule(&self.own("nat-ports"), format!("meta l4proto . th dport vmap @{ports}"));
        let ports = self.own("no-node-ports");
        self.table.rule(&self.own("filter-ports"), format!("meta l4proto . th dport vmap @{ports}"));
        for ((address, protocol), port) in rules.virtual_addresses.iter().filter(|((a, _), _)| a.is_ipv4()) {
            let key = format!("{} . {protocol} . {}", address.ip(), address.port());
            self.verdict(["services", "no-services"], &key, port, |writer| writer.port(port, *protocol));
        }
        for ((address, protocol), port) in rules.external_addresses.iter().filter(|((a, _), _)| a.is_ipv4()) {
            let key = format!("{} . {protocol} . {}", address.ip(), address.port());
            self.external(["services", "no-services"], &key, port, *protocol);
        }
        for ((number, protocol), port) in &rules.node_ports {
            self.external(
                ["node-ports", "no-node-ports"],
                &format!("{protocol} . {number}"),
                port,
                *protocol,
            );
        }
    }

    /// What becomes of packets for `key`: a chain of backends, or what the port says if there are none.
    fn verdict(
        &mut self,
        [some, none]: [&str; 2],
        key: &str,
        port: &ServicePort,
        chain: impl FnOnce(&mut Self) -> String,
    ) {
        let (map, verdict) = match (port.backends.is_empty(), port.otherwise) {
            (false, _) => (some, format!("goto {}", chain(self))),
            (true, Otherwise::Refused) => (none, "goto refuse".to_owned()),
            (true, Otherwise::Dropped) => (none, "drop".to_owned()),
        };
        self.table.element(&self.own(map), key, verdict);
    }

    fn external(&mut self, maps: [&str; 2], key: &str, external: &ExternalPort, protocol: Protocol) {
        let port = &external.port;
        let chain = format!("{}/external", self.base_name(port, protocol));
        let new = !self.table.has_chain(&chain);
        match &external.short_cut {
            None => self.verdict(maps, key, port, |writer| {
                let backends = writer.port(port, protocol);
                if new {
                    writer.table.rule(&chain, format!("meta mark set mark or {MASQUERADE_MARK}"));
                    writer.table.rule(&chain, format!("goto {backends}"));
                }
                chain
            }),
            Some(all) => {
                if !all.backends.is_empty() {
                    let everywhere = self.port(all, protocol);
                    if new {
                        let pods = self.own("pods");
                        self.table.rule(&chain, format!("ip saddr @{pods} goto {everywhere}"));
                    }
                    if !port.backends.is_empty() {
                        let here = self.port(port, protocol);
                        if new {
                            self.table.rule(&chain, format!("goto {here}"));
                        }
                    }
                    self.table.element(&self.own(maps[0]), key, format!("goto {chain}"));
                }
                if port.backends.is_empty() {
                    // Who was not led to a backend by now.
                    self.verdict(maps, key, port, |_| String::new());
                }
            }
        }
    }

    fn base_name(&self, port: &ServicePort, protocol: Protocol) -> String {
        self.own(&format!("{}/{protocol}", port.name.replace(':', "/")))
    }

    /// The chain that leads to a port's backends: all of them, or the node's own for a `Local` policy.
    fn port(&mut self, port: &ServicePort, protocol: Protocol) -> String {
        let known = self.written.iter().find(|(own, of, _)| own == port && *of == protocol);
        if let Some((_, _, chain)) = known {
            return chain.clone();
        }
        let base = self.base_name(port, protocol);
        let policy = if port.otherwise == Otherwise::Dropped { "local" } else { "cluster" };
        let chain = format!("{base}/{policy}");
        self.written.push((port.clone(), protocol, chain.clone()));
        let backends: Vec<SocketAddr> =
            port.backends.iter().map(|backend| backend.address).filter(SocketAddr::is_ipv4).collect();
        backends.iter().for_each(|backend| self.hairpin(backend.ip()));
        self.table.chain(&chain);
        match port.affinity {
            Some(timeout) => self.sticky(&chain, &base, protocol, &backends, timeout.as_secs()),
            None => self.table.rule(&chain, format!("meta l4proto {protocol} dnat to {}", chosen(&backends))),
        }
        chain
    }

    /// A client that came lately goes where it went, and each new connection begins its time anew.
    fn sticky(&mut self, chain: &str, base: &str, protocol: Protocol, backends: &[SocketAddr], seconds: u64) {
        let mut verdicts = vec![];
        for (index, backend) in backends.iter().enumerate() {
            let name = format!("{base}/{}/{}", backend.ip(), backend.port());
            let clients = format!("{name}/{seconds}s");
            let declaration = format!("type ipv4_addr; flags dynamic,timeout; timeout {seconds}s;");
            self.table.set(&clients, &declaration);
            self.table.rule(chain, format!("ip saddr @{clients} goto {name}"));
            verdicts.push(format!("{index} : goto {name}"));
            if !self.table.has_chain(&name) {
                self.table.rule(&name, format!("update @{clients} {{ ip saddr }}"));
                self.table.rule(&name, format!("meta l4proto {protocol} dnat to {backend}"));
            }
        }
        if !verdicts.is_empty() {
            let choice = format!("numgen random mod {} vmap {{ {} }}", backends.len(), verdicts.join(", "));
            self.table.rule(chain, choice);
        }
    }

    fn hairpin(&mut self, ip: IpAddr) {
        self.table.member("hairpins", format!("{ip} . {ip}"));
    }
}

/// One backend, or any of several.
fn chosen(backends: &[SocketAddr]) -> String {
    match backends {
        [one] => one.to_string(),
        many => {
            let listed = many.iter().enumerate();
            let listed: Vec<String> =
                listed.map(|(index, at)| format!("{index} : {} . {}", at.ip(), at.port())).collect();
            format!("numgen random mod {} map {{ {} }}", many.len(), listed.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::places::HostPort;
    use crate::network::rules::Backend;
    use std::time::Duration;

    fn port(name: &str, backends: &[&str]) -> ServicePort {
        let backend = |address: &&str| Backend { address: address.parse().unwrap(), node: None };
        let backends = backends.iter().map(backend).collect();
        ServicePort { name: format!("default/{name}:"), backends, ..ServicePort::default() }
    }

    fn written(rules: ServiceRules) -> String {
        let node = |name: &str, last: u8, rules: &Arc<ServiceRules>| NodeRules {
            name: name.to_owned(),
            ip: [192, 168, 49, last].into(),
            rules: rules.clone(),
        };
        let nodes = [node("one", 2, &Arc::new(rules)), node("two", 3, &Arc::default())];
        let port = |port, ip| HostPort { port, inside: 80, protocol: Protocol::Tcp, ip };
        let place = PodPlace {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            node: "two".to_owned(),
            ip: [10, 244, 0, 9].into(),
            host_ports: vec![port(8080, None), port(8081, Some([192, 168, 49, 3].into()))],
        };
        let mut table = Table::default();
        write(&mut table, &nodes, &[place]);
        table.whole()
    }

    #[test]
    fn services_become_chains_and_those_without_endpoints_refuse() {
        let at = |text: &str, protocol| (text.parse().unwrap(), protocol);
        let (one, two) = (["10.244.0.2:8080"], ["10.244.0.2:8080", "10.244.0.3:8080"]);
        let sticky = ServicePort { affinity: Some(Duration::from_secs(10)), ..port("sticky", &two) };
        let nobody = ServicePort { otherwise: Otherwise::Dropped, ..port("far", &[]) };
        let text = written(ServiceRules {
            virtual_addresses: [
                (at("10.96.0.1:443", Protocol::Tcp), port("api", &["192.168.49.2:8443"])),
                (at("10.96.0.5:53", Protocol::Udp), port("dns", &two)),
                (at("10.96.0.6:80", Protocol::Tcp), sticky),
                (at("10.96.0.7:80", Protocol::Tcp), port("none", &[])),
            ]
            .into(),
            external_addresses: [].into(),
            node_ports: [
                ((30080, Protocol::Tcp), ExternalPort { port: port("web", &one), short_cut: None }),
                ((30081, Protocol::Tcp), ExternalPort { port: nobody, short_cut: Some(port("far", &two)) }),
            ]
            .into(),
        });
        for line in [
            "10.96.0.1 . tcp . 443 : goto one/default/api//tcp/cluster",
            "one/default/api//tcp/cluster meta l4proto tcp dnat to 192.168.49.2:8443",
            "10.96.0.5 . udp . 53 : goto one/default/dns//udp/cluster",
            "meta l4proto udp dnat to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.3 . 8080 }",
            "set ip k8s-learn one/default/sticky//tcp/10.244.0.3/8080/10s { type ipv4_addr; flags dynamic,timeout; timeout 10s; }",
            "one/default/sticky//tcp/cluster ip saddr @one/default/sticky//tcp/10.244.0.3/8080/10s goto one/default/sticky//tcp/10.244.0.3/8080",
            "one/default/sticky//tcp/10.244.0.2/8080 update @one/default/sticky//tcp/10.244.0.2/8080/10s { ip saddr }",
            "element ip k8s-learn one/no-services { 10.96.0.7 . tcp . 80 : goto refuse }",
            "one/default/web//tcp/external meta mark set mark or 0x4000",
            "element ip k8s-learn one/node-ports { tcp . 30080 : goto one/default/web//tcp/external, tcp . 30081 : goto one/default/far//tcp/external }",
            "one/default/far//tcp/external ip saddr @one/pods goto one/default/far//tcp/cluster",
            "element ip k8s-learn one/no-node-ports { tcp . 30081 : drop }",
            "two/nat-ports tcp dport 8080 dnat to 10.244.0.9:80",
            "two/nat-ports ip daddr 192.168.49.3 tcp dport 8081 dnat to 10.244.0.9:80",
            "element ip k8s-learn pods-nat { 10.244.0.9 : goto two/nat }",
            "element ip k8s-learn nodes-nat { 192.168.49.2 : goto one/nat-ports, 192.168.49.3 : goto two/nat-ports }",
            "10.244.0.9 . 10.244.0.9",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
        assert!(!text.contains("two/default"), "a node whose kube-proxy has done nothing has no Services");
    }

    #[test]
    fn the_same_choice_of_backends_is_written_once() {
        let both = port("web", &["10.244.0.2:80", "10.244.0.3:80"]);
        let here = ServicePort { otherwise: Otherwise::Dropped, ..port("web", &["10.244.0.2:80"]) };
        let text = written(ServiceRules {
            virtual_addresses: [(("10.96.0.5:80".parse().unwrap(), Protocol::Tcp), both.clone())].into(),
            external_addresses: [].into(),
            node_ports: [((30080, Protocol::Tcp), ExternalPort { port: here, short_cut: Some(both) })].into(),
        });
        assert_eq!(text.matches("dnat to numgen").count(), 1, "{text}");
        assert!(text.contains("one/default/web//tcp/external goto one/default/web//tcp/local"), "{text}");
        assert!(text.contains("one/default/web//tcp/local meta l4proto tcp dnat to 10.244.0.2:80"), "{text}");
    }
}
