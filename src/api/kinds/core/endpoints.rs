//! Endpoints: the addresses behind a Service, as older clients read them.
// Models pkg/registry/core/endpoint and pkg/apis/core/validation (ValidateEndpoints).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Rules};
use crate::api::kinds::unset::{default_text, text};
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::names;

/// How many addresses the table shows.
const SHOWN: usize = 3;

/// `v1` Endpoints.
pub struct EndpointsKind;

impl Kind for EndpointsKind {
    type Object = Endpoints;
    const SHORT_NAMES: &'static [&'static str] = &["ep"];
    const RULES: Rules = Rules { create_on_update: true, ..Rules::USUAL };
    const WARNING: Option<&'static str> =
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");

    fn singular() -> String {
        "endpoints".to_owned()
    }

    fn default(object: &mut Endpoints) {
        for port in object.subsets.iter_mut().flatten().flat_map(|subset| subset.ports.iter_mut().flatten()) {
            default_text(&mut port.protocol, "TCP");
        }
    }

    fn validate(object: &Endpoints) -> Vec<FieldError> {
        let subsets = object.subsets.iter().flatten().enumerate();
        subsets
            .flat_map(|(index, subset)| validate_subset(subset, &FieldPath::new("subsets").index(index)))
            .collect()
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Endpoints", "The addresses and ports of the endpoints"),
            Column::AGE,
        ]
    }

    fn row(object: &Endpoints, now: Timestamp) -> Vec<Cell> {
        vec![cells::name(&object.metadata), shown(object).into(), cells::age(&object.metadata, now)]
    }
}

fn validate_subset(subset: &EndpointSubset, field: &FieldPath) -> Vec<FieldError> {
    let ready = subset.addresses.as_deref().unwrap_or_default();
    let not_ready = subset.not_ready_addresses.as_deref().unwrap_or_default();
    let ports = subset.ports.as_deref().unwrap_or_default();
    let mut errors = vec![];
    if ready.is_empty() && not_ready.is_empty() {
        errors.push(FieldError::required(field, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (name, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
        for (index, address) in addresses.iter().enumerate() {
            errors.extend(validate_address(address, &field.child(name).index(index)));
        }
    }
    for (index, port) in ports.iter().enumerate() {
        errors.extend(validate_port(port, ports.len() > 1, &field.child("ports").index(index)));
    }
    errors
}

fn validate_address(address: &EndpointAddress, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = checks::ip(&address.ip, &field.child("ip"));
    if !text(&address.hostname).is_empty() {
        errors.extend(checks::dns_label(text(&address.hostname), &field.child("hostname")));
    }
    if let Some(node) = &address.node_name {
        errors.extend(checks::each(names::dns1123_subdomain(node, false), &field.child("nodeName"), node));
    }
    errors.extend(checks::endpoint_ip(&address.ip, &field.child("ip")));
    errors
}

fn validate_port(port: &EndpointPort, named: bool, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    match text(&port.name) {
        "" if named => errors.push(FieldError::required(&field.child("name"), "")),
        "" => {}
        name => errors.extend(checks::dns_label(name, &field.child("name"))),
    }
    errors.extend(checks::port_number(port.port, &field.child("port")));
    errors.extend(checks::protocol(text(&port.protocol), &field.child("protocol")));
    if let Some(protocol) = &port.app_protocol {
        errors.extend(checks::qualified_name(protocol, &field.child("appProtocol")));
    }
    errors
}

/// The first addresses with their ports, and how many more there are.
fn shown(object: &Endpoints) -> String {
    let mut all = vec![];
    for subset in object.subsets.iter().flatten() {
        let addresses = || subset.addresses.iter().flatten().map(|address| address.ip.as_str());
        match subset.ports.as_deref().unwrap_or_default() {
            [] => all.extend(addresses().map(str::to_owned)),
            ports => all.extend(ports.iter().flat_map(|port| addresses().map(|ip| join_port(ip, port.port)))),
        }
    }
    if object.subsets.as_ref().is_none_or(Vec::is_empty) {
        return "<none>".to_owned();
    }
    let list = all[..all.len().min(SHOWN)].join(",");
    if all.len() > SHOWN { format!("{list} + {} more...", all.len() - SHOWN) } else { list }
}

fn join_port(ip: &str, port: i32) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{refused, row};

    fn endpoints(subsets: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Endpoints, metadata: {{name: e, namespace: default}}, subsets: {subsets}}}"
        )
    }

    #[test]
    fn the_row_shows_the_first_three() {
        let shown = |subsets: &str| {
            row(&endpoints(subsets), "2026-01-01T00:00:00Z").split(" | ").nth(1).unwrap().to_owned()
        };
        assert_eq!(shown("[]"), "ENDPOINTS=<none>");
        assert_eq!(shown("[{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]"), "ENDPOINTS=10.0.0.1:80");
        let four = "[{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{name: a, port: 80}, {name: b, port: 90}]}]";
        assert_eq!(shown(four), "ENDPOINTS=10.0.0.1:80,10.0.0.2:80,10.0.0.1:90 + 1 more...");
        assert_eq!(shown("[{notReadyAddresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]"), "ENDPOINTS=");
    }

    #[test]
    fn addresses_can_be_sent_to() {
        assert_eq!(
            refused(&endpoints("[{addresses: [{ip: 127.0.0.1}], ports: [{port: 0}]}]")),
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)\n\
             subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"
        );
        assert_eq!(
            refused(&endpoints("[{}]")),
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"
        );
    }
}
