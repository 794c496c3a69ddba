//! kube-proxy's rules in the kernel: one nftables table of our own, replaced as a whole with each change.
//!
//! The rules are the fabric's, which kube-proxy keeps; ports of the node that pods ask for come beside them. [`text`] is
//! the pure part.
// Models pkg/proxy/nftables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::AbortOnDropHandle;

use super::command::run;
use super::{NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK};
use crate::clock::Clock;
use crate::network::fabric::Fabric;
use crate::network::rules::{ServicePort, ServiceRules};
use crate::watch;

/// The table.
const TABLE: &str = "k8s-learn";

/// A port of the node that leads to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostPort {
    port: u16,
    protocol: String,
    target: SocketAddr,
}

/// The ports of the node that pods ask for, by sandbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostPorts {
    ports: Arc<Mutex<BTreeMap<String, Vec<HostPort>>>>,
    changes: Arc<watch::Sender<u64>>,
}

impl Default for HostPorts {
    fn default() -> Self {
        Self { ports: Arc::default(), changes: Arc::new(watch::Sender::new(0)) }
    }
}

impl HostPorts {
    /// A sandbox has these ports: the node's, its own, the protocol.
    pub fn set(&self, sandbox: &str, ip: IpAddr, ports: &[(u16, u16, String)]) {
        if ports.is_empty() {
            return;
        }
        let ports = ports.iter().map(|(port, inside, protocol)| HostPort {
            port: *port,
            protocol: protocol.to_ascii_lowercase(),
            target: SocketAddr::new(ip, *inside),
        });
        self.lock().insert(sandbox.to_owned(), ports.collect());
        self.changes.send_modify(|count| *count += 1);
    }

    /// A sandbox has no ports any more.
    pub fn clear(&self, sandbox: &str) {
        if self.lock().remove(sandbox).is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<HostPort>>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Vec<HostPort> {
        self.lock().values().flatten().cloned().collect()
    }
}

/// Keeps the kernel's rules as the fabric's are. Dropping it leaves the last rules in force.
#[derive(Debug)]
pub struct PacketRules {
    _task: AbortOnDropHandle<()>,
}

impl PacketRules {
    /// Sets the rules of `node`, and sets them again with each change. The error is the tool's.
    pub async fn start(
        clock: &Clock,
        fabric: &Fabric,
        node: &str,
        ports: &HostPorts,
    ) -> Result<Self, String> {
        let (mut rules, mut more) = (fabric.rule_changes(), ports.changes.subscribe());
        rules.borrow_and_update();
        let mut now = text(&fabric.rules(node), &ports.list());
        run(clock, &["nft", "-f", "-"], &now).await?;
        let (clock, fabric, node, ports) = (clock.clone(), fabric.clone(), node.to_owned(), ports.clone());
        let task = tokio::spawn(async move {
            loop {
                let open = tokio::select! { biased;
                    changed = rules.changed() => changed.is_ok(),
                    changed = more.changed() => changed.is_ok(),
                };
                if !open {
                    return;
                }
                let wanted = text(&fabric.rules(&node), &ports.list());
                if wanted != now {
                    match run(&clock, &["nft", "-f", "-"], &wanted).await {
                        Ok(_) => now = wanted,
                        Err(why) => tracing::error!(%why, "the packet rules cannot be set"),
                    }
                }
            }
        });
        Ok(Self { _task: AbortOnDropHandle::new(task) })
    }

    /// Takes the table away, if it is there.
    pub async fn remove(clock: &Clock) -> Result<(), String> {
        let gone = format!("add table ip {TABLE}\ndelete table ip {TABLE}\n");
        run(clock, &["nft", "-f", "-"], &gone).await.map(drop)
    }
}

/// The whole table as nft reads it: in place of the one there is.
fn text(rules: &ServiceRules, ports: &[HostPort]) -> String {
    let mut table = Table::default();
    for (address, port) in rules.virtual_addresses.iter().filter(|(address, _)| address.is_ipv4()) {
        table.service(&format!("ip daddr {} tcp dport {}", address.ip(), address.port()), port);
    }
    for (number, port) in &rules.node_ports {
        // Connections to the loopback keep its address, with which nobody answers: a socket serves those.
        table.service(&format!("ip daddr != 127.0.0.0/8 fib daddr type local tcp dport {number}"), port);
    }
    for port in ports.iter().filter(|port| matches!(port.protocol.as_str(), "tcp" | "udp")) {
        let matches = format!("fib daddr type local {} dport {}", port.protocol, port.port);
        let _ = writeln!(table.services, "    {matches} ip daddr != 127.0.0.0/8 dnat to {}", port.target);
        table.targets.insert(port.target.ip());
    }
    table.finish()
}

#[derive(Default)]
struct Table {
    services: String,
    refused: String,
    backends: String,
    targets: BTreeSet<IpAddr>,
    count: usize,
}

impl Table {
    fn service(&mut self, matches: &str, port: &ServicePort) {
        let backends: Vec<SocketAddr> =
            port.backends.iter().map(|backend| backend.address).filter(SocketAddr::is_ipv4).collect();
        // Writing to a string does not fail.
        if backends.is_empty() {
            let _ = writeln!(self.refused, "    {matches} reject with tcp reset");
            return;
        }
        let chain = format!("backends-{}", self.count);
        self.count += 1;
        let _ = writeln!(self.services, "    {matches} goto {chain}");
        let target = match &backends[..] {
            [one] => one.to_string(),
            many => {
                let choice = if port.session_affinity { "jhash ip saddr" } else { "numgen random" };
                let listed = many
                    .iter()
                    .enumerate()
                    .map(|(index, backend)| format!("{index} : {} . {}", backend.ip(), backend.port()));
                let listed = listed.collect::<Vec<_>>().join(", ");
                format!("{choice} mod {} map {{ {listed} }}", many.len())
            }
        };
        let _ = writeln!(self.backends, "  chain {chain} {{\n    meta l4proto tcp dnat to {target}\n  }}");
        self.targets.extend(backends.iter().map(SocketAddr::ip));
    }

    fn finish(self) -> String {
        let pairs: Vec<String> = self.targets.iter().map(|ip| format!("{ip} . {ip}")).collect();
        let hairpins = match pairs.is_empty() {
            true => String::new(),
            false => format!("    elements = {{ {} }}\n", pairs.join(", ")),
        };
        let nat = |name: &str, hook: &str, priority: &str| {
            format!(
                "  chain {name} {{\n    type nat hook {hook} priority {priority}; policy accept;\n    jump services\n  }}\n"
            )
        };
        let filter = |name: &str, hook: &str| {
            format!(
                "  chain {name} {{\n    type filter hook {hook} priority 0; policy accept;\n    jump refused\n  }}\n"
            )
        };
        let inside = format!("{{ {POD_NETWORK}, {SERVICE_NETWORK}, {NODE_NETWORK} }}");
        [
            format!("add table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n"),
            format!("  set hairpins {{\n    type ipv4_addr . ipv4_addr\n{hairpins}  }}\n"),
            self.backends,
            format!("  chain services {{\n{}  }}\n", self.services),
            format!("  chain refused {{\n{}  }}\n", self.refused),
            nat("from-outside", "prerouting", "-100"),
            nat("from-here", "output", "-100"),
            // A pod that reaches itself through a Service must see an answer from where it asked.
            format!(
                "  chain leaving {{\n    type nat hook postrouting priority 100; policy accept;\n    ip saddr . ip daddr @hairpins masquerade\n    ip saddr {POD_NETWORK} ip daddr != {inside} masquerade\n  }}\n"
            ),
            filter("refuse-forwarded", "forward"),
            filter("refuse-incoming", "input"),
            filter("refuse-outgoing", "output"),
            "}\n".to_owned(),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::rules::Backend;

    fn port(backends: &[&str], session_affinity: bool) -> ServicePort {
        let backends = backends
            .iter()
            .map(|address| Backend { address: address.parse().unwrap(), node: None })
            .collect();
        ServicePort { backends, session_affinity, ..ServicePort::default() }
    }

    #[test]
    fn services_become_chains_and_those_without_endpoints_refuse() {
        let rules = ServiceRules {
            virtual_addresses: BTreeMap::from([
                ("10.96.0.1:443".parse().unwrap(), port(&["192.168.49.2:8443"], false)),
                ("10.96.0.5:80".parse().unwrap(), port(&["10.244.0.2:8080", "10.244.0.3:8080"], false)),
                ("10.96.0.6:80".parse().unwrap(), port(&["10.244.0.2:8080", "10.244.0.3:8080"], true)),
                ("10.96.0.7:80".parse().unwrap(), port(&[], false)),
            ]),
            node_ports: BTreeMap::from([(30080, port(&["10.244.0.2:8080"], false))]),
        };
        let ports = HostPorts::default();
        ports.set("s", [10, 244, 0, 9].into(), &[(8080, 80, "TCP".to_owned())]);
        let text = text(&rules, &ports.list());
        for line in [
            "ip daddr 10.96.0.1 tcp dport 443 goto backends-0",
            "meta l4proto tcp dnat to 192.168.49.2:8443",
            "dnat to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.3 . 8080 }",
            "dnat to jhash ip saddr mod 2 map",
            "ip daddr 10.96.0.7 tcp dport 80 reject with tcp reset",
            "ip daddr != 127.0.0.0/8 fib daddr type local tcp dport 30080 goto backends-3",
            "fib daddr type local tcp dport 8080 ip daddr != 127.0.0.0/8 dnat to 10.244.0.9:80",
            "10.244.0.9 . 10.244.0.9",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
        ports.clear("s");
        assert!(ports.list().is_empty());
        assert!(!super::text(&ServiceRules::default(), &[]).contains("elements"));
    }
}
