//! What `/metrics` shows, under the names that the real API server uses.
// Models k8s.io/apiserver/pkg/endpoints/metrics and .../storage/etcd3/metrics.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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
struct OfKind {
    request_kind: &'static str,
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
    in_flight: Family<OfKind, Gauge>,
    long_running: Family<Labels, Gauge>,
    open: Open,
    watchers: Gauge,
    terminated_watchers: Gauge,
    tasks: Gauge,
}

/// The long-running requests that are open. Their labels are their clients' words, so none outlives its requests.
type Open = Arc<Mutex<HashMap<Labels, i64>>>;

/// Counts a request as running for as long as somebody holds it: the handler, the answer's body, the upgraded connection.
#[derive(Debug)]
pub(super) enum Running {
    Short(Gauge),
    Long(Open, Labels),
}

impl Drop for Running {
    fn drop(&mut self) {
        match self {
            Self::Short(gauge) => {
                gauge.dec();
            }
            Self::Long(open, labels) => {
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                let left = open.remove(labels).unwrap_or_default() - 1;
                if left > 0 {
                    open.insert(labels.clone(), left);
                }
            }
        }
    }
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
        let (in_flight, long_running) = (Family::default(), Family::default());
        registry.register(
            "apiserver_current_inflight_requests",
            "Requests that are being answered, by kind; long-running ones are counted by themselves",
            in_flight.clone(),
        );
        registry.register(
            "apiserver_longrunning_requests",
            "Watches, logs, proxies and streams that are open, by verb and resource",
            long_running.clone(),
        );
        let (watchers, terminated_watchers, tasks) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("etcd_debugging_mvcc_watcher_total", "The store's open watches", watchers.clone());
        registry.register(
            "apiserver_terminated_watchers_total",
            "Watches that were closed since their reader fell behind",
            terminated_watchers.clone(),
        );
        registry.register("k8s_learn_tasks", "Tasks of this process that are alive", tasks.clone());
        Self {
            registry,
            requests,
            durations,
            objects,
            revision,
            in_flight,
            long_running,
            open: Open::default(),
            watchers,
            terminated_watchers,
            tasks,
        }
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
        let verb = if is_connect(info) { "CONNECT".to_owned() } else { verb };
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

    /// Counts a request that begins.
    pub(super) fn begun(&self, labels: &Labels, info: &RequestInfo) -> Running {
        if is_long_running(info) {
            *self.open.lock().unwrap_or_else(PoisonError::into_inner).entry(labels.clone()).or_default() += 1;
            return Running::Long(self.open.clone(), labels.clone());
        }
        let read_only = ["get", "list", "watch"].contains(&info.verb.as_str());
        let request_kind = if read_only { "readOnly" } else { "mutating" };
        let gauge = self.in_flight.get_or_create_owned(&OfKind { request_kind });
        gauge.inc();
        Running::Short(gauge)
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
        self.long_running.clear();
        for (labels, count) in self.open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.long_running.get_or_create(labels).set(*count);
        }
        let (watchers, terminated) = rest.store().watchers();
        self.watchers.set(i64::try_from(watchers).unwrap_or(i64::MAX));
        self.terminated_watchers.set(i64::try_from(terminated).unwrap_or(i64::MAX));
        let tasks =
            tokio::runtime::Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
        self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        self.revision.set(i64::try_from(rest.store().revision()).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Whether a request makes a stream of its connection.
fn is_connect(info: &RequestInfo) -> bool {
    info.is_resource && ["attach", "exec", "portforward", "proxy"].contains(&info.subresource.as_str())
}

/// Whether a request may last as long as its client wants.
// Models k8s.io/apiserver/pkg/server/filters (BasicLongRunningRequestCheck).
pub(super) fn is_long_running(info: &RequestInfo) -> bool {
    let streamed = info.is_resource && info.subresource == "log";
    info.verb == "watch" || streamed || is_connect(info)
}
