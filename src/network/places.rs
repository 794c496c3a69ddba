//! Where pods are: which address each has, on which node, and which of the node's ports lead to it.
//!
//! The runtimes say so when a sandbox has its network, before anything runs in it. Policies and packet rules are made from
//! it, and [`PodPlaces::settled`] tells the runtime when they hold, so that a pod is isolated before its first process.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rules::Protocol;
use crate::clock::Clock;
use crate::watch;

/// How long a sandbox waits for its rules. They are a matter of milliseconds; a pod is not held up by what is broken.
const SETTLE: Duration = Duration::from_secs(5);

/// A pod's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlace {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The node it is on.
    pub node: String,
    /// Its address.
    pub ip: IpAddr,
    /// The node's ports that lead to it.
    pub host_ports: Vec<HostPort>,
}

/// A port of a node that leads to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The node's.
    pub port: u16,
    /// The pod's.
    pub inside: u16,
    /// What both speak.
    pub protocol: Protocol,
    /// The one address of the node that has it; `None`: all of them.
    pub ip: Option<IpAddr>,
}

/// The places of a cluster's pods by sandbox. Cheap to clone; clones are the same places.
#[derive(Clone, Debug)]
pub struct PodPlaces {
    places: Arc<Mutex<BTreeMap<String, PodPlace>>>,
    changes: Arc<watch::Sender<u64>>,
    /// The change up to which the rules are made; `None`: there are none.
    settled: Arc<watch::Sender<Option<u64>>>,
}

impl Default for PodPlaces {
    fn default() -> Self {
        Self {
            places: Arc::default(),
            changes: Arc::new(watch::Sender::new(0)),
            settled: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl PodPlaces {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, PodPlace>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sandbox has its network.
    pub fn set(&self, sandbox: &str, place: PodPlace) {
        self.lock().insert(sandbox.to_owned(), place);
        self.changes.send_modify(|count| *count += 1);
    }

    /// A sandbox has no network any more.
    pub fn clear(&self, sandbox: &str) {
        if self.lock().remove(sandbox).is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Every place, by sandbox.
    pub fn list(&self) -> Vec<PodPlace> {
        self.lock().values().cloned().collect()
    }

    /// The pod that has a port of a node, at that address of the node.
    pub(super) fn behind(&self, node: &str, at: SocketAddr, protocol: Protocol) -> Option<SocketAddr> {
        let places = self.lock();
        let mut here = places.values().filter(|place| place.node == node);
        here.find_map(|place| {
            let wanted = |own: &&HostPort| {
                own.port == at.port() && own.protocol == protocol && own.ip.is_none_or(|ip| ip == at.ip())
            };
            place.host_ports.iter().find(wanted).map(|own| SocketAddr::new(place.ip, own.inside))
        })
    }

    /// Changes with every place; the number counts the changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The rules hold for every place up to that change.
    pub fn settle(&self, change: u64) {
        self.settled.send_replace(Some(change));
    }

    /// There are no rules that a pod would have to wait for.
    pub fn release(&self) {
        self.settled.send_replace(None);
    }

    /// Waits until the rules hold for every place that is known now. If there are none there is nothing to wait for.
    pub async fn settled(&self, clock: &Clock) {
        let wanted = *self.changes.borrow();
        let mut settled = self.settled.subscribe();
        let held = settled.wait_for(|settled| settled.is_none_or(|settled| settled >= wanted));
        if clock.timeout(SETTLE, held).await.is_err() {
            tracing::warn!("a pod starts before the rules of its network hold");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(last: u8, ports: &[(u16, u16, Protocol, Option<IpAddr>)]) -> PodPlace {
        let port = |(port, inside, protocol, ip): &_| HostPort {
            port: *port,
            inside: *inside,
            protocol: *protocol,
            ip: *ip,
        };
        PodPlace {
            namespace: "default".to_owned(),
            name: format!("pod-{last}"),
            node: "minikube".to_owned(),
            ip: [10, 244, 0, last].into(),
            host_ports: ports.iter().map(port).collect(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sandbox_waits_for_its_rules() {
        let (places, clock) = (PodPlaces::default(), Clock::virtual_time());
        places.set(
            "a",
            place(
                2,
                &[(8080, 80, Protocol::Tcp, Some([127, 0, 0, 1].into())), (53, 53, Protocol::Udp, None)],
            ),
        );
        let began = clock.now();
        places.settled(&clock).await;
        assert_eq!(clock.now(), began, "nobody makes rules");
        places.settle(1);
        places.settled(&clock).await;
        assert_eq!(clock.now(), began, "they hold");
        places.set("b", place(3, &[]));
        let (waiting, other) = (places.clone(), clock.clone());
        let task = tokio::spawn(async move { waiting.settled(&other).await });
        clock.sleep(Duration::from_secs(1)).await;
        assert!(!task.is_finished());
        places.settle(2);
        task.await.unwrap();
        places.set("c", place(4, &[]));
        places.release();
        places.settled(&clock).await;
        places.clear("c");
        let behind = |node, at: &str, protocol| {
            places.behind(node, at.parse().unwrap(), protocol).map(|to| to.to_string())
        };
        assert_eq!(behind("minikube", "192.168.49.2:53", Protocol::Udp).as_deref(), Some("10.244.0.2:53"));
        assert_eq!(behind("minikube", "127.0.0.1:8080", Protocol::Tcp).as_deref(), Some("10.244.0.2:80"));
        assert_eq!(behind("minikube", "192.168.49.2:8080", Protocol::Tcp), None, "another address");
        assert_eq!(behind("minikube", "192.168.49.2:53", Protocol::Tcp), None);
        assert_eq!(behind("minikube-m02", "127.0.0.1:8080", Protocol::Tcp), None);
        places.clear("a");
        assert_eq!(places.list().len(), 1);
    }
}
