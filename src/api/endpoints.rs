//! The paths that are not resources: version, health, metrics, the list of paths, discovery and OpenAPI.
// Models k8s.io/apiserver/pkg/server (routes, healthz).

use std::collections::BTreeSet;

use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;

use super::discovery;
use super::handler::Incoming;
use super::health;
use super::negotiate::{self, Output};
use super::rest::written;
use super::server::ApiServer;
use super::status::ApiError;

/// What `/version` says, in the order in which the server writes it. The version is the one that the transcripts are of.
const VERSION: &str = concat!(
    r#"{"major":"1","minor":"36","emulationMajor":"1","emulationMinor":"36","minCompatibilityMajor":"1","#,
    r#""minCompatibilityMinor":"35","gitVersion":"v1.36.2","#,
    r#""gitCommit":"0000000000000000000000000000000000000000","gitTreeState":"clean","#,
    r#""buildDate":"2026-06-01T00:00:00Z","goVersion":"go1.26.6","compiler":"gc","platform":"linux/amd64"}"#
);

/// Paths that the list of paths names besides discovery's and health's.
const OTHER_PATHS: &[&str] = &[
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/apis/",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/version",
];

/// Answers a request whose path is no resource.
pub(super) fn answer(server: &ApiServer, incoming: &Incoming) -> Result<Response<Body>, ApiError> {
    let path = incoming.info.path.trim_end_matches('/');
    if ![Method::GET, Method::HEAD].contains(&incoming.method) {
        return Ok(if path.is_empty() || path.starts_with("/api") {
            method_not_allowed()
        } else {
            no_such_path()
        });
    }
    let pretty = Output { pretty: true, ..Output::JSON };
    match path {
        "" => Ok(written(200, paths(server).as_bytes(), &pretty)),
        "/version" => Ok(written(200, VERSION.as_bytes(), &pretty)),
        "/metrics" => Ok(text(
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            server.shared.metrics.text(server.rest()),
        )),
        "/openid/v1/jwks" => Ok(openid(server.authenticator().jwks(), "application/jwk-set+json")),
        "/.well-known/openid-configuration" => Ok(openid(configuration(), "application/json")),
        path if health::is_health(path) => Ok(health::answer(path, &incoming.query)),
        path => Ok(discovered(server, incoming, path)),
    }
}

fn discovered(server: &ApiServer, incoming: &Incoming, path: &str) -> Response<Body> {
    let header = |name| incoming.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accept = header(header::ACCEPT);
    let pretty = negotiate::is_pretty(&incoming.headers, &incoming.query);
    let asked = discovery::Asked { path, accept, address: &server.shared.address, pretty };
    let known = || header(header::IF_NONE_MATCH);
    discovery::handle(server.rest().registry(), &asked)
        .or_else(|| server.shared.open_api.handle(path, incoming.query.get("hash"), accept, known()))
        .unwrap_or_else(no_such_path)
}

/// Every path that the server knows, sorted.
fn paths(server: &ApiServer) -> String {
    let mut paths: BTreeSet<String> = OTHER_PATHS.iter().map(|path| (*path).to_owned()).collect();
    for kind in server.rest().registry().all() {
        let info = kind.info();
        if info.group.is_empty() {
            paths.insert(format!("/api/{}", info.version));
        } else {
            paths.insert(format!("/apis/{}", info.group));
            paths.insert(format!("/apis/{}/{}", info.group, info.version));
        }
    }
    paths.extend(health::paths());
    let quoted: Vec<String> = paths.into_iter().map(|path| Value::from(path).to_string()).collect();
    format!("{{\"paths\":[{}]}}", quoted.join(","))
}

fn configuration() -> Value {
    serde_json::json!({
        "issuer": super::auth::ISSUER,
        "jwks_uri": format!("{}/openid/v1/jwks", super::auth::ISSUER),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

fn openid(value: Value, media: &'static str) -> Response<Body> {
    text(200, media, value.to_string())
}

/// 404 as the server answers for paths that nobody serves.
pub(super) fn no_such_path() -> Response<Body> {
    let mut response = text(404, "text/plain; charset=utf-8", "404 page not found\n".to_owned());
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// 405 as the server answers for resources that lack a verb.
pub(super) fn method_not_allowed() -> Response<Body> {
    text(405, "text/plain; charset=utf-8", "405: Method Not Allowed".to_owned())
}

/// A response of text.
pub(super) fn text(code: u16, media: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
