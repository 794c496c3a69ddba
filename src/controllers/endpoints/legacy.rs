//! Keeps Services' Endpoints, one object each, which EndpointSlices have replaced. Started from the controllers' table.
// Models pkg/controller/endpoint and pkg/api/v1/endpoints (RepackSubsets).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, ObjectReference, Pod, Service,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams};

use super::super::context::{
    Context, Error, Handle, Workshop, gone_is_fine, is_namespace_terminating, message,
};
use super::super::pods;
use super::super::queue::Queue;
use super::backends::{self, TriggerTimes, selector};
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Informer, ObjectKey, key_of, revision_of};
use crate::meta::age;
use crate::store::Revision;

const NAME: &str = "endpoints-controller";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// How many addresses are told of at the most.
const MAX_CAPACITY: usize = 1000;

struct Controller {
    client: kube::Client,
    recorder: Recorder,
    services: Informer<Service>,
    pods: Informer<Pod>,
    endpoints: Informer<Endpoints>,
    times: Arc<TriggerTimes>,
    outdated: Outdated,
}

/// Which revision of an object the cache must not be believed about any more, since a newer one was written; none: that there
/// is no such object.
// Models staleEndpointsTracker.
#[derive(Default)]
struct Outdated {
    known: Mutex<BTreeMap<ObjectKey, Option<Revision>>>,
}

impl Outdated {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Option<Revision>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cache still has what was written over.
    fn is(&self, key: &ObjectKey, cached: Option<&Endpoints>) -> bool {
        let cached = cached.and_then(|object| revision_of(&object.metadata));
        self.lock().get(key) == Some(&cached)
    }

    fn wrote_over(&self, key: &ObjectKey, old: Option<&Endpoints>) {
        self.lock().insert(key.clone(), old.and_then(|object| revision_of(&object.metadata)));
    }

    /// The cache has moved.
    fn saw(&self, key: &ObjectKey, revision: Option<Revision>) {
        let mut known = self.lock();
        if known.get(key).is_some_and(|old| *old != revision) {
            known.remove(key);
        }
    }
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<ObjectKey> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        recorder: context.recorder(MANAGER),
        services: context.informers.of(),
        pods: context.informers.of(),
        endpoints: context.informers.of(),
        times: Arc::default(),
        outdated: Outdated::default(),
    });
    let mut workshop = Workshop::new();
    backends::follow(&mut workshop, &queue, (&controller.services, &controller.pods), &controller.times);
    let (this, wake) = (controller.clone(), queue.clone());
    workshop.on(&controller.endpoints, move |change| {
        // Its own writes come back here, too; those of a Service that is gone must not bring the object back.
        let key = key_of(&change.object().metadata);
        this.outdated.saw(&key, revision_of(&change.object().metadata));
        if this.services.get(&key.0, &key.1).is_some() {
            wake.add(key, revision_of(&change.object().metadata));
        }
    });
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(&key).await }
    })
}

impl Controller {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Option<Duration>, Error> {
        let api: Api<Endpoints> = Api::namespaced(self.client.clone(), &key.0);
        let Some(service) = self.services.get(&key.0, &key.1) else {
            self.times.forget(key);
            self.outdated.lock().remove(key);
            gone_is_fine(api.delete(&key.1, &DeleteParams::default()).await)?;
            return Ok(None);
        };
        let Some(selector) = selector(&service) else { return Ok(None) };
        let old = self.endpoints.get(&key.0, &key.1);
        if self.outdated.is(key, old.as_deref()) {
            // The event that brings the cache up to date brings the Service here again.
            return Ok(None);
        }
        let mut pods = self.pods.list_namespace(&key.0);
        pods.retain(|pod| selector.matches_optional(pod.metadata.labels.as_ref()));
        let trigger = self.times.next(&service, &pods);
        let (subsets, over_capacity) = truncated(subsets(&service, &pods));
        let mut new = old.as_ref().map(|old| Endpoints::clone(old)).unwrap_or_else(|| Endpoints {
            metadata: ObjectMeta { name: Some(key.1.clone()), ..ObjectMeta::default() },
            subsets: None,
        });
        new.metadata.labels = Some(labels(&service));
        new.subsets = Some(subsets).filter(|subsets| !subsets.is_empty());
        if old
            .as_ref()
            .is_some_and(|old| old.subsets == new.subsets && old.metadata.labels == new.metadata.labels)
        {
            return Ok(None);
        }
        let notes = new.metadata.annotations.get_or_insert_default();
        match trigger {
            Some(time) => drop(notes.insert(backends::TRIGGER_TIME.to_owned(), age::rfc3339(time))),
            None => drop(notes.remove(backends::TRIGGER_TIME)),
        }
        match over_capacity {
            true => drop(notes.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned())),
            false => drop(notes.remove(OVER_CAPACITY)),
        }
        let (params, exists) = (PostParams::default(), old.is_some());
        let result = match exists {
            true => api.replace(&key.1, &params, &new).await,
            false => api.create(&params, &new).await,
        };
        match result {
            Err(error) if is_namespace_terminating(&error) => Ok(None),
            Err(error) => {
                let (reason, verb) = match exists {
                    true => ("FailedToUpdateEndpoint", "update endpoint"),
                    false => ("FailedToCreateEndpoint", "create endpoint for service"),
                };
                let text = format!("Failed to {verb} {}/{}: {}", key.0, key.1, message(&error));
                self.recorder.event(&reference_to(&new), EventType::Warning, reason, text);
                Err(error.into())
            }
            Ok(written) => {
                let newer = revision_of(&written.metadata);
                if old.as_ref().is_none_or(|old| revision_of(&old.metadata) != newer) {
                    self.note(key, old.as_deref(), newer);
                }
                Ok(None)
            }
        }
    }

    /// Takes note of a write, unless the cache has it already.
    fn note(&self, key: &ObjectKey, old: Option<&Endpoints>, newer: Option<Revision>) {
        self.outdated.wrote_over(key, old);
        let cached = self.endpoints.get(&key.0, &key.1);
        if cached.is_some_and(|object| revision_of(&object.metadata) >= newer) {
            self.outdated.lock().remove(key);
        }
    }
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(backends::HEADLESS);
    if !backends::has_ip(service) {
        labels.insert(backends::HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// A port in an order that can be sorted: number, protocol, name, application protocol.
type PortKey = (i32, String, String, Option<String>);
/// Addresses by IP and UID; `true` for ready.
type Addresses = BTreeMap<(String, String), (bool, EndpointAddress)>;
/// The ports that share these addresses.
type Group = (Vec<EndpointPort>, Vec<(bool, EndpointAddress)>);

/// The Service's addresses, those with the same ports together.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let unready_too = backends::publishes_unready(service);
    let spec = service.spec.clone().unwrap_or_default();
    let wants_v6 =
        spec.ip_families.as_ref().and_then(|families| families.first()).is_some_and(|f| f == "IPv6");
    let ports = spec.ports.unwrap_or_default();
    // Every port with the addresses that have it, by address; `true` for ready.
    let mut by_port: BTreeMap<Option<PortKey>, Addresses> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| backends::belongs(pod, unready_too)) {
        let Some(ip) = backends::addresses(pod, wants_v6).into_iter().next() else { continue };
        let ready = unready_too || pods::is_ready(pod);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let mut found: Vec<Option<PortKey>> = ports
            .iter()
            .filter_map(|port| {
                let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
                let name = port.name.clone().unwrap_or_default();
                Some(Some((backends::find_port(pod, port)?, protocol, name, port.app_protocol.clone())))
            })
            .collect();
        if ports.is_empty() && !backends::has_ip(service) {
            found.push(None);
        }
        for port in found {
            let address = address(pod, service, &ip);
            by_port.entry(port).or_default().insert((ip.clone(), uid.clone()), (ready, address));
        }
    }
    // Ports with the same addresses share a subset.
    let mut groups: BTreeMap<Vec<(String, String, bool)>, Group> = BTreeMap::new();
    for (port, addresses) in by_port {
        let key = addresses.iter().map(|((ip, uid), (ready, _))| (ip.clone(), uid.clone(), *ready)).collect();
        let (ports, _) = groups.entry(key).or_insert_with(|| (vec![], addresses.into_values().collect()));
        ports.extend(port.map(|(port, protocol, name, app_protocol)| EndpointPort {
            name: Some(name).filter(|name| !name.is_empty()),
            port,
            protocol: Some(protocol),
            app_protocol,
        }));
    }
    let some = |list: Vec<EndpointAddress>| Some(list).filter(|list| !list.is_empty());
    let subset = |(ports, addresses): (Vec<EndpointPort>, Vec<(bool, EndpointAddress)>)| {
        let (ready, unready): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|(ready, _)| *ready);
        let strip =
            |list: Vec<(bool, EndpointAddress)>| list.into_iter().map(|(_, address)| address).collect();
        EndpointSubset {
            addresses: some(strip(ready)),
            not_ready_addresses: some(strip(unready)),
            ports: Some(ports).filter(|ports| !ports.is_empty()),
        }
    };
    groups.into_values().map(subset).collect()
}

fn address(pod: &Pod, service: &Service, ip: &str) -> EndpointAddress {
    EndpointAddress {
        ip: ip.to_owned(),
        hostname: backends::hostname(pod, service),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
    }
}

/// At most a thousand addresses, ready ones first; and whether some had to go.
fn truncated(mut subsets: Vec<EndpointSubset>) -> (Vec<EndpointSubset>, bool) {
    let mut left = MAX_CAPACITY;
    let mut cut = false;
    for kind in [Kind::Ready, Kind::Unready] {
        for subset in &mut subsets {
            let list = match kind {
                Kind::Ready => &mut subset.addresses,
                Kind::Unready => &mut subset.not_ready_addresses,
            };
            let Some(addresses) = list else { continue };
            cut |= addresses.len() > left;
            addresses.truncate(left);
            left -= addresses.len();
            if addresses.is_empty() {
                *list = None;
            }
        }
    }
    (subsets, cut)
}

#[derive(Clone, Copy)]
enum Kind {
    Ready,
    Unready,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_with_the_same_ports_share_a_subset() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80, "targetPort": 8080}, {"name": "x", "port": 81, "targetPort": "named"}]},
        }))
        .unwrap();
        let pod = |i: u8, ready: &str, ports: serde_json::Value| {
            Arc::new(
                serde_json::from_value::<Pod>(json!({
                    "metadata": {"name": format!("p{i}"), "uid": format!("u{i}")},
                    "spec": {"containers": [{"name": "c", "ports": ports}]},
                    "status": {"podIP": format!("10.0.0.{i}"), "conditions": [{"type": "Ready", "status": ready}]},
                }))
                .unwrap(),
            )
        };
        let named = json!([{"name": "named", "containerPort": 9090}]);
        let found = subsets(
            &service,
            &[pod(1, "True", named.clone()), pod(2, "True", named.clone()), pod(3, "False", named)],
        );
        assert_eq!(found.len(), 1);
        let ready: Vec<&str> =
            found[0].addresses.iter().flatten().map(|address| address.ip.as_str()).collect();
        assert_eq!(ready, ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(found[0].not_ready_addresses.as_ref().unwrap()[0].ip, "10.0.0.3");
        assert_eq!(found[0].ports.as_ref().unwrap().iter().map(|p| p.port).collect::<Vec<_>>(), [8080, 9090]);
        let found = subsets(&service, &[pod(1, "True", json!([]))]);
        assert_eq!(
            found[0].ports.as_ref().unwrap().len(),
            1,
            "a port that the pod does not name is left out"
        );
    }
}
