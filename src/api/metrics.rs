//! What `/metrics` shows, under the names that the real API server uses.
// Models k8s.io/apiserver/pkg/endpoints/metrics and .../storage/etcd3/metrics.

use std::fmt;

use http::Method;
use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::request::RequestInfo;
use super::rest::Rest;
use crate::store::{KeyRange, RangeRequest};

/// What a request is counted under.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Labels {
    component: &'static str,
    group: String,
    resource: String,
    scope: &'static str,
    subresource: String,
    verb: String,
    version: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WithCode {
    code: u16,
    component: &'static str,
    group: String,
    resource: String,
    scope: &'static str,
    subresource: String,
    verb: String,
    version: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfResource {
    group: String,
    resource: String,
}

/// The counts of one API server.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<WithCode, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    objects: Family<OfResource, Gauge>,
    revision: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new([
        0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0,
        15.0, 20.0, 30.0, 45.0, 60.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let durations = Family::new_with_constructor(duration_histogram as fn() -> Histogram);
        let (objects, revision) = (Family::default(), Gauge::default());
        // The encoder puts `_total` behind the names of counters.
        registry.register("apiserver_request", "Requests, by verb, resource and HTTP code", requests.clone());
        registry.register(
            "apiserver_request_duration_seconds",
            "How long requests took, in seconds",
            durations.clone(),
        );
        registry.register("apiserver_resource_objects", "Stored objects, by resource", objects.clone());
        registry.register(
            "etcd_debugging_mvcc_current_revision",
            "The store's newest revision",
            revision.clone(),
        );
        Self { registry, requests, durations, objects, revision }
    }
}

impl Metrics {
    /// What a request is counted under.
    pub(super) fn labels(&self, info: &RequestInfo, method: &Method) -> Labels {
        let verb = match info.verb.as_str() {
            "create" => "POST".to_owned(),
            "update" => "PUT".to_owned(),
            _ if !info.is_resource => method.as_str().to_owned(),
            verb => verb.to_uppercase(),
        };
        let scope = match (info.is_resource, info.name.is_empty(), info.namespace.is_empty()) {
            (false, ..) => "",
            (true, false, _) => "resource",
            (true, true, false) => "namespace",
            (true, true, true) => "cluster",
        };
        Labels {
            component: "apiserver",
            group: info.group.clone(),
            resource: info.resource.clone(),
            scope,
            subresource: if info.is_resource { info.subresource.clone() } else { String::new() },
            verb,
            version: info.version.clone(),
        }
    }

    /// Counts an answer.
    pub(super) fn answered(&self, labels: &Labels, code: u16, elapsed: SignedDuration) {
        // What does not exist has no series of its own, or anybody could make any number of them.
        if code == 404 || code == 405 {
            return;
        }
        let Labels { component, group, resource, scope, subresource, verb, version } = labels.clone();
        let key = WithCode { code, component, group, resource, scope, subresource, verb, version };
        self.requests.get_or_create(&key).inc();
        self.durations.get_or_create(labels).observe(elapsed.as_secs_f64().max(0.0));
    }

    /// The text of `/metrics`.
    pub(super) fn text(&self, rest: &Rest) -> String {
        for kind in rest.registry().all().iter().filter(|kind| kind.info().stored_as.is_none()) {
            let info = kind.info();
            let range = KeyRange::prefix(info.storage_prefix());
            let request = RangeRequest { count_only: true, ..RangeRequest::new(range) };
            let count = rest.store().range(&request).map_or(0, |response| response.count);
            let labels = OfResource { group: info.group.clone(), resource: info.plural.clone() };
            self.objects.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.revision.set(i64::try_from(rest.store().revision()).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
