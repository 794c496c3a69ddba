//! What pods may take and make, as data, and the answer to whether a connection passes.
//!
//! A connection passes if both of its ends allow it. What answers it passes because the connection does: networks ask once a
//! connection.
// Models the comments of staging/src/k8s.io/api/networking/v1 (NetworkPolicySpec).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::meta::cidr::Cidr;
use crate::network::rules::Protocol;

/// The pods that some policy selects, by their addresses. Every other pod takes and makes whatever it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRules {
    /// The isolated pods.
    pub pods: BTreeMap<IpAddr, PodRules>,
}

/// What one pod may take and make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRules {
    /// `namespace/name`, for messages and views.
    pub name: String,
    /// The node it is on, with which it may always speak.
    pub node: String,
    /// What it takes; `None`: everything.
    pub ingress: Option<Vec<Allowance>>,
    /// What it makes; `None`: everything.
    pub egress: Option<Vec<Allowance>>,
}

/// One thing that is allowed: these peers on these ports. Several allow what any of them does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub peers: Peers,
    pub ports: Ports,
}

/// Whom something is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Whoever it is.
    Everybody,
    /// Pods by their addresses, and blocks of addresses.
    These { pods: BTreeSet<IpAddr>, blocks: Vec<Block> },
}

/// A block of addresses with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub range: Cidr,
    pub except: Vec<Cidr>,
}

/// Which ports something is allowed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Every port of every protocol.
    Every,
    /// These; none if it is empty.
    These(BTreeSet<PortRange>),
}

/// Ports of one protocol, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    pub protocol: Protocol,
    pub first: u16,
    pub last: u16,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// The node whose own address that is.
    pub node: Option<&'a str>,
}

impl PolicyRules {
    /// Whether `pod` may take a connection of `from` on a port of its own.
    pub fn allows_ingress(&self, pod: IpAddr, from: End<'_>, port: u16, protocol: Protocol) -> bool {
        self.allows(pod, from, port, protocol, |rules| rules.ingress.as_deref())
    }

    /// Whether `pod` may make a connection to a port of `to`.
    pub fn allows_egress(&self, pod: IpAddr, to: End<'_>, port: u16, protocol: Protocol) -> bool {
        self.allows(pod, to, port, protocol, |rules| rules.egress.as_deref())
    }

    fn allows(
        &self,
        pod: IpAddr,
        peer: End<'_>,
        port: u16,
        protocol: Protocol,
        of: fn(&PodRules) -> Option<&[Allowance]>,
    ) -> bool {
        let Some(rules) = self.pods.get(&pod) else { return true };
        // Nothing keeps a pod from itself, nor from the node that it is on: the kubelet's probes come from there.
        if peer.ip == pod || peer.node == Some(rules.node.as_str()) {
            return true;
        }
        let fits = |allowance: &Allowance| {
            allowance.peers.contains(peer.ip) && allowance.ports.contains(port, protocol)
        };
        of(rules).is_none_or(|allowances| allowances.iter().any(fits))
    }
}

impl Peers {
    fn contains(&self, ip: IpAddr) -> bool {
        match self {
            Self::Everybody => true,
            Self::These { pods, blocks } => {
                pods.contains(&ip) || blocks.iter().any(|block| block.contains(ip))
            }
        }
    }
}

impl Block {
    fn contains(&self, ip: IpAddr) -> bool {
        self.range.contains(ip) && !self.except.iter().any(|hole| hole.contains(ip))
    }
}

impl Ports {
    fn contains(&self, port: u16, protocol: Protocol) -> bool {
        let fits =
            |range: &PortRange| range.protocol == protocol && (range.first..=range.last).contains(&port);
        match self {
            Self::Every => true,
            Self::These(ranges) => ranges.iter().any(fits),
        }
    }
}
