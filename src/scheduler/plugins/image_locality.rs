//! ImageLocality: rather where large images are already.
// Models pkg/scheduler/framework/plugins/imagelocality.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::framework::{Cycle, CycleState, MAX_SCORE, Plugin};
use super::super::info::NodeInfo;

const MIB: i64 = 1024 * 1024;
const MIN_THRESHOLD: i64 = 23 * MIB;
const MAX_CONTAINER_THRESHOLD: i64 = 1000 * MIB;
const NAME: &str = "ImageLocality";

pub(crate) struct ImageLocality;

/// On how many nodes each image is.
struct Spread(BTreeMap<String, usize>);

fn normalized(name: &str) -> String {
    let tagged = name.rfind(':') > name.rfind('/');
    if tagged { name.to_owned() } else { format!("{name}:latest") }
}

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pre_score(&self, cycle: &Cycle<'_>, state: &mut CycleState, _nodes: &[Arc<NodeInfo>]) -> bool {
        let mut spread = BTreeMap::new();
        for name in cycle.snapshot.nodes.iter().flat_map(|node| node.images.keys()) {
            *spread.entry(name.clone()).or_insert(0) += 1;
        }
        state.write(NAME, Spread(spread));
        true
    }

    /// The sizes of the images that are there, each by the share of nodes that have it.
    fn score(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> i64 {
        let (Some(Spread(spread)), Some(spec)) = (state.read(NAME), cycle.pod.pod.spec.as_ref()) else {
            return 0;
        };
        let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
        let volumes =
            spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref()?.reference.as_deref());
        let count = spec.containers.len() + spec.init_containers.as_ref().map_or(0, Vec::len);
        let names = containers.filter_map(|container| container.image.as_deref()).chain(volumes);
        let total = cycle.snapshot.nodes.len() as f64;
        let scaled = |name: &str| {
            let name = normalized(name);
            let size = node.images.get(&name).copied().unwrap_or(0);
            let share = spread.get(&name).copied().unwrap_or(0) as f64 / total;
            // Sizes are far below 2^53.
            (size as f64 * share) as i64
        };
        let most = MAX_CONTAINER_THRESHOLD * i64::try_from(count).unwrap_or(1).max(1);
        let sum: i64 = names.map(scaled).sum::<i64>().clamp(MIN_THRESHOLD, most);
        MAX_SCORE * (sum - MIN_THRESHOLD) / (most - MIN_THRESHOLD)
    }
}
