//! What a node's silence means: conditions, taints, and how long pods may stay. Pure functions.
// Models pkg/controller/nodelifecycle/node_lifecycle_controller.go and pkg/controller/tainteviction.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::meta::taint::{NO_EXECUTE, NO_SCHEDULE, tolerates};

pub(crate) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(crate) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// The conditions that a kubelet reports, and that become unknown with it.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Which status of which condition asks for which taint.
const CONDITION_TAINTS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// A condition of the node.
pub(crate) fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// The status of the condition `Ready`, if there is one.
pub(crate) fn ready(node: &Node) -> Option<&str> {
    condition(node, "Ready").map(|condition| condition.status.as_str())
}

/// The node with every condition that its kubelet reports unknown; `None` if they were.
pub(crate) fn silenced(node: &Node, now: Timestamp) -> Option<Node> {
    let mut silenced = node.clone();
    let conditions = silenced.status.get_or_insert_default().conditions.get_or_insert_default();
    let mut changed = false;
    for kind in REPORTED {
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            None => {
                conditions.push(NodeCondition {
                    type_: kind.to_owned(),
                    status: "Unknown".to_owned(),
                    reason: Some("NodeStatusNeverUpdated".to_owned()),
                    message: Some("Kubelet never posted node status.".to_owned()),
                    last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                    last_transition_time: Some(Time(now)),
                });
                changed = true;
            }
            Some(condition) if condition.status != "Unknown" => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(Time(now));
                changed = true;
            }
            Some(_) => {}
        }
    }
    changed.then_some(silenced)
}

/// What is to be done about pods on the node that must not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    /// Put them out.
    Start,
    /// Put nobody out, and stop it where it began.
    Stop,
    /// Leave it as it is: it is not the node's turn yet.
    Wait,
}

/// The node's taints as its conditions ask for; `None` if they are right.
pub(crate) fn taints(node: &Node, execution: Execution, now: Timestamp) -> Option<Vec<Taint>> {
    let spec = node.spec.clone().unwrap_or_default();
    let before = spec.taints.unwrap_or_default();
    let mut wanted: Vec<(&str, &str)> = CONDITION_TAINTS
        .iter()
        .filter(|(kind, status, _)| {
            condition(node, kind).is_some_and(|condition| condition.status == *status)
        })
        .map(|(_, _, key)| (*key, NO_SCHEDULE))
        .collect();
    if spec.unschedulable == Some(true) {
        wanted.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    let out = match ready(node) {
        Some("False") => Some(NOT_READY),
        Some("Unknown") => Some(UNREACHABLE),
        _ => None,
    };
    let opposite_there = before.iter().any(|taint| {
        taint.effect == NO_EXECUTE
            && [NOT_READY, UNREACHABLE].contains(&taint.key.as_str())
            && Some(taint.key.as_str()) != out
    });
    match (out, execution) {
        (None, _) | (_, Execution::Stop) => {}
        // A node that is tainted already only changes the reason.
        (Some(key), _) if opposite_there => wanted.push((key, NO_EXECUTE)),
        (Some(key), Execution::Start) => wanted.push((key, NO_EXECUTE)),
        (Some(key), Execution::Wait) => {
            wanted.extend(
                before.iter().any(|t| t.key == key && t.effect == NO_EXECUTE).then_some((key, NO_EXECUTE)),
            );
        }
    }
    let is_ours = |taint: &Taint| match taint.effect.as_str() {
        NO_EXECUTE => [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()),
        NO_SCHEDULE => {
            taint.key == UNSCHEDULABLE || CONDITION_TAINTS.iter().any(|(_, _, key)| taint.key == *key)
        }
        _ => false,
    };
    let is_wanted = |taint: &Taint| wanted.contains(&(taint.key.as_str(), taint.effect.as_str()));
    let mut after: Vec<Taint> =
        before.iter().filter(|taint| !is_ours(taint) || is_wanted(taint)).cloned().collect();
    for (key, effect) in wanted {
        if !before.iter().any(|taint| taint.key == key && taint.effect == effect) {
            after.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added: Some(Time(now)),
                value: None,
            });
        }
    }
    (after != before).then_some(after)
}

/// How long a pod may stay on a node with these taints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// As long as it likes.
    Forever,
    /// So long and no longer.
    For(SignedDuration),
}

/// The shortest time for which the pod tolerates all taints that put pods out.
// Models getMinTolerationTime and GetMatchingTolerations.
pub(crate) fn stay(pod: &Pod, node: &Node) -> Stay {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten())
        .filter(|taint| taint.effect == NO_EXECUTE);
    let mut shortest = Stay::Forever;
    for taint in taints {
        let mut matching = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).peekable();
        if matching.peek().is_none() {
            return Stay::For(SignedDuration::ZERO);
        }
        // Kubernetes goes by the first toleration that covers a taint.
        let seconds = matching.next().and_then(|toleration| toleration.toleration_seconds);
        if let Some(seconds) = seconds {
            let time = SignedDuration::from_secs(seconds.max(0));
            shortest = match shortest {
                Stay::For(other) => Stay::For(other.min(time)),
                Stay::Forever => Stay::For(time),
            };
        }
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use serde_json::{Value, json};

    fn node(ready: &str, taints: Value) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "n"}, "spec": {"taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "KubeletReady"}]},
        }))
        .unwrap()
    }

    fn keys(taints: Option<Vec<Taint>>) -> Vec<String> {
        taints.unwrap().iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
    }

    #[test]
    fn a_silent_node_becomes_unknown_in_kubernetes_words() {
        let silent = silenced(&node("True", json!([])), VIRTUAL_START).unwrap();
        let told = condition(&silent, "Ready").unwrap();
        assert_eq!((told.status.as_str(), told.reason.as_deref()), ("Unknown", Some("NodeStatusUnknown")));
        assert_eq!(told.message.as_deref(), Some("Kubelet stopped posting node status."));
        assert_eq!(
            condition(&silent, "DiskPressure").unwrap().reason.as_deref(),
            Some("NodeStatusNeverUpdated")
        );
        assert!(silenced(&silent, VIRTUAL_START).is_none());
    }

    #[test]
    fn conditions_ask_for_taints_and_foreign_ones_stay() {
        let own = json!([{"key": "mine", "effect": "NoExecute"}]);
        let silent = node("Unknown", own.clone());
        assert_eq!(
            keys(taints(&silent, Execution::Wait, VIRTUAL_START)),
            ["mine:NoExecute", "node.kubernetes.io/unreachable:NoSchedule"]
        );
        assert_eq!(
            keys(taints(&silent, Execution::Start, VIRTUAL_START)),
            [
                "mine:NoExecute",
                "node.kubernetes.io/unreachable:NoSchedule",
                "node.kubernetes.io/unreachable:NoExecute"
            ]
        );
        assert!(taints(&node("True", own), Execution::Start, VIRTUAL_START).is_none());
        let was =
            json!([{"key": NOT_READY, "effect": "NoExecute"}, {"key": NOT_READY, "effect": "NoSchedule"}]);
        assert!(keys(taints(&node("True", was.clone()), Execution::Wait, VIRTUAL_START)).is_empty());
        assert_eq!(
            keys(taints(&node("Unknown", was), Execution::Wait, VIRTUAL_START)),
            ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]
        );
    }

    #[test]
    fn a_pod_stays_as_long_as_it_tolerates_every_taint() {
        let tainted = node(
            "Unknown",
            json!([{"key": UNREACHABLE, "effect": "NoExecute"}, {"key": "k", "effect": "NoSchedule"}]),
        );
        let pod = |tolerations: Value| {
            serde_json::from_value::<Pod>(
                json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}}),
            )
            .unwrap()
        };
        let default = json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
        assert_eq!(stay(&pod(default), &tainted), Stay::For(SignedDuration::from_secs(300)));
        assert_eq!(stay(&pod(json!([{"operator": "Exists"}])), &tainted), Stay::Forever);
        assert_eq!(stay(&pod(json!([])), &tainted), Stay::For(SignedDuration::ZERO));
        assert_eq!(stay(&pod(json!([])), &node("True", json!([]))), Stay::Forever);
    }
}
