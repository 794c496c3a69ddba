//! What kube-proxy programs into a node: which addresses stand for which backends. Data and the choice of a backend.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The rules of one node. Replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct ServiceRules {
    /// Virtual addresses (cluster IPs, external IPs) with their ports.
    pub virtual_addresses: BTreeMap<SocketAddr, ServicePort>,
    /// Node ports, answered on every address of the node.
    pub node_ports: BTreeMap<u16, ServicePort>,
}

/// One port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// `namespace/name:port`, for messages and views.
    pub name: String,
    /// Where connections go. Empty: they are refused.
    pub backends: Vec<Backend>,
    /// Whether a client keeps its backend (`sessionAffinity: ClientIP`).
    pub session_affinity: bool,
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
    /// The backend for a connection: by the client's address if it keeps its backend, else by `draw`, a random number.
    pub fn choose(&self, client: IpAddr, draw: u64) -> Option<&Backend> {
        let count = u64::try_from(self.backends.len()).unwrap_or(u64::MAX);
        let number = match client {
            _ if count == 0 => return None,
            IpAddr::V4(ip) if self.session_affinity => u64::from(u32::from(ip)),
            IpAddr::V6(ip) if self.session_affinity => u128::from(ip) as u64,
            _ => draw,
        };
        self.backends.get(usize::try_from(number % count).unwrap_or(0))
    }
}
