//! kube-proxy: Services and their endpoints, as rules of one node.
//!
//! One task a node follows the shared caches and replaces the node's rules in the fabric; [`plan`] is the pure part. When
//! it is stopped the last rules stay in force, as they do on a real node.
// Models pkg/proxy (ServicePortMap, CategorizeEndpoints).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort as ApiPort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use tokio_util::task::AbortOnDropHandle;

use super::fabric::NetHost;
use super::proxy_health::{NoLocalEndpoints, ProxyHealth};
use super::proxy_server::{HEALTH_PORT, METRICS_PORT, Port, serve_health, serve_metrics};
use super::rules::{Backend, ServicePort, ServiceRules};
use crate::clock::Clock;
use crate::informer::Informers;

/// The label by which a slice says whose it is.
pub(super) const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// The label by which a Service says that another proxy serves it.
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

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
    let by_service = by_service(slices);
    let mut rules = ServiceRules::default();
    for service in services.iter().filter(|service| !is_left_to_others(&service.metadata)) {
        let Some(spec) = &service.spec else { continue };
        let key = (text(&service.metadata.namespace), text(&service.metadata.name));
        let slices = by_service.get(&key).map_or(&[][..], Vec::as_slice);
        let addresses: Vec<IpAddr> = spec
            .cluster_ips
            .iter()
            .flatten()
            .chain(&spec.cluster_ip)
            .chain(spec.external_ips.iter().flatten())
            .filter_map(|ip| ip.parse().ok())
            .collect();
        for port in spec.ports.iter().flatten().filter(|port| port.protocol.as_deref() != Some("UDP")) {
            let backends = backends(slices, port);
            let rule = ServicePort {
                name: format!("{}/{}:{}", key.0, key.1, text(&port.name)),
                session_affinity: spec.session_affinity.as_deref() == Some("ClientIP"),
                backends: local_if(spec.internal_traffic_policy.as_deref() == Some("Local"), &backends, node),
            };
            let Ok(number) = u16::try_from(port.port) else { continue };
            for address in &addresses {
                rules.virtual_addresses.insert(SocketAddr::new(*address, number), rule.clone());
            }
            if let Some(node_port) =
                port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
            {
                let local = spec.external_traffic_policy.as_deref() == Some("Local");
                rules
                    .node_ports
                    .insert(node_port, ServicePort { backends: local_if(local, &backends, node), ..rule });
            }
        }
    }
    rules
}

/// How many Service ports have a `Local` policy and no endpoint on `node`, though there are some elsewhere.
// Models pkg/proxy/iptables/proxier.go (serviceNoLocalEndpointsTotalInternal and -External).
fn no_local_endpoints(
    services: &[Arc<Service>],
    slices: &[Arc<EndpointSlice>],
    node: &str,
) -> NoLocalEndpoints {
    let by_service = by_service(slices);
    let mut lacking = NoLocalEndpoints::default();
    for service in services.iter().filter(|service| !is_left_to_others(&service.metadata)) {
        let Some(spec) = &service.spec else { continue };
        let key = (text(&service.metadata.namespace), text(&service.metadata.name));
        let slices = by_service.get(&key).map_or(&[][..], Vec::as_slice);
        let local = |policy: &Option<String>| policy.as_deref() == Some("Local");
        let (internal, external) =
            (local(&spec.internal_traffic_policy), local(&spec.external_traffic_policy));
        if !internal && !external {
            continue;
        }
        for port in spec.ports.iter().flatten() {
            let all = backends(slices, port);
            let missing = !all.is_empty() && local_if(true, &all, node).is_empty();
            lacking.internal += u64::from(internal && missing);
            lacking.external += u64::from(external && missing);
        }
    }
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

fn local_if(local: bool, backends: &[Backend], node: &str) -> Vec<Backend> {
    backends.iter().filter(|backend| !local || backend.node.as_deref() == Some(node)).cloned().collect()
}

/// The ready endpoints of one port; if there are none, those that still serve while they end.
fn backends(slices: &[&EndpointSlice], port: &ApiPort) -> Vec<Backend> {
    let all = |wanted: fn(&Endpoint) -> bool| {
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

fn slice_backends(slice: &EndpointSlice, port: &ApiPort, wanted: fn(&Endpoint) -> bool) -> Vec<Backend> {
    let same = |name: &Option<String>| text(name) == text(&port.name);
    let target =
        slice.ports.iter().flatten().find(|candidate| same(&candidate.name)).and_then(|port| port.port);
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
        let port = &rules.virtual_addresses[&"10.96.0.9:80".parse().unwrap()];
        assert_eq!(backends_of(port), ["10.244.0.5:8080", "10.244.1.6:8080"]);
        assert_eq!(backends_of(&rules.node_ports[&30080]), ["10.244.0.5:8080", "10.244.1.6:8080"]);
    }

    #[test]
    fn local_policies_stay_on_the_node_and_no_endpoints_mean_no_backends() {
        let spec = json!({"clusterIP": "10.96.0.9", "externalTrafficPolicy": "Local", "ports": [{"port": 80, "nodePort": 30080}]});
        let slices =
            [slice(json!([{"addresses": ["10.244.1.6"], "conditions": {"ready": true}, "nodeName": "b"}]))];
        let rules = plan(&[service(spec.clone())], &slices, "a");
        assert!(rules.node_ports[&30080].backends.is_empty());
        assert_eq!(rules.virtual_addresses[&"10.96.0.9:80".parse().unwrap()].backends.len(), 1);
        let none = plan(&[service(spec)], &[], "a");
        assert!(none.virtual_addresses[&"10.96.0.9:80".parse().unwrap()].backends.is_empty());
    }

    #[test]
    fn endpoints_that_end_still_serve_when_nobody_else_does() {
        let services = [service(json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}))];
        let ending = json!({"ready": false, "serving": true, "terminating": true});
        let slices = [slice(json!([{"addresses": ["10.244.0.5"], "conditions": ending}]))];
        let rules = plan(&services, &slices, "a");
        assert_eq!(rules.virtual_addresses[&"10.96.0.9:80".parse().unwrap()].backends.len(), 1);
    }
}
