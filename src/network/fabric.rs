//! The network of the simulation: hosts with addresses, listeners on them, and connections that are pipes in memory.
//!
//! A host is a network namespace: a pod's sandbox, a node, or the learner's machine. It has a loopback of its own. What it
//! dials goes through its node's Service rules first, as packets do on a real node.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::outside::Outside;
use super::rules::ServiceRules;
use crate::net::{BoxIo, Dial, Listen, Listener};
use crate::seed::Seed;
use crate::watch;

/// How many bytes a connection holds that nobody has read yet.
const BUFFER_BYTES: usize = 64 * 1024;
/// How many connections wait to be accepted before others are refused.
const BACKLOG: usize = 1024;
/// Where ports that were not asked for begin, as on Linux.
const FIRST_EPHEMERAL_PORT: u16 = 32_768;

/// The network of one cluster. Cheap to clone; clones are the same network.
#[derive(Clone, Debug)]
pub struct Fabric {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seed: Seed,
    state: Mutex<State>,
    /// How often Service rules were set.
    rule_changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// The hosts by address.
    hosts: BTreeMap<IpAddr, Weak<Namespace>>,
    /// The Service rules by node.
    rules: BTreeMap<String, Arc<ServiceRules>>,
    resolver: Option<Arc<dyn Resolve>>,
    outside: Option<Arc<dyn Outside>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("hosts", &self.hosts.len()).field("rules", &self.rules.len()).finish()
    }
}

/// The cluster's DNS: full names (with or without a final dot) to addresses.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name; empty if there is no such name.
    fn resolve(&self, name: &str) -> Vec<IpAddr>;
}

/// Why a host could not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Another host has the address.
    #[error("address is already in use")]
    Taken,
}

/// A place in the network. Cheap to clone; when the last clone goes, the host leaves and its connections break.
#[derive(Clone, Debug)]
pub struct NetHost {
    namespace: Arc<Namespace>,
    fabric: Fabric,
}

#[derive(Debug)]
struct Namespace {
    ip: IpAddr,
    node: String,
    is_node: bool,
    listeners: Mutex<BTreeMap<SocketAddr, mpsc::Sender<(BoxIo, SocketAddr)>>>,
}

impl Fabric {
    /// A network without hosts. Backends and free ports are drawn from `seed`.
    pub fn new(seed: Seed) -> Self {
        let rule_changes = watch::Sender::new(0);
        Self { shared: Arc::new(Shared { seed, state: Mutex::default(), rule_changes }) }
    }

    /// Gives a pod an address. `node` is the node that it is on, whose Service rules apply to it.
    pub fn join(&self, ip: IpAddr, node: &str) -> Result<NetHost, JoinError> {
        self.add(ip, node, false)
    }

    /// Gives a node an address, or a machine that is as good as one (the learner's): it answers on node ports.
    pub fn join_node(&self, ip: IpAddr, node: &str) -> Result<NetHost, JoinError> {
        self.add(ip, node, true)
    }

    fn add(&self, ip: IpAddr, node: &str, is_node: bool) -> Result<NetHost, JoinError> {
        let mut state = self.lock();
        if state.hosts.get(&ip).is_some_and(|host| host.strong_count() > 0) {
            return Err(JoinError::Taken);
        }
        let namespace =
            Arc::new(Namespace { ip, node: node.to_owned(), is_node, listeners: Mutex::default() });
        state.hosts.insert(ip, Arc::downgrade(&namespace));
        Ok(NetHost { namespace, fabric: self.clone() })
    }

    /// The first address of `network`/`bits` that no host has, leaving out the network's own and the gateway (.1).
    pub fn free_ip(&self, network: Ipv4Addr, bits: u8) -> Option<Ipv4Addr> {
        let size = 1_u32 << (32 - u32::from(bits.min(30)));
        let state = self.lock();
        let taken =
            |ip: &Ipv4Addr| state.hosts.get(&IpAddr::V4(*ip)).is_some_and(|host| host.strong_count() > 0);
        (2..size - 1).map(|n| Ipv4Addr::from(u32::from(network) + n)).find(|ip| !taken(ip))
    }

    /// Replaces the Service rules of a node, as kube-proxy does.
    pub fn set_rules(&self, node: &str, rules: ServiceRules) {
        self.lock().rules.insert(node.to_owned(), Arc::new(rules));
        self.shared.rule_changes.send_modify(|count| *count += 1);
    }

    /// The Service rules of a node.
    pub fn rules(&self, node: &str) -> Arc<ServiceRules> {
        self.lock().rules.get(node).cloned().unwrap_or_default()
    }

    /// Changes with the Service rules of any node.
    pub fn rule_changes(&self) -> watch::Receiver<u64> {
        self.shared.rule_changes.subscribe()
    }

    /// Sets the cluster's DNS.
    pub fn set_resolver(&self, resolver: Arc<dyn Resolve>) {
        self.lock().resolver = Some(resolver);
    }

    /// Sets what is outside: where addresses lead that no host here has.
    pub fn set_outside(&self, outside: Arc<dyn Outside>) {
        self.lock().outside = Some(outside);
    }

    fn outside(&self) -> Option<Arc<dyn Outside>> {
        self.lock().outside.clone()
    }

    /// What is outside, if there is nothing else.
    fn only_outside(&self) -> Option<Arc<dyn Outside>> {
        self.outside().filter(|outside| outside.is_all())
    }

    /// Asks the cluster's DNS for a full name.
    pub async fn resolve(&self, name: &str) -> Vec<IpAddr> {
        if let Some(outside) = self.only_outside() {
            return outside.resolve(name).await;
        }
        let resolver = self.lock().resolver.clone();
        resolver.map(|resolver| resolver.resolve(name)).unwrap_or_default()
    }

    fn host(&self, ip: IpAddr) -> Option<Arc<Namespace>> {
        let mut state = self.lock();
        let host = state.hosts.get(&ip)?.upgrade();
        if host.is_none() {
            state.hosts.remove(&ip);
        }
        host
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Namespace {
    fn listeners(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, mpsc::Sender<(BoxIo, SocketAddr)>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listener on that very address, or on the unspecified one.
    fn listener(&self, address: SocketAddr) -> Option<mpsc::Sender<(BoxIo, SocketAddr)>> {
        let listeners = self.listeners();
        let any =
            [IpAddr::from([0, 0, 0, 0]), IpAddr::from([0; 16])].map(|ip| SocketAddr::new(ip, address.port()));
        std::iter::once(address).chain(any).find_map(|address| listeners.get(&address).cloned())
    }
}

impl NetHost {
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
        self.namespace.listeners().keys().copied().collect()
    }

    /// Where a connection to `address` ends up: behind Service rules, if one applies. `None`: there is no backend.
    fn route(&self, address: SocketAddr) -> Option<SocketAddr> {
        let rules = self.fabric.rules(&self.namespace.node);
        let port = rules.virtual_addresses.get(&address).cloned().or_else(|| {
            let host = self.destination(address.ip()).filter(|host| host.is_node)?;
            self.fabric.rules(&host.node).node_ports.get(&address.port()).cloned()
        });
        match port {
            Some(port) => Some(port.choose(self.ip(), self.fabric.shared.seed.below(u64::MAX))?.address),
            None => Some(address),
        }
    }

    fn destination(&self, ip: IpAddr) -> Option<Arc<Namespace>> {
        if ip.is_loopback() || ip == self.ip() { Some(self.namespace.clone()) } else { self.fabric.host(ip) }
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<BoxIo> {
        if let Some(outside) = self.fabric.only_outside() {
            return outside.dial(address).await;
        }
        let target = self.route(address).ok_or_else(refused)?;
        let Some(host) = self.destination(target.ip()) else {
            return match self.fabric.outside() {
                Some(outside) => outside.dial(target).await,
                None => Err(io::Error::new(io::ErrorKind::HostUnreachable, "no route to host")),
            };
        };
        let Some(listener) = host.listener(target) else {
            // A node's address may be this machine's, too: pods that use its ports are outside.
            let outside = self.fabric.outside().filter(|_| host.is_node && !target.ip().is_loopback());
            return match outside {
                Some(outside) => outside.dial(target).await,
                None => Err(refused()),
            };
        };
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        // Over the loopback a connection comes from the loopback.
        let from = if target.ip().is_loopback() { target.ip() } else { self.ip() };
        let source =
            SocketAddr::new(from, FIRST_EPHEMERAL_PORT + self.fabric.shared.seed.below(28_000) as u16);
        listener.try_send((Box::new(far), source)).map_err(|_| refused())?;
        Ok(Box::new(near))
    }

    fn bind(&self, address: SocketAddr) -> io::Result<FabricListener> {
        let ours = address.ip().is_unspecified() || address.ip().is_loopback() || address.ip() == self.ip();
        if !ours {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "cannot assign requested address"));
        }
        let mut listeners = self.namespace.listeners();
        let mut address = address;
        if address.port() == 0 {
            let free = |port: &u16| !listeners.keys().any(|taken| taken.port() == *port);
            let port = (FIRST_EPHEMERAL_PORT..=u16::MAX).find(free);
            address.set_port(port.ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse))?);
        }
        let clash = |taken: &SocketAddr| {
            let same =
                taken.ip() == address.ip() || taken.ip().is_unspecified() || address.ip().is_unspecified();
            taken.port() == address.port() && same
        };
        if listeners.keys().any(clash) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "address already in use"));
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        listeners.insert(address, sender);
        Ok(FabricListener { address, receiver, namespace: Arc::downgrade(&self.namespace) })
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")
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
                None => self.bind(address).map(|listener| Box::new(listener) as Box<dyn Listener>),
            }
        })
    }
}

#[derive(Debug)]
struct FabricListener {
    address: SocketAddr,
    receiver: mpsc::Receiver<(BoxIo, SocketAddr)>,
    namespace: Weak<Namespace>,
}

impl Listener for FabricListener {
    fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, SocketAddr)>> {
        Box::pin(async move {
            self.receiver.recv().await.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
        })
    }
}

impl Drop for FabricListener {
    fn drop(&mut self) {
        if let Some(namespace) = self.namespace.upgrade() {
            namespace.listeners().remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::rules::{Backend, ServicePort};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn bytes_go_between_hosts_and_through_a_service() {
        let fabric = Fabric::new(Seed::new(1));
        let server = fabric.join([10, 244, 0, 2].into(), "a").unwrap();
        let client = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let mut listener = server.listen(address("0.0.0.0:80")).await.unwrap();
        let backend = Backend { address: address("10.244.0.2:80"), node: None };
        let port = ServicePort { backends: vec![backend], ..ServicePort::default() };
        let rules = ServiceRules {
            virtual_addresses: BTreeMap::from([(address("10.96.0.9:8080"), port)]),
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
        let fabric = Fabric::new(Seed::new(1));
        let client = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let kind = |result: io::Result<BoxIo>| result.map(|_| ()).unwrap_err().kind();
        assert_eq!(kind(client.dial(address("127.0.0.1:1")).await), io::ErrorKind::ConnectionRefused);
        assert_eq!(kind(client.dial(address("10.244.0.9:1")).await), io::ErrorKind::HostUnreachable);
    }

    #[tokio::test]
    async fn a_port_is_free_again_when_its_listener_goes_and_an_address_when_its_host_goes() {
        let fabric = Fabric::new(Seed::new(1));
        let host = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let listener = host.listen(address("0.0.0.0:80")).await.unwrap();
        assert!(host.listen(address("127.0.0.1:80")).await.is_err());
        drop(listener);
        assert!(host.listen(address("127.0.0.1:80")).await.is_ok());
        assert!(fabric.join(host.ip(), "a").is_err());
        drop(host);
        assert!(fabric.join([10, 244, 0, 3].into(), "a").is_ok());
    }
}
