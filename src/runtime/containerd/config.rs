//! What a runtime on containerd is made of, and why it cannot be had.

use std::path::PathBuf;

use crate::clock::Clock;
use crate::network::PodPlaces;

/// Where containerd listens if nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/containerd/containerd.sock";
/// Where a cluster keeps its volumes and logs if nobody says otherwise.
pub const DEFAULT_STATE: &str = "/var/lib/k8s-learn";

/// The label of everything in containerd that is ours: which node's it is.
pub(super) const NODE_LABEL: &str = "k8s-learn.io/node";
/// The label of everything in containerd that is ours.
pub(super) const OWNER_LABEL: &str = "k8s-learn.io/owner";
/// The value of [`OWNER_LABEL`].
pub(super) const OWNER: &str = "k8s-learn";

/// How a cluster uses containerd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerdConfig {
    /// containerd's socket.
    pub socket: PathBuf,
    /// The directory for volumes and logs.
    pub state: PathBuf,
}

impl Default for ContainerdConfig {
    fn default() -> Self {
        Self { socket: PathBuf::from(DEFAULT_SOCKET), state: PathBuf::from(DEFAULT_STATE) }
    }
}

/// What the runtime of one node is made of.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The node's name.
    pub node: String,
    /// The directory for the node's volumes and logs.
    pub state: PathBuf,
    /// The cluster's time.
    pub clock: Clock,
    /// Where pods are.
    pub places: PodPlaces,
    /// The control group that pods are in; empty for containerd's own choice.
    pub cgroup_parent: String,
}

/// The end of each message: what works anywhere.
const HINT: &str = "(--runtime sim needs none of it; k8s-learn doctor says what is missing)";

/// Why there are no real containers.
#[derive(Debug, thiserror::Error)]
pub enum ContainerdError {
    /// Real containers are Linux'.
    #[error("--runtime containerd needs Linux, and this is {0} {HINT}")]
    System(&'static str),
    /// Namespaces, mounts and packet rules are root's.
    #[error("--runtime containerd needs root {HINT}")]
    Root,
    /// Nobody answers.
    #[error("containerd does not answer at {}: {why} {HINT}", .socket.display())]
    Socket { socket: PathBuf, why: String },
    /// It answers, but with an error.
    #[error("containerd: {0} {HINT}")]
    Answer(String),
    /// Another cluster is at it.
    #[error(
        "another cluster of k8s-learn runs on real containers on this machine: {} is locked; end it first {HINT}",
        .0.display()
    )]
    Taken(PathBuf),
    /// A file or directory of ours.
    #[error("{}: {why} {HINT}", .path.display())]
    Files { path: PathBuf, why: String },
    /// The network of this machine does not do as it is told.
    #[error("{0} {HINT}")]
    Network(String),
    /// The course's images.
    #[error("the course's images cannot be put into containerd: {0} {HINT}")]
    Images(String),
}
