//! VolumeRestrictions: a claim that only one pod may use is not given to a second one.
// Models pkg/scheduler/framework/plugins/volumerestrictions (the access mode ReadWriteOncePod).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

use super::super::framework::{ClusterEvent, Cycle, CycleState, Plugin, PreFilter, Refusal};
use super::super::info::NodeInfo;

const NAME: &str = "VolumeRestrictions";
const CONFLICT: &str =
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

pub(crate) struct VolumeRestrictions;

fn claims(pod: &Pod) -> impl Iterator<Item = &str> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn requeues(&self, pod: &Pod, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::PodDeleted(other) => {
                other.metadata.namespace == pod.metadata.namespace
                    && claims(pod).any(|claim| claims(other).any(|used| used == claim))
            }
            ClusterEvent::Claim(claim) => {
                claims(pod).any(|name| claim.metadata.name.as_deref() == Some(name))
            }
            _ => false,
        }
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, state: &mut CycleState) -> PreFilter {
        let namespace = cycle.pod.namespace();
        let mut alone = BTreeSet::new();
        for name in claims(&cycle.pod.pod) {
            let Some(claim) = cycle.listers.claim(namespace, name) else {
                let why = format!("persistentvolumeclaim {name:?} not found");
                return PreFilter::Refused(Refusal::unresolvable(why));
            };
            let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
            if modes.iter().any(|mode| mode == "ReadWriteOncePod") {
                alone.insert(name.to_owned());
            }
        }
        if alone.is_empty() {
            return PreFilter::Skip;
        }
        state.write(NAME, alone);
        PreFilter::All
    }

    fn filter(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let alone: &BTreeSet<String> = state.read(NAME)?;
        let uses = |node: &NodeInfo| {
            node.pods().any(|other| {
                other.namespace() == cycle.pod.namespace()
                    && other.uid() != cycle.pod.uid()
                    && claims(&other.pod).any(|claim| alone.contains(claim))
            })
        };
        // The pods of this node may be fewer than they are, when somebody asks what an eviction would help.
        let others = cycle.snapshot.nodes.iter().filter(|other| other.name() != node.name());
        let taken = uses(node) || others.into_iter().any(|other| uses(other));
        taken.then(|| Refusal::unschedulable(CONFLICT))
    }
}
