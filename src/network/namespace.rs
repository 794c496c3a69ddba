//! A network namespace: an address, and what listens there.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::datagrams::Inbox;
use crate::net::{BoxIo, Listener};

/// How many connections wait to be accepted before others are refused.
const BACKLOG: usize = 1024;
/// Where ports that were not asked for begin, as on Linux.
pub(super) const FIRST_EPHEMERAL_PORT: u16 = 32_768;

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostKind {
    Pod,
    Node,
    /// Beside the nodes.
    Machine,
}

/// Where connections wait to be accepted, each with who has come.
type Backlog = mpsc::Sender<(BoxIo, SocketAddr)>;

/// A network namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) ip: IpAddr,
    pub(super) node: String,
    pub(super) kind: HostKind,
    listeners: Mutex<BTreeMap<SocketAddr, Backlog>>,
    inboxes: Mutex<BTreeMap<SocketAddr, Inbox>>,
}

impl Namespace {
    pub(super) fn new(ip: IpAddr, node: &str, kind: HostKind) -> Self {
        Self { ip, node: node.to_owned(), kind, listeners: Mutex::default(), inboxes: Mutex::default() }
    }

    /// Whether this is the node of that name.
    pub(super) fn is_node(&self, name: &str) -> bool {
        self.kind == HostKind::Node && self.node == name
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Backlog>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sockets for datagrams.
    pub(super) fn inboxes(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Inbox>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses and ports that something listens on for connections.
    pub(super) fn listening(&self) -> Vec<SocketAddr> {
        self.listeners().keys().copied().collect()
    }

    /// The listener on that very address, or on the unspecified one.
    pub(super) fn listener(&self, address: SocketAddr) -> Option<Backlog> {
        at(&self.listeners(), address)
    }

    /// The socket for datagrams on that very address, or on the unspecified one.
    pub(super) fn inbox(&self, address: SocketAddr) -> Option<Inbox> {
        at(&self.inboxes(), address)
    }

    /// The address to listen on: the one that is asked for, with a free port in place of 0. `taken` are those that are not
    /// free.
    pub(super) fn free_address<'a, I: Iterator<Item = &'a SocketAddr>>(
        &self,
        mut address: SocketAddr,
        taken: impl Fn() -> I,
    ) -> io::Result<SocketAddr> {
        let ours = address.ip().is_unspecified() || address.ip().is_loopback() || address.ip() == self.ip;
        if !ours {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "cannot assign requested address"));
        }
        if address.port() == 0 {
            let free = |port: &u16| !taken().any(|taken| taken.port() == *port);
            let port = (FIRST_EPHEMERAL_PORT..=u16::MAX).find(free);
            address.set_port(port.ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse))?);
        }
        let clash = |taken: &SocketAddr| {
            let same =
                taken.ip() == address.ip() || taken.ip().is_unspecified() || address.ip().is_unspecified();
            taken.port() == address.port() && same
        };
        if taken().any(clash) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "address already in use"));
        }
        Ok(address)
    }

    /// Listens for connections.
    pub(super) fn bind(self: &Arc<Self>, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let mut listeners = self.listeners();
        let address = self.free_address(address, || listeners.keys())?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        listeners.insert(address, sender);
        Ok(Box::new(FabricListener { address, receiver, namespace: Arc::downgrade(self) }))
    }
}

fn at<T: Clone>(all: &BTreeMap<SocketAddr, T>, address: SocketAddr) -> Option<T> {
    let any =
        [IpAddr::from([0, 0, 0, 0]), IpAddr::from([0; 16])].map(|ip| SocketAddr::new(ip, address.port()));
    std::iter::once(address).chain(any).find_map(|address| all.get(&address).cloned())
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
