//! VolumeBinding: a pod waits for its claims, and goes where their volumes can be had.
//!
//! It refuses pods whose claims are missing or not bound, and nodes that cannot reach a volume. For claims that wait for
//! their first consumer it finds a volume of the node, or has one made for it: that is the plan that it reserves.
// Models pkg/scheduler/framework/plugins/volumebinding.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;

use super::super::assumed::VolumePlan;
use super::super::framework::{ClusterEvent, Cycle, CycleState, Plugin, PreFilter, Refusal};
use super::super::info::NodeInfo;
use super::super::listers::Listers;
use crate::meta::owner::is_controlled_by;
use crate::meta::storage::{
    NO_PROVISIONER, SELECTED_NODE, annotate, annotation, claim_class, has_annotation,
};
use crate::meta::storage_match::{
    Seeker, bind_volume, binds_late, find_matching, is_fully_bound, reachable_from, requested, volume_name,
};

const NAME: &str = "VolumeBinding";
const NO_VOLUME: &str = "node(s) didn't find available persistent volumes to bind";
const OUT_OF_REACH: &str = "node(s) didn't match PersistentVolume's node affinity";
const VOLUME_GONE: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

pub(crate) struct VolumeBinding;

#[derive(Default)]
struct Claims {
    /// The volumes that are bound; `None` for one that is gone.
    volumes: Vec<Option<Arc<PersistentVolume>>>,
    /// The claims that wait for their first consumer, the smallest first.
    waiting: Vec<Arc<PersistentVolumeClaim>>,
}

/// The claims of a pod: their names, and whether each was made for the pod.
fn claim_names(pod: &Pod) -> impl Iterator<Item = (String, bool)> + '_ {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).filter_map(move |volume| {
        match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => Some((source.claim_name.clone(), false)),
            (None, Some(_)) => Some((format!("{name}-{}", volume.name), true)),
            (None, None) => None,
        }
    })
}

/// The claim, if it is there and will do.
fn claim(cycle: &Cycle<'_>, name: &str, ephemeral: bool) -> Result<Arc<PersistentVolumeClaim>, String> {
    let namespace = cycle.pod.namespace();
    let Some(claim) = cycle.listers.claim(namespace, name) else {
        return Err(match ephemeral {
            true => format!(
                "waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"
            ),
            false => format!("persistentvolumeclaim {name:?} not found"),
        });
    };
    if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost") {
        let volume = volume_name(&claim).unwrap_or_default();
        return Err(format!(
            "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
        ));
    }
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    if ephemeral && !is_controlled_by(&claim.metadata, cycle.pod.uid()) {
        let pod = cycle.pod.name();
        return Err(format!(
            "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
        ));
    }
    Ok(claim)
}

/// What the claims that wait would get on the node; `None` if one of them can have nothing there.
// Models findMatchingVolumes and checkVolumeProvisions.
fn plan(listers: &Listers, waiting: &[Arc<PersistentVolumeClaim>], node: &Node) -> Option<VolumePlan> {
    let own = node.metadata.name.as_deref().unwrap_or_default();
    let volumes = listers.persistent_volumes();
    let (mut taken, mut plan) = (BTreeSet::new(), VolumePlan::default());
    for claim in waiting {
        let found = if has_annotation(&claim.metadata, SELECTED_NODE) {
            if annotation(&claim.metadata, SELECTED_NODE) != own {
                return None;
            }
            None
        } else {
            find_matching(claim, &volumes, &taken, Seeker::Scheduler(node))
        };
        if let Some(volume) = found {
            taken.insert(volume.metadata.name.clone().unwrap_or_default());
            let bound = bind_volume(&volume, claim).map_or(volume, Arc::new);
            plan.volumes.push((bound, claim.clone()));
            continue;
        }
        let class = listers.storage_classes.get("", claim_class(claim))?;
        if class.provisioner.is_empty() || class.provisioner == NO_PROVISIONER || !allows(&class, node) {
            return None;
        }
        let mut chosen = PersistentVolumeClaim::clone(claim);
        annotate(&mut chosen.metadata, SELECTED_NODE, own);
        plan.claims.push(Arc::new(chosen));
    }
    Some(plan)
}

/// Whether volumes of the class can be had on the node.
// Models MatchTopologySelectorTerms.
fn allows(class: &StorageClass, node: &Node) -> bool {
    let terms = class.allowed_topologies.as_deref().unwrap_or_default();
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    terms.is_empty()
        || terms.iter().any(|term| {
            let expressions = term.match_label_expressions.as_deref().unwrap_or_default();
            let fits =
                |(key, values): (&String, &Vec<String>)| label(key).is_some_and(|own| values.contains(own));
            !expressions.is_empty() && expressions.iter().all(|e| fits((&e.key, &e.values)))
        })
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        NAME
    }

    fn requeues(&self, pod: &Pod, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::Storage | ClusterEvent::NodeAdded(_) => true,
            ClusterEvent::Claim(claim) => {
                claim.metadata.namespace == pod.metadata.namespace
                    && claim_names(pod).any(|(name, _)| Some(name) == claim.metadata.name)
            }
            ClusterEvent::NodeUpdated(old, new) => old.metadata.labels != new.metadata.labels,
            _ => false,
        }
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, state: &mut CycleState) -> PreFilter {
        let mut claims = vec![];
        for (name, ephemeral) in claim_names(&cycle.pod.pod) {
            match claim(cycle, &name, ephemeral) {
                Ok(claim) => claims.push(claim),
                Err(why) => return PreFilter::Refused(Refusal::unresolvable(why)),
            }
        }
        if claims.is_empty() {
            state.write(NAME, Claims::default());
            return PreFilter::Skip;
        }
        let mut found = Claims::default();
        for claim in claims {
            if is_fully_bound(&claim) {
                let volume = volume_name(&claim).unwrap_or_default();
                found.volumes.push(cycle.listers.volumes.get("", volume));
                continue;
            }
            let class = cycle.listers.storage_classes.get("", claim_class(&claim));
            if volume_name(&claim).is_some() || !binds_late(class.as_deref()) {
                let why = "pod has unbound immediate PersistentVolumeClaims";
                return PreFilter::Refused(Refusal::unresolvable(why));
            }
            found.waiting.push(claim);
        }
        found.waiting.sort_by_key(|claim| requested(claim));
        state.write(NAME, found);
        PreFilter::All
    }

    fn filter(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> Option<Refusal> {
        let claims: &Claims = state.read(NAME)?;
        let node = node.node()?;
        let mut reasons = vec![];
        if claims.volumes.iter().flatten().any(|volume| !reachable_from(volume, node)) {
            reasons.push(OUT_OF_REACH.to_owned());
        }
        if plan(cycle.listers, &claims.waiting, node).is_none() {
            reasons.push(NO_VOLUME.to_owned());
        }
        if claims.volumes.iter().any(Option::is_none) {
            reasons.push(VOLUME_GONE.to_owned());
        }
        (!reasons.is_empty()).then(|| Refusal { reasons, ..Refusal::unresolvable("") })
    }

    fn reserve(&self, cycle: &Cycle<'_>, state: &CycleState, node: &NodeInfo) -> Option<VolumePlan> {
        let claims: &Claims = state.read(NAME)?;
        plan(cycle.listers, &claims.waiting, node.node()?)
    }
}
