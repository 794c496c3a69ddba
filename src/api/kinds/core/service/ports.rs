//! Which ports and addresses a Service needs besides its own port.
// Models pkg/api/service (ExternallyAccessible, NeedsHealthCheck) and pkg/registry/core/service.

use k8s_openapi::api::core::v1::ServiceSpec;

use crate::api::kinds::unset::text;

/// Whether clients outside the cluster may come in.
pub(crate) fn is_externally_accessible(spec: &ServiceSpec) -> bool {
    let has_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    needs_node_ports(spec) || (text(&spec.type_) == "ClusterIP" && has_ips)
}

/// Whether the type has node ports.
pub(crate) fn needs_node_ports(spec: &ServiceSpec) -> bool {
    matches!(text(&spec.type_), "NodePort" | "LoadBalancer")
}

/// Whether node ports are handed out to ports that do not name one.
pub(crate) fn hands_out_node_ports(spec: &ServiceSpec) -> bool {
    match text(&spec.type_) {
        "NodePort" => true,
        "LoadBalancer" => spec.allocate_load_balancer_node_ports.unwrap_or(true),
        _ => false,
    }
}

/// Whether a load balancer asks each node whether it has a pod of the Service.
pub(crate) fn needs_health_check(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "LoadBalancer" && text(&spec.external_traffic_policy) == "Local"
}

/// Whether the Service has no address of its own.
pub(crate) fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(spec.cluster_ips.as_deref(), Some([only]) if only == "None")
}

/// The node ports that its ports name.
pub(crate) fn node_ports(spec: &ServiceSpec) -> impl Iterator<Item = i32> + '_ {
    spec.ports.iter().flatten().filter_map(|port| port.node_port).filter(|port| *port != 0)
}
