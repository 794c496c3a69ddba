//! Which class of service a pod gets: who is thrown out first when a node runs short.
// Models pkg/apis/core/helper/qos (ComputePodQOS).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;

use super::resources::{ApiList, List, read};
use crate::meta::quantity::Quantity;

const COMPUTE: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn class(spec: &PodSpec) -> &'static str {
    let (mut requests, mut limits) = (List::new(), List::new());
    let mut guaranteed = true;
    if let Some(pod) = &spec.resources {
        requests = positive(pod.requests.as_ref());
        limits = positive(pod.limits.as_ref());
        guaranteed = COMPUTE.iter().all(|name| limits.contains_key(*name));
    } else {
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            let resources = container.resources.clone().unwrap_or_default();
            sum(&mut requests, positive(resources.requests.as_ref()));
            let own = positive(resources.limits.as_ref());
            guaranteed &= COMPUTE.iter().all(|name| own.contains_key(*name));
            sum(&mut limits, own);
        }
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    let equal = requests.len() == limits.len()
        && requests.iter().all(|(name, quantity)| limits.get(name) == Some(quantity));
    if guaranteed && equal { "Guaranteed" } else { "Burstable" }
}

fn positive(list: Option<&ApiList>) -> List {
    let list = read(list).into_iter();
    list.filter(|(name, quantity)| COMPUTE.contains(&name.as_str()) && quantity.signum() > 0).collect()
}

fn sum(into: &mut BTreeMap<String, Quantity>, other: List) {
    for (name, quantity) in other {
        into.entry(name).and_modify(|total| *total += quantity).or_insert(quantity);
    }
}
