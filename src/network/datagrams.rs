//! Datagrams in the network of the simulation: a socket sends and receives packets that nobody promises to deliver.
//!
//! They go where connections go: through Service rules, past the policies of both ends, with answers let back in. What the
//! kernel remembers of such a conversation for a while is remembered here as well.
// Models Linux' connection tracking of UDP (nf_conntrack_udp_timeout).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::host::{NetHost, Route, refused};
use super::namespace::Namespace;
use super::rules::Protocol;
use crate::net::Datagrams;

/// How many datagrams wait to be read before others are dropped.
const BACKLOG: usize = 256;
/// How long a conversation may be silent before it is forgotten.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(30);

/// What comes in at a socket: a datagram and its sender, or the word that nobody takes what was sent.
type Parcel = io::Result<(Bytes, SocketAddr)>;
/// Where datagrams for a socket wait.
pub(super) type Inbox = mpsc::Sender<Parcel>;

/// Who has spoken to whom lately.
#[derive(Debug, Default)]
pub(super) struct Conversations(BTreeMap<(SocketAddr, SocketAddr), Timestamp>);

impl Conversations {
    /// Whether a datagram passes: as part of a conversation, or because `allowed` lets it begin one.
    fn passes(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        now: Timestamp,
        allowed: impl FnOnce() -> bool,
    ) -> bool {
        self.0.retain(|_, until| *until > now);
        let known = [(from, to), (to, from)].into_iter().find(|ends| self.0.contains_key(ends));
        if known.is_none() && !allowed() {
            return false;
        }
        self.0.insert(known.unwrap_or((from, to)), later(now));
        true
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.checked_add(REMEMBERED).unwrap_or(Timestamp::MAX)
}

/// A socket of a host.
struct Socket {
    host: NetHost,
    address: SocketAddr,
    own: Inbox,
    inbox: tokio::sync::Mutex<mpsc::Receiver<Parcel>>,
    /// Where what was sent to an address went, and until when it goes there.
    led: Mutex<BTreeMap<SocketAddr, (SocketAddr, Timestamp)>>,
    namespace: Weak<Namespace>,
}

impl NetHost {
    /// Opens a socket for datagrams; port 0 picks a free one.
    pub async fn datagrams(&self, address: SocketAddr) -> io::Result<Box<dyn Datagrams>> {
        if let Some(outside) = self.fabric().only_outside() {
            return outside.datagrams(address).await;
        }
        let (own, inbox) = mpsc::channel(BACKLOG);
        let mut inboxes = self.namespace().inboxes();
        let address = self.namespace().free_address(address, || inboxes.keys())?;
        inboxes.insert(address, own.clone());
        drop(inboxes);
        Ok(Box::new(Socket {
            host: self.clone(),
            address,
            own,
            inbox: tokio::sync::Mutex::new(inbox),
            led: Mutex::default(),
            namespace: Arc::downgrade(self.namespace()),
        }))
    }
}

impl Socket {
    /// Where a datagram for `to` goes now; `None`: nowhere.
    fn target(&self, to: SocketAddr, now: Timestamp) -> Option<SocketAddr> {
        let mut led = self.led.lock().unwrap_or_else(PoisonError::into_inner);
        led.retain(|_, (_, until)| *until > now);
        let target = match led.get(&to) {
            Some((target, _)) => *target,
            None => match self.host.route(to, Protocol::Udp) {
                Route::To { target, .. } => target,
                Route::Refused => {
                    self.complain();
                    return None;
                }
                Route::Dropped => return None,
            },
        };
        led.insert(to, (target, later(now)));
        Some(target)
    }

    /// Tells the sender that nobody takes it. One complaint more or less is all the same.
    fn complain(&self) {
        let _ = self.own.try_send(Err(refused()));
    }

    fn deliver(&self, bytes: &[u8], to: SocketAddr) {
        let now = self.host.fabric().clock().now();
        let Some(target) = self.target(to, now) else { return };
        let ip = if target.ip().is_loopback() { target.ip() } else { self.host.ip() };
        let from = SocketAddr::new(ip, self.address.port());
        let allowed = || {
            self.host.may_send(target, Protocol::Udp) && self.host.may_take(from.ip(), target, Protocol::Udp)
        };
        let passes = self.host.fabric().converse(|known| known.passes(from, target, now, allowed));
        let Some(host) = self.host.destination(target.ip()).filter(|_| passes) else { return };
        match host.inbox(target) {
            // What finds no room is lost, as it may be.
            Some(inbox) => drop(inbox.try_send(Ok((Bytes::copy_from_slice(bytes), from)))),
            None => self.complain(),
        }
    }
}

impl Datagrams for Socket {
    fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn send<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            self.deliver(bytes, to);
            Ok(())
        })
    }

    fn receive(&self) -> BoxFuture<'_, io::Result<(Bytes, SocketAddr)>> {
        Box::pin(async move {
            let parcel = self.inbox.lock().await.recv().await;
            let (bytes, from) = parcel.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))?;
            // The answer of who stands behind an address comes from that address.
            let led = self.led.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = led.iter().find(|(_, (target, _))| *target == from).map(|(asked, _)| *asked);
            Ok((bytes, asked.unwrap_or(from)))
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(namespace) = self.namespace.upgrade() {
            namespace.inboxes().remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::network::Fabric;
    use crate::network::policy::{PodRules, PolicyRules};
    use crate::network::rules::{Backend, ServicePort, ServiceRules};
    use crate::seed::Seed;
    use std::time::Duration;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn datagrams_go_through_services_and_answers_come_back_from_where_they_were_sent() {
        let fabric = Fabric::new(Seed::new(1), Clock::virtual_time());
        let server = fabric.join([10, 244, 0, 2].into(), "a").unwrap();
        let client = fabric.join([10, 244, 0, 3].into(), "a").unwrap();
        let backend = Backend { address: address("10.244.0.2:53"), node: None };
        let port = ServicePort { backends: vec![backend], ..ServicePort::default() };
        let service = address("10.96.0.9:53");
        let rules = ServiceRules {
            virtual_addresses: [
                ((service, Protocol::Udp), port),
                ((address("10.96.0.8:53"), Protocol::Udp), ServicePort::default()),
            ]
            .into(),
            ..ServiceRules::default()
        };
        fabric.set_rules("a", rules);
        let (ours, theirs) = (
            client.datagrams(address("0.0.0.0:0")).await.unwrap(),
            server.datagrams(address("0.0.0.0:53")).await.unwrap(),
        );
        assert!(server.datagrams(address("0.0.0.0:53")).await.is_err(), "the port is taken");
        ours.send(b"who", service).await.unwrap();
        let (bytes, from) = theirs.receive().await.unwrap();
        assert_eq!((&bytes[..], from.ip()), (&b"who"[..], client.ip()));
        // The client takes nothing, but what it asked for.
        let isolated = PodRules { ingress: Some(vec![]), ..PodRules::default() };
        fabric.set_policies(PolicyRules { pods: [(client.ip(), isolated)].into() }, 0);
        theirs.send(b"me", from).await.unwrap();
        let (bytes, from) = ours.receive().await.unwrap();
        assert_eq!((&bytes[..], from), (&b"me"[..], service));
        fabric.clock().sleep(Duration::from_secs(31)).await;
        let own = SocketAddr::new(client.ip(), ours.local_addr().port());
        theirs.send(b"late", own).await.unwrap();
        let late = fabric.clock().timeout(Duration::from_secs(1), ours.receive()).await;
        assert!(late.is_err(), "the conversation is forgotten");
        for nobody in ["10.96.0.8:53", "10.244.0.2:54"] {
            ours.send(b"who", address(nobody)).await.unwrap();
            let error = ours.receive().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{nobody}");
        }
        drop(theirs);
        assert!(server.datagrams(address("0.0.0.0:53")).await.is_ok(), "the port is free again");
    }
}
