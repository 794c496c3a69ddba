//! What a pod asks for in all, and its quality of service.
// Models k8s.io/component-helpers/resource (PodRequests, PodLimits) and kubectl/pkg/util/qos.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{list, quantities, some, some_text, text};
use crate::meta::quantity::Quantity;

/// Amounts by the name of their resource.
pub type ResourceList = BTreeMap<String, Quantity>;

/// Requests or limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is set aside for the pod.
    Requests,
    /// What it may use at most.
    Limits,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// The requests or limits of a whole pod; `use_status` counts what containers really have after a resize.
pub fn total(pod: &Value, side: Side, use_status: bool) -> ResourceList {
    let mut all = ResourceList::new();
    for container in list(pod, "/spec/containers") {
        add(&mut all, &of_container(pod, container, side, use_status));
    }
    let (mut restartable, mut initial) = (ResourceList::new(), ResourceList::new());
    for container in list(pod, "/spec/initContainers") {
        let sidecar = text(container, "/restartPolicy") == "Always";
        let mut needs = of_container(pod, container, side, use_status && sidecar);
        if sidecar {
            add(&mut all, &needs);
            add(&mut restartable, &needs);
            needs = restartable.clone();
        } else {
            add(&mut needs, &restartable);
        }
        raise(&mut initial, &needs);
    }
    raise(&mut all, &initial);
    pod_level(pod, side, &mut all);
    overhead(pod, side, &mut all);
    all
}

fn of_container(pod: &Value, container: &Value, side: Side, use_status: bool) -> ResourceList {
    let path = format!("/resources/{}", side.name());
    let spec = quantities(container, &path);
    let statuses = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let mut statuses = statuses.iter().flat_map(|path| list(pod, path)).rev();
    let status = statuses.find(|status| text(status, "/name") == text(container, "/name"));
    let Some(status) = status.filter(|status| use_status && some(status, "/resources").is_some()) else {
        return spec;
    };
    let mut effective = quantities(status, &path);
    if side == Side::Requests {
        raise(&mut effective, &quantities(status, "/allocatedResources"));
    }
    let mut pending = list(pod, "/status/conditions").iter();
    let pending = pending.find(|condition| text(condition, "/type") == "PodResizePending");
    if pending.is_none_or(|condition| text(condition, "/reason") != "Infeasible") {
        raise(&mut effective, &spec);
    }
    effective
}

fn pod_level(pod: &Value, side: Side, all: &mut ResourceList) {
    let supported = |name: &str| ["cpu", "memory"].contains(&name) || name.starts_with("hugepages-");
    for (name, quantity) in quantities(pod, &format!("/spec/resources/{}", side.name())) {
        if supported(&name) {
            all.insert(name, quantity);
        }
    }
}

/// Overhead adds to every request, but only to limits that are there.
fn overhead(pod: &Value, side: Side, all: &mut ResourceList) {
    for (name, quantity) in quantities(pod, "/spec/overhead") {
        match all.get_mut(&name) {
            Some(amount) if side == Side::Requests || !amount.is_zero() => *amount += quantity,
            None if side == Side::Requests => {
                all.insert(name, quantity);
            }
            _ => {}
        }
    }
}

/// Adds amounts to amounts.
pub fn add(sum: &mut ResourceList, other: &ResourceList) {
    for (name, quantity) in other {
        let entry = sum.entry(name.clone()).or_insert(Quantity::ZERO);
        *entry = if entry.is_zero() { *quantity } else { *entry + *quantity };
    }
}

fn raise(most: &mut ResourceList, other: &ResourceList) {
    for (name, quantity) in other {
        let entry = most.entry(name.clone()).or_insert(*quantity);
        if *quantity > *entry {
            *entry = *quantity;
        }
    }
}

/// The pod's quality of service, as its status says or as its resources imply.
pub fn qos_class(pod: &Value) -> String {
    some_text(pod, "/status/qosClass").map_or_else(|| implied_qos_class(pod).to_owned(), str::to_owned)
}

fn implied_qos_class(pod: &Value) -> &'static str {
    let whole = some(pod, "/spec/resources").map(|_| pod).into_iter().map(|pod| &pod["spec"]);
    let containers = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
    let holders: Vec<&Value> =
        if some(pod, "/spec/resources").is_some() { whole.collect() } else { containers.collect() };
    let (mut requests, mut limits, mut guaranteed) = (ResourceList::new(), ResourceList::new(), true);
    let counted = |list: ResourceList| -> ResourceList {
        list.into_iter()
            .filter(|(name, amount)| ["cpu", "memory"].contains(&name.as_str()) && amount.signum() > 0)
            .collect()
    };
    for holder in holders {
        add(&mut requests, &counted(quantities(holder, "/resources/requests")));
        let limited = counted(quantities(holder, "/resources/limits"));
        guaranteed &= limited.len() == 2;
        add(&mut limits, &limited);
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    if guaranteed && requests == limits { "Guaranteed" } else { "Burstable" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn init_containers_raise_and_sidecars_add() {
        let pod = json!({"spec": {
            "containers": [{"resources": {"requests": {"cpu": "100m"}}}, {"resources": {"requests": {"cpu": "200m"}}}],
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
                {"resources": {"requests": {"cpu": "1"}}}]}});
        assert_eq!(total(&pod, Side::Requests, false)["cpu"].to_string(), "1050m");
    }

    #[test]
    fn qos_follows_from_resources() {
        let with = |resources: Value| qos_class(&json!({"spec": {"containers": [{"resources": resources}]}}));
        assert_eq!(with(json!({})), "BestEffort");
        assert_eq!(with(json!({"requests": {"cpu": "1"}})), "Burstable");
        let equal = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(with(json!({"requests": equal, "limits": equal})), "Guaranteed");
    }
}
