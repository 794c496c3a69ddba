//! From a made status to what is written: transition times, what other owners hold, and the difference as a patch.
// Models pkg/kubelet/status/status_manager.go (updateStatusInternal, mergePodStatus, normalizeStatus) and pkg/util/pod.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, PodCondition, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};

use super::conditions::OWNED;

/// Whether the pod is over.
pub(in crate::kubelet) fn is_terminal(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

fn seconds(time: &mut Option<Time>) {
    if let Some(time) = time {
        time.0 = Timestamp::from_second(time.0.as_second()).unwrap_or(time.0);
    }
}

/// Gives conditions the time at which they last changed, and the pod the time at which it was first seen. Times are cut to
/// whole seconds, as the API keeps them.
pub(in crate::kubelet) fn reconcile_times(status: &mut PodStatus, old: &PodStatus, now: Timestamp) {
    for condition in status.conditions.iter_mut().flatten().filter(|c| OWNED.contains(&c.type_.as_str())) {
        let before = old.conditions.iter().flatten().find(|known| known.type_ == condition.type_);
        condition.last_transition_time = match before {
            Some(before) if before.status == condition.status => before.last_transition_time.clone(),
            _ => Some(Time(now)),
        };
        if condition.last_transition_time.is_none() {
            condition.last_transition_time = Some(Time(now));
        }
        seconds(&mut condition.last_transition_time);
    }
    if status.start_time.is_none() {
        status.start_time = old.start_time.clone().or(Some(Time(now)));
    }
    seconds(&mut status.start_time);
    let lists = [
        &mut status.container_statuses,
        &mut status.init_container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for container in lists.into_iter().flat_map(|list| list.iter_mut().flatten()) {
        for state in [&mut container.state, &mut container.last_state].into_iter().flatten() {
            if let Some(running) = &mut state.running {
                seconds(&mut running.started_at);
            }
            if let Some(ended) = &mut state.terminated {
                seconds(&mut ended.started_at);
                seconds(&mut ended.finished_at);
            }
        }
    }
}

/// Marks what never was seen to end as lost: for the last status of a pod.
// Models TerminatePod.
pub(in crate::kubelet) fn could_not_be_located(status: &mut PodStatus) {
    let lost = |container: &mut ContainerStatus| {
        if container.state.as_ref().is_none_or(|state| state.terminated.is_none()) {
            let terminated = ContainerStateTerminated {
                reason: Some("ContainerStatusUnknown".to_owned()),
                message: Some("The container could not be located when the pod was terminated".to_owned()),
                exit_code: 137,
                ..ContainerStateTerminated::default()
            };
            container.state =
                Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() });
        }
    };
    let has_started = |container: &ContainerStatus| {
        container.last_state.as_ref().is_some_and(|state| state.terminated.is_some())
            || container.state.as_ref().is_some_and(|state| state.waiting.is_none())
    };
    let initialized = status.init_container_statuses.iter().flatten().all(|container| {
        container
            .state
            .as_ref()
            .is_some_and(|state| state.terminated.as_ref().is_some_and(|t| t.exit_code == 0))
    });
    let any = status.container_statuses.iter().flatten().any(has_started);
    if initialized || any {
        status.container_statuses.iter_mut().flatten().for_each(lost);
    }
    status
        .init_container_statuses
        .iter_mut()
        .flatten()
        .filter(|container| has_started(container))
        .for_each(lost);
    if !is_terminal(status) {
        status.phase = Some("Failed".to_owned());
    }
}

/// What is to be in the API: other owners' conditions as they are there, and no end of the pod while containers may run.
pub(in crate::kubelet) fn merge(api: &PodStatus, own: &PodStatus, may_run: bool) -> PodStatus {
    let mut merged = own.clone();
    let others =
        api.conditions.iter().flatten().filter(|condition| !OWNED.contains(&condition.type_.as_str()));
    let ours = own.conditions.iter().flatten().filter(|condition| OWNED.contains(&condition.type_.as_str()));
    merged.conditions = Some(others.chain(ours).cloned().collect());
    if is_terminal(own) && !is_terminal(api) && may_run {
        merged.phase = api.phase.clone();
        merged.reason = api.reason.clone();
        merged.message = api.message.clone();
    }
    if is_terminal(&merged) {
        let reason = if merged.phase.as_deref() == Some("Failed") { "PodFailed" } else { "PodCompleted" };
        let ready = |c: &&mut PodCondition| {
            c.status == "True" && (c.type_ == "Ready" || c.type_ == "ContainersReady")
        };
        for condition in merged.conditions.iter_mut().flatten().filter(ready) {
            condition.status = "False".to_owned();
            condition.reason = Some(reason.to_owned());
        }
    }
    // What schedulers and claim controllers keep there.
    merged.nominated_node_name = api.nominated_node_name.clone();
    merged.resource_claim_statuses = api.resource_claim_statuses.clone();
    merged.extended_resource_claim_status = api.extended_resource_claim_status.clone();
    merged.node_allocatable_resource_claim_statuses = api.node_allocatable_resource_claim_statuses.clone();
    merged
}

/// The strategic merge patch that makes one status out of the other; `None` if they are the same.
pub(in crate::kubelet) fn patch(uid: &str, before: &PodStatus, after: &PodStatus) -> Option<Value> {
    let (before, after) = (object(before), object(after));
    let mut changes = Map::new();
    for (key, value) in &after {
        let old = before.get(key);
        if old == Some(value) {
            continue;
        }
        match key.as_str() {
            "conditions" => by_key(&mut changes, key, "type", old, value),
            "podIPs" | "hostIPs" => by_key(&mut changes, key, "ip", old, value),
            _ => {
                // Maps are merged key by key: what is gone has to be said.
                changes.insert(key.clone(), with_nulls(old, value));
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        changes.insert(key.clone(), Value::Null);
    }
    (!changes.is_empty()).then(|| json!({"metadata": {"uid": uid}, "status": changes}))
}

fn object(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn with_nulls(old: Option<&Value>, new: &Value) -> Value {
    let (Some(Value::Object(old)), Value::Object(new)) = (old, new) else { return new.clone() };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let kept = new.iter().map(|(key, value)| (key.clone(), with_nulls(old.get(key), value)));
    Value::Object(gone.chain(kept).collect())
}

/// Lists that are merged by a key: what changed, what goes, and the order.
fn by_key(changes: &mut Map<String, Value>, list: &str, key: &str, old: Option<&Value>, new: &Value) {
    let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let (old, new) = (items(old), items(Some(new)));
    let same_key = |a: &Value, b: &Value| a.get(key) == b.get(key);
    let mut out: Vec<Value> = new
        .iter()
        .filter(|item| !old.contains(item))
        .map(|item| with_nulls(old.iter().find(|known| same_key(known, item)), item))
        .collect();
    for gone in old.iter().filter(|known| !new.iter().any(|item| same_key(item, known))) {
        out.push(json!({"$patch": "delete", key: gone.get(key)}));
    }
    if !out.is_empty() {
        changes.insert(list.to_owned(), Value::Array(out));
    }
    let order: Vec<Value> = new.iter().map(|item| json!({key: item.get(key)})).collect();
    changes.insert(format!("$setElementOrder/{list}"), Value::Array(order));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_differences_are_written() {
        let before = status(json!({
            "phase": "Pending", "message": "old", "podIPs": [{"ip": "10.0.0.1"}],
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "mine", "status": "True"}]
        }));
        let after = status(json!({
            "phase": "Running", "podIPs": [{"ip": "10.0.0.2"}],
            "conditions": [{"type": "mine", "status": "True"}, {"type": "Ready", "status": "False"},
                           {"type": "PodScheduled", "status": "True"}]
        }));
        assert_eq!(patch("u", &before, &before), None);
        let expected = json!({"metadata": {"uid": "u"}, "status": {
            "phase": "Running", "message": null,
            "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}],
            "$setElementOrder/podIPs": [{"ip": "10.0.0.2"}],
            "conditions": [{"type": "Ready", "status": "False"}],
            "$setElementOrder/conditions": [{"type": "mine"}, {"type": "Ready"}, {"type": "PodScheduled"}]
        }});
        assert_eq!(patch("u", &before, &after), Some(expected));
    }

    #[test]
    fn a_pod_is_not_over_while_containers_may_run() {
        let api = status(json!({"phase": "Running", "conditions": [{"type": "gate", "status": "True"}]}));
        let own = status(json!({"phase": "Failed", "reason": "DeadlineExceeded",
                                "conditions": [{"type": "Ready", "status": "True"}]}));
        let merged = merge(&api, &own, true);
        assert_eq!((merged.phase.as_deref(), merged.reason.as_deref()), (Some("Running"), None));
        let merged = merge(&api, &own, false);
        assert_eq!(merged.phase.as_deref(), Some("Failed"));
        let kinds: Vec<_> = merged.conditions.unwrap().into_iter().map(|c| (c.type_, c.status)).collect();
        assert_eq!(kinds, [("gate".to_owned(), "True".to_owned()), ("Ready".to_owned(), "False".to_owned())]);
    }
}
