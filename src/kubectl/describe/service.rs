//! `kubectl describe service`.
// Models kubectl/pkg/describe (ServiceDescriber, formatEndpointSlices).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::{format_labels, int, int_or_text, list, map, or_none, some, some_text, text, texts};
use super::metadata;
use super::related::{Failure, Related, Resource, Wanted};
use super::writer::{Writer, put};

/// The service's describer.
pub struct Service;

/// How many endpoints are named.
const MAX_ENDPOINTS: usize = 3;

#[async_trait]
impl Describer for Service {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Service")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let service = related.get(Resource::new("v1", "services"), namespace, name).await?;
        let slices = slices_of(related, namespace, name).await.unwrap_or_default();
        let events = events::shown(related, &service, settings.show_events).await;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &service);
        metadata::labels_and_annotations(&mut w, &service);
        addresses(&mut w, &service);
        for port in list(&service, "/spec/ports") {
            one_port(&mut w, port, &slices);
        }
        traffic(&mut w, &service);
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}

/// The endpoint slices of a service.
pub async fn slices_of(related: &dyn Related, namespace: &str, name: &str) -> Result<Vec<Value>, Failure> {
    let labels = format!("kubernetes.io/service-name={name}");
    let wanted = Wanted { namespace: namespace.to_owned(), labels, ..Wanted::default() };
    related.list(Resource::new("discovery.k8s.io/v1", "endpointslices"), &wanted).await
}

fn addresses(w: &mut Writer, service: &Value) {
    let joined = |path| texts(service, path).join(",");
    put!(w, 0, "Selector:\t{}\n", format_labels(&map(service, "/spec/selector")));
    put!(w, 0, "Type:\t{}\n", text(service, "/spec/type"));
    if let Some(policy) = some_text(service, "/spec/ipFamilyPolicy") {
        put!(w, 0, "IP Family Policy:\t{policy}\n");
    }
    put!(w, 0, "IP Families:\t{}\n", or_none(&joined("/spec/ipFamilies")));
    put!(w, 0, "IP:\t{}\n", text(service, "/spec/clusterIP"));
    put!(w, 0, "IPs:\t{}\n", or_none(&joined("/spec/clusterIPs")));
    let optional = [
        ("External IPs", joined("/spec/externalIPs")),
        ("Desired LoadBalancer IP", text(service, "/spec/loadBalancerIP").to_owned()),
        ("External Name", text(service, "/spec/externalName").to_owned()),
        ("LoadBalancer Ingress", ingress(list(service, "/status/loadBalancer/ingress"))),
    ];
    for (label, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        put!(w, 0, "{label}:\t{value}\n");
    }
}

fn ingress(points: &[Value]) -> String {
    let one = |point: &Value| match some_text(point, "/ip") {
        Some(ip) => match some_text(point, "/ipMode") {
            Some(mode) => format!("{ip} ({mode})"),
            None => ip.to_owned(),
        },
        None => text(point, "/hostname").to_owned(),
    };
    points.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn one_port(w: &mut Writer, port: &Value, slices: &[Value]) {
    let protocol = text(port, "/protocol");
    let name = some_text(port, "/name").unwrap_or("<unset>");
    put!(w, 0, "Port:\t{name}\t{}/{protocol}\n", int(port, "/port"));
    let target =
        some(port, "/targetPort").map_or_else(|| "0".to_owned(), |_| int_or_text(port, "/targetPort"));
    put!(w, 0, "TargetPort:\t{target}/{protocol}\n");
    if let Some(app) = some(port, "/appProtocol") {
        put!(w, 0, "AppProtocol:\t{}\n", super::fields::plain(app));
    }
    if int(port, "/nodePort") != 0 {
        put!(w, 0, "NodePort:\t{name}\t{}/{protocol}\n", int(port, "/nodePort"));
    }
    put!(w, 0, "Endpoints:\t{}\n", endpoints(slices, text(port, "/name")));
}

fn traffic(w: &mut Writer, service: &Value) {
    put!(w, 0, "Session Affinity:\t{}\n", text(service, "/spec/sessionAffinity"));
    for (label, path) in [
        ("External Traffic Policy", "/spec/externalTrafficPolicy"),
        ("Internal Traffic Policy", "/spec/internalTrafficPolicy"),
    ] {
        if let Some(policy) = some_text(service, path) {
            put!(w, 0, "{label}:\t{policy}\n");
        }
    }
    if int(service, "/spec/healthCheckNodePort") != 0 {
        put!(w, 0, "HealthCheck NodePort:\t{}\n", int(service, "/spec/healthCheckNodePort"));
    }
    let ranges = texts(service, "/spec/loadBalancerSourceRanges").join(",");
    if !ranges.is_empty() {
        put!(w, 0, "LoadBalancer Source Ranges:\t{ranges}\n");
    }
    if let Some(distribution) = some_text(service, "/spec/trafficDistribution") {
        put!(w, 0, "Traffic Distribution:\t{distribution}\n");
    }
}

/// The first ready endpoints behind the port of that name, and how many more there are.
pub fn endpoints(slices: &[Value], port_name: &str) -> String {
    if slices.is_empty() {
        return "<none>".to_owned();
    }
    let (mut shown, mut more, mut count) = (vec![], false, 0);
    let mut visit = |endpoint: &Value, port: Option<i64>| {
        // An endpoint after the third counts as more even if it turns out not to be ready.
        more |= shown.len() == MAX_ENDPOINTS;
        if some(endpoint, "/conditions/ready").is_some_and(|ready| ready == &Value::Bool(false)) {
            return;
        }
        if !more {
            let address = text(endpoint, "/addresses/0");
            shown.push(match port {
                Some(port) if address.contains(':') => format!("[{address}]:{port}"),
                Some(port) => format!("{address}:{port}"),
                None => address.to_owned(),
            });
        }
        count += 1;
    };
    for slice in slices {
        let ports = list(slice, "/ports");
        if ports.is_empty() {
            list(slice, "/endpoints").iter().for_each(|endpoint| visit(endpoint, None));
        }
        for port in ports.iter().filter(|port| text(port, "/name") == port_name) {
            list(slice, "/endpoints").iter().for_each(|endpoint| visit(endpoint, Some(int(port, "/port"))));
        }
    }
    let joined = shown.join(",");
    if more { format!("{joined} + {} more...", count - MAX_ENDPOINTS) } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn three_endpoints_are_named() {
        let slice = |count: usize| {
            let endpoints: Vec<Value> =
                (1..=count).map(|n| json!({"addresses": [format!("10.0.0.{n}")]})).collect();
            json!({"ports": [{"name": "", "port": 8080}], "endpoints": endpoints})
        };
        assert_eq!(endpoints(&[], ""), "<none>");
        assert_eq!(endpoints(&[slice(0)], ""), "");
        assert_eq!(endpoints(&[slice(2)], ""), "10.0.0.1:8080,10.0.0.2:8080");
        assert_eq!(endpoints(&[slice(5)], ""), "10.0.0.1:8080,10.0.0.2:8080,10.0.0.3:8080 + 2 more...");
        assert_eq!(endpoints(&[slice(2)], "other"), "");
    }
}
