//! VolumeBinding: a pod waits for its claims, and goes where their volumes can be had.
//!
//! It refuses pods whose claims are missing or not bound, and nodes that a bound volume's node affinity leaves out. It does
//! not choose volumes for claims that wait for their first consumer: such a pod is refused.
// Models pkg/scheduler/framework/plugins/volumebinding.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};

use super::super::framework::{ClusterEvent, Cycle, CycleState, Plugin, PreFilter, Refusal};
use super::super::info::NodeInfo;
use crate::meta::node_affinity::selector_matches;

const NAME: &str = "VolumeBinding";

pub(crate) struct VolumeBinding;

#[derive(Default)]
struct Claims {
    /// The volumes that are bound; `None` for one that is gone.
    volumes: Vec<Option<Arc<PersistentVolume>>>,
    /// Whether one waits for its first consumer.
    waiting: bool,
}

fn claim_names(pod: &Pod) -> impl Iterator<Item = String> + '_ {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).filter_map(move |volume| {
        match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => Some(source.claim_name.clone()),
            (None, Some(_)) => Some(format!("{name}-{}", volume.name)),
            (None, None) => None,
        }
    })
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let notes = claim.metadata.annotations.as_ref();
    volume_name(claim).is_some()
        && notes.is_some_and(|notes| notes.contains_key("pv.kubernetes.io/bind-completed"))
}

fn volume_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.volume_name.as_deref().filter(|name| !name.is_empty())
}

/// Whether the claim's class binds it only when a pod needs it.
fn waits_for_consumer(cycle: &Cycle<'_>, claim: &PersistentVolumeClaim) -> bool {
    let class = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or_default();
    let class = cycle.listers.storage_classes.get("", class);
    volume_name(claim).is_none()
        && class.is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"))
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        NAME
    }

    fn requeues(&self, _pod: &Pod, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::Storage | ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::NodeUpdated(old, new) => old.metadata.labels != new.metadata.labels,
            _ => false,
        }
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, state: &mut CycleState) -> PreFilter {
        let mut found = Claims::default();
        let mut immediate = false;
        let mut any = false;
        for name in claim_names(&cycle.pod.pod) {
            any = true;
            let Some(claim) = cycle.listers.claims.get(cycle.pod.namespace(), &name) else {
                let text = format!("persistentvolumeclaim {name:?} not found");
                return PreFilter::Refused(Refusal::unresolvable(text));
            };
            if claim.metadata.deletion_timestamp.is_some() {
                let text = format!("persistentvolumeclaim {name:?} is being deleted");
                return PreFilter::Refused(Refusal::unresolvable(text));
            }
            if is_bound(&claim) {
                found.volumes.push(cycle.listers.volumes.get("", volume_name(&claim).unwrap_or_default()));
            } else if waits_for_consumer(cycle, &claim) {
                found.waiting = true;
            } else {
                immediate = true;
            }
        }
        if immediate {
            return PreFilter::Refused(Refusal::unresolvable(
                "pod has unbound immediate PersistentVolumeClaims",
            ));
        }
        state.write(NAME, found);
        if any { PreFilter::All } else { PreFilter::Skip }
    }

    fn filter(&self, _cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let claims: &Claims = state.read(NAME)?;
        let node = node.node()?;
        if claims.volumes.iter().any(Option::is_none) {
            return Some(Refusal::unresolvable(
                "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
            ));
        }
        let out_of_reach = claims.volumes.iter().flatten().any(|volume| {
            let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
            affinity
                .and_then(|affinity| affinity.required.as_ref())
                .is_some_and(|s| !selector_matches(s, node))
        });
        if out_of_reach {
            return Some(Refusal::unresolvable("node(s) didn't match PersistentVolume's node affinity"));
        }
        claims
            .waiting
            .then(|| Refusal::unresolvable("node(s) didn't find available persistent volumes to bind"))
    }
}
