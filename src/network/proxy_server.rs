//! kube-proxy's ports: 10256 says whether it and its node are well, 10249 on the node's loopback what it has done.
// Models pkg/proxy/healthcheck (ProxyHealthServer.Run) and cmd/kube-proxy/app/server.go (serveMetrics).

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;

use super::host::NetHost;
use super::proxy_health::{Check, ProxyHealth, bucket_seconds};
use super::serve::{not_found, plain, serve};
use crate::clock::Clock;
use crate::informer::Informer;
use crate::meta::number::go_float;
use crate::net::{Listen, Listener};

/// The port of the health checks, on every address of the node.
pub const HEALTH_PORT: u16 = 10_256;
/// The port of the metrics, on the node's loopback.
pub const METRICS_PORT: u16 = 10_249;
/// How the rules are said to be kept. It is what Linux gets when nothing is configured.
const MODE: &str = "iptables";
/// How long to wait when a port is taken.
const RETRY: Duration = Duration::from_secs(5);

/// A port that is to be listened on. Pods of the host's network may have it at first.
pub(super) struct Port {
    host: NetHost,
    address: (Ipv4Addr, u16),
    listener: Option<Box<dyn Listener>>,
}

impl Port {
    /// Listens if the port is free.
    pub(super) async fn open(host: &NetHost, ip: Ipv4Addr, port: u16) -> Self {
        let listener = host.listen((ip, port).into()).await.ok();
        Self { host: host.clone(), address: (ip, port), listener }
    }

    /// The listener, waiting for the port to become free if it is not.
    async fn listener(self, clock: &Clock) -> Box<dyn Listener> {
        if let Some(listener) = self.listener {
            return listener;
        }
        loop {
            clock.sleep(RETRY).await;
            match self.host.listen(self.address.into()).await {
                Ok(listener) => return listener,
                Err(error) => tracing::debug!(port = self.address.1, %error, "kube-proxy's port is not free"),
            }
        }
    }
}

/// Serves `/healthz` and `/livez` for as long as it is not dropped.
pub(super) async fn serve_health(
    port: Port,
    health: ProxyHealth,
    node: String,
    nodes: Informer<Node>,
    clock: Clock,
) {
    let listener = port.listener(&clock).await;
    let time = clock.clone();
    serve(listener, None, clock, move |request| {
        let check = match request.uri().path() {
            "/healthz" => Check::Healthz,
            "/livez" => Check::Livez,
            _ => return not_found(),
        };
        let (code, body) = health.answer(check, nodes.get("", &node).as_deref(), time.now());
        let mut response = plain(StatusCode::from_u16(code).unwrap_or_default(), body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    })
    .await;
}

/// Serves `/metrics`, `/healthz` and `/proxyMode` for as long as it is not dropped.
pub(super) async fn serve_metrics(port: Port, health: ProxyHealth, clock: Clock) {
    let listener = port.listener(&clock).await;
    let started = clock.now();
    serve(listener, None, clock, move |request| match request.uri().path() {
        "/healthz" => plain(StatusCode::OK, "ok"),
        "/proxyMode" => plain(StatusCode::OK, MODE),
        "/metrics" => exposition(metrics(&health, started)),
        _ => not_found(),
    })
    .await;
}

fn exposition(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// One metric with its samples.
struct Metric<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl<'a> Metric<'a> {
    fn new(text: &'a mut String, name: &'static str, kind: &str, help: &str) -> Self {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Self { text, name }
    }

    fn sample(&mut self, suffix: &str, labels: &str, value: f64) -> &mut Self {
        let (name, value) = (self.name, go_float(value));
        let _ = match labels {
            "" => writeln!(self.text, "{name}{suffix} {value}"),
            labels => writeln!(self.text, "{name}{suffix}{{{labels}}} {value}"),
        };
        self
    }
}

/// The metrics in Prometheus' text format, by name.
fn metrics(health: &ProxyHealth, started: Timestamp) -> String {
    const FAMILY: &str = "ip_family=\"IPv4\"";
    let counts = health.counts();
    let mut text = String::new();
    let mut one = |name, kind, help: &str, samples: &[(String, f64)]| {
        let mut metric = Metric::new(&mut text, name, kind, help);
        for (labels, value) in samples {
            metric.sample("", labels, *value);
        }
    };
    let codes = |codes: &std::collections::BTreeMap<u16, u64>| -> Vec<(String, f64)> {
        codes.iter().map(|(code, count)| (format!("code=\"{code}\""), *count as f64)).collect()
    };
    let bare = |value: u64| [(String::new(), value as f64)];
    let time = |time: Option<Timestamp>| -> Vec<(String, f64)> {
        time.map(|time| (FAMILY.to_owned(), seconds(time))).into_iter().collect()
    };
    if !counts.healthz.is_empty() {
        let help = "[ALPHA] Answers of /healthz by HTTP code";
        one("kubeproxy_proxy_healthz_total", "counter", help, &codes(&counts.healthz));
    }
    if !counts.livez.is_empty() {
        one(
            "kubeproxy_proxy_livez_total",
            "counter",
            "[ALPHA] Answers of /livez by HTTP code",
            &codes(&counts.livez),
        );
    }
    let help = "[ALPHA] Seconds that bringing the rules up to date took";
    let mut durations =
        Metric::new(&mut text, "kubeproxy_sync_proxy_rules_duration_seconds", "histogram", help);
    for (power, count) in (0..).zip(counts.sync_buckets) {
        let bound = go_float(bucket_seconds(power));
        durations.sample("_bucket", &format!("{FAMILY},le=\"{bound}\""), count as f64);
    }
    durations.sample("_bucket", &format!("{FAMILY},le=\"+Inf\""), counts.syncs as f64);
    durations.sample("_sum", FAMILY, counts.sync_seconds).sample("_count", FAMILY, counts.syncs as f64);
    let mut one = |name, kind, help: &str, samples: &[(String, f64)]| {
        let mut metric = Metric::new(&mut text, name, kind, help);
        for (labels, value) in samples {
            metric.sample("", labels, *value);
        }
    };
    let help = "[ALPHA] Changes of endpoints that are not in the rules yet";
    one(
        "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
        "gauge",
        help,
        &bare(counts.endpoint_changes_pending),
    );
    let help = "[ALPHA] Changes of endpoints that were seen";
    one("kubeproxy_sync_proxy_rules_endpoint_changes_total", "counter", help, &bare(counts.endpoint_changes));
    let help = "[ALPHA] When an update of the rules was last asked for";
    one("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "gauge", help, &time(counts.last_queued));
    let help = "[ALPHA] When the rules were last brought up to date";
    one("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge", help, &time(counts.last_updated));
    let lacking = counts.no_local_endpoints;
    let samples = [("external", lacking.external), ("internal", lacking.internal)];
    let samples =
        samples.map(|(policy, count)| (format!("{FAMILY},traffic_policy=\"{policy}\""), count as f64));
    let help = "[ALPHA] Service ports with a Local policy and no endpoint on this node";
    one("kubeproxy_sync_proxy_rules_no_local_endpoints_total", "gauge", help, &samples);
    let help = "[ALPHA] Changes of Services that are not in the rules yet";
    one(
        "kubeproxy_sync_proxy_rules_service_changes_pending",
        "gauge",
        help,
        &bare(counts.service_changes_pending),
    );
    let help = "[ALPHA] Changes of Services that were seen";
    one("kubeproxy_sync_proxy_rules_service_changes_total", "counter", help, &bare(counts.service_changes));
    let samples = [(String::new(), seconds(started))];
    one("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970", &samples);
    text
}

fn seconds(time: Timestamp) -> f64 {
    time.as_nanosecond() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use crate::network::proxy_health::NoLocalEndpoints;

    #[test]
    fn metrics_have_their_real_names_and_tell_what_happened() {
        let health = ProxyHealth::default();
        health.queued(3, 2, VIRTUAL_START);
        let now = VIRTUAL_START + jiff::SignedDuration::from_millis(3);
        health.updated(VIRTUAL_START, now, NoLocalEndpoints { internal: 0, external: 1 });
        let text = metrics(&health, VIRTUAL_START);
        for line in [
            "# TYPE kubeproxy_sync_proxy_rules_duration_seconds histogram",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.002\"} 0",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.004\"} 1",
            "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"+Inf\"} 1",
            "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1",
            "kubeproxy_sync_proxy_rules_service_changes_total 3",
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending 0",
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family=\"IPv4\",traffic_policy=\"external\"} 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
        }
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(names.is_sorted(), "metrics come by name: {names:?}");
    }
}
