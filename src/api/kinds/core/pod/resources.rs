//! Resource lists of containers and pods: reading, adding up, and the names that Kubernetes knows.
// Models k8s.io/component-helpers/resource (AggregateContainerRequests) and pkg/apis/core/helper.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::meta::quantity::Quantity;

/// A resource list as the API has it.
pub(crate) type ApiList = BTreeMap<String, ApiQuantity>;
/// A resource list to reckon with.
pub(crate) type List = BTreeMap<String, Quantity>;

/// Reads a list; what cannot be read counts as nothing (validation has said so).
pub(crate) fn read(list: Option<&ApiList>) -> List {
    let entries = list.into_iter().flatten();
    entries.filter_map(|(name, quantity)| Some((name.clone(), Quantity::try_from(quantity).ok()?))).collect()
}

/// Whether an init container keeps running beside the pod's containers.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// What the containers of a pod want together: the sum of what runs at the same time, at its highest.
pub(crate) fn aggregate(spec: &PodSpec, of: impl Fn(&Container) -> Option<&ApiList>) -> List {
    let mut total = List::new();
    for container in &spec.containers {
        add(&mut total, &read(of(container)));
    }
    let (mut sidecars, mut highest) = (List::new(), List::new());
    for container in spec.init_containers.iter().flatten() {
        let mut now = read(of(container));
        if is_sidecar(container) {
            add(&mut total, &now);
            add(&mut sidecars, &now);
            now = sidecars.clone();
        } else {
            add(&mut now, &sidecars);
        }
        max(&mut highest, &now);
    }
    max(&mut total, &highest);
    total
}

fn add(into: &mut List, other: &List) {
    for (name, quantity) in other {
        into.entry(name.clone()).and_modify(|sum| *sum += *quantity).or_insert(*quantity);
    }
}

fn max(into: &mut List, other: &List) {
    for (name, quantity) in other {
        into.entry(name.clone()).and_modify(|old| *old = (*old).max(*quantity)).or_insert(*quantity);
    }
}

/// Whether the resources of a pod as a whole may name this one.
pub(crate) fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

/// Whether the name is that of huge pages.
pub(crate) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether the resource may be promised more often than it is there: Kubernetes' own ones, without huge pages.
pub(crate) fn is_overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// Whether the name belongs to Kubernetes itself.
pub(crate) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether the name is that of a device or another resource that nodes advertise.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && crate::meta::names::qualified_name(&format!("requests.{name}")).is_empty()
}
