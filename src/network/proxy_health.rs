//! What a kube-proxy knows of its own work: when it last brought the rules up to date, and how often what happened.
//!
//! Written by the proxy's loop, shown by its ports (`proxy_server`).
// Models pkg/proxy/healthcheck/proxy_health.go and pkg/proxy/metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde::Serialize;

/// How long changes may wait before the proxy is not well any more: twice the period in which it looks at everything.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(60);
/// The taint that the cluster autoscaler puts on nodes that are about to go.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";
/// The upper bounds of a sync's duration, in seconds: doubled from a millisecond on.
pub(super) const DURATION_BUCKETS: usize = 15;

/// The counts of one kube-proxy. Cheap to clone; clones are the same counts.
#[derive(Clone, Debug, Default)]
pub(super) struct ProxyHealth(Arc<Mutex<Counts>>);

/// What happened since the proxy started.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) last_updated: Option<Timestamp>,
    pub(super) last_queued: Option<Timestamp>,
    oldest_pending: Option<Timestamp>,
    pub(super) service_changes: u64,
    pub(super) service_changes_pending: u64,
    pub(super) endpoint_changes: u64,
    pub(super) endpoint_changes_pending: u64,
    pub(super) syncs: u64,
    pub(super) sync_seconds: f64,
    /// How many syncs took at most 1 ms, 2 ms, 4 ms and so on.
    pub(super) sync_buckets: [u64; DURATION_BUCKETS],
    pub(super) no_local_endpoints: NoLocalEndpoints,
    pub(super) healthz: BTreeMap<u16, u64>,
    pub(super) livez: BTreeMap<u16, u64>,
}

/// How many ports of Services have a `Local` policy and nobody on this node behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLocalEndpoints {
    /// By `internalTrafficPolicy`.
    pub internal: u64,
    /// By `externalTrafficPolicy`.
    pub external: u64,
}

/// Which of the two health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Whether the node should get traffic.
    Healthz,
    /// Whether the proxy works.
    Livez,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    last_updated: String,
    current_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    status: BTreeMap<&'static str, Family>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    last_updated: String,
    healthy: bool,
}

impl ProxyHealth {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// So many changes of Services and of their endpoints have been seen and wait.
    pub(super) fn queued(&self, services: u64, endpoints: u64, now: Timestamp) {
        let mut counts = self.lock();
        counts.service_changes += services;
        counts.service_changes_pending += services;
        counts.endpoint_changes += endpoints;
        counts.endpoint_changes_pending += endpoints;
        counts.last_queued = Some(now);
        counts.oldest_pending.get_or_insert(now);
    }

    /// The rules are up to date with all that was queued.
    pub(super) fn updated(&self, began: Timestamp, now: Timestamp, no_local_endpoints: NoLocalEndpoints) {
        let mut counts = self.lock();
        let seconds = now.duration_since(began).as_secs_f64();
        counts.syncs += 1;
        counts.sync_seconds += seconds;
        for (power, bucket) in (0..).zip(&mut counts.sync_buckets) {
            *bucket += u64::from(seconds <= bucket_seconds(power));
        }
        counts.oldest_pending = None;
        counts.service_changes_pending = 0;
        counts.endpoint_changes_pending = 0;
        counts.no_local_endpoints = no_local_endpoints;
        counts.last_updated = Some(now);
    }

    /// The answer to a health check and its code, which is counted.
    pub(super) fn answer(&self, check: Check, node: Option<&Node>, now: Timestamp) -> (u16, String) {
        let mut counts = self.lock();
        let working = counts.oldest_pending.is_none_or(|since| {
            Duration::try_from(now.duration_since(since)).unwrap_or_default() < HEALTH_TIMEOUT
        });
        let node_eligible = (check == Check::Healthz).then(|| is_eligible(node));
        let well = working && node_eligible != Some(false);
        let code = if well { 200 } else { 503 };
        let last_updated = counts.last_updated;
        let family = last_updated
            .map(|updated| ("IPv4", Family { last_updated: go_time(Some(updated)), healthy: working }));
        let answer = Answer {
            // To those who are well the last update is always now, for the sake of who knew older releases.
            last_updated: go_time(if well { Some(now) } else { last_updated }),
            current_time: go_time(Some(now)),
            node_eligible,
            healthy: working,
            status: family.into_iter().collect(),
        };
        let codes = if check == Check::Healthz { &mut counts.healthz } else { &mut counts.livez };
        *codes.entry(code).or_default() += 1;
        (code, serde_json::to_string(&answer).unwrap_or_default())
    }
}

/// The upper bound of a bucket.
pub(super) fn bucket_seconds(power: i32) -> f64 {
    0.001 * 2_f64.powi(power)
}

fn is_eligible(node: Option<&Node>) -> bool {
    let tainted = |node: &Node| {
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
        taints.into_iter().flatten().any(|taint| taint.key == TO_BE_DELETED)
    };
    node.is_some_and(|node| node.metadata.deletion_timestamp.is_none() && !tainted(node))
}

/// A time as Go writes it in JSON: to the nanosecond, without zeros at the end.
fn go_time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    fn at(seconds: i64) -> Timestamp {
        VIRTUAL_START + SignedDuration::from_secs(seconds)
    }

    fn node(value: Value) -> Node {
        serde_json::from_value(value).unwrap()
    }

    fn ask(health: &ProxyHealth, check: Check, node: Option<&Node>, seconds: i64) -> (u16, Value) {
        let (code, body) = health.answer(check, node, at(seconds));
        (code, serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn a_proxy_is_well_until_changes_wait_too_long() {
        let (health, node) = (ProxyHealth::default(), node(json!({"metadata": {"name": "minikube"}})));
        health.queued(2, 1, at(0));
        health.updated(at(0), at(0), NoLocalEndpoints::default());
        let time = at(5).to_string();
        let (code, text) = health.answer(Check::Healthz, Some(&node), at(5));
        let expected = format!(
            r#"{{"lastUpdated":"{time}","currentTime":"{time}","nodeEligible":true,"healthy":true,"status":{{"IPv4":{{"lastUpdated":"{}","healthy":true}}}}}}"#,
            at(0)
        );
        assert_eq!((code, text), (200, expected));
        health.queued(0, 1, at(10));
        assert_eq!(ask(&health, Check::Healthz, Some(&node), 69).0, 200);
        let (code, body) = ask(&health, Check::Livez, None, 70);
        assert_eq!(
            (code, &body["healthy"], &body["lastUpdated"]),
            (503, &json!(false), &json!(at(0).to_string()))
        );
        assert!(body.get("nodeEligible").is_none(), "only /healthz looks at the node");
        health.updated(at(71), at(71), NoLocalEndpoints::default());
        assert_eq!(ask(&health, Check::Livez, None, 71).0, 200);
        let counts = health.counts();
        assert_eq!(
            (counts.service_changes, counts.endpoint_changes, counts.endpoint_changes_pending),
            (2, 2, 0)
        );
        assert_eq!((counts.healthz, counts.livez), ([(200, 2)].into(), [(200, 1), (503, 1)].into()));
    }

    #[test]
    fn a_node_that_is_about_to_go_is_not_eligible() {
        let taint = json!({"spec": {"taints": [{"key": TO_BE_DELETED, "effect": "NoSchedule"}]}});
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        for node in [Some(node(taint)), Some(node(deleted)), None] {
            let (code, body) = ask(&ProxyHealth::default(), Check::Healthz, node.as_ref(), 0);
            assert_eq!((code, &body["nodeEligible"], &body["healthy"]), (503, &json!(false), &json!(true)));
            assert_eq!(body["lastUpdated"], "0001-01-01T00:00:00Z");
        }
    }
}
