//! Which volume suits a claim: the rules that the controller and the scheduler share.
// Models k8s.io/component-helpers/storage/volume (FindMatchingVolume, CheckAccessModes, GetBindVolumeToClaim).

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::node_affinity::selector_matches;
use super::quantity::Quantity;
use super::selector::Selector;
use super::storage::{self, BIND_COMPLETED, BOUND_BY_CONTROLLER};

/// Who looks for a volume.
#[derive(Clone, Copy, Debug)]
pub enum Seeker<'a> {
    /// The controller; whether the claim's class leaves the choice to the scheduler.
    Controller { delayed: bool },
    /// The scheduler, for this node.
    Scheduler(&'a Node),
}

/// The volume's name in the claim's spec, if there is one.
pub fn volume_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.volume_name.as_deref().filter(|name| !name.is_empty())
}

/// Whether the claim has its volume for good.
pub fn is_fully_bound(claim: &PersistentVolumeClaim) -> bool {
    volume_name(claim).is_some() && storage::has_annotation(&claim.metadata, BIND_COMPLETED)
}

/// The volume's reference to its claim.
pub fn claim_ref(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

/// Whether the volume is for this claim: bound to it, or kept for it by name.
pub fn is_bound_to(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    claim_ref(volume).is_some_and(|reference| {
        let own_uid = reference.uid.as_deref().filter(|uid| !uid.is_empty());
        reference.name == claim.metadata.name
            && reference.namespace == claim.metadata.namespace
            && own_uid.is_none_or(|uid| claim.metadata.uid.as_deref() == Some(uid))
    })
}

/// Whether claim and volume disagree on being a file system or a device.
pub fn modes_mismatch(claim: &PersistentVolumeClaimSpec, volume: &PersistentVolumeSpec) -> bool {
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    mode(&claim.volume_mode) != mode(&volume.volume_mode)
}

/// Whether the volume has every access mode that the claim asks for.
pub fn access_modes_fit(claim: &PersistentVolumeClaimSpec, volume: &PersistentVolumeSpec) -> bool {
    let offered = volume.access_modes.as_deref().unwrap_or_default();
    claim.access_modes.iter().flatten().all(|mode| offered.contains(mode))
}

/// Whether the node is one of those that reach the volume.
pub fn reachable_from(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    required.is_none_or(|selector| selector_matches(selector, node))
}

/// Whether the class leaves the choice of the volume to the scheduler.
pub fn binds_late(class: Option<&StorageClass>) -> bool {
    class.is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"))
}

/// The storage that a claim asks for, in bytes.
pub fn requested(claim: &PersistentVolumeClaim) -> i64 {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    bytes(resources.and_then(|resources| resources.requests.as_ref()?.get("storage")))
}

/// The storage that a volume has, in bytes.
pub fn capacity(volume: &PersistentVolume) -> i64 {
    bytes(volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()?.get("storage")))
}

fn bytes(quantity: Option<&ApiQuantity>) -> i64 {
    quantity.and_then(|quantity| Quantity::try_from(quantity).ok()).map_or(0, Quantity::value)
}

/// The volume that suits best: the one that is kept for the claim, else the smallest that is large enough.
pub fn find_matching(
    claim: &PersistentVolumeClaim,
    volumes: &[Arc<PersistentVolume>],
    taken: &BTreeSet<String>,
    seeker: Seeker<'_>,
) -> Option<Arc<PersistentVolume>> {
    let spec = claim.spec.as_ref()?;
    let selector = match &spec.selector {
        Some(selector) => Some(Selector::from_label_selector(selector).ok()?),
        None => None,
    };
    let mut smallest: Option<(i64, Arc<PersistentVolume>)> = None;
    for volume in volumes {
        let Some(own) = &volume.spec else { continue };
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        let of_another = claim_ref(volume).is_some() && !is_bound_to(volume, claim);
        if taken.contains(name)
            || of_another
            || capacity(volume) < requested(claim)
            || modes_mismatch(spec, own)
            || spec.volume_attributes_class_name.as_deref().unwrap_or_default()
                != own.volume_attributes_class_name.as_deref().unwrap_or_default()
            || volume.metadata.deletion_timestamp.is_some()
        {
            continue;
        }
        let reachable = match seeker {
            Seeker::Scheduler(node) => reachable_from(volume, node),
            Seeker::Controller { .. } => true,
        };
        if is_bound_to(volume, claim) {
            return reachable.then(|| volume.clone());
        }
        if matches!(seeker, Seeker::Controller { delayed: true }) {
            continue;
        }
        let available =
            volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Available");
        let wanted = selector
            .as_ref()
            .is_none_or(|selector| selector.matches_optional(volume.metadata.labels.as_ref()));
        let same_class = storage::volume_class(volume) == storage::claim_class(claim);
        if !available || !wanted || !same_class || !reachable || !access_modes_fit(spec, own) {
            continue;
        }
        let size = capacity(volume);
        if smallest.as_ref().is_none_or(|(least, _)| *least > size) {
            smallest = Some((size, volume.clone()));
        }
    }
    smallest.map(|(_, volume)| volume)
}

/// The volume with the claim written into it; `None` if it is already.
pub fn bind_volume(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<PersistentVolume> {
    let kept = is_bound_to(volume, claim);
    let complete = kept && claim_ref(volume).is_some_and(|reference| reference.uid == claim.metadata.uid);
    let note = !kept && !storage::has_annotation(&volume.metadata, BOUND_BY_CONTROLLER);
    if complete && !note {
        return None;
    }
    let mut bound = volume.clone();
    if !complete {
        bound.spec.get_or_insert_default().claim_ref = Some(reference_to_claim(claim));
    }
    if note {
        storage::annotate(&mut bound.metadata, BOUND_BY_CONTROLLER, "yes");
    }
    Some(bound)
}

/// The reference that a volume has to its claim.
pub fn reference_to_claim(claim: &PersistentVolumeClaim) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        name: claim.metadata.name.clone(),
        namespace: claim.metadata.namespace.clone(),
        resource_version: claim.metadata.resource_version.clone(),
        uid: claim.metadata.uid.clone(),
        field_path: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn volume(name: &str, size: &str, change: Value) -> Arc<PersistentVolume> {
        let mut value = json!({
            "metadata": {"name": name, "labels": {"disk": name}},
            "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual"},
            "status": {"phase": "Available"},
        });
        json_patch::merge(&mut value, &change);
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn claim(change: Value) -> PersistentVolumeClaim {
        let mut value = json!({
            "metadata": {"name": "books", "namespace": "default", "uid": "u"},
            "spec": {"resources": {"requests": {"storage": "2Gi"}}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual"},
        });
        json_patch::merge(&mut value, &change);
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(volumes: &[Arc<PersistentVolume>], change: Value, expected: Option<&str>) {
        let found =
            find_matching(&claim(change), volumes, &BTreeSet::new(), Seeker::Controller { delayed: false });
        assert_eq!(found.and_then(|volume| volume.metadata.name.clone()).as_deref(), expected);
    }

    #[test]
    fn the_smallest_that_suits_is_taken() {
        let none = || json!({});
        let all =
            [volume("large", "9Gi", none()), volume("small", "1Gi", none()), volume("fits", "3Gi", none())];
        check(&all, none(), Some("fits"));
        check(&all, json!({"spec": {"selector": {"matchLabels": {"disk": "large"}}}}), Some("large"));
        check(&all, json!({"spec": {"storageClassName": ""}}), None);
        check(&all, json!({"spec": {"accessModes": ["ReadWriteMany"]}}), None);
        check(&all, json!({"spec": {"volumeMode": "Block"}}), None);
        check(&all, json!({"spec": {"resources": {"requests": {"storage": "10Gi"}}}}), None);
        check(&[volume("used", "3Gi", json!({"status": {"phase": "Released"}}))], none(), None);
        check(
            &[volume("going", "3Gi", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}))],
            none(),
            None,
        );
    }

    #[test]
    fn a_volume_that_is_kept_for_the_claim_comes_first() {
        let kept = |uid: &str| json!({"spec": {"claimRef": {"name": "books", "namespace": "default", "uid": uid}}, "status": {"phase": "Bound"}});
        let all = [volume("fits", "2Gi", json!({})), volume("kept", "9Gi", kept(""))];
        check(&all, json!({}), Some("kept"));
        check(
            &[volume("fits", "2Gi", json!({})), volume("kept", "9Gi", kept("other"))],
            json!({}),
            Some("fits"),
        );
        let bound = bind_volume(&all[1], &claim(json!({}))).unwrap();
        assert_eq!(claim_ref(&bound).unwrap().uid.as_deref(), Some("u"));
        assert!(!storage::has_annotation(&bound.metadata, BOUND_BY_CONTROLLER), "the user chose it");
        assert_eq!(bind_volume(&bound, &claim(json!({}))), None);
        let chosen = bind_volume(&all[0], &claim(json!({}))).unwrap();
        assert!(storage::has_annotation(&chosen.metadata, BOUND_BY_CONTROLLER));
    }

    #[test]
    fn the_scheduler_looks_from_a_node() {
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": "a", "labels": {"zone": "north"}}})).unwrap();
        let near = |zone: &str| {
            json!({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}]}}}})
        };
        let all = [volume("south", "2Gi", near("south")), volume("north", "3Gi", near("north"))];
        let find = |taken: &[&str]| {
            let taken = taken.iter().map(|name| (*name).to_owned()).collect();
            find_matching(&claim(json!({})), &all, &taken, Seeker::Scheduler(&node))
                .and_then(|v| v.metadata.name.clone())
        };
        assert_eq!(find(&[]).as_deref(), Some("north"));
        assert_eq!(find(&["north"]), None);
        let delayed = Seeker::Controller { delayed: true };
        assert!(find_matching(&claim(json!({})), &all, &BTreeSet::new(), delayed).is_none());
    }
}
