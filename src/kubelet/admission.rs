//! What a kubelet refuses although the scheduler, or somebody who bound the pod by hand, sent it.
// Models pkg/kubelet/lifecycle/predicate.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, NodeSelectorTerm, Pod, Taint, Toleration};

use super::config::KubeletConfig;
use super::spec;
use super::status::pod_resources;
use crate::meta::quantity::Quantity;
use crate::meta::selector::Selector;

/// Takes the pod, or says why not: a reason and a message.
pub(super) fn admit(
    pod: &Pod,
    others: &[Arc<Pod>],
    node: &Node,
    config: &KubeletConfig,
) -> Result<(), (String, String)> {
    let os = pod.spec.as_ref().and_then(|spec| spec.os.as_ref());
    if os.is_some_and(|os| os.name != "linux") {
        let message = "Failed to admit pod as the OS field doesn't match node OS";
        return Err(("PodOSNotSupported".to_owned(), message.to_owned()));
    }
    fits_resources(pod, others, config)?;
    let predicate = |name: &str, why: &str| Err((name.to_owned(), format!("Predicate {name} failed: {why}")));
    if !matches_node(pod, node, config) {
        return predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
    }
    if clashes(pod, others) {
        return predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports");
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let untolerated =
        |taint: &&Taint| taint.effect == "NoExecute" && !tolerations.iter().any(|t| tolerates(t, taint));
    if taints.iter().any(|taint| untolerated(&taint)) {
        return predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate");
    }
    Ok(())
}

fn amount(name: &str, quantity: Quantity) -> i64 {
    if name == "cpu" { quantity.milli_value() } else { quantity.value() }
}

fn requests(pod: &Pod) -> BTreeMap<String, i64> {
    let (requests, _) = pod_resources(pod);
    let read = requests.unwrap_or_default().into_iter();
    read.filter_map(|(name, q)| Quantity::try_from(&q).ok().map(|q| (name.clone(), amount(&name, q))))
        .collect()
}

fn fits_resources(pod: &Pod, others: &[Arc<Pod>], config: &KubeletConfig) -> Result<(), (String, String)> {
    let capacity = |name: &str| {
        let text = config.node.capacity.get(name)?;
        Some(amount(name, text.parse::<Quantity>().ok()?))
    };
    let refuse = |name: &str, requested: i64, used: i64, capacity: i64| {
        let message = format!(
            "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
        );
        Err((format!("OutOf{name}"), message))
    };
    let pods = i64::try_from(others.len()).unwrap_or(i64::MAX);
    if let Some(most) = capacity("pods").filter(|most| pods + 1 > *most) {
        return refuse("pods", 1, pods, most);
    }
    let mut used: BTreeMap<String, i64> = BTreeMap::new();
    for other in others {
        for (name, amount) in requests(other) {
            *used.entry(name).or_default() += amount;
        }
    }
    for (name, requested) in requests(pod) {
        // What the node does not know may be the business of others.
        let Some(capacity) = capacity(&name) else { continue };
        let used = used.get(&name).copied().unwrap_or(0);
        if requested > 0 && requested > capacity - used {
            return refuse(&name, requested, used, capacity);
        }
    }
    Ok(())
}

fn matches_node(pod: &Pod, node: &Node, config: &KubeletConfig) -> bool {
    let Some(pod_spec) = pod.spec.as_ref() else { return true };
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let selected = pod_spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let affinity = pod_spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required =
        affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.map(|required| &required.node_selector_terms);
    selected
        && terms.is_none_or(|terms| terms.iter().any(|term| matches_term(term, &labels, &config.node.name)))
}

fn matches_term(term: &NodeSelectorTerm, labels: &BTreeMap<String, String>, name: &str) -> bool {
    let fields = BTreeMap::from([("metadata.name".to_owned(), name.to_owned())]);
    let all = |list: &Option<Vec<_>>, values: &BTreeMap<String, String>| {
        list.iter().flatten().all(|requirement: &k8s_openapi::api::core::v1::NodeSelectorRequirement| {
            let given = requirement.values.clone().unwrap_or_default();
            Selector::from_requirement(&requirement.key, &requirement.operator, &given)
                .is_ok_and(|selector| selector.matches(values))
        })
    };
    let empty = |list: &Option<Vec<_>>| list.as_ref().is_none_or(Vec::is_empty);
    // A term that says nothing matches nothing.
    !(empty(&term.match_expressions) && empty(&term.match_fields))
        && all(&term.match_expressions, labels)
        && all(&term.match_fields, &fields)
}

fn host_ports(pod: &Pod) -> Vec<(i32, String, String)> {
    let ports = spec::containers(pod).iter().flat_map(|container| container.ports.iter().flatten());
    let wanted = ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        Some((
            number,
            protocol,
            port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned()),
        ))
    });
    wanted.collect()
}

fn clashes(pod: &Pod, others: &[Arc<Pod>]) -> bool {
    let taken: Vec<_> = others.iter().flat_map(|other| host_ports(other)).collect();
    host_ports(pod).iter().any(|(port, protocol, ip)| {
        taken.iter().any(|(other_port, other_protocol, other_ip)| {
            let same_ip = ip == other_ip || ip == "0.0.0.0" || other_ip == "0.0.0.0";
            port == other_port && protocol == other_protocol && same_ip
        })
    })
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || (key.is_empty() && exists))
        && (exists
            || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::config::NodeConfig;
    use super::*;
    use crate::seed::Seed;
    use serde_json::{Value, json};

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn cpu(amount: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount}}}]})
    }

    #[test]
    fn pods_that_do_not_fit_are_refused_in_the_kubelets_words() {
        let config = KubeletConfig::new(NodeConfig::new("m", [192, 0, 2, 2].into(), &Seed::new(1)));
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "m", "labels": {"disk": "ssd"}},
            "spec": {"taints": [{"key": "k", "value": "v", "effect": "NoExecute"}]}
        }))
        .unwrap();
        let tolerant = json!([{"operator": "Exists"}]);
        let with = |mut spec: Value, more: Value| {
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            pod(spec)
        };
        let others = [Arc::new(pod(cpu("1500m")))];
        let check = |pod: Pod| {
            admit(&pod, &others, &node, &config).map_err(|(reason, message)| format!("{reason}: {message}"))
        };
        assert_eq!(check(with(cpu("500m"), json!({"tolerations": tolerant}))), Ok(()));
        let cases = [
            (
                pod(cpu("64")),
                "OutOfcpu: Node didn't have enough resource: cpu, requested: 64000, used: 1500, capacity: 2000",
            ),
            (
                with(cpu("1m"), json!({"nodeSelector": {"disk": "hdd"}})),
                "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            ),
            (
                pod(cpu("1m")),
                "TaintToleration: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
            ),
        ];
        for (pod, expected) in cases {
            assert_eq!(check(pod), Err(expected.to_owned()));
        }
    }
}
