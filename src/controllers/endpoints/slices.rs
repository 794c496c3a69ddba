//! What EndpointSlices a Service should have, from those that it has: a pure function.
// Models k8s.io/endpointslice/reconciler.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::super::pods;
use super::backends;
use crate::meta::age;
use crate::meta::owner::controller_ref;

pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(super) const MANAGER: &str = "endpointslice-controller.k8s.io";
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// How many endpoints a slice holds at the most.
const MAX_ENDPOINTS: usize = 100;

/// What to write.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) create: Vec<EndpointSlice>,
    pub(super) update: Vec<EndpointSlice>,
    pub(super) delete: Vec<String>,
}

/// What a plan is made from.
pub(super) struct World<'a> {
    pub(super) service: &'a Service,
    /// The pods that the Service selects.
    pub(super) pods: &'a [Arc<Pod>],
    /// The slices that are there.
    pub(super) slices: &'a [Arc<EndpointSlice>],
    /// When what is new in them happened.
    pub(super) trigger: Option<Timestamp>,
}

/// Plans all of a Service's slices. `node` finds a node by its name.
pub(super) fn plan(world: &World<'_>, node: impl Fn(&str) -> Option<Arc<Node>>) -> Plan {
    let mut plan = Plan::default();
    let families = families(world.service);
    for slice in world.slices.iter().filter(|slice| !families.contains(&slice.address_type.as_str())) {
        plan.delete.extend(slice.metadata.name.clone());
    }
    for family in families {
        plan_family(world, family, &node, &mut plan);
    }
    let stamp = |slice: &mut EndpointSlice| match world.trigger {
        Some(time) => {
            let notes = slice.metadata.annotations.get_or_insert_default();
            notes.insert(backends::TRIGGER_TIME.to_owned(), age::rfc3339(time));
        }
        None => {
            if let Some(notes) = &mut slice.metadata.annotations {
                notes.remove(backends::TRIGGER_TIME);
            }
        }
    };
    plan.create.iter_mut().for_each(stamp);
    plan.update.iter_mut().for_each(stamp);
    plan
}

/// The address families of the Service.
// Models getAddressTypesForService.
fn families(service: &Service) -> Vec<&'static str> {
    let spec = service.spec.clone().unwrap_or_default();
    let named: Vec<&str> = spec
        .ip_families
        .iter()
        .flatten()
        .filter_map(|family| match family.as_str() {
            "IPv4" => Some("IPv4"),
            "IPv6" => Some("IPv6"),
            _ => None,
        })
        .collect();
    match spec.cluster_ip.as_deref().unwrap_or_default() {
        _ if !named.is_empty() => named,
        "" | "None" => vec!["IPv4", "IPv6"],
        ip if ip.contains(':') => vec!["IPv6"],
        _ => vec!["IPv4"],
    }
}

fn plan_family(world: &World<'_>, family: &str, node: &impl Fn(&str) -> Option<Arc<Node>>, plan: &mut Plan) {
    let uid = world.service.metadata.uid.as_deref();
    let is_owned = |slice: &&Arc<EndpointSlice>| {
        let mut owners = slice.metadata.owner_references.iter().flatten();
        owners.any(|owner| Some(owner.uid.as_str()) == uid && owner.kind == "Service")
    };
    let of_family: Vec<&Arc<EndpointSlice>> =
        world.slices.iter().filter(|s| s.address_type == family).collect();
    let before = (plan.create.len(), plan.delete.len());
    let foreign = of_family.iter().filter(|slice| !is_owned(slice));
    plan.delete.extend(foreign.filter_map(|slice| slice.metadata.name.clone()));
    let mut existing: BTreeMap<String, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in of_family.iter().filter(|slice| is_owned(slice)) {
        existing.entry(port_key(slice.ports.as_deref().unwrap_or_default())).or_default().push(slice);
    }
    let mut desired: BTreeMap<String, (Vec<EndpointPort>, Vec<Endpoint>)> = BTreeMap::new();
    for pod in world.pods.iter().filter(|pod| backends::belongs(pod, true)) {
        let ports = ports(world.service, pod);
        let (_, endpoints) = desired.entry(port_key(&ports)).or_insert((ports, vec![]));
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).and_then(node);
        if node.is_none() && !backends::publishes_unready(world.service) {
            continue;
        }
        let endpoint = endpoint(pod, node.as_deref(), world.service, family == "IPv6");
        if !endpoint.addresses.is_empty() {
            endpoints.push(endpoint);
        }
    }
    for (key, (ports, endpoints)) in desired {
        let existing = existing.remove(&key).unwrap_or_default();
        plan_ports(world.service, family, existing, ports, endpoints, plan);
    }
    let obsolete = existing.into_values().flatten();
    plan.delete.extend(obsolete.filter_map(|slice| slice.metadata.name.clone()));
    keep_one(world.service, family, &of_family, before, plan);
}

/// A Service without endpoints still has one slice, which is empty.
fn keep_one(
    service: &Service,
    family: &str,
    all: &[&Arc<EndpointSlice>],
    before: (usize, usize),
    plan: &mut Plan,
) {
    if plan.delete.len() - before.1 != all.len() || plan.create.len() != before.0 {
        return;
    }
    let placeholder = new_slice(service, family, vec![]);
    let is_placeholder = |slice: &EndpointSlice| {
        endpoints_of(slice).is_empty()
            && slice.ports.as_deref().unwrap_or_default().is_empty()
            && slice.metadata.labels == placeholder.metadata.labels
            && slice.metadata.owner_references == placeholder.metadata.owner_references
    };
    match all {
        [only] if is_placeholder(only) => drop(plan.delete.pop()),
        _ => plan.create.push(placeholder),
    }
}

/// Slices with the same ports: those that there are keep what still holds, then room is filled, then new ones are made.
// Models reconcileByPortMapping.
fn plan_ports(
    service: &Service,
    family: &str,
    existing: Vec<&EndpointSlice>,
    ports: Vec<EndpointPort>,
    mut wanted: Vec<Endpoint>,
    plan: &mut Plan,
) {
    let labels = labels(service);
    let mut unchanged: Vec<EndpointSlice> = vec![];
    let mut update: Vec<EndpointSlice> = vec![];
    for slice in existing {
        let mut kept = vec![];
        let mut changed = false;
        for old in endpoints_of(slice) {
            match wanted.iter().position(|new| is_same(new, old)) {
                Some(i) => {
                    let new = wanted.remove(i);
                    changed |= normalized(&new) != normalized(old);
                    kept.push(new);
                }
                None => changed = true,
            }
        }
        let relabelled = slice.metadata.labels.as_ref() != Some(&labels);
        let mut next = slice.clone();
        next.metadata.labels = Some(labels.clone());
        if changed && kept.is_empty() {
            plan.delete.extend(slice.metadata.name.clone());
        } else if changed || relabelled {
            next.endpoints = Some(kept);
            update.push(next);
        } else {
            unchanged.push(next);
        }
    }
    let mut fresh = wanted.into_iter().peekable();
    update.sort_by_key(|slice| std::cmp::Reverse(endpoints_of(slice).len()));
    for slice in &mut update {
        fill(slice, &mut fresh);
    }
    while fresh.peek().is_some() {
        let left = fresh.len();
        // The fullest slice that has room for all of them.
        let room = |slice: &EndpointSlice| MAX_ENDPOINTS.saturating_sub(endpoints_of(slice).len());
        let fitting = (0..unchanged.len()).filter(|&i| left < MAX_ENDPOINTS && room(&unchanged[i]) >= left);
        match fitting.min_by_key(|&i| room(&unchanged[i])) {
            Some(i) => {
                let mut slice = unchanged.remove(i);
                fill(&mut slice, &mut fresh);
                update.push(slice);
            }
            None => {
                let mut slice = new_slice(service, family, ports.clone());
                fill(&mut slice, &mut fresh);
                plan.create.push(slice);
            }
        }
    }
    plan.update.extend(update);
}

fn fill(slice: &mut EndpointSlice, fresh: &mut impl Iterator<Item = Endpoint>) {
    let endpoints = slice.endpoints.get_or_insert_default();
    while endpoints.len() < MAX_ENDPOINTS {
        let Some(endpoint) = fresh.next() else { return };
        endpoints.push(endpoint);
    }
}

fn endpoints_of(slice: &EndpointSlice) -> &[Endpoint] {
    slice.endpoints.as_deref().unwrap_or_default()
}

/// Whether two endpoints are of the same pod with the same addresses.
fn is_same(a: &Endpoint, b: &Endpoint) -> bool {
    let uid = |endpoint: &Endpoint| endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
    a.addresses == b.addresses && uid(a) == uid(b) && a.hostname == b.hostname
}

/// An endpoint without what other parts of the system add to it.
fn normalized(endpoint: &Endpoint) -> Endpoint {
    let mut endpoint = endpoint.clone();
    if let Some(target) = &mut endpoint.target_ref {
        target.resource_version = None;
    }
    endpoint.hints = None;
    endpoint
}

fn port_key(ports: &[EndpointPort]) -> String {
    let mut keys: Vec<String> = ports
        .iter()
        .map(|p| {
            format!(
                "{:?}/{:?}/{:?}/{:?}",
                p.name.as_deref().unwrap_or_default(),
                p.port,
                p.protocol,
                p.app_protocol
            )
        })
        .collect();
    keys.sort();
    keys.join(",")
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(backends::find_port(pod, port)?),
                protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

// Models podToEndpoint.
fn endpoint(pod: &Pod, node: Option<&Node>, service: &Service, wants_v6: bool) -> Endpoint {
    let serving = pods::is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let zone =
        node.and_then(|node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned());
    Endpoint {
        addresses: backends::addresses(pod, wants_v6),
        conditions: Some(EndpointConditions {
            ready: Some(backends::publishes_unready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|name| !name.is_empty()),
        zone: zone.filter(|zone| !zone.is_empty()),
        hostname: backends::hostname(pod, service),
        ..Endpoint::default()
    }
}

/// The Service's labels and those that say whose slice it is.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(backends::HEADLESS);
    if !backends::has_ip(service) {
        labels.insert(backends::HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn new_slice(service: &Service, family: &str, ports: Vec<EndpointPort>) -> EndpointSlice {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let owner: OwnerReference = controller_ref::<Service>(&service.metadata);
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels(service)),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: Some(vec![]),
        ports: Some(ports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(extra: serde_json::Value) -> Service {
        let mut service = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "s", "labels": {"app": "web"}},
            "spec": {
                "clusterIP": "10.96.0.10", "ipFamilies": ["IPv4"], "selector": {"app": "web"},
                "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}],
            },
        });
        json_patch::merge(&mut service, &extra);
        serde_json::from_value(service).unwrap()
    }

    fn pod(i: usize, ready: bool) -> Arc<Pod> {
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": format!("p{i:03}"), "namespace": "default", "uid": format!("u{i}")},
                "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}]},
                "status": {
                    "podIPs": [{"ip": format!("10.244.0.{i}")}],
                    "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
                },
            }))
            .unwrap(),
        )
    }

    fn run(service: &Service, pods: &[Arc<Pod>], slices: &[Arc<EndpointSlice>]) -> Plan {
        let node = Arc::new(
            serde_json::from_value(
                json!({"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}}}),
            )
            .unwrap(),
        );
        plan(&World { service, pods, slices, trigger: None }, |_| Some(Arc::clone(&node)))
    }

    fn named(plan: Plan) -> Vec<Arc<EndpointSlice>> {
        let name = |(i, mut slice): (usize, EndpointSlice)| {
            slice.metadata.name = Some(format!("web-{i}"));
            Arc::new(slice)
        };
        plan.create.into_iter().enumerate().map(name).collect()
    }

    #[test]
    fn a_service_has_a_slice_even_without_pods_and_loses_it_to_the_first() {
        let service = service(json!({}));
        let empty = named(run(&service, &[], &[]));
        assert_eq!((empty.len(), endpoints_of(&empty[0]).len()), (1, 0));
        assert_eq!(run(&service, &[], &empty), Plan::default());
        let plan = run(&service, &[pod(1, true)], &empty);
        assert_eq!(
            (plan.create.len(), plan.update.len(), plan.delete.clone()),
            (1, 0, vec!["web-0".to_owned()])
        );
        let endpoint = &endpoints_of(&plan.create[0])[0];
        assert_eq!((endpoint.addresses[0].as_str(), endpoint.zone.as_deref()), ("10.244.0.1", Some("a")));
        assert_eq!(plan.create[0].ports.as_ref().unwrap()[0].port, Some(8080));
    }

    #[test]
    fn a_pod_that_becomes_ready_changes_its_slice_only() {
        let service = service(json!({}));
        let slices = named(run(&service, &[pod(1, false), pod(2, true)], &[]));
        let plan = run(&service, &[pod(1, true), pod(2, true)], &slices);
        assert_eq!((plan.create.len(), plan.update.len(), plan.delete.len()), (0, 1, 0));
        let ready =
            endpoints_of(&plan.update[0]).iter().map(|e| e.conditions.as_ref().unwrap().ready.unwrap());
        assert_eq!(ready.collect::<Vec<_>>(), [true, true]);
        assert_eq!(run(&service, &[pod(1, false), pod(2, true)], &slices), Plan::default());
    }

    #[test]
    fn slices_hold_a_hundred_endpoints() {
        let service = service(json!({}));
        let pods: Vec<_> = (1..=150).map(|i| pod(i, true)).collect();
        let slices = named(run(&service, &pods, &[]));
        assert_eq!(slices.iter().map(|slice| endpoints_of(slice).len()).collect::<Vec<_>>(), [100, 50]);
        let more: Vec<_> = (1..=160).map(|i| pod(i, true)).collect();
        let plan = run(&service, &more, &slices);
        assert_eq!((plan.create.len(), plan.update.len(), endpoints_of(&plan.update[0]).len()), (0, 1, 60));
    }

    #[test]
    fn a_headless_service_says_so() {
        let slices = named(run(&service(json!({"spec": {"clusterIP": "None"}})), &[pod(1, true)], &[]));
        assert!(slices[0].metadata.labels.as_ref().unwrap().contains_key(backends::HEADLESS));
    }
}
