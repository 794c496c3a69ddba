//! What a cluster is made from.

use std::net::Ipv4Addr;

use crate::runtime::sim::Pace;

/// The network of the nodes, as minikube has it. The machine of the learner is .1, the first node .2.
pub(super) const NODE_NETWORK: Ipv4Addr = Ipv4Addr::new(192, 168, 49, 0);
/// The port on which the first node serves the API.
pub(super) const API_PORT: u16 = 8443;

/// How a cluster is to be.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// How many nodes; the first is `minikube`, then `minikube-m02` and so on. At most 100.
    pub nodes: usize,
    /// What names, UIDs and addresses are drawn from; `None` draws the seed itself.
    pub seed: Option<u64>,
    /// Which time it is in the cluster.
    pub time: Time,
    /// Whether pulls and starts take believable time.
    pub pace: Pace,
    /// The images that every node is delivered with.
    pub images: Vec<String>,
    /// What is left out.
    pub without: Vec<Component>,
    /// A bearer token of the cluster's administrator, besides the client certificate.
    pub token: Option<String>,
    /// Names and addresses, besides its own, that the API server's certificate is for.
    pub serve_names: Vec<String>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            nodes: 1,
            seed: None,
            time: Time::Real,
            pace: Pace::Instant,
            images: vec![],
            without: vec![],
            token: None,
            serve_names: vec![],
        }
    }
}

/// Which time it is in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The machine's.
    Real,
    /// From a fixed start, moving when every task waits. Needs tokio's paused clock.
    Virtual,
}

/// A part of the cluster that can be left out or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    Scheduler,
    Controllers,
    Kubelet,
}

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A certificate or key could not be made.
    #[error("the cluster's certificates cannot be made: {0}")]
    Pki(String),
    /// The first objects could not be written.
    #[error("the cluster's first objects cannot be written: {0}")]
    Bootstrap(String),
    /// An address is taken.
    #[error("the address {0} is taken")]
    Address(std::net::IpAddr),
    /// A node cannot be delivered with an image.
    #[error("a node cannot have an image from the start: {0}")]
    Image(String),
    /// A kubelet did not start.
    #[error("a kubelet does not start: {0}")]
    Kubelet(String),
    /// The API server refused something that must work.
    #[error(transparent)]
    Api(#[from] kube::Error),
}
