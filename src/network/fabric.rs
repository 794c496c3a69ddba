//! The network of the simulation: hosts with addresses, and what components have set for all of them.
//!
//! A host is a network namespace: a pod's sandbox, a node, or the learner's machine. What it does is in `host`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::affinity::Affinities;
use super::datagrams::Conversations;
use super::host::NetHost;
use super::namespace::{HostKind, Namespace};
use super::outside::Outside;
use super::places::PodPlaces;
use super::policy::PolicyRules;
use super::rules::{ServicePort, ServiceRules};
use crate::clock::Clock;
use crate::seed::Seed;
use crate::watch;

/// The network of one cluster. Cheap to clone; clones are the same network.
#[derive(Clone, Debug)]
pub struct Fabric {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seed: Seed,
    clock: Clock,
    state: Mutex<State>,
    /// How often Service rules were set.
    rule_changes: watch::Sender<u64>,
    policies: watch::Sender<Policies>,
    /// Apart from the state, which is asked for while this is held.
    conversations: Mutex<Conversations>,
}

/// What pods may take and make, and up to which change of the pods' places it is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    pub(super) rules: Arc<PolicyRules>,
    pub(super) places: u64,
}

#[derive(Default)]
struct State {
    /// The hosts by address.
    hosts: BTreeMap<IpAddr, Weak<Namespace>>,
    /// The Service rules by node.
    rules: BTreeMap<String, Arc<ServiceRules>>,
    affinities: Affinities,
    places: PodPlaces,
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

impl Fabric {
    /// A network without hosts. Backends and free ports are drawn from `seed`; who gets no answer waits on `clock`.
    pub fn new(seed: Seed, clock: Clock) -> Self {
        let (rule_changes, policies) = (watch::Sender::new(0), watch::Sender::new(Policies::default()));
        let (state, conversations) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { seed, clock, state, rule_changes, policies, conversations }) }
    }

    /// The network whose pods' places others know as well.
    #[must_use]
    pub fn with_places(self, places: PodPlaces) -> Self {
        self.lock().places = places;
        self
    }

    /// Gives a pod an address. `node` is the node that it is on, whose Service rules apply to it.
    pub fn join(&self, ip: IpAddr, node: &str) -> Result<NetHost, JoinError> {
        self.add(ip, node, HostKind::Pod)
    }

    /// Gives a node an address: it answers on node ports, and policies do not keep it from its own pods.
    pub fn join_node(&self, ip: IpAddr, node: &str) -> Result<NetHost, JoinError> {
        self.add(ip, node, HostKind::Node)
    }

    /// Gives a machine beside the nodes an address (the learner's). It has the Service rules of `node` and its node ports.
    pub fn join_machine(&self, ip: IpAddr, node: &str) -> Result<NetHost, JoinError> {
        self.add(ip, node, HostKind::Machine)
    }

    fn add(&self, ip: IpAddr, node: &str, kind: HostKind) -> Result<NetHost, JoinError> {
        let mut state = self.lock();
        if state.hosts.get(&ip).is_some_and(|host| host.strong_count() > 0) {
            return Err(JoinError::Taken);
        }
        let namespace = Arc::new(Namespace::new(ip, node, kind));
        state.hosts.insert(ip, Arc::downgrade(&namespace));
        Ok(NetHost::new(namespace, self.clone()))
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

    /// Where the cluster's pods are.
    pub fn places(&self) -> PodPlaces {
        self.lock().places.clone()
    }

    /// Replaces what pods may take and make. `places` is the change of the pods' places up to which it is made.
    pub fn set_policies(&self, rules: PolicyRules, places: u64) {
        self.shared.policies.send_if_modified(|policies| {
            let (new, moved) = (*policies.rules != rules, policies.places != places);
            if new {
                policies.rules = Arc::new(rules);
            }
            policies.places = places;
            new || moved
        });
    }

    /// What pods may take and make.
    pub fn policies(&self) -> Arc<PolicyRules> {
        self.shared.policies.borrow().rules.clone()
    }

    /// Changes with what pods may take and make, and with the places it is made for.
    pub(super) fn policy_changes(&self) -> watch::Receiver<Policies> {
        self.shared.policies.subscribe()
    }

    /// The backend of a Service's port for a new connection of `client` by the rules of `node`.
    pub(super) fn choose(&self, node: &str, port: &ServicePort, client: IpAddr) -> Option<SocketAddr> {
        let (now, draw) = (self.shared.clock.now(), self.shared.seed.below(u64::MAX));
        self.lock().affinities.choose(node, port, client, now, draw)
    }

    /// Looks into who has spoken to whom lately.
    pub(super) fn converse<T>(&self, ask: impl FnOnce(&mut Conversations) -> T) -> T {
        ask(&mut self.shared.conversations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(super) fn seed(&self) -> &Seed {
        &self.shared.seed
    }

    /// Sets the cluster's DNS.
    pub fn set_resolver(&self, resolver: Arc<dyn Resolve>) {
        self.lock().resolver = Some(resolver);
    }

    /// Sets what is outside: where addresses lead that no host here has.
    pub fn set_outside(&self, outside: Arc<dyn Outside>) {
        self.lock().outside = Some(outside);
    }

    pub(super) fn outside(&self) -> Option<Arc<dyn Outside>> {
        self.lock().outside.clone()
    }

    /// What is outside, if there is nothing else.
    pub(super) fn only_outside(&self) -> Option<Arc<dyn Outside>> {
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

    pub(super) fn host(&self, ip: IpAddr) -> Option<Arc<Namespace>> {
        let mut state = self.lock();
        let host = state.hosts.get(&ip)?.upgrade();
        if host.is_none() {
            state.hosts.remove(&ip);
        }
        host
    }

    /// The address of a node.
    pub(super) fn node_ip(&self, name: &str) -> Option<IpAddr> {
        let state = self.lock();
        let is_node = |host: &Weak<Namespace>| host.upgrade().is_some_and(|host| host.is_node(name));
        state.hosts.iter().find(|(_, host)| is_node(host)).map(|(ip, _)| *ip)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
