//! kube-proxy: Services and their endpoints, as rules of one node.
//!
//! One task a node follows the shared caches and replaces the node's rules in the fabric; [`plan`] is the pure part. When
//! it is stopped the last rules stay in force, as they do on a real node.
// Models pkg/proxy (ServicePortMap, CategorizeEndpoints).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort as ApiPort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::fabric::Fabric;
use super::rules::{Backend, ServicePort, ServiceRules};
use crate::informer::Informers;

/// The label by which a slice says whose it is.
pub(super) const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// The label by which a Service says that another proxy serves it.
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// A running kube-proxy; dropping it stops it.
#[derive(Debug)]
pub struct KubeProxy {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl KubeProxy {
    /// Keeps the rules of `node` up to date.
    pub fn start(node: &str, informers: &Informers, fabric: Fabric) -> Self {
        let node = node.to_owned();
        let (services, slices) = (informers.of::<Service>(), informers.of::<EndpointSlice>());
        let task = tokio::spawn(async move {
            let (mut service_changes, mut slice_changes) = (services.subscribe(), slices.subscribe());
            services.synced().await;
            slices.synced().await;
            loop {
                // Whatever else has happened by now is in the caches: one new set of rules covers it.
                while service_changes.try_recv().is_ok() || slice_changes.try_recv().is_ok() {}
                fabric.set_rules(&node, plan(&services.list(), &slices.list(), &node));
                let change = tokio::select! { biased;
                    change = service_changes.recv() => change.map(drop),
                    change = slice_changes.recv() => change.map(drop),
                };
                if change.is_none() {
                    return;
                }
            }
        });
        Self { task }
    }
}

/// The rules of `node` for these Services.
pub fn plan(services: &[Arc<Service>], slices: &[Arc<EndpointSlice>], node: &str) -> ServiceRules {
    let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        if let Some(service) =
            slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL))
        {
            by_service.entry((text(&slice.metadata.namespace), service)).or_default().push(slice);
        }
    }
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
