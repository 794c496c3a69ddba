//! Who may ask the kubelet: the API server over its own wire, and over TLS whoever the API server knows and lets.
// Models pkg/kubelet/server/server.go (InstallAuthFilter) and auth.go (GetRequestAttributes).

use http::{Method, Request, StatusCode, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use super::super::kubelet::Shared;
use super::router::Refusal;
use crate::api::KUBELET_TOKEN_HEADER;
use crate::api::auth::{UserInfo, user_of};
use crate::net::BoxIo;
use crate::network::Greeting;

/// How a connection came in.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// The kubelet asks nobody who he is.
    Open,
    /// Without TLS: the API server, if each request shows its token.
    Wire,
    /// Over TLS, with the certificate that the client showed.
    Client(Option<Vec<u8>>),
}

/// Greets a client. `None`: the connection is over.
pub(super) async fn greet(shared: &Shared, io: BoxIo) -> Option<(BoxIo, Entry)> {
    let Some(security) = &shared.deps.security else { return Some((io, Entry::Open)) };
    Some(match security.tls.greet(io).await? {
        Greeting::Plain(io) => (io, Entry::Wire),
        Greeting::Secure(io, certificate) => (io, Entry::Client(certificate)),
    })
}

/// Lets a request in or says why not.
pub(super) async fn check<B>(shared: &Shared, entry: &Entry, request: &Request<B>) -> Result<(), Refusal> {
    let certificate = match entry {
        Entry::Open => return Ok(()),
        Entry::Wire => return check_token(shared, request),
        Entry::Client(certificate) => certificate,
    };
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let user = match (certificate.as_deref().and_then(user_of), bearer) {
        (Some(user), _) => Some(user),
        (None, Some(bearer)) => {
            user_of_token(shared, bearer.strip_prefix("Bearer ").unwrap_or_default()).await
        }
        (None, None) => None,
    };
    let user = user.ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized"))?;
    let verb = verb(request.method());
    let subresources = subresources(request.uri().path());
    for subresource in &subresources {
        match allows(shared, &user, verb, subresource).await {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => {
                let text = format!(
                    "Authorization error (user={}, verb={verb}, resource=nodes, subresource={subresource})",
                    user.name
                );
                return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text));
            }
        }
    }
    let text = format!(
        "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{}])\n",
        user.name,
        subresources.join(" ")
    );
    Err(Refusal::new(StatusCode::FORBIDDEN, text))
}

fn check_token<B>(shared: &Shared, request: &Request<B>) -> Result<(), Refusal> {
    let token = shared.deps.security.as_ref().map(|security| security.api_server_token.as_bytes());
    let shown = request.headers().get(KUBELET_TOKEN_HEADER).map(http::HeaderValue::as_bytes);
    if shown.is_some() && shown == token {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::BAD_REQUEST, "Client sent an HTTP request to an HTTPS server.\n"))
}

/// Asks the API server whose token that is.
async fn user_of_token(shared: &Shared, token: &str) -> Option<UserInfo> {
    let spec = TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() };
    let reviews = Api::<TokenReview>::all(shared.deps.client.clone());
    let review = TokenReview { spec, ..TokenReview::default() };
    let status = reviews.create(&PostParams::default(), &review).await.ok()?.status?;
    let user = status.user.filter(|_| status.authenticated == Some(true))?;
    Some(UserInfo {
        name: user.username.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
        uid: user.uid.unwrap_or_default(),
        ..UserInfo::default()
    })
}

/// Asks the API server whether the user may. `None`: it did not answer.
async fn allows(shared: &Shared, user: &UserInfo, verb: &str, subresource: &str) -> Option<bool> {
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        version: Some("v1".to_owned()),
        resource: Some("nodes".to_owned()),
        subresource: Some(subresource.to_owned()),
        name: Some(shared.config.node.name.clone()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        groups: Some(user.groups.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let reviews = Api::<SubjectAccessReview>::all(shared.deps.client.clone());
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    Some(reviews.create(&PostParams::default(), &review).await.ok()?.status?.allowed)
}

fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "GET" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// The sub-resources of the node of which one is needed for a path.
fn subresources(path: &str) -> Vec<&'static str> {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first {
        "pods" | "runningpods" => vec!["pods", "proxy"],
        "healthz" => vec!["healthz", "proxy"],
        "configz" => vec!["configz", "proxy"],
        "stats" => vec!["stats"],
        "metrics" => vec!["metrics"],
        "logs" => vec!["log"],
        "checkpoint" => vec!["checkpoint"],
        "statusz" => vec!["statusz"],
        "flagz" => vec!["configz"],
        _ => vec!["proxy"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_sub_resources_of_the_node() {
        for (path, expected) in [
            ("/pods", &["pods", "proxy"][..]),
            ("/healthz/ping", &["healthz", "proxy"]),
            ("/stats/summary", &["stats"]),
            ("/metrics/resource", &["metrics"]),
            ("/exec/default/web/web", &["proxy"]),
            ("/podsx", &["proxy"]),
            ("/", &["proxy"]),
        ] {
            assert_eq!(subresources(path), expected, "{path}");
        }
    }
}
