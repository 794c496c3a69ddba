//! What a Service must be.
// Models pkg/apis/core/validation (validateService and its parts).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::ports::{is_externally_accessible, is_headless, needs_health_check};
use crate::api::field::{FieldError, FieldErrorKind, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
use crate::meta::names;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const FAMILY_POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
/// A day, the longest that a client stays with its pod.
const MAX_AFFINITY_SECONDS: i32 = 86_400;

pub(super) fn validate(service: &Service) -> Vec<FieldError> {
    let (field, spec) = (FieldPath::new("spec"), service.spec.clone().unwrap_or_default());
    let kind = text(&spec.type_);
    let ports = spec.ports.as_deref().unwrap_or_default();
    let headless = is_headless(&spec);
    let mut errors = validate_topology(service);
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required(&field.child("ports"), ""));
    }
    errors.extend(validate_kind(&spec, &field));
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        errors.extend(validate_port(port, ports.len() > 1, &mut names, &field.child("ports").index(index)));
    }
    errors.extend(checks::labels(spec.selector.as_ref(), &field.child("selector")));
    errors.extend(validate_affinity(&spec, &field));
    errors.extend(validate_ips(&spec));
    for (index, ip) in spec.external_ips.iter().flatten().enumerate() {
        let field = field.child("externalIPs").index(index);
        let wrong = checks::ip(ip, &field);
        errors.extend(if wrong.is_empty() { checks::endpoint_ip(ip, &field) } else { wrong });
    }
    match kind {
        "" => errors.push(FieldError::required(&field.child("type"), "")),
        known if TYPES.contains(&known) => {}
        other => errors.push(FieldError::not_supported(&field.child("type"), other, &TYPES)),
    }
    errors.extend(validate_port_uniqueness(kind, ports, &field.child("ports")));
    errors.extend(validate_source_ranges(service, &spec, &field));
    match spec.allocate_load_balancer_node_ports {
        Some(_) if kind != "LoadBalancer" => {
            let why = "may only be used when `type` is 'LoadBalancer'";
            errors.push(FieldError::forbidden(&field.child("allocateLoadBalancerNodePorts"), why));
        }
        None if kind == "LoadBalancer" => {
            errors.push(FieldError::required(&FieldPath::new("allocateLoadBalancerNodePorts"), ""));
        }
        _ => {}
    }
    errors.extend(validate_class(&spec, &field));
    errors.extend(validate_traffic(&spec, &field));
    errors
}

pub(super) fn validate_update(new: &Service, old: &Service) -> Vec<FieldError> {
    let (field, spec, before) =
        (FieldPath::new("spec"), new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let mut errors = vec![];
    if text(&spec.type_) != "ExternalName" && text(&before.type_) != "ExternalName" {
        errors.extend(validate_ip_change(&spec, &before, &field));
        errors.extend(validate_family_change(&spec, &before, &field));
    }
    let balanced = |spec: &ServiceSpec| text(&spec.type_) == "LoadBalancer";
    if balanced(&spec) && balanced(&before) && spec.load_balancer_class != before.load_balancer_class {
        let value = serde_json::to_value(&spec.load_balancer_class).unwrap_or_default();
        errors.push(FieldError::invalid(&field.child("loadBalancerClass"), value, "may not change once set"));
    }
    let check = |spec: &ServiceSpec| spec.health_check_node_port.unwrap_or_default();
    if needs_health_check(&spec) && needs_health_check(&before) && check(&spec) != check(&before) {
        errors.push(FieldError::forbidden(&field.child("healthCheckNodePort"), "field is immutable"));
    }
    errors
}

pub(super) fn validate_status(service: &Service) -> Vec<FieldError> {
    let balancer =
        service.status.as_ref().and_then(|status| status.load_balancer.clone()).unwrap_or_default();
    let ingress = balancer.ingress.unwrap_or_default();
    let field = FieldPath::new("status").child("loadBalancer").child("ingress");
    let balanced = service.spec.as_ref().is_some_and(|spec| text(&spec.type_) == "LoadBalancer");
    if !balanced && !ingress.is_empty() {
        return vec![FieldError::forbidden(&field, "may only be used when `spec.type` is 'LoadBalancer'")];
    }
    let mut errors = vec![];
    for (index, ingress) in ingress.iter().enumerate() {
        let field = field.index(index);
        let (ip, hostname) = (text(&ingress.ip), text(&ingress.hostname));
        if !ip.is_empty() {
            errors.extend(checks::ip(ip, &field.child("ip")));
        }
        let mode = field.child("ipMode");
        match ingress.ip_mode.as_deref() {
            None if !ip.is_empty() => {
                errors.push(FieldError::required(&mode, "must be specified when `ip` is set"))
            }
            Some(_) if ip.is_empty() => {
                errors.push(FieldError::forbidden(&mode, "may not be specified when `ip` is not set"));
            }
            None | Some("VIP" | "Proxy") => {}
            Some(other) => errors.push(FieldError::not_supported(&mode, other, &["Proxy", "VIP"])),
        }
        if !hostname.is_empty() {
            let field = field.child("hostname");
            errors.extend(checks::dns_subdomain(hostname, &field));
            if checks::parse_ip(hostname).is_some() {
                errors.push(FieldError::invalid(&field, hostname, "must be a DNS name, not an IP address"));
            }
        }
    }
    errors
}

fn validate_topology(service: &Service) -> Vec<FieldError> {
    let annotation =
        |key: &str| service.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
    let (mode, hints) = ("service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints");
    match (annotation(mode), annotation(hints)) {
        (Some(value), Some(other)) if value != other => {
            let field = FieldPath::new("metadata").child("annotations").key(mode);
            let why = format!("must match annotations[{hints}] when both are specified");
            vec![FieldError::invalid(&field, value.as_str(), why)]
        }
        _ => vec![],
    }
}

/// What the type forbids and demands.
fn validate_kind(spec: &ServiceSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    match text(&spec.type_) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec) => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid(&field.child("clusterIPs").index(0), "None", why));
        }
        "ExternalName" => {
            let why = "may not be set for ExternalName services";
            let set = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
            let wrong = [
                ("clusterIPs", set(&spec.cluster_ips)),
                ("ipFamilies", set(&spec.ip_families)),
                ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
            ];
            errors.extend(
                wrong
                    .iter()
                    .filter(|(_, set)| *set)
                    .map(|(name, _)| FieldError::forbidden(&field.child(name), why)),
            );
            let name = text(&spec.external_name);
            let field = field.child("externalName");
            match name.strip_suffix('.').unwrap_or(name) {
                "" => errors.push(FieldError::required(&field, "")),
                name => errors.extend(checks::dns_subdomain(name, &field)),
            }
        }
        _ => {}
    }
    errors
}

fn validate_port(
    port: &ServicePort,
    named: bool,
    seen: &mut BTreeSet<String>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    match text(&port.name) {
        "" if named => errors.push(FieldError::required(&field.child("name"), "")),
        "" => {}
        name => {
            errors.extend(checks::dns_label(name, &field.child("name")));
            if !seen.insert(name.to_owned()) {
                errors.push(FieldError::duplicate(&field.child("name"), name));
            }
        }
    }
    errors.extend(checks::port_number(port.port, &field.child("port")));
    errors.extend(checks::protocol(text(&port.protocol), &field.child("protocol")));
    let zero = IntOrString::Int(0);
    errors.extend(checks::port(port.target_port.as_ref().unwrap_or(&zero), &field.child("targetPort")));
    if let Some(protocol) = &port.app_protocol {
        errors.extend(checks::qualified_name(protocol, &field.child("appProtocol")));
    }
    errors
}

fn validate_affinity(spec: &ServiceSpec, field: &FieldPath) -> Vec<FieldError> {
    let (config, affinity) = (field.child("sessionAffinityConfig"), field.child("sessionAffinity"));
    match text(&spec.session_affinity) {
        "" => vec![FieldError::required(&affinity, "")],
        "None" if spec.session_affinity_config.is_some() => {
            vec![FieldError::forbidden(&config, "must not be set when session affinity is None")]
        }
        "None" => vec![],
        "ClientIP" => {
            let why = "when session affinity type is ClientIP";
            let Some(given) = &spec.session_affinity_config else {
                return vec![FieldError::required(&config, why)];
            };
            let field = config.child("clientIP");
            let Some(client) = &given.client_ip else { return vec![FieldError::required(&field, why)] };
            let field = field.child("timeoutSeconds");
            match client.timeout_seconds {
                None => vec![FieldError::required(&field, why)],
                Some(seconds) if seconds <= 0 || seconds > MAX_AFFINITY_SECONDS => {
                    let why = format!("must be greater than 0 and less than {MAX_AFFINITY_SECONDS}");
                    vec![FieldError::invalid(&field, seconds, why)]
                }
                Some(_) => vec![],
            }
        }
        other => vec![FieldError::not_supported(&affinity, other, &["ClientIP", "None"])],
    }
}

/// The addresses, the families and the policy, each alone and together.
// Models ValidateServiceClusterIPsRelatedFields.
pub(super) fn validate_ips(spec: &ServiceSpec) -> Vec<FieldError> {
    if text(&spec.type_) == "ExternalName" {
        return vec![];
    }
    let field = FieldPath::new("spec");
    let ips_field = field.child("clusterIPs");
    let (ip, ips) = (text(&spec.cluster_ip), spec.cluster_ips.clone().unwrap_or_default());
    let families = spec.ip_families.clone().unwrap_or_default();
    let mut errors = vec![];
    match (ip, ips.first()) {
        ("", Some(_)) => {
            errors.push(FieldError::invalid(
                &ips_field,
                ips.clone(),
                "must be empty when `clusterIP` is not specified",
            ));
        }
        ("", None) => {}
        (_, None) => errors.push(FieldError::required(&ips_field, "")),
        (ip, Some(first)) if first != ip => {
            errors.push(FieldError::invalid(&ips_field, ips.clone(), "first value must match `clusterIP`"));
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (index, family) in families.iter().enumerate() {
        let field = field.child("ipFamilies").index(index);
        if !FAMILIES.contains(&family.as_str()) {
            errors.push(FieldError::not_supported(&field, family.as_str(), &FAMILIES));
        }
        if !seen.insert(family) {
            errors.push(FieldError::duplicate(&field, family.as_str()));
        }
    }
    if let Some(policy) = spec.ip_family_policy.as_deref().filter(|policy| !FAMILY_POLICIES.contains(policy))
    {
        errors.push(FieldError::not_supported(&field.child("ipFamilyPolicy"), policy, &FAMILY_POLICIES));
    }
    let before = errors.len();
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && ip == "None" {
            if ips.len() > 1 {
                errors.push(FieldError::invalid(
                    &ips_field,
                    ips.clone(),
                    "'None' must be the first and only value",
                ));
            }
            continue;
        }
        errors.extend(checks::ip(ip, &ips_field.index(index)));
    }
    let invalid = errors.len() > before;
    if ips.len() > 2 {
        errors.push(FieldError::invalid(&ips_field, ips.clone(), "may only hold up to 2 values"));
    }
    if !invalid {
        errors.extend(validate_stacks(spec, &ips, &families, &ips_field));
    }
    errors
}

/// One address a family, and each of the family that is said.
fn validate_stacks(
    spec: &ServiceSpec,
    ips: &[String],
    families: &[String],
    field: &FieldPath,
) -> Vec<FieldError> {
    let is_v4 = |ip: &String| checks::parse_ip(ip).is_some_and(|ip| ip.is_ipv4());
    let mut errors = vec![];
    let kinds: BTreeSet<bool> = ips.iter().map(is_v4).collect();
    if ips.len() > 1 && (kinds.len() != ips.len()) {
        let why = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(field, ips.to_vec(), why));
    }
    if is_headless(spec) {
        return errors;
    }
    for (index, (ip, family)) in ips.iter().zip(families).enumerate() {
        let wrong = (family == "IPv4" && !is_v4(ip)) || (family == "IPv6" && is_v4(ip));
        if wrong {
            let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errors.push(FieldError::invalid(&field.index(index), ip.as_str(), why));
        }
    }
    errors
}

fn validate_port_uniqueness(kind: &str, ports: &[ServicePort], field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let node = |port: &ServicePort| port.node_port.unwrap_or_default();
    let with_node = || ports.iter().enumerate().filter(|(_, port)| node(port) != 0);
    if kind == "ClusterIP" {
        let why = "may not be used when `type` is 'ClusterIP'";
        errors
            .extend(with_node().map(|(i, _)| FieldError::forbidden(&field.index(i).child("nodePort"), why)));
    }
    let mut seen = BTreeSet::new();
    for (index, port) in with_node() {
        if !seen.insert((text(&port.protocol), node(port))) {
            errors.push(FieldError::duplicate(&field.index(index).child("nodePort"), node(port)));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if !seen.insert((text(&port.protocol), port.port)) {
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{:?},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                text(&port.protocol),
                port.port
            );
            let kind = FieldErrorKind::Duplicate;
            errors.push(FieldError { kind, field: field.index(index), value: None, detail: shown });
        }
    }
    errors
}

fn validate_source_ranges(service: &Service, spec: &ServiceSpec, field: &FieldPath) -> Vec<FieldError> {
    let key = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let annotation = service.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
    let ranges = spec.load_balancer_source_ranges.clone().unwrap_or_default();
    let (field, ranges, indexed) = match annotation {
        _ if !ranges.is_empty() => (field.child("LoadBalancerSourceRanges"), ranges, true),
        Some(text) => {
            let ranges =
                text.split(',').map(|range| range.trim().to_owned()).filter(|_| !text.trim().is_empty());
            (FieldPath::new("metadata").child("annotations").key(key), ranges.collect(), false)
        }
        None => return vec![],
    };
    let mut errors = vec![];
    if text(&spec.type_) != "LoadBalancer" {
        errors.push(FieldError::forbidden(&field, "may only be used when `type` is 'LoadBalancer'"));
    }
    for (index, range) in ranges.iter().enumerate() {
        let field = if indexed { field.index(index) } else { field.clone() };
        errors.extend(checks::cidr(range.trim(), &field));
    }
    errors
}

fn validate_class(spec: &ServiceSpec, field: &FieldPath) -> Vec<FieldError> {
    let field = field.child("loadBalancerClass");
    match &spec.load_balancer_class {
        Some(class) if text(&spec.type_) == "LoadBalancer" => {
            checks::each(names::qualified_name(class), &field, class)
        }
        Some(_) => vec![FieldError::forbidden(&field, "may only be used when `type` is 'LoadBalancer'")],
        None => vec![],
    }
}

/// The policies that say which pods get which traffic.
fn validate_traffic(spec: &ServiceSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let policy_field = field.child("externalTrafficPolicy");
    match (is_externally_accessible(spec), text(&spec.external_traffic_policy)) {
        (false, "") | (true, "Cluster" | "Local") => {}
        (false, policy) => {
            errors.push(FieldError::invalid(
                &policy_field,
                policy,
                "may only be set for externally-accessible services",
            ));
        }
        (true, "") => errors.push(FieldError::required(&policy_field, "")),
        (true, other) => errors.push(FieldError::not_supported(&policy_field, other, &["Cluster", "Local"])),
    }
    let check_field = field.child("healthCheckNodePort");
    match (needs_health_check(spec), spec.health_check_node_port.unwrap_or_default()) {
        (false, 0) => {}
        (false, port) => {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(FieldError::invalid(&check_field, port, why));
        }
        (true, 0) => errors.push(FieldError::required(&check_field, "")),
        (true, port) => errors.extend(checks::port_number(port, &check_field)),
    }
    let internal_field = field.child("internalTrafficPolicy");
    match spec.internal_traffic_policy.as_deref() {
        None if matches!(text(&spec.type_), "NodePort" | "LoadBalancer" | "ClusterIP") => {
            errors.push(FieldError::required(&internal_field, ""));
        }
        None | Some("Cluster" | "Local") => {}
        Some(other) => errors.push(FieldError::not_supported(&internal_field, other, &["Cluster", "Local"])),
    }
    let distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(other) = spec.traffic_distribution.as_deref().filter(|given| !distributions.contains(given)) {
        errors.push(FieldError::not_supported(&field.child("trafficDistribution"), other, &distributions));
    }
    errors
}

fn validate_ip_change(spec: &ServiceSpec, before: &ServiceSpec, field: &FieldPath) -> Vec<FieldError> {
    if is_headless(spec) && is_headless(before) {
        return vec![];
    }
    let (ips, was) =
        (spec.cluster_ips.clone().unwrap_or_default(), before.cluster_ips.clone().unwrap_or_default());
    let refuse = |index: usize, why: &str| {
        FieldError::invalid(&field.child("clusterIPs").index(index), ips.clone(), why)
    };
    let fixed = "may not change once set";
    let mut errors = vec![];
    if ips.len() == was.len() {
        let changed = was.iter().zip(&ips).enumerate().filter(|(_, (was, is))| was != is);
        errors.extend(changed.map(|(index, _)| refuse(index, fixed)));
        return errors;
    }
    if was.len() > ips.len() && ips.is_empty() {
        errors.push(refuse(0, "primary clusterIP can not be unset"));
    }
    if was.first().zip(ips.first()).is_some_and(|(was, is)| was != is) {
        errors.push(refuse(0, fixed));
    }
    if was.len() > ips.len() && ips.len() == 1 && text(&spec.ip_family_policy) != "SingleStack" {
        let value = serde_json::to_value(&spec.ip_family_policy).unwrap_or_default();
        let why = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        errors.push(FieldError::invalid(&field.child("ipFamilyPolicy"), value, why));
    }
    errors
}

fn validate_family_change(spec: &ServiceSpec, before: &ServiceSpec, field: &FieldPath) -> Vec<FieldError> {
    if is_headless(spec) || is_headless(before) {
        return vec![];
    }
    let (families, was) =
        (spec.ip_families.clone().unwrap_or_default(), before.ip_families.clone().unwrap_or_default());
    let ips = spec.cluster_ips.clone().unwrap_or_default();
    let first = field.child("ipFamilies").index(0);
    let mut errors = vec![];
    if families.len() == was.len() {
        let changed = was.iter().zip(&families).filter(|(was, is)| was != is);
        errors.extend(
            changed.map(|_| FieldError::invalid(&first, families.clone(), "may not change once set")),
        );
        return errors;
    }
    if was.len() > families.len() && ips.is_empty() {
        errors.push(FieldError::invalid(&first, families.clone(), "primary ipFamily can not be unset"));
    }
    if was.first().zip(families.first()).is_some_and(|(was, is)| was != is) {
        errors.push(FieldError::invalid(&first, ips, "may not change once set"));
    }
    if was.len() > families.len() && families.len() == 1 && text(&spec.ip_family_policy) != "SingleStack" {
        let value = serde_json::to_value(&spec.ip_family_policy).unwrap_or_default();
        let why = "must be set to 'SingleStack' when releasing the secondary ipFamily";
        errors.push(FieldError::invalid(&field.child("ipFamilyPolicy"), value, why));
    }
    errors
}
