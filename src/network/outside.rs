//! What is beyond the network in memory: this machine's own sockets.
//!
//! On real containers pods have real addresses, and the components in this process reach them this way. A program that is
//! itself a process in a real container has no other network at all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use hickory_server::proto::op::{Message, Query};
use hickory_server::proto::rr::{Name, RData, RecordType};
use tokio::net::{TcpStream, UdpSocket};

use crate::clock::Clock;
use crate::net::{BoxIo, Datagrams, HostListener, Listener};

/// How long a name server may take to answer.
const DNS_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer over UDP that is read.
const DNS_BYTES: usize = 4096;

/// The largest datagram there is.
const MAX_DATAGRAM: usize = 65_535;

/// A network beyond the one in memory.
pub trait Outside: Send + Sync + 'static {
    /// Whether there is no other: every address is outside.
    fn is_all(&self) -> bool;
    /// Connects to an address.
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxIo>>;
    /// Listens on an address.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
    /// Opens a socket for datagrams.
    fn datagrams(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Datagrams>>>;
    /// The addresses of a full name; empty if it has none.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Vec<IpAddr>>;
}

/// This machine's sockets.
#[derive(Clone, Debug)]
pub struct HostSockets {
    clock: Clock,
    /// The name servers; `None`: the cluster in this process knows the names.
    servers: Option<Vec<IpAddr>>,
}

impl HostSockets {
    /// Beside the network in memory: for addresses that no host there has.
    pub fn beside(clock: Clock) -> Self {
        Self { clock, servers: None }
    }

    /// In place of a network in memory, with these name servers.
    pub fn only(clock: Clock, servers: Vec<IpAddr>) -> Self {
        Self { clock, servers: Some(servers) }
    }
}

impl Outside for HostSockets {
    fn is_all(&self) -> bool {
        self.servers.is_some()
    }

    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as BoxIo) })
    }

    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = match HostListener::bind(address).await {
                // Some machines have no IPv6 at all.
                Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
                    HostListener::bind((Ipv4Addr::UNSPECIFIED, address.port()).into()).await
                }
                bound => bound,
            }?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn datagrams(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Datagrams>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(address).await?;
            let peer = (address.port() == 0).then(OnceLock::new);
            let address = socket.local_addr()?;
            Ok(Box::new(HostDatagrams { socket, address, peer }) as Box<dyn Datagrams>)
        })
    }

    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Vec<IpAddr>> {
        Box::pin(async move {
            for server in self.servers.iter().flatten() {
                let asked = self.clock.timeout(DNS_TIMEOUT, ask(*server, name)).await;
                if let Ok(Ok(addresses)) = asked {
                    return addresses;
                }
            }
            vec![]
        })
    }
}

impl crate::net::Listen for HostSockets {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Outside::listen(self, address)
    }
}

/// A socket of this machine.
struct HostDatagrams {
    socket: UdpSocket,
    address: SocketAddr,
    /// A client, which has a port that the system chose, speaks with one other only: so the kernel says when nobody takes what
    /// it sends.
    peer: Option<OnceLock<SocketAddr>>,
}

impl Datagrams for HostDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn send<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let Some(peer) = &self.peer else { return self.socket.send_to(bytes, to).await.map(drop) };
            if peer.set(to).is_ok() {
                self.socket.connect(to).await?;
            }
            self.socket.send(bytes).await.map(drop)
        })
    }

    fn receive(&self) -> BoxFuture<'_, io::Result<(Bytes, SocketAddr)>> {
        Box::pin(async move {
            let mut buffer = vec![0; MAX_DATAGRAM];
            let (count, from) = self.socket.recv_from(&mut buffer).await?;
            buffer.truncate(count);
            Ok((buffer.into(), from))
        })
    }
}

/// Asks a name server for a name's addresses, IPv4 first.
async fn ask(server: IpAddr, name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = vec![];
    for kind in [RecordType::A, RecordType::AAAA] {
        let name = Name::from_str(&format!("{}.", name.trim_end_matches('.'))).map_err(io::Error::other)?;
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name, kind));
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect((server, 53)).await?;
        socket.send(&message.to_vec().map_err(io::Error::other)?).await?;
        let mut answer = vec![0; DNS_BYTES];
        let count = socket.recv(&mut answer).await?;
        let answer = Message::from_vec(&answer[..count]).map_err(io::Error::other)?;
        addresses.extend(answer.answers.iter().filter_map(|record| match &record.data {
            RData::A(ip) => Some(IpAddr::V4(ip.0)),
            RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
            _ => None,
        }));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Dial, Listen};
    use crate::network::Fabric;
    use crate::seed::Seed;
    use std::sync::Arc;

    #[tokio::test]
    async fn addresses_that_nobody_here_has_are_outside() {
        let real = HostListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = real.local_addr();
        let fabric = Fabric::new(Seed::new(1), Clock::virtual_time());
        let host = fabric.join([10, 244, 0, 2].into(), "a").unwrap();
        let refused = host.dial(address).await.err().map(|error| error.kind());
        assert_eq!(refused, Some(io::ErrorKind::ConnectionRefused), "the loopback is the host's own");
        fabric.set_outside(Arc::new(HostSockets::only(Clock::real(), vec![])));
        assert!(host.dial(address).await.is_ok());
        let mut listener = host.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let near = TcpStream::connect(listener.local_addr()).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1, near.local_addr().unwrap());
    }
}
