//! Service: the kind itself, its defaults and what an update leaves behind.
// Models pkg/registry/core/service (strategy), pkg/apis/core/v1 (SetDefaults_Service) and pkg/api/service (warnings).

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ClientIPConfig, LoadBalancerStatus, Service, ServiceSpec, SessionAffinityConfig,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{allocate, ports, printer, validation};
use crate::api::allocations::Allocations;
use crate::api::field::FieldError;
use crate::api::kind::{Kind, Rules, Traits, WriteContext};
use crate::api::kinds::unset::{default_text, text};
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};
use crate::meta::names;

/// How long a client stays with its pod, in seconds: three hours.
const AFFINITY_SECONDS: i32 = 10_800;

/// `v1` Service.
pub struct ServiceKind;

impl Kind for ServiceKind {
    type Object = Service;
    const SHORT_NAMES: &'static [&'static str] = &["svc"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const TRAITS: Traits = Traits { status: true, generation: false, scale: false };
    const RULES: Rules = Rules { create_on_update: true, returns_deleted: true, ..Rules::USUAL };

    fn default(service: &mut Service) {
        let spec = service.spec.get_or_insert_default();
        default_affinity(spec);
        default_text(&mut spec.type_, "ClusterIP");
        for port in spec.ports.iter_mut().flatten() {
            default_text(&mut port.protocol, "TCP");
            let unset = match &port.target_port {
                None | Some(IntOrString::Int(0)) => true,
                Some(IntOrString::String(name)) => name.is_empty(),
                Some(IntOrString::Int(_)) => false,
            };
            if unset {
                port.target_port = Some(IntOrString::Int(port.port));
            }
        }
        if ports::is_externally_accessible(spec) {
            default_text(&mut spec.external_traffic_policy, "Cluster");
        }
        if matches!(text(&spec.type_), "ClusterIP" | "NodePort" | "LoadBalancer") {
            spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
        }
        if text(&spec.type_) == "LoadBalancer" {
            spec.allocate_load_balancer_node_ports.get_or_insert(true);
            let balancer = service.status.iter_mut().filter_map(|status| status.load_balancer.as_mut());
            for ingress in balancer.flat_map(|balancer| balancer.ingress.iter_mut().flatten()) {
                if !text(&ingress.ip).is_empty() {
                    ingress.ip_mode.get_or_insert_with(|| "VIP".to_owned());
                }
            }
        }
    }

    fn prepare_create(context: &WriteContext<'_>, service: &mut Service) -> Result<(), ApiError> {
        service.status.get_or_insert_default().load_balancer = Some(LoadBalancerStatus::default());
        allocate::for_create(context, service)
    }

    fn prepare_update(context: &WriteContext<'_>, new: &mut Service, old: &Service) -> Result<(), ApiError> {
        drop_fields_of_the_old_type(new, old);
        allocate::for_update(context, new, old)
    }

    fn after_delete(allocations: &Allocations, service: &Service) {
        allocate::release(allocations, service, None);
    }

    fn after_replace(allocations: &Allocations, dropped: &Service, kept: &Service) {
        allocate::release(allocations, dropped, Some(kept));
    }

    fn validate_name(name: &str, prefix: bool) -> Vec<String> {
        names::dns1123_label(name, prefix)
    }

    fn validate(service: &Service) -> Vec<FieldError> {
        validation::validate(service)
    }

    fn validate_update(new: &Service, old: &Service) -> Vec<FieldError> {
        validation::validate_update(new, old)
    }

    fn validate_status_update(new: &Service, _old: &Service) -> Vec<FieldError> {
        validation::validate_status(new)
    }

    fn warnings(service: &Service, _old: Option<&Service>) -> Vec<String> {
        warnings(service)
    }

    fn selectable_fields(service: &Service) -> Vec<(&'static str, String)> {
        let spec = service.spec.clone().unwrap_or_default();
        vec![
            ("spec.clusterIP", spec.cluster_ip.unwrap_or_default()),
            ("spec.type", spec.type_.unwrap_or_default()),
        ]
    }

    fn columns() -> Vec<Column> {
        printer::columns()
    }

    fn row(service: &Service, now: Timestamp) -> Vec<Cell> {
        printer::row(service, now)
    }
}

fn default_affinity(spec: &mut ServiceSpec) {
    default_text(&mut spec.session_affinity, "None");
    match text(&spec.session_affinity) {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config = spec.session_affinity_config.as_ref();
            if config.and_then(|config| config.client_ip.as_ref()?.timeout_seconds).is_none() {
                let client_ip = Some(ClientIPConfig { timeout_seconds: Some(AFFINITY_SECONDS) });
                spec.session_affinity_config = Some(SessionAffinityConfig { client_ip });
            }
        }
        _ => {}
    }
}

/// A change of the type wipes what only the old type has, if the user did not change it too (then validation speaks).
// Models dropTypeDependentFields.
fn drop_fields_of_the_old_type(new: &mut Service, old: &Service) {
    let (Some(spec), Some(before)) = (&mut new.spec, &old.spec) else { return };
    let is = |spec: &ServiceSpec, kind: &str| text(&spec.type_) == kind;
    if !is(before, "ExternalName") && is(spec, "ExternalName") {
        if (&before.cluster_ip, &before.cluster_ips) == (&spec.cluster_ip, &spec.cluster_ips) {
            (spec.cluster_ip, spec.cluster_ips) = (None, None);
        }
        if before.ip_families == spec.ip_families {
            spec.ip_families = None;
        }
        if before.ip_family_policy == spec.ip_family_policy {
            spec.ip_family_policy = None;
        }
    }
    if ports::needs_node_ports(before) && !ports::needs_node_ports(spec) {
        let (was, is): (BTreeSet<_>, BTreeSet<_>) =
            (ports::node_ports(before).collect(), ports::node_ports(spec).collect());
        if was.is_superset(&is) {
            spec.ports.iter_mut().flatten().for_each(|port| port.node_port = None);
        }
    }
    let same_check = before.health_check_node_port == spec.health_check_node_port;
    if ports::needs_health_check(before) && !ports::needs_health_check(spec) && same_check {
        spec.health_check_node_port = None;
    }
    if is(before, "LoadBalancer") && !is(spec, "LoadBalancer") {
        if before.allocate_load_balancer_node_ports == spec.allocate_load_balancer_node_ports {
            spec.allocate_load_balancer_node_ports = None;
        }
        if before.load_balancer_class == spec.load_balancer_class {
            spec.load_balancer_class = None;
        }
    }
    let same_policy = before.external_traffic_policy == spec.external_traffic_policy;
    if ports::is_externally_accessible(before) && !ports::is_externally_accessible(spec) && same_policy {
        spec.external_traffic_policy = None;
    }
    if !is(spec, "LoadBalancer") {
        new.status.get_or_insert_default().load_balancer = Some(LoadBalancerStatus::default());
    }
}

// Models GetWarningsForService, without the warnings about the form of addresses.
fn warnings(service: &Service) -> Vec<String> {
    let spec = service.spec.clone().unwrap_or_default();
    let mut warnings = vec![];
    let old_hints = "service.kubernetes.io/topology-aware-hints";
    if service.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(old_hints)) {
        let message = "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
                       service.kubernetes.io/topology-mode instead";
        warnings.push(message.to_owned());
    }
    let external_name = text(&spec.type_) == "ExternalName";
    let headless = text(&spec.type_) == "ClusterIP" && text(&spec.cluster_ip) == "None";
    let external_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    if headless {
        if !text(&spec.load_balancer_ip).is_empty() {
            warnings.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if external_ips {
            warnings.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if text(&spec.session_affinity) != "None" {
            warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    if external_ips && !headless && !external_name {
        let message = "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
        warnings.push(message.to_owned());
    }
    if external_name && external_ips {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !external_name && !text(&spec.external_name).is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text(&spec.traffic_distribution) == "PreferClose" {
        warnings.push(
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned(),
        );
    }
    warnings
}
