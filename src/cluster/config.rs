//! What a cluster is made from.

use std::net::Ipv4Addr;

use crate::runtime::containerd::{ContainerdConfig, ContainerdError};
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
    /// Who runs the containers.
    pub runtime: RuntimeConfig,
    /// The images that every node is delivered with.
    pub images: Vec<String>,
    /// What is left out.
    pub without: Vec<Component>,
    /// Whether there is a default StorageClass, as minikube has it.
    pub storage_class: bool,
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
            runtime: RuntimeConfig::Sim,
            images: vec![],
            without: vec![],
            storage_class: true,
            token: None,
            serve_names: vec![],
        }
    }
}

/// Who runs a cluster's containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RuntimeConfig {
    /// This process, everywhere.
    #[default]
    Sim,
    /// The machine's containerd.
    Containerd(ContainerdConfig),
}

/// Which time it is in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The machine's.
    Real,
    /// From a fixed start, moving when every task waits. Needs tokio's paused clock.
    Virtual,
}

/// A part of the cluster that can be left out, stopped and started. The order is that of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    Scheduler,
    ControllerManager,
    /// One a node.
    KubeProxy,
    /// One a node.
    Kubelet,
}

impl Component {
    /// Every component.
    pub const ALL: [Self; 4] = [Self::Scheduler, Self::ControllerManager, Self::KubeProxy, Self::Kubelet];

    /// The name that it goes by: `scheduler`, `controller-manager`, `kube-proxy`, `kubelet`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::ControllerManager => "controller-manager",
            Self::KubeProxy => "kube-proxy",
            Self::Kubelet => "kubelet",
        }
    }

    /// Whether every node has its own.
    pub const fn is_per_node(self) -> bool {
        matches!(self, Self::KubeProxy | Self::Kubelet)
    }
}

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// No component has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no component {0:?}: the components are scheduler, controller-manager, kube-proxy and kubelet"
)]
pub struct UnknownComponent(pub String);

impl std::str::FromStr for Component {
    type Err = UnknownComponent;

    /// Reads a name; those that the programs have (`kube-scheduler`) do as well.
    fn from_str(text: &str) -> Result<Self, UnknownComponent> {
        let named = |component: &Self| {
            component.name() == text
                || text.strip_prefix("kube-").is_some_and(|short| short == component.name())
        };
        match text {
            // What it was called before.
            "controllers" => Ok(Self::ControllerManager),
            _ => Self::ALL.into_iter().find(named).ok_or_else(|| UnknownComponent(text.to_owned())),
        }
    }
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
    /// Real containers cannot be had.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// A kubelet did not start.
    #[error("a kubelet does not start: {0}")]
    Kubelet(String),
    /// The API server refused something that must work.
    #[error(transparent)]
    Api(#[from] kube::Error),
}
