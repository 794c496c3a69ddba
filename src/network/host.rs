//! A place in the network of the simulation: what it dials, where that ends up, and what it listens on.
//!
//! What a host dials goes through its node's Service rules first and then past the policies of both ends, as packets do on a
//! real node. Bytes are carried by pipes in memory.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::dns::CLUSTER_DNS;
use super::fabric::Fabric;
use super::namespace::{FIRST_EPHEMERAL_PORT, HostKind, Namespace};
use super::policy::End;
use super::rules::{ExternalPort, Otherwise, Protocol, ServicePort};
use crate::net::{BoxIo, Dial, Listen, Listener};

/// How many bytes a connection holds that nobody has read yet.
const BUFFER_BYTES: usize = 64 * 1024;
/// When Linux sends the first packet of a connection again that nobody answers, and when it gives up: seconds after the
/// one before.
const SYN_RETRIES: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
/// How long the C library waits for a name server, and how often it asks.
const DNS_TIMEOUT: Duration = Duration::from_secs(5);
const DNS_ATTEMPTS: usize = 2;
/// Where name servers listen.
const DNS_PORT: u16 = 53;

/// A place in the network. Cheap to clone; when the last clone goes, the host leaves and its connections break.
#[derive(Clone, Debug)]
pub struct NetHost {
    namespace: Arc<Namespace>,
    fabric: Fabric,
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To this address; the other end sees it come from `source`.
    To {
        target: SocketAddr,
        source: IpAddr,
    },
    Refused,
    /// Nowhere, and nobody says so.
    Dropped,
}

impl NetHost {
    pub(super) fn new(namespace: Arc<Namespace>, fabric: Fabric) -> Self {
        Self { namespace, fabric }
    }

    /// The host's address.
    pub fn ip(&self) -> IpAddr {
        self.namespace.ip
    }

    /// The node that the host is on, or is.
    pub fn node(&self) -> &str {
        &self.namespace.node
    }

    /// The network.
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// The addresses and ports that something listens on.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.namespace.listening()
    }

    pub(super) fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Asks the cluster's DNS for a full name. It times out if policies keep this host from the name server.
    pub async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let server = SocketAddr::new(IpAddr::V4(CLUSTER_DNS), DNS_PORT);
        for _ in 0..DNS_ATTEMPTS {
            if self.may_send(server, Protocol::Udp) {
                return Ok(self.fabric.resolve(name).await);
            }
            self.fabric.clock().sleep(DNS_TIMEOUT).await;
        }
        Err(timed_out())
    }

    /// Where what is sent to `address` goes by the rules of the nodes.
    pub(super) fn route(&self, address: SocketAddr, protocol: Protocol) -> Route {
        let rules = self.fabric.rules(self.node());
        let key = (address, protocol);
        if let Some(port) = rules.virtual_addresses.get(&key) {
            return self.behind(self.node(), port, self.ip());
        }
        if let Some(external) = rules.external_addresses.get(&key) {
            let ip = self.fabric.node_ip(self.node()).unwrap_or(self.ip());
            return self.enter(self.node(), ip, external);
        }
        let host = self.destination(address.ip()).filter(|host| host.kind != HostKind::Pod);
        let Some(host) = host else { return Route::To { target: address, source: self.ip() } };
        if let Some(target) = self.fabric.places().behind(&host.node, address, protocol) {
            return Route::To { target, source: self.ip() };
        }
        match self.fabric.rules(&host.node).node_ports.get(&(address.port(), protocol)) {
            Some(external) => self.enter(&host.node, host.ip, external),
            None => Route::To { target: address, source: self.ip() },
        }
    }

    /// Into the cluster by a node, which has the address `ip`.
    fn enter(&self, node: &str, ip: IpAddr, external: &ExternalPort) -> Route {
        match &external.short_cut {
            // The backend may be on another node, which must not answer the client itself.
            None => self.behind(node, &external.port, ip),
            Some(all) if self.namespace.kind != HostKind::Machine && self.node() == node => {
                self.behind(node, all, self.ip())
            }
            Some(_) => self.behind(node, &external.port, self.ip()),
        }
    }

    fn behind(&self, node: &str, port: &ServicePort, source: IpAddr) -> Route {
        match (self.fabric.choose(node, port, self.ip()), port.otherwise) {
            (Some(target), _) => Route::To { target, source },
            (None, Otherwise::Refused) => Route::Refused,
            (None, Otherwise::Dropped) => Route::Dropped,
        }
    }

    /// Who has an address, as seen from here.
    pub(super) fn destination(&self, ip: IpAddr) -> Option<Arc<Namespace>> {
        if ip.is_loopback() || ip == self.ip() { Some(self.namespace.clone()) } else { self.fabric.host(ip) }
    }

    /// Whether policies let this host send to `target`.
    pub(super) fn may_send(&self, target: SocketAddr, protocol: Protocol) -> bool {
        let policies = self.fabric.policies();
        let node = self.destination(target.ip()).filter(|host| host.kind == HostKind::Node);
        let to = End { ip: target.ip(), node: node.as_ref().map(|host| host.node.as_str()) };
        target.ip().is_loopback() || policies.allows_egress(self.ip(), to, target.port(), protocol)
    }

    /// Whether policies let `target` take what comes from `source`.
    pub(super) fn may_take(&self, source: IpAddr, target: SocketAddr, protocol: Protocol) -> bool {
        let policies = self.fabric.policies();
        let node = self.destination(source).filter(|host| host.kind == HostKind::Node);
        let from = End { ip: source, node: node.as_ref().map(|host| host.node.as_str()) };
        target.ip().is_loopback() || policies.allows_ingress(target.ip(), from, target.port(), protocol)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<BoxIo> {
        if let Some(outside) = self.fabric.only_outside() {
            return outside.dial(address).await;
        }
        let mut retries = SYN_RETRIES.into_iter();
        let mut route = self.route(address, Protocol::Tcp);
        loop {
            match route {
                Route::Refused => return Err(refused()),
                Route::To { target, source } => {
                    let passes =
                        self.may_send(target, Protocol::Tcp) && self.may_take(source, target, Protocol::Tcp);
                    if passes {
                        return self.open(target, source).await;
                    }
                }
                Route::Dropped => {}
            }
            // Nobody answers, so the first packet is sent again and again. What passes by then is let through.
            let Some(seconds) = retries.next() else { return Err(timed_out()) };
            self.fabric.clock().sleep(Duration::from_secs(seconds)).await;
            if route == Route::Dropped {
                route = self.route(address, Protocol::Tcp);
            }
        }
    }

    async fn open(&self, target: SocketAddr, source: IpAddr) -> io::Result<BoxIo> {
        let Some(host) = self.destination(target.ip()) else {
            return match self.fabric.outside() {
                Some(outside) => outside.dial(target).await,
                None => Err(io::Error::new(io::ErrorKind::HostUnreachable, "no route to host")),
            };
        };
        let Some(listener) = host.listener(target) else {
            // A node's address may be this machine's, too: pods that use its ports are outside.
            let is_pod = host.kind == HostKind::Pod;
            let outside = self.fabric.outside().filter(|_| !is_pod && !target.ip().is_loopback());
            return match outside {
                Some(outside) => outside.dial(target).await,
                None => Err(refused()),
            };
        };
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        // Over the loopback a connection comes from the loopback.
        let from = if target.ip().is_loopback() { target.ip() } else { source };
        let port = FIRST_EPHEMERAL_PORT + self.fabric.seed().below(28_000) as u16;
        listener.try_send((Box::new(far), SocketAddr::new(from, port))).map_err(|_| refused())?;
        Ok(Box::new(near))
    }
}

/// Nobody takes it.
pub(super) fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
}

impl Dial for NetHost {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxIo>> {
        Box::pin(self.connect(address))
    }
}

impl Listen for NetHost {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            match self.fabric.only_outside() {
                Some(outside) => outside.listen(address).await,
                None => self.namespace.bind(address),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::network::places::{HostPort, PodPlace};
    use crate::network::policy::{Allowance, Peers, PodRules, PolicyRules, Ports};
    use crate::network::rules::{Backend, ServiceRules};
    use crate::seed::Seed;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn network() -> Fabric {
        Fabric::new(Seed::new(1), Clock::virtual_time())
    }

    fn port(backends: &[&str]) -> ServicePort {
        let backends = backends.iter().map(|text| Backend { address: address(text), node: None });
        ServicePort {
            name: "default/web:".to_owned(),
            backends: backends.collect(),
            ..ServicePort::default()
        }
    }

    /// Where a connection comes from, at its other end.
    async fn seen(host: &NetHost, to: &str, listener: &mut Box<dyn Listener>) -> String {
        host.dial(address(to)).await.unwrap();
        listener.accept().await.unwrap().1.ip().to_string()
    }

    #[tokio::test]
    async fn bytes_go_between_hosts_and_through_a_service() {
        let fabric = network();
        let server = fabric.join([10, 244, 0, 2].into(), "a").unwrap();
        let client = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let mut listener = server.listen(address("0.0.0.0:80")).await.unwrap();
        let rules = ServiceRules {
            virtual_addresses: [((address("10.96.0.9:8080"), Protocol::Tcp), port(&["10.244.0.2:80"]))]
                .into(),
            ..ServiceRules::default()
        };
        fabric.set_rules("a", rules);
        for to in ["10.244.0.2:80", "10.96.0.9:8080"] {
            let mut near = client.dial(address(to)).await.unwrap();
            let (mut far, from) = listener.accept().await.unwrap();
            assert_eq!(from.ip(), client.ip());
            near.write_all(b"hi").await.unwrap();
            let mut bytes = [0; 2];
            far.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"hi");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_apart_from_nobody_listening() {
        let fabric = network();
        let client = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let kind = |result: io::Result<BoxIo>| result.map(|_| ()).unwrap_err().kind();
        assert_eq!(kind(client.dial(address("127.0.0.1:1")).await), io::ErrorKind::ConnectionRefused);
        assert_eq!(kind(client.dial(address("10.244.0.9:1")).await), io::ErrorKind::HostUnreachable);
    }

    #[tokio::test]
    async fn a_port_is_free_again_when_its_listener_goes_and_an_address_when_its_host_goes() {
        let fabric = network();
        let host = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let listener = host.listen(address("0.0.0.0:80")).await.unwrap();
        assert!(host.listen(address("127.0.0.1:80")).await.is_err());
        drop(listener);
        assert!(host.listen(address("127.0.0.1:80")).await.is_ok());
        assert!(fabric.join(host.ip(), "a").is_err());
        drop(host);
        assert!(fabric.join([10, 244, 0, 3].into(), "a").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_stands_for_its_services_and_keeps_the_client_only_where_it_must() {
        let fabric = network();
        let (one, two) = (
            fabric.join_node([192, 168, 49, 2].into(), "a").unwrap(),
            fabric.join_node([192, 168, 49, 3].into(), "b").unwrap(),
        );
        let learner = fabric.join_machine([192, 168, 49, 1].into(), "a").unwrap();
        let (near, web) = (
            fabric.join([10, 244, 0, 3].into(), "a").unwrap(),
            fabric.join([10, 244, 1, 2].into(), "b").unwrap(),
        );
        let mut listener = web.listen(address("0.0.0.0:80")).await.unwrap();
        let all = port(&["10.244.1.2:80"]);
        let none = ServicePort { otherwise: Otherwise::Dropped, ..port(&[]) };
        let refused = port(&[]);
        let rules = |local: &ServicePort| ServiceRules {
            node_ports: [
                ((30001, Protocol::Tcp), ExternalPort { port: all.clone(), short_cut: None }),
                ((30002, Protocol::Tcp), ExternalPort { port: local.clone(), short_cut: Some(all.clone()) }),
                ((30003, Protocol::Tcp), ExternalPort { port: refused.clone(), short_cut: None }),
            ]
            .into(),
            ..ServiceRules::default()
        };
        fabric.set_rules("a", rules(&none));
        fabric.set_rules("b", rules(&all));
        assert_eq!(seen(&learner, "192.168.49.2:30001", &mut listener).await, "192.168.49.2");
        assert_eq!(seen(&learner, "192.168.49.3:30002", &mut listener).await, "192.168.49.1");
        assert_eq!(seen(&near, "192.168.49.2:30002", &mut listener).await, "10.244.0.3", "a pod of the node");
        assert_eq!(seen(&one, "192.168.49.2:30002", &mut listener).await, "192.168.49.2", "the node itself");
        let began = fabric.clock().now();
        let kind = |result: io::Result<BoxIo>| result.map(|_| ()).unwrap_err().kind();
        assert_eq!(kind(learner.dial(address("192.168.49.2:30003")).await), io::ErrorKind::ConnectionRefused);
        assert_eq!(fabric.clock().now(), began);
        for host in [&learner, &two] {
            assert_eq!(kind(host.dial(address("192.168.49.2:30002")).await), io::ErrorKind::TimedOut);
        }
        assert_eq!(fabric.clock().now().duration_since(began).as_secs(), 2 * 127);
        let place = PodPlace {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            node: "b".to_owned(),
            ip: web.ip(),
            host_ports: vec![HostPort { port: 8080, inside: 80, protocol: Protocol::Tcp, ip: None }],
        };
        fabric.places().set("sandbox", place);
        assert_eq!(seen(&learner, "192.168.49.3:8080", &mut listener).await, "192.168.49.1");
        assert_eq!(kind(learner.dial(address("192.168.49.2:8080")).await), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn what_policies_drop_times_out_and_passes_when_they_go() {
        let fabric = network();
        let node = fabric.join_node([192, 168, 49, 2].into(), "a").unwrap();
        let web = fabric.join([10, 244, 0, 2].into(), "a").unwrap();
        let client = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let mut listener = web.listen(address("0.0.0.0:80")).await.unwrap();
        let to = address("10.244.0.2:80");
        let rules =
            |ingress, egress| PodRules { node: "a".to_owned(), ingress, egress, ..PodRules::default() };
        let of = |host: &NetHost, own: PodRules| PolicyRules { pods: [(host.ip(), own)].into() };
        let nothing = || Some(vec![]);
        for denied in [of(&web, rules(nothing(), None)), of(&client, rules(None, nothing()))] {
            fabric.set_policies(denied, 0);
            let began = fabric.clock().now();
            let error = client.dial(to).await.map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(fabric.clock().now().duration_since(began).as_secs(), 127);
            assert_eq!(seen(&node, "10.244.0.2:80", &mut listener).await, "192.168.49.2", "its own node may");
            assert_eq!(seen(&web, "127.0.0.1:80", &mut listener).await, "127.0.0.1");
        }
        assert!(client.resolve("web").await.is_err(), "names are asked for by packets, too");
        assert!(node.resolve("web").await.is_ok());
        let (waiting, later) = (client.clone(), fabric.clone());
        let dialled = tokio::spawn(async move { waiting.dial(to).await.is_ok() });
        fabric.clock().sleep(Duration::from_secs(10)).await;
        let allowance = Allowance { peers: Peers::Everybody, ports: Ports::Every };
        later.set_policies(of(&client, rules(None, Some(vec![allowance]))), 0);
        assert!(dialled.await.unwrap(), "the packet that is sent again passes");
        assert!(client.resolve("web").await.is_ok());
    }
}
