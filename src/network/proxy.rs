//! kube-proxy: Services and their endpoints, as rules of one node.
//!
//! One task a node follows the shared caches and replaces the node's rules in the fabric; [`plan`] is the pure part. When
//! it is stopped the last rules stay in force, as they do on a real node.
// Models pkg/proxy (ServicePortMap, CategorizeEndpoints).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Service, ServicePort as ApiPort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use tokio_util::task::AbortOnDropHandle;

use super::host::NetHost;
use super::proxy_health::{NoLocalEndpoints, ProxyHealth};
use super::proxy_server::{HEALTH_PORT, METRICS_PORT, Port, serve_health, serve_metrics};
use super::rules::{Backend, ExternalPort, Otherwise, Protocol, ServicePort, ServiceRules};
use crate::clock::Clock;
use crate::informer::Informers;

/// The label by which a slice says whose it is.
pub(super) const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// The label by which a Service says that another proxy serves it.
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// For how long a client keeps its pod if the Service does not say.
const AFFINITY_SECONDS: i32 = 10_800;

/// A running kube-proxy; dropping it stops it.
#[derive(Debug)]
pub struct KubeProxy {
    task: AbortOnDropHandle<()>,
}

impl KubeProxy {
    /// Keeps the rules of a node up to date, and answers on its ports, which are open when this returns.
    pub async fn start(host: &NetHost, informers: &Informers, clock: &Clock) -> Self {
        let health = ProxyHealth::default();
        let health_port = Port::open(host, Ipv4Addr::UNSPECIFIED, HEALTH_PORT).await;
        let metrics_port = Port::open(host, Ipv4Addr::LOCALHOST, METRICS_PORT).await;
        let (host, informers, clock) = (host.clone(), informers.clone(), clock.clone());
        let task = tokio::spawn(async move {
            let node = host.node().to_owned();
            tokio::join!(
                follow(&host, &informers, &health, &clock),
                serve_health(health_port, health.clone(), node, informers.of(), clock.clone()),
                serve_metrics(metrics_port, health.clone(), clock.clone()),
            );
        });
        Self { task: AbortOnDropHandle::new(task) }
    }

    /// Ends it, and waits until its ports are free. The last rules stay in force.
    pub async fn stop(self) {
        self.task.abort();
        // Being aborted is how it ends.
        let _ = self.task.await;
    }
}

/// Replaces the node's rules whenever a Service or its endpoints change.
async fn follow(host: &NetHost, informers: &Informers, health: &ProxyHealth, clock: &Clock) {
    let (services, slices) = (informers.of::<Service>(), informers.of::<EndpointSlice>());
    let (mut service_changes, mut slice_changes) = (services.subscribe(), slices.subscribe());
    services.synced().await;
    slices.synced().await;
    let (mut seen_services, mut seen_slices) = (0, 0);
    loop {
        // Whatever else has happened by now is in the caches: one new set of rules covers it.
        while service_changes.try_recv().is_ok() {
            seen_services += 1;
        }
        while slice_changes.try_recv().is_ok() {
            seen_slices += 1;
        }
        let began = clock.now();
        health.queued(std::mem::take(&mut seen_services), std::mem::take(&mut seen_slices), began);
        let (services, slices) = (services.list(), slices.list());
        let rules = plan(&services, &slices, host.node());
        let lacking = no_local_endpoints(&services, &slices, host.node());
        host.fabric().set_rules(host.node(), rules);
        health.updated(began, clock.now(), lacking);
        let more = tokio::select! { biased;
            change = service_changes.recv() => change.map(|_| seen_services += 1),
            change = slice_changes.recv() => change.map(|_| seen_slices += 1),
        };
        if more.is_none() {
            return;
        }
    }
}

/// The rules of `node` for these Services.
pub fn plan(services: &[Arc<Service>], slices: &[Arc<EndpointSlice>], node: &str) -> ServiceRules {
    let mut rules = ServiceRules::default();
    for_each_port(services, slices, |service, api, slices| {
        let Some(protocol) = Protocol::of(api.protocol.as_deref()) else { return };
        let (Some(spec), Ok(number)) = (&service.spec, u16::try_from(api.port)) else { return };
        let port = ServicePort {
            name: format!(
                "{}/{}:{}",
                text(&service.metadata.namespace),
                text(&service.metadata.name),
                text(&api.name)
            ),
            otherwise: Otherwise::Refused,
            affinity: affinity(spec),
            backends: backends(slices, api, None),
        };
        let local = || local(&port, backends(slices, api, Some(node)));
        let internal = if is_local(&spec.internal_traffic_policy) { local() } else { port.clone() };
        for ip in ips(spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip)) {
            rules.virtual_addresses.insert((SocketAddr::new(ip, number), protocol), internal.clone());
        }
        let external = match is_local(&spec.external_traffic_policy) {
            true => ExternalPort { port: local(), short_cut: Some(port.clone()) },
            false => ExternalPort { port: port.clone(), short_cut: None },
        };
        for ip in ips(spec.external_ips.iter().flatten()) {
            rules.external_addresses.insert((SocketAddr::new(ip, number), protocol), external.clone());
        }
        let node_port = api.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if let Some(node_port) = node_port {
            rules.node_ports.insert((node_port, protocol), external);
        }
    });
    rules
}

fn ips<'a>(texts: impl Iterator<Item = &'a String>) -> impl Iterator<Item = IpAddr> {
    texts.filter_map(|ip| ip.parse().ok())
}

fn is_local(policy: &Option<String>) -> bool {
    policy.as_deref() == Some("Local")
}

fn affinity(spec: &ServiceSpec) -> Option<Duration> {
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds).unwrap_or(AFFINITY_SECONDS);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// The same port for who gets the backends of one node only.
fn local(port: &ServicePort, backends: Vec<Backend>) -> ServicePort {
    let otherwise = if port.backends.is_empty() { Otherwise::Refused } else { Otherwise::Dropped };
    ServicePort { backends, otherwise, ..port.clone() }
}

/// Every port of every Service that is kube-proxy's, with the slices of its endpoints.
fn for_each_port(
    services: &[Arc<Service>],
    slices: &[Arc<EndpointSlice>],
    mut act: impl FnMut(&Service, &ApiPort, &[&EndpointSlice]),
) {
    let by_service = by_service(slices);
    for service in services.iter().filter(|service| !is_left_to_others(&service.metadata)) {
        let Some(spec) = &service.spec else { continue };
        let key = (text(&service.metadata.namespace), text(&service.metadata.name));
        let slices = by_service.get(&key).map_or(&[][..], Vec::as_slice);
        for port in spec.ports.iter().flatten() {
            act(service, port, slices);
        }
    }
}

/// How many Service ports have a `Local` policy and no endpoint on `node`, though there are some elsewhere.
// Models pkg/proxy/iptables/proxier.go (serviceNoLocalEndpointsTotalInternal and -External).
fn no_local_endpoints(
    services: &[Arc<Service>],
    slices: &[Arc<EndpointSlice>],
    node: &str,
) -> NoLocalEndpoints {
    let mut lacking = NoLocalEndpoints::default();
    for_each_port(services, slices, |service, port, slices| {
        let Some(spec) = &service.spec else { return };
        let missing =
            !backends(slices, port, None).is_empty() && backends(slices, port, Some(node)).is_empty();
        lacking.internal += u64::from(is_local(&spec.internal_traffic_policy) && missing);
        lacking.external += u64::from(is_local(&spec.external_traffic_policy) && missing);
    });
    lacking
}

/// The slices of each Service.
fn by_service(slices: &[Arc<EndpointSlice>]) -> BTreeMap<(&str, &str), Vec<&EndpointSlice>> {
    let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        if let Some(service) =
            slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL))
        {
            by_service.entry((text(&slice.metadata.namespace), service)).or_default().push(slice);
        }
    }
    by_service
}

fn is_left_to_others(meta: &ObjectMeta) -> bool {
    meta.labels.as_ref().is_some_and(|labels| labels.contains_key(PROXY_NAME_LABEL))
}

/// The ready endpoints of one port, on any node or on one; if there are none, those that still serve while they end.
fn backends(slices: &[&EndpointSlice], port: &ApiPort, node: Option<&str>) -> Vec<Backend> {
    let here = |endpoint: &Endpoint| node.is_none() || endpoint.node_name.as_deref() == node;
    let all = |wanted: fn(&Endpoint) -> bool| {
        let wanted = |endpoint: &Endpoint| here(endpoint) && wanted(endpoint);
        let mut backends: Vec<Backend> =
            slices.iter().flat_map(|slice| slice_backends(slice, port, wanted)).collect();
        backends.sort_by_key(|backend| backend.address);
        backends.dedup_by_key(|backend| backend.address);
        backends
    };
    let ready = all(|endpoint| endpoint.conditions.as_ref().is_none_or(|c| c.ready != Some(false)));
    if ready.is_empty() {
        return all(|endpoint| {
            endpoint
                .conditions
                .as_ref()
                .is_some_and(|c| c.serving == Some(true) && c.terminating == Some(true))
        });
    }
    ready
}

fn slice_backends(slice: &EndpointSlice, port: &ApiPort, wanted: impl Fn(&Endpoint) -> bool) -> Vec<Backend> {
    let same = |candidate: &&EndpointPort| {
        let protocols = [&candidate.protocol, &port.protocol].map(|own| Protocol::of(own.as_deref()));
        text(&candidate.name) == text(&port.name) && protocols[0] == protocols[1]
    };
    let target = slice.ports.iter().flatten().find(same).and_then(|port| port.port);
    let Some(number) = target.and_then(|number| u16::try_from(number).ok()) else { return vec![] };
    let endpoints = slice.endpoints.iter().flatten().filter(|endpoint| wanted(endpoint));
    let backend = |endpoint: &Endpoint| {
        let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        Some(Backend { address: SocketAddr::new(ip, number), node: endpoint.node_name.clone() })
    };
    endpoints.filter_map(backend).collect()
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(spec: serde_json::Value) -> Arc<Service> {
        Arc::new(
            serde_json::from_value(
                json!({"metadata": {"name": "web", "namespace": "default"}, "spec": spec}),
            )
            .unwrap(),
        )
    }

    fn slice(endpoints: serde_json::Value) -> Arc<EndpointSlice> {
        let meta = json!({"name": "web-x", "namespace": "default", "labels": {SERVICE_NAME_LABEL: "web"}});
        let value = json!({"metadata": meta, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "", "port": 8080}]});
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn backends_of(port: &ServicePort) -> Vec<String> {
        port.backends.iter().map(|backend| backend.address.to_string()).collect()
    }

    const WEB: &str = "10.96.0.9:80";

    fn inside(rules: &ServiceRules) -> &ServicePort {
        &rules.virtual_addresses[&(WEB.parse().unwrap(), Protocol::Tcp)]
    }

    fn outside(rules: &ServiceRules) -> &ExternalPort {
        &rules.node_ports[&(30080, Protocol::Tcp)]
    }

    #[test]
    fn a_service_stands_for_its_ready_endpoints() {
        let services = [service(
            json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30080}], "type": "NodePort"}),
        )];
        let slices = [slice(json!([
            {"addresses": ["10.244.0.5"], "conditions": {"ready": true}, "nodeName": "a"},
            {"addresses": ["10.244.1.6"], "conditions": {"ready": true}, "nodeName": "b"},
            {"addresses": ["10.244.0.7"], "conditions": {"ready": false}},
        ]))];
        let rules = plan(&services, &slices, "a");
        assert_eq!(backends_of(inside(&rules)), ["10.244.0.5:8080", "10.244.1.6:8080"]);
        assert_eq!(backends_of(&outside(&rules).port), ["10.244.0.5:8080", "10.244.1.6:8080"]);
        assert_eq!((outside(&rules).short_cut.is_none(), inside(&rules).affinity), (true, None));
    }

    #[test]
    fn local_policies_stay_on_the_node_and_no_endpoints_mean_no_backends() {
        let spec = json!({"clusterIP": "10.96.0.9", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10}}, "ports": [{"port": 80, "nodePort": 30080}]});
        let slices =
            [slice(json!([{"addresses": ["10.244.1.6"], "conditions": {"ready": true}, "nodeName": "b"}]))];
        let rules = plan(&[service(spec.clone())], &slices, "a");
        assert_eq!(
            (outside(&rules).port.backends.len(), outside(&rules).port.otherwise),
            (0, Otherwise::Dropped)
        );
        assert_eq!(
            outside(&rules).short_cut.as_ref().unwrap().backends.len(),
            1,
            "pods of the node go everywhere"
        );
        assert_eq!(
            (inside(&rules).backends.len(), inside(&rules).affinity),
            (1, Some(Duration::from_secs(10)))
        );
        let none = plan(&[service(spec)], &[], "a");
        assert_eq!((inside(&none).backends.len(), inside(&none).otherwise), (0, Otherwise::Refused));
        assert_eq!(outside(&none).port.otherwise, Otherwise::Refused);
        let spec =
            json!({"clusterIP": "10.96.0.9", "internalTrafficPolicy": "Local", "ports": [{"port": 80}]});
        let rules = [plan(&[service(spec.clone())], &slices, "a"), plan(&[service(spec)], &slices, "b")];
        assert_eq!((inside(&rules[0]).otherwise, inside(&rules[1]).backends.len()), (Otherwise::Dropped, 1));
    }

    #[test]
    fn endpoints_that_end_still_serve_when_nobody_else_does() {
        let services = [service(json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}))];
        let ending = json!({"ready": false, "serving": true, "terminating": true});
        let slices = [slice(json!([{"addresses": ["10.244.0.5"], "conditions": ending}]))];
        let rules = plan(&services, &slices, "a");
        assert_eq!(inside(&rules).backends.len(), 1);
    }

    #[test]
    fn ports_of_the_same_number_are_told_apart_by_their_protocol() {
        let ports = json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]);
        let services =
            [service(json!({"clusterIP": "10.96.0.9", "ports": ports, "externalIPs": ["10.1.1.1"]}))];
        let meta =
            json!({"metadata": {"name": "s", "namespace": "default", "labels": {SERVICE_NAME_LABEL: "web"}}});
        let mut slice = meta;
        slice["addressType"] = json!("IPv4");
        slice["endpoints"] = json!([{"addresses": ["10.244.0.5"]}]);
        slice["ports"] =
            json!([{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5354}]);
        let rules = plan(&services, &[Arc::new(serde_json::from_value(slice).unwrap())], "a");
        for (protocol, expected) in [(Protocol::Udp, "10.244.0.5:5353"), (Protocol::Tcp, "10.244.0.5:5354")] {
            let address = |ip: &str| (format!("{ip}:53").parse().unwrap(), protocol);
            assert_eq!(backends_of(&rules.virtual_addresses[&address("10.96.0.9")]), [expected]);
            assert_eq!(backends_of(&rules.external_addresses[&address("10.1.1.1")].port), [expected]);
        }
    }
}
