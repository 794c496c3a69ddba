//! The columns of `kubectl get services`.
// Models pkg/printers/internalversion (printService).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use crate::api::kinds::cells;
use crate::api::kinds::unset::text;
use crate::api::table::{Cell, Column};

pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::NAME,
        Column::string("Type", "How the Service can be reached"),
        Column::string("Cluster-IP", "The address inside the cluster"),
        Column::string("External-IP", "The addresses for clients outside"),
        Column::string("Port(s)", "The ports, with their node ports"),
        Column::AGE,
        Column::string("Selector", "Which pods answer").wide(),
    ]
}

pub(super) fn row(service: &Service, now: Timestamp) -> Vec<Cell> {
    let spec = service.spec.clone().unwrap_or_default();
    let ip = spec.cluster_ips.iter().flatten().next().cloned().unwrap_or_else(|| "<none>".to_owned());
    let ports: Vec<String> = spec.ports.iter().flatten().map(port).collect();
    vec![
        cells::name(&service.metadata),
        text(&spec.type_).into(),
        ip.into(),
        external_ip(service, &spec).into(),
        cells::or_none(ports.join(",")).into(),
        cells::age(&service.metadata, now),
        cells::labels(spec.selector.as_ref()),
    ]
}

fn port(port: &ServicePort) -> String {
    match port.node_port.unwrap_or_default() {
        0 => format!("{}/{}", port.port, text(&port.protocol)),
        node => format!("{}:{node}/{}", port.port, text(&port.protocol)),
    }
}

fn external_ip(service: &Service, spec: &ServiceSpec) -> String {
    let given = spec.external_ips.clone().unwrap_or_default();
    match text(&spec.type_) {
        "ClusterIP" | "NodePort" => cells::or_none(given.join(",")),
        "LoadBalancer" => {
            let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let mut balanced: Vec<String> = balancer
                .iter()
                .flat_map(|balancer| balancer.ingress.iter().flatten())
                .map(|ingress| {
                    if text(&ingress.ip).is_empty() { text(&ingress.hostname) } else { text(&ingress.ip) }
                        .to_owned()
                })
                .filter(|address| !address.is_empty())
                .collect();
            balanced.sort();
            balanced.dedup();
            balanced.extend(given);
            if balanced.is_empty() { "<pending>".to_owned() } else { balanced.join(",") }
        }
        "ExternalName" => text(&spec.external_name).to_owned(),
        _ => "<unknown>".to_owned(),
    }
}
