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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kind::Object;
    use crate::api::kinds::samples::{World, change_refused, created, read, refused, row, shown};

    fn service(spec: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: orders, namespace: default}}, spec: {{{spec}}}}}"
        )
    }

    fn spec(object: &dyn Object) -> ServiceSpec {
        object.get::<Service>().unwrap().spec.clone().unwrap()
    }

    #[test]
    fn a_new_service_gets_an_address_and_what_was_left_out() {
        let world = World::new();
        let (kind, object) =
            created(&world, &service("selector: {app: orders}, ports: [{port: 80, targetPort: 8080}]"))
                .unwrap();
        let ip = spec(&*object).cluster_ip.unwrap();
        let text = shown(&*kind, &*object).replace(&ip, "10.96.18.0");
        insta::assert_snapshot!(text, @r#"
        apiVersion: v1
        kind: Service
        metadata:
          name: orders
          namespace: default
        spec:
          clusterIP: "10.96.18.0"
          clusterIPs:
          - "10.96.18.0"
          internalTrafficPolicy: Cluster
          ipFamilies:
          - IPv4
          ipFamilyPolicy: SingleStack
          ports:
          - port: 80
            protocol: TCP
            targetPort: 8080
          selector:
            app: orders
          sessionAffinity: None
          type: ClusterIP
        status:
          loadBalancer: {}
        "#);
    }

    #[test]
    fn what_is_taken_is_refused_and_comes_back() {
        let world = World::new();
        let fixed = service("type: NodePort, clusterIP: 10.96.0.50, ports: [{port: 80, nodePort: 30080}]");
        let (kind, object) = created(&world, &fixed).unwrap();
        let message = |yaml: &str| created(&world, yaml).err().unwrap().to_string();
        let port = "Service \"orders\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated";
        assert_eq!(message(&service("type: NodePort, ports: [{port: 80, nodePort: 30080}]")), port);
        let ip = "Service \"orders\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.50\"]: failed to allocate IP 10.96.0.50: \
                  provided IP is already allocated";
        assert_eq!(message(&service("clusterIP: 10.96.0.50, ports: [{port: 80}]")), ip);
        let range = "Service \"orders\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid \
                     range. The range of valid ports is 30000-32767";
        assert_eq!(message(&service("type: NodePort, ports: [{port: 80, nodePort: 80}]")), range);
        kind.after_delete(&world.allocations, &*object);
        created(&world, &fixed).expect("all came back");
    }

    #[test]
    fn a_refused_or_dry_creation_keeps_nothing() {
        let world = World::new();
        let yaml = service(
            "type: NodePort, clusterIP: 10.96.0.60, ports: [{name: a, port: 80, nodePort: 30090}, {name: b, port: 81, nodePort: 99}]",
        );
        created(&world, &yaml).err().unwrap();
        let good = service("type: NodePort, clusterIP: 10.96.0.60, ports: [{port: 80, nodePort: 30090}]");
        let (kind, mut object) = read(&good);
        let dry = WriteContext { dry_run: true, ..world.context() };
        kind.prepare_create(&dry, &mut *object).unwrap();
        created(&world, &good).expect("neither kept the address or the port");
    }

    #[test]
    fn an_update_takes_and_gives_back_what_the_type_needs() {
        let world = World::new();
        let (kind, old) =
            created(&world, &service("type: NodePort, ports: [{port: 80, nodePort: 30100}]")).unwrap();
        let (_, mut new) = read(&service("ports: [{port: 80}]"));
        kind.prepare_update(&world.context(), &mut *new, &*old).unwrap();
        assert_eq!(spec(&*new).cluster_ip, spec(&*old).cluster_ip, "the address stays");
        assert_eq!(spec(&*new).ports.unwrap()[0].node_port, None);
        kind.after_replace(&world.allocations, &*old, &*new);
        created(&world, &service("type: NodePort, ports: [{port: 80, nodePort: 30100}]"))
            .expect("the port came back");
        let (_, mut back) = read(&service("type: NodePort, ports: [{port: 80}]"));
        kind.prepare_update(&world.context(), &mut *back, &*new).unwrap();
        assert!(spec(&*back).ports.unwrap()[0].node_port.is_some_and(|port| port >= 30_000));
        let (_, mut same) = read(&service("type: NodePort, ports: [{port: 81}]"));
        kind.prepare_update(&world.context(), &mut *same, &*back).unwrap();
        assert_eq!(
            spec(&*same).ports.unwrap()[0].node_port,
            spec(&*back).ports.unwrap()[0].node_port,
            "it is kept"
        );
    }

    #[test]
    fn headless_and_external_services_have_no_address() {
        let world = World::new();
        let (_, headless) =
            created(&world, &service("clusterIP: None, selector: {a: b}, ports: [{port: 80}]")).unwrap();
        assert_eq!(spec(&*headless).cluster_ips, Some(vec!["None".to_owned()]));
        assert_eq!(spec(&*headless).ip_family_policy.as_deref(), Some("SingleStack"));
        let (_, free) = created(&world, &service("clusterIP: None, ports: [{port: 80}]")).unwrap();
        assert_eq!(spec(&*free).ip_families, Some(vec!["IPv4".to_owned(), "IPv6".to_owned()]));
        let (_, external) =
            created(&world, &service("type: ExternalName, externalName: example.com")).unwrap();
        assert_eq!((spec(&*external).cluster_ip, spec(&*external).ip_families), (None, None));
    }

    #[test]
    fn it_is_refused_in_the_words_of_a_real_cluster() {
        let wrong = |spec: &str| refused(&service(spec));
        assert_eq!(
            wrong("type: Wrong, ports: [{port: 80}]"),
            "spec.type: Unsupported value: \"Wrong\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""
        );
        assert_eq!(
            wrong("ports: [{port: 99999}]"),
            "spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive\nspec.ports[0].targetPort: Invalid \
             value: 99999: must be between 1 and 65535, inclusive"
        );
        assert_eq!(wrong("selector: {a: b}"), "spec.ports: Required value");
        assert_eq!(
            wrong("ports: [{port: 80}, {port: 90}]"),
            "spec.ports[0].name: Required value\nspec.ports[1].name: Required value"
        );
        assert_eq!(wrong("type: ExternalName"), "spec.externalName: Required value");
        assert_eq!(
            wrong("ports: [{port: 80}], sessionAffinity: Cookie"),
            "spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\""
        );
        assert_eq!(
            change_refused(
                &service("clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{port: 80}]"),
                &service("clusterIP: 10.96.200.200, clusterIPs: [10.96.200.200], ports: [{port: 80}]")
            ),
            "spec.clusterIPs[0]: Invalid value: [\"10.96.200.200\"]: may not change once set"
        );
    }

    #[test]
    fn the_row_shows_where_it_is_reached() {
        let shown = |spec: &str| {
            let row = row(&service(spec), "2026-01-01T00:00:05Z");
            row.split(" | ")
                .skip(1)
                .take(4)
                .map(|cell| cell.split_once('=').unwrap().1.to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            shown("clusterIPs: [10.96.0.1], ports: [{port: 443}]"),
            "ClusterIP 10.96.0.1 <none> 443/TCP"
        );
        assert_eq!(
            shown(
                "type: NodePort, clusterIPs: [10.96.0.2], ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, protocol: UDP}]"
            ),
            "NodePort 10.96.0.2 <none> 80:30080/TCP,53/UDP"
        );
        assert_eq!(
            shown("type: LoadBalancer, clusterIPs: [10.96.0.3], ports: [{port: 80}]"),
            "LoadBalancer 10.96.0.3 <pending> 80/TCP"
        );
        assert_eq!(
            shown("type: ExternalName, externalName: example.com"),
            "ExternalName <none> example.com <none>"
        );
    }
}
