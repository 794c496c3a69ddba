//! EndpointSlice: addresses behind a Service, in slices.
// Models pkg/registry/discovery/endpointslice and pkg/apis/discovery/validation.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointPort, EndpointSlice};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Traits, WriteContext};
use crate::api::kinds::unset::text;
use crate::api::kinds::{cells, checks};
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};
use crate::meta::names;

const ADDRESS_TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_TOPOLOGY_LABELS: usize = 16;
const MAX_HINTS: usize = 8;
/// How many ports and addresses the table shows.
const SHOWN: usize = 3;

/// `discovery.k8s.io/v1` EndpointSlice.
pub struct EndpointSliceKind;

impl Kind for EndpointSliceKind {
    type Object = EndpointSlice;
    const TRAITS: Traits = Traits { status: false, generation: true, scale: false };

    fn default(slice: &mut EndpointSlice) {
        for port in slice.ports.iter_mut().flatten() {
            port.name.get_or_insert_default();
            port.protocol.get_or_insert_with(|| "TCP".to_owned());
        }
    }

    fn prepare_create(_context: &WriteContext<'_>, slice: &mut EndpointSlice) -> Result<(), ApiError> {
        drop_topology(slice);
        Ok(())
    }

    fn prepare_update(
        _context: &WriteContext<'_>,
        new: &mut EndpointSlice,
        old: &EndpointSlice,
    ) -> Result<(), ApiError> {
        if new.endpoints != old.endpoints {
            drop_topology(new);
        }
        // The labels count here too: they say which Service the slice belongs to.
        let same = (&new.endpoints, &new.ports, &new.address_type)
            == (&old.endpoints, &old.ports, &old.address_type);
        if same && new.metadata.labels != old.metadata.labels {
            new.metadata.generation = Some(old.metadata.generation.unwrap_or_default() + 1);
        }
        Ok(())
    }

    fn validate(slice: &EndpointSlice) -> Vec<FieldError> {
        let mut errors = vec![];
        match slice.address_type.as_str() {
            "" => errors.push(FieldError::required(&FieldPath::new("addressType"), "")),
            known if ADDRESS_TYPES.contains(&known) => {}
            other => {
                errors.push(FieldError::not_supported(&FieldPath::new("addressType"), other, &ADDRESS_TYPES))
            }
        }
        errors.extend(validate_ports(slice.ports.as_deref().unwrap_or_default()));
        let (endpoints, field) =
            (slice.endpoints.as_deref().unwrap_or_default(), FieldPath::new("endpoints"));
        if endpoints.len() > MAX_ENDPOINTS {
            errors.push(FieldError::too_many(&field, endpoints.len(), MAX_ENDPOINTS));
            return errors;
        }
        for (index, endpoint) in endpoints.iter().enumerate() {
            errors.extend(validate_endpoint(endpoint, &slice.address_type, &field.index(index)));
        }
        errors
    }

    fn validate_update(new: &EndpointSlice, old: &EndpointSlice) -> Vec<FieldError> {
        let mut errors = Self::validate(new);
        errors.extend(checks::immutable(
            &new.address_type,
            &old.address_type,
            &FieldPath::new("addressType"),
        ));
        errors
    }

    fn warnings(slice: &EndpointSlice, old: Option<&EndpointSlice>) -> Vec<String> {
        let deprecated = old.is_none() && slice.address_type == "FQDN";
        if deprecated { vec!["spec.addressType: FQDN endpoints are deprecated".to_owned()] } else { vec![] }
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("AddressType", "What the addresses are"),
            Column::string("Ports", "The ports of the endpoints"),
            Column::string("Endpoints", "The addresses of the endpoints"),
            Column::AGE,
        ]
    }

    fn row(slice: &EndpointSlice, now: Timestamp) -> Vec<Cell> {
        let port = |port: &EndpointPort| match (port.port, &port.name) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => "*".to_owned(),
        };
        let ports = slice.ports.iter().flatten().map(port).collect();
        let addresses =
            slice.endpoints.iter().flatten().flat_map(|endpoint| endpoint.addresses.clone()).collect();
        vec![
            cells::name(&slice.metadata),
            slice.address_type.clone().into(),
            shown(ports).into(),
            shown(addresses).into(),
            cells::age(&slice.metadata, now),
        ]
    }
}

/// The field belongs to an older version of the API and cannot be written any more.
fn drop_topology(slice: &mut EndpointSlice) {
    for endpoint in slice.endpoints.iter_mut().flatten() {
        endpoint.deprecated_topology = None;
    }
}

/// The first few, and how many more there are.
// Models listWithMoreString.
fn shown(all: Vec<String>) -> String {
    if all.is_empty() {
        return "<unset>".to_owned();
    }
    let list = all[..all.len().min(SHOWN)].join(",");
    if all.len() > SHOWN { format!("{list} + {} more...", all.len() - SHOWN) } else { list }
}

fn validate_ports(ports: &[EndpointPort]) -> Vec<FieldError> {
    let (field, mut errors, mut seen) = (FieldPath::new("ports"), vec![], BTreeSet::new());
    if ports.len() > MAX_PORTS {
        return vec![FieldError::too_many(&field, ports.len(), MAX_PORTS)];
    }
    for (index, port) in ports.iter().enumerate() {
        let (field, name) = (field.index(index), text(&port.name));
        if !name.is_empty() {
            errors.extend(checks::dns_label(name, &field.child("name")));
        }
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&field.child("name"), name));
        }
        match port.protocol.as_deref() {
            None => errors.push(FieldError::required(&field.child("protocol"), "")),
            Some(known) if checks::PROTOCOLS.contains(&known) => {}
            Some(other) => {
                errors.push(FieldError::not_supported(&field.child("protocol"), other, &checks::PROTOCOLS))
            }
        }
        if let Some(protocol) = &port.app_protocol {
            errors.extend(checks::qualified_name(protocol, &field.child("appProtocol")));
        }
    }
    errors
}

fn validate_endpoint(endpoint: &Endpoint, address_type: &str, field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, addresses) = (vec![], field.child("addresses"));
    if endpoint.addresses.is_empty() {
        errors.push(FieldError::required(&addresses, "must contain at least 1 address"));
    } else if endpoint.addresses.len() > MAX_ADDRESSES {
        errors.push(FieldError::too_many(&addresses, endpoint.addresses.len(), MAX_ADDRESSES));
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        errors.extend(validate_address(address, address_type, &addresses, index));
    }
    if let Some(node) = &endpoint.node_name {
        errors.extend(checks::dns_subdomain(node, &field.child("nodeName")));
    }
    let topology = endpoint.deprecated_topology.as_ref();
    let count = topology.map_or(0, |topology| topology.len());
    if count > MAX_TOPOLOGY_LABELS {
        errors.push(FieldError::too_many(&field.child("deprecatedTopology"), count, MAX_TOPOLOGY_LABELS));
    }
    errors.extend(checks::labels(topology, &field.child("deprecatedTopology")));
    if let Some(hostname) = &endpoint.hostname {
        errors.extend(checks::dns_label(hostname, &field.child("hostname")));
    }
    if let Some(hints) = &endpoint.hints {
        errors.extend(validate_hints(hints, &field.child("hints")));
    }
    errors
}

fn validate_address(address: &str, address_type: &str, field: &FieldPath, index: usize) -> Vec<FieldError> {
    let (own, wants_v4) = (field.index(index), address_type == "IPv4");
    if address_type == "FQDN" {
        return validate_domain(address, &own);
    }
    let Some(ip) = checks::parse_ip(address).filter(|_| ["IPv4", "IPv6"].contains(&address_type)) else {
        return if ["IPv4", "IPv6"].contains(&address_type) { checks::ip(address, &own) } else { vec![] };
    };
    let mut errors = vec![];
    if ip.is_ipv4() != wants_v4 {
        let family = if wants_v4 { "an IPv4" } else { "an IPv6" };
        errors.push(FieldError::invalid(field, address, format!("must be {family} address")));
    }
    errors.extend(checks::endpoint_ip(address, &own));
    errors
}

fn validate_domain(name: &str, field: &FieldPath) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![FieldError::required(field, "")];
    }
    let errors = checks::dns_subdomain(name.strip_suffix('.').unwrap_or(name), field);
    if !errors.is_empty() {
        return errors;
    }
    let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    if labels.len() < 2 {
        return vec![FieldError::invalid(
            field,
            name,
            "should be a domain with at least two segments separated by dots",
        )];
    }
    labels
        .into_iter()
        .flat_map(|label| checks::each(names::dns1123_label(label, false), field, label))
        .collect()
}

fn validate_hints(hints: &EndpointHints, field: &FieldPath) -> Vec<FieldError> {
    let zones: Vec<&str> = hints.for_zones.iter().flatten().map(|zone| zone.name.as_str()).collect();
    let nodes: Vec<&str> = hints.for_nodes.iter().flatten().map(|node| node.name.as_str()).collect();
    let mut errors = vec![];
    for (list, names, is_node) in [("forZones", zones, false), ("forNodes", nodes, true)] {
        let (field, mut seen) = (field.child(list), BTreeSet::new());
        if names.len() > MAX_HINTS {
            errors.push(FieldError::too_many(&field, names.len(), MAX_HINTS));
            return errors;
        }
        for (index, name) in names.into_iter().enumerate() {
            let field = field.index(index).child("name");
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&field, name));
            }
            let wrong =
                if is_node { names::dns1123_subdomain(name, false) } else { names::label_value(name) };
            errors.extend(checks::each(wrong, &field, name));
        }
    }
    errors
}
