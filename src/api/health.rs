//! `/healthz`, `/livez`, `/readyz`: is the server well, and each of its parts.
//!
//! The server is one value that is ready when it exists, so every part is well; what is told apart is which parts there
//! are, whether they are listed, and which are left out.
// Models k8s.io/apiserver/pkg/server/healthz.

use axum::body::Body;
use http::{HeaderValue, Response};

use super::endpoints::{no_such_path, text};
use super::request::Query;

/// The parts, in the order in which the server starts them.
const STARTED: &[&str] = &[
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-wait-for-first-sync",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

/// An endpoint with the parts that it looks at before and after those that were started.
const ENDPOINTS: [(&str, &[&str], &[&str]); 3] = [
    ("healthz", &["ping", "log", "etcd", "loopback-serving-certificate"], &[]),
    ("livez", &["ping", "log", "etcd", "loopback-serving-certificate"], &[]),
    ("readyz", &["ping", "log", "informer-sync"], &["shutdown"]),
];

/// Whether a path asks for health.
pub(super) fn is_health(path: &str) -> bool {
    ENDPOINTS.iter().any(|(name, ..)| {
        path.strip_prefix('/')
            .and_then(|path| path.strip_prefix(name))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn parts(
    before: &'static [&'static str],
    after: &'static [&'static str],
) -> impl Iterator<Item = &'static str> {
    before.iter().chain(STARTED).chain(after).copied()
}

/// Every path of an endpoint or one of its parts.
pub(super) fn paths() -> impl Iterator<Item = String> {
    ENDPOINTS.iter().flat_map(|(name, before, after)| {
        let own = std::iter::once(format!("/{name}"));
        own.chain(parts(before, after).map(move |part| format!("/{name}/{part}")))
    })
}

/// Answers a question about health.
pub(super) fn answer(path: &str, query: &Query) -> Response<Body> {
    let asked = path.trim_matches('/');
    let (name, part) = asked.split_once('/').unwrap_or((asked, ""));
    let Some((name, before, after)) = ENDPOINTS.iter().find(|(endpoint, ..)| *endpoint == name) else {
        return no_such_path();
    };
    if !part.is_empty() {
        return if parts(before, after).any(|known| known == part) {
            well("ok".to_owned())
        } else {
            no_such_path()
        };
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut lines = String::new();
    for part in parts(before, after) {
        let line = if excluded.contains(&part) {
            format!("[+]{part} excluded: ok\n")
        } else {
            format!("[+]{part} ok\n")
        };
        lines.push_str(&line);
    }
    let unknown: Vec<String> = excluded
        .iter()
        .filter(|name| !parts(before, after).any(|part| part == **name))
        .map(|name| format!("{name:?}"))
        .collect();
    if !unknown.is_empty() {
        lines.push_str(&format!(
            "warn: some health checks cannot be excluded: no matches for {}\n",
            unknown.join(",")
        ));
    }
    if query.get("verbose").is_none() {
        return well("ok".to_owned());
    }
    well(format!("{lines}{name} check passed\n"))
}

fn well(body: String) -> Response<Body> {
    let mut response = text(200, "text/plain; charset=utf-8", body);
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_can_be_asked_for_and_others_are_not_found() {
        assert!(is_health("/readyz") && is_health("/livez/ping") && !is_health("/readyzz"));
        let code = |path: &str| answer(path, &Query::default()).status().as_u16();
        assert_eq!(
            [code("/readyz"), code("/readyz/ping"), code("/readyz/etcd"), code("/healthz/etcd")],
            [200, 200, 404, 200]
        );
        assert!(paths().any(|path| path == "/livez/poststarthook/rbac/bootstrap-roles"));
    }
}
