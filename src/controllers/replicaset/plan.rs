//! What a ReplicaSet needs, from what there is: pure functions, pods in, decisions out.
// Models pkg/controller/replicaset/replica_set_utils.go and pkg/controller/controller_utils.go (ActivePodsWithRanks).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};

use super::super::pods;
use super::owner::ReplicaOwner;
use crate::meta::owner::controller_of;
use crate::meta::selector::Selector;

/// How many pods one reconcile creates or deletes at the most.
pub(crate) const BURST_REPLICAS: usize = 500;

/// What to do about who owns which pods.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// The owner's own pods.
    pub(crate) own: Vec<Arc<Pod>>,
    /// Pods without a controller that match: to be made its own.
    pub(crate) adopt: Vec<Arc<Pod>>,
    /// Its own that no longer match: to be let go.
    pub(crate) release: Vec<Arc<Pod>>,
}

/// Sorts active pods by what is to be done about their owner.
// Models pkg/controller/controller_ref_manager.go (ClaimObject).
pub(crate) fn claims(owner: &ObjectMeta, selector: &Selector, candidates: Vec<Arc<Pod>>) -> Claims {
    let mut claims = Claims::default();
    let uid = owner.uid.as_deref().unwrap_or_default();
    let going = owner.deletion_timestamp.is_some();
    for pod in candidates.into_iter().filter(|pod| pods::is_active(pod)) {
        let matches = selector.matches_optional(pod.metadata.labels.as_ref());
        match controller_of(&pod.metadata) {
            Some(reference) if reference.uid != uid => {}
            Some(_) if matches => claims.own.push(pod),
            Some(_) if going => {}
            Some(_) => claims.release.push(pod),
            None if matches && !going => claims.adopt.push(pod),
            None => {}
        }
    }
    claims
}

/// The pod that a template makes.
// Models pkg/controller/controller_utils.go (GetPodFromTemplate).
pub(crate) fn pod_from_template(template: &PodTemplateSpec, owner_name: &str, owner: OwnerReference) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    let filled = |map: Option<BTreeMap<String, String>>| map.filter(|map| !map.is_empty());
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{owner_name}-")),
            labels: filled(meta.labels),
            annotations: filled(meta.annotations),
            finalizers: meta.finalizers,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// The pods to delete, so that `count` fewer remain: those first that are missed least.
pub(crate) fn pods_to_delete(
    mut own: Vec<Arc<Pod>>,
    related: &[Arc<Pod>],
    count: usize,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    if count < own.len() {
        let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in related.iter().filter(|pod| pods::is_active(pod)) {
            *on_node.entry(node(pod)).or_default() += 1;
        }
        let rank = |pod: &Pod| on_node.get(node(pod)).copied().unwrap_or(0);
        own.sort_by(|a, b| deletion_order(a, b, rank(a), rank(b), now));
    }
    own.truncate(count);
    own
}

fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// Unassigned before assigned, pending before running, not ready before ready, cheap before dear, crowded nodes before
/// lonely ones, ready for a shorter time, with more restarts, younger.
fn deletion_order(a: &Pod, b: &Pod, rank_a: usize, rank_b: usize, now: Timestamp) -> Ordering {
    let phase = |pod: &Pod| match pods::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    };
    let uid = |pod: &Pod| pod.metadata.uid.clone();
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (!node(a).is_empty())
        .cmp(&!node(b).is_empty())
        .then_with(|| phase(a).cmp(&phase(b)))
        .then_with(|| pods::is_ready(a).cmp(&pods::is_ready(b)))
        .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
        .then_with(|| rank_b.cmp(&rank_a))
        .then_with(|| match (pods::ready_since(a), pods::ready_since(b)) {
            (Some(x), Some(y)) if x != y => {
                magnitude(x, now).cmp(&magnitude(y, now)).then_with(|| uid(a).cmp(&uid(b)))
            }
            _ => Ordering::Equal,
        })
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| match (created(a), created(b)) {
            (Some(x), Some(y)) if x != y => {
                magnitude(x, now).cmp(&magnitude(y, now)).then_with(|| uid(a).cmp(&uid(b)))
            }
            _ => Ordering::Equal,
        })
}

/// The order of magnitude of an age: pods of about the same age count as equally old, so that chance decides.
fn magnitude(then: Timestamp, now: Timestamp) -> i64 {
    let nanos = now.duration_since(then).as_nanos();
    if nanos > 0 { i64::from(nanos.ilog2()) } else { -1 }
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations
        .and_then(|map| map.get("controller.kubernetes.io/pod-deletion-cost"))
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

/// The most restarts of a container, and of a sidecar.
fn restarts(pod: &Pod) -> (i32, i32) {
    let Some(status) = &pod.status else { return (0, 0) };
    let regular = status.container_statuses.iter().flatten().map(|c| c.restart_count).max().unwrap_or(0);
    let spec = pod.spec.as_ref();
    let is_sidecar = |name: &str| {
        spec.and_then(|spec| spec.init_containers.as_ref())
            .into_iter()
            .flatten()
            .any(|container| container.name == name && container.restart_policy.as_deref() == Some("Always"))
    };
    let sidecars = status.init_container_statuses.iter().flatten().filter(|c| is_sidecar(&c.name));
    (regular, sidecars.map(|c| c.restart_count).max().unwrap_or(0))
}

/// The status that follows from the pods. `failure`: what creating or deleting them came to.
pub(crate) fn status<O: ReplicaOwner>(
    owner: &O,
    active: &[Arc<Pod>],
    terminating: usize,
    failure: Option<&str>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let mut status = owner.status();
    let labels =
        owner.template().and_then(|template| template.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    let full = Selector::from_labels(&labels);
    let count = |test: &dyn Fn(&Pod) -> bool| {
        i32::try_from(active.iter().filter(|pod| test(pod)).count()).unwrap_or(i32::MAX)
    };
    let failing = status.conditions.iter().flatten().any(|c| c.type_ == "ReplicaFailure");
    match failure {
        Some(message) if !failing => {
            let reason = match i64::try_from(active.len()).unwrap_or(i64::MAX) - i64::from(owner.replicas()) {
                ..0 => "FailedCreate",
                0 => "",
                1.. => "FailedDelete",
            };
            status.conditions.get_or_insert_default().push(ReplicaSetCondition {
                type_: "ReplicaFailure".to_owned(),
                status: "True".to_owned(),
                last_transition_time: Some(Time(now)),
                reason: Some(reason.to_owned()),
                message: Some(message.to_owned()),
            });
        }
        None if failing => {
            status
                .conditions
                .iter_mut()
                .for_each(|conditions| conditions.retain(|c| c.type_ != "ReplicaFailure"));
            status.conditions = status.conditions.filter(|conditions| !conditions.is_empty());
        }
        _ => {}
    }
    status.replicas = count(&|_| true);
    // A zero is left out, as Kubernetes writes these.
    let number = |test: &dyn Fn(&Pod) -> bool| Some(count(test)).filter(|count| *count != 0);
    status.fully_labeled_replicas = number(&|pod| full.matches_optional(pod.metadata.labels.as_ref()));
    status.ready_replicas = number(&pods::is_ready);
    status.available_replicas = number(&|pod| pods::is_available(pod, owner.min_ready_seconds(), now));
    status.terminating_replicas =
        O::COUNTS_TERMINATING.then(|| i32::try_from(terminating).unwrap_or(i32::MAX));
    status
}

/// Whether the status on record says the same. Numbers that are left out are 0.
pub(crate) fn same_status(old: &ReplicaSetStatus, new: &ReplicaSetStatus) -> bool {
    let numbers = |status: &ReplicaSetStatus| {
        (
            status.replicas,
            status.fully_labeled_replicas.unwrap_or(0),
            status.ready_replicas.unwrap_or(0),
            status.available_replicas.unwrap_or(0),
            status.terminating_replicas,
        )
    };
    let conditions = |status: &ReplicaSetStatus| status.conditions.clone().unwrap_or_default();
    numbers(old) == numbers(new) && conditions(old) == conditions(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use serde_json::{Value, json};

    fn pod(name: &str, node: &str, phase: &str, ready: bool, extra: Value) -> Arc<Pod> {
        let mut pod = json!({
            "metadata": {"name": name, "uid": name, "labels": {"app": "web"}},
            "spec": {"nodeName": node, "containers": []},
            "status": {"phase": phase, "conditions": [{
                "type": "Ready", "status": if ready { "True" } else { "False" },
                "lastTransitionTime": "2025-12-31T23:59:00Z",
            }]},
        });
        json_patch::merge(&mut pod, &extra);
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn deleted(pods: Vec<Arc<Pod>>, count: usize) -> Vec<String> {
        let related = pods.clone();
        let doomed = pods_to_delete(pods, &related, count, VIRTUAL_START);
        doomed.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect()
    }

    #[test]
    fn those_go_first_that_are_missed_least() {
        let pods = vec![
            pod("ready", "a", "Running", true, json!({})),
            pod("not-ready", "a", "Running", false, json!({})),
            pod("pending", "a", "Pending", false, json!({})),
            pod("unassigned", "", "Pending", false, json!({})),
        ];
        assert_eq!(deleted(pods, 3), ["unassigned", "pending", "not-ready"]);
    }

    #[test]
    fn a_crowded_node_gives_first_but_cost_comes_before() {
        let cheap =
            json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}}});
        let pods = vec![
            pod("alone", "b", "Running", true, json!({})),
            pod("crowded-1", "a", "Running", true, json!({})),
            pod("crowded-2", "a", "Running", true, json!({})),
        ];
        assert_eq!(deleted(pods.clone(), 1), ["crowded-1"]);
        let pods = [pods, vec![pod("cheap", "c", "Running", true, cheap)]].concat();
        assert_eq!(deleted(pods, 1), ["cheap"]);
    }

    #[test]
    fn claims_follow_labels_and_owners() {
        let owner: ObjectMeta = serde_json::from_value(json!({"name": "rs", "uid": "mine"})).unwrap();
        let selector = Selector::parse("app=web").unwrap();
        let owned = |name: &str, uid: &str, app: &str| {
            let reference = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": uid, "controller": true}]);
            pod(
                name,
                "a",
                "Running",
                true,
                json!({"metadata": {"labels": {"app": app}, "ownerReferences": reference}}),
            )
        };
        let claims = claims(
            &owner,
            &selector,
            vec![
                owned("own", "mine", "web"),
                owned("renamed", "mine", "debug"),
                owned("foreign", "other", "web"),
                pod("orphan", "a", "Running", true, json!({})),
                pod("ended", "a", "Failed", true, json!({})),
            ],
        );
        let names =
            |pods: Vec<Arc<Pod>>| pods.iter().map(|p| p.metadata.name.clone().unwrap()).collect::<Vec<_>>();
        assert_eq!(
            (names(claims.own), names(claims.adopt), names(claims.release)),
            (vec!["own".to_owned()], vec!["orphan".to_owned()], vec!["renamed".to_owned()])
        );
    }

    #[test]
    fn the_status_counts_and_tells_of_refusals() {
        let owner: ReplicaSet = serde_json::from_value(json!({
            "metadata": {"name": "rs"},
            "spec": {"replicas": 2, "minReadySeconds": 30, "selector": {}, "template": {"metadata": {"labels": {"app": "web"}}}},
        }))
        .unwrap();
        let pods =
            vec![pod("a", "n", "Running", true, json!({})), pod("b", "n", "Running", false, json!({}))];
        let told = status(&owner, &pods[..1], 1, Some("quota"), VIRTUAL_START);
        assert_eq!(
            (told.replicas, told.available_replicas, told.terminating_replicas),
            (1, Some(1), Some(1))
        );
        let condition = &told.conditions.as_ref().unwrap()[0];
        assert_eq!(
            (condition.reason.as_deref(), condition.message.as_deref()),
            (Some("FailedCreate"), Some("quota"))
        );
        let mut owner = owner;
        owner.status = Some(told);
        let told = status(&owner, &pods, 0, None, VIRTUAL_START);
        assert_eq!(
            (told.conditions, told.ready_replicas, told.fully_labeled_replicas),
            (None, Some(1), Some(2))
        );
    }
}
