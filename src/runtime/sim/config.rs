//! What a simulated runtime is made of, and how long things take in it.

use super::disk::NodeDisk;
use crate::clock::Clock;
use crate::network::Fabric;
use crate::seed::Seed;

/// How long pulls and starts take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// As long as on a real node, on the cluster's clock.
    #[default]
    Real,
    /// No time at all.
    Instant,
}

/// What a [`super::SimRuntime`] is made of.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The node that it runs on.
    pub node: String,
    /// The network that sandboxes join.
    pub fabric: Fabric,
    /// The cluster's time.
    pub clock: Clock,
    /// The cluster's chance.
    pub seed: Seed,
    /// How long things take.
    pub pace: Pace,
    /// The node's files.
    pub disk: NodeDisk,
}
