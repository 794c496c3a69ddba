//! Which pods and ports stand behind a Service, and since when. Pure functions, and the memory that the time needs.
// Models k8s.io/endpointslice/{utils.go,util} (FindPort, ShouldPodBeInEndpoints, TriggerTimeTracker).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::context::Workshop;
use super::super::pods;
use super::super::queue::Queue;
use crate::informer::{Change, Informer, ObjectKey, key_of, revision_of};
use crate::meta::selector::Selector;

/// When the oldest change that an object shows happened; for measuring how long it took.
pub(super) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Marks what belongs to a Service without an IP of its own.
pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";

/// The Service's selector, if it is one whose pods are to be found.
pub(super) fn selector(service: &Service) -> Option<Selector> {
    let spec = service.spec.as_ref()?;
    let is_external = spec.type_.as_deref() == Some("ExternalName");
    spec.selector.as_ref().filter(|_| !is_external).map(Selector::from_labels)
}

/// Whether the Service has an IP of its own.
pub(super) fn has_ip(service: &Service) -> bool {
    let ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default();
    !ip.is_empty() && ip != "None"
}

/// Whether pods that are not ready are to be told of as if they were.
pub(super) fn publishes_unready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

/// Whether the pod has an address and may be told of.
pub(super) fn belongs(pod: &Pod, terminating_too: bool) -> bool {
    let has_ip =
        pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some() || status.pod_ips.is_some());
    !pods::is_terminal(pod) && has_ip && (terminating_too || pod.metadata.deletion_timestamp.is_none())
}

/// The pod's addresses of one family.
pub(super) fn addresses(pod: &Pod, wants_v6: bool) -> Vec<String> {
    let status = pod.status.clone().unwrap_or_default();
    let mut all: Vec<String> = status.pod_ips.into_iter().flatten().map(|ip| ip.ip).collect();
    if all.is_empty() {
        all.extend(status.pod_ip);
    }
    let parsed = all.iter().filter_map(|ip| ip.parse::<IpAddr>().ok());
    parsed.filter(|ip| ip.is_ipv6() == wants_v6).map(|ip| ip.to_string()).collect()
}

/// The name that the pod has in the Service's DNS, if it asks for one.
pub(super) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let same_service = spec.subdomain == service.metadata.name;
    let same_namespace = pod.metadata.namespace == service.metadata.namespace;
    spec.hostname.clone().filter(|name| !name.is_empty() && same_service && same_namespace)
}

/// The number that a Service's port has in the pod; none if the pod has no port of that name.
pub(super) fn find_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let protocol = |protocol: &Option<String>| protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    match port.target_port.as_ref() {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let sidecars = spec
                .init_containers
                .iter()
                .flatten()
                .filter(|c| c.restart_policy.as_deref() == Some("Always"));
            let ports =
                spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
            let same = |p: &&k8s_openapi::api::core::v1::ContainerPort| {
                p.name.as_ref() == Some(name) && protocol(&p.protocol) == protocol(&port.protocol)
            };
            ports.into_iter().find(same).map(|port| port.container_port)
        }
    }
}

/// Looks at a Service again when it changes, and when a pod behind it does.
pub(super) fn follow(
    workshop: &mut Workshop,
    queue: &Queue<ObjectKey>,
    (services, pods): (&Informer<Service>, &Informer<Pod>),
    times: &Arc<TriggerTimes>,
) {
    workshop.wake(services, queue, |change| Some(key_of(&change.object().metadata)));
    let (services, queue, times) = (services.clone(), queue.clone(), times.clone());
    workshop.on(pods, move |change| {
        for key in services_of(&services, change) {
            times.saw(&key, change.object());
            queue.add(key, revision_of(&change.object().metadata));
        }
    });
}

/// The Services that a change of a pod concerns.
// Models GetServicesToUpdateOnPodChange.
fn services_of(services: &Informer<Service>, change: &Change<Pod>) -> Vec<ObjectKey> {
    let (old, new) = match change {
        Change::Modified(old, new) => (Some(old), new),
        Change::Added(pod) | Change::Deleted(pod) => (None, pod),
    };
    if let Some(old) = old
        && !endpoint_changed(old, new)
        && old.metadata.labels == new.metadata.labels
    {
        return vec![];
    }
    let matches =
        |selector: &Selector, pod: &Arc<Pod>| selector.matches_optional(pod.metadata.labels.as_ref());
    let mut keys = BTreeSet::new();
    for service in services.list_namespace(new.metadata.namespace.as_deref().unwrap_or_default()) {
        let Some(selector) = selector(&service) else { continue };
        if matches(&selector, new) || old.is_some_and(|old| matches(&selector, old)) {
            keys.insert(key_of(&service.metadata));
        }
    }
    keys.into_iter().collect()
}

/// Whether something changed that an endpoint shows.
fn endpoint_changed(old: &Pod, new: &Pod) -> bool {
    let shown = |pod: &Pod| {
        let spec = pod.spec.as_ref();
        (
            pod.metadata.deletion_timestamp.is_some(),
            pods::is_ready(pod),
            pods::is_terminal(pod),
            pod.status.as_ref().and_then(|status| status.pod_ips.clone()),
            pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
            spec.and_then(|spec| spec.node_name.clone()),
            spec.and_then(|spec| spec.hostname.clone()),
        )
    };
    shown(old) != shown(new)
}

/// Remembers what each Service's endpoints showed, to tell when what is new in them happened.
/// What was known of a Service at the last look: its own time, and that of each of its pods.
type Known = (Option<Timestamp>, BTreeMap<String, Timestamp>);

#[derive(Debug, Default)]
pub(super) struct TriggerTimes {
    known: Mutex<BTreeMap<ObjectKey, Known>>,
    /// Of pods that changed since the last call: such a pod may be gone before the Service is looked at.
    seen: Mutex<BTreeMap<ObjectKey, BTreeMap<String, Timestamp>>>,
}

/// Each pod by its name, and when it became ready or ceased to be.
fn transition(pod: &Pod) -> Option<(String, Timestamp)> {
    let ready = pods::condition(pod, "Ready")?.last_transition_time.as_ref()?.0;
    Some((pod.metadata.name.clone()?, ready))
}

impl TriggerTimes {
    /// The time of the oldest change since the last call; none if nothing changed.
    pub(super) fn next(&self, service: &Service, pods: &[Arc<Pod>]) -> Option<Timestamp> {
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let times: BTreeMap<String, Timestamp> = pods.iter().filter_map(|pod| transition(pod)).collect();
        let seen =
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&key_of(&service.metadata));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(key_of(&service.metadata), (created, times.clone()));
        let Some((service_before, pods_before)) = before else { return created };
        let changed = times
            .into_iter()
            .chain(seen.into_iter().flatten())
            .filter(|(name, time)| pods_before.get(name).is_none_or(|old| time > old));
        changed.map(|(_, time)| time).chain(created.filter(|_| created > service_before)).min()
    }

    /// A pod of the Service has changed.
    pub(super) fn saw(&self, service: &ObjectKey, pod: &Pod) {
        let Some((name, time)) = transition(pod) else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(service.clone()).or_default().insert(name, time);
    }

    /// The Service is gone.
    pub(super) fn forget(&self, service: &ObjectKey) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
    }
}
