//! Amounts of resources, and what a pod asks for. Pure arithmetic.
// Models k8s.io/component-helpers/resource (PodRequests) and pkg/scheduler/framework/types.go (Resource).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::meta::quantity::Quantity;

/// What a container without a request counts as when nodes are compared: 0.1 cores.
const DEFAULT_MILLI_CPU: i64 = 100;
/// The same for memory, in bytes.
const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts by resource name: cpu in thousandths of a core, all else in whole units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource(BTreeMap<String, i64>);

impl Resource {
    /// The amounts of a list of the API.
    pub fn from_list(list: Option<&BTreeMap<String, ApiQuantity>>) -> Self {
        let mut resource = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            // The API refuses what is no quantity.
            let Ok(quantity) = Quantity::try_from(quantity) else { continue };
            let amount = if name == "cpu" { quantity.milli_value() } else { quantity.value() };
            resource.0.insert(name.clone(), amount);
        }
        resource
    }

    /// The amount of one resource; 0 if it is not there.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Every amount, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Adds all amounts.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let sum = self.0.entry(name.to_owned()).or_insert(0);
            *sum = sum.saturating_add(amount);
        }
    }

    /// Takes all amounts away.
    pub fn subtract(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let sum = self.0.entry(name.to_owned()).or_insert(0);
            *sum = sum.saturating_sub(amount);
        }
    }

    /// Raises each amount to the other's.
    fn raise(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let most = self.0.entry(name.to_owned()).or_insert(0);
            *most = (*most).max(amount);
        }
    }

    fn set(&mut self, name: &str, amount: i64) {
        self.0.insert(name.to_owned(), amount);
    }
}

/// How containers without a request count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// As nothing: what the node must have.
    IsZero,
    /// As a little cpu and memory: to spread pods that ask for nothing.
    IsSmall,
}

/// What a pod asks for: its containers together, or its most demanding init step, and its overhead.
pub fn pod_requests(pod: &Pod, missing: Missing) -> Resource {
    let Some(spec) = &pod.spec else { return Resource::default() };
    let mut total = Resource::default();
    for container in &spec.containers {
        total.add(&container_requests(pod, container, missing));
    }
    let (mut sidecars, mut most) = (Resource::default(), Resource::default());
    for container in spec.init_containers.iter().flatten() {
        let requests = container_requests(pod, container, missing);
        if container.restart_policy.as_deref() == Some("Always") {
            // It keeps running beside all that come after it.
            total.add(&requests);
            sidecars.add(&requests);
            most.raise(&sidecars);
        } else {
            let mut step = sidecars.clone();
            step.add(&requests);
            most.raise(&step);
        }
    }
    total.raise(&most);
    if let Some(requests) = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()) {
        for (name, amount) in Resource::from_list(Some(requests)).iter() {
            if matches!(name, "cpu" | "memory") || name.starts_with("hugepages-") {
                total.set(name, amount);
            }
        }
    }
    total.add(&Resource::from_list(spec.overhead.as_ref()));
    total
}

/// What is asked for, or what the container has if a resize is still under way and that is more.
// Models determineEffectiveRequests.
fn container_requests(pod: &Pod, container: &Container, missing: Missing) -> Resource {
    let resources = container.resources.as_ref();
    let mut requests = Resource::from_list(resources.and_then(|resources| resources.requests.as_ref()));
    if let Some(status) = &pod.status {
        let statuses = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        if let Some(status) = statuses.into_iter().find(|status| status.name == container.name) {
            let actual = status.resources.as_ref().and_then(|resources| resources.requests.as_ref());
            if actual.is_some() {
                requests.raise(&Resource::from_list(actual));
                requests.raise(&Resource::from_list(status.allocated_resources.as_ref()));
            }
        }
    }
    if missing == Missing::IsSmall {
        for (name, amount) in [("cpu", DEFAULT_MILLI_CPU), ("memory", DEFAULT_MEMORY)] {
            if !requests.0.contains_key(name) {
                requests.set(name, amount);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_asks_for_its_containers_or_its_largest_init_step() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": {
            "overhead": {"memory": "1"},
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "10"}}},
                {"name": "b", "resources": {"requests": {"cpu": "1"}}},
            ],
            "initContainers": [
                {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"memory": "5"}}},
                {"name": "init", "resources": {"requests": {"memory": "30"}}},
            ],
        }}))
        .unwrap();
        let requests = pod_requests(&pod, Missing::IsZero);
        assert_eq!((requests.get("cpu"), requests.get("memory")), (1100, 36));
        let small = pod_requests(&pod, Missing::IsSmall);
        assert_eq!(small.get("cpu"), 1200, "the sidecar counts as 100m");
    }
}
