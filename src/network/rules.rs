//! What kube-proxy programs into a node: which addresses stand for which backends. Data and the choice of a backend.
//!
//! The fabric follows it in memory, `kernel` writes it as packet rules.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What a port speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// The protocol of a field of the API; nothing there means TCP.
    pub fn of(field: Option<&str>) -> Option<Self> {
        match field {
            None | Some("TCP" | "") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// In small letters, as the kernel's tools write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The rules of one node. Replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRules {
    /// Cluster IPs with their ports.
    pub virtual_addresses: BTreeMap<(SocketAddr, Protocol), ServicePort>,
    /// External IPs with their ports.
    pub external_addresses: BTreeMap<(SocketAddr, Protocol), ExternalPort>,
    /// Node ports, answered on every address of the node.
    pub node_ports: BTreeMap<(u16, Protocol), ExternalPort>,
}

/// One port of a Service, and who is behind it for those that come this way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// `namespace/name:port`, for messages and views.
    pub name: String,
    /// Where connections go.
    pub backends: Vec<Backend>,
    /// What becomes of connections if nobody is there.
    pub otherwise: Otherwise,
    /// For how long a client keeps its backend (`sessionAffinity: ClientIP`).
    pub affinity: Option<Duration>,
}

/// One port of a Service for those who come from outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalPort {
    /// Who is behind it.
    pub port: ServicePort,
    /// `externalTrafficPolicy: Local`: the client's address is kept, and pods of this very node have all backends, as if they
    /// had gone out and come back. `None`: the node puts its own address in place of the client's.
    pub short_cut: Option<ServicePort>,
}

/// What becomes of connections that have no backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// The Service has no endpoints at all: they are refused.
    #[default]
    Refused,
    /// A `Local` policy, and endpoints on other nodes only: their packets are dropped.
    Dropped,
}

/// A place that connections go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The pod's address and port.
    pub address: SocketAddr,
    /// The node it is on, for the `Local` traffic policies.
    pub node: Option<String>,
}

impl ServicePort {
    /// The backend for a connection by `draw`, a random number.
    pub fn choose(&self, draw: u64) -> Option<&Backend> {
        let count = u64::try_from(self.backends.len()).unwrap_or(u64::MAX);
        let number = draw.checked_rem(count)?;
        self.backends.get(usize::try_from(number).unwrap_or(0))
    }
}
