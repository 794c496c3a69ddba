//! Questions about users that are answered and not stored: who am I, whose token is this, may I.
// Models pkg/registry/authentication/{selfsubjectreview,tokenreview} and pkg/registry/authorization.

use axum::body::Body;
use http::{Method, Request, Response};
use serde_json::{Value, json};

use super::auth::{Decision, UserInfo};
use super::codec::{self, Target};
use super::endpoints::method_not_allowed;
use super::handler::{Incoming, read_object};
use super::negotiate::Output;
use super::options::WriteOptions;
use super::request::RequestInfo;
use super::rest::{add_warnings, written};
use super::server::ApiServer;
use super::status::ApiError;
use crate::meta::age;

/// Group, plural, kind.
const REVIEWS: [(&str, &str, &str); 5] = [
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    ("authentication.k8s.io", "tokenreviews", "TokenReview"),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
];

/// The kind of review that a request asks for.
pub(super) fn kind_of(info: &RequestInfo) -> Option<&'static str> {
    let asked = |(group, plural, _): &&(&str, &str, &str)| info.group == *group && info.resource == *plural;
    let review = REVIEWS.iter().find(asked)?;
    (info.version == "v1" && info.parts.len() == 1).then_some(review.2)
}

/// Answers a question.
pub(super) async fn answer(
    server: &ApiServer,
    incoming: &Incoming,
    kind: &str,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    if incoming.method != Method::POST {
        return Ok(method_not_allowed());
    }
    let output = Output::negotiate(&incoming.headers, &incoming.query)?;
    let (body, media) = read_object(incoming, request).await?;
    let options = WriteOptions::parse(&incoming.query, "CreateOptions", false)?;
    let target = Target::named(&incoming.info.group, "v1", kind);
    let mut review = codec::decode_as(&target, &body, media, options.field_validation)?;
    let now = age::rfc3339(server.rest().clock().now());
    review.value["status"] = match kind {
        "SelfSubjectReview" => {
            review.value["metadata"] = json!({"creationTimestamp": now});
            json!({"userInfo": user_info(&incoming.user)})
        }
        "TokenReview" => whose_token(server, &review.value),
        _ => may(server, incoming, kind, &review.value)?,
    };
    let mut response = written(201, &codec::encode_value(&target, &review.value), &output);
    add_warnings(&mut response, review.warnings.iter());
    Ok(response)
}

fn user_info(user: &UserInfo) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

fn whose_token(server: &ApiServer, review: &Value) -> Value {
    let token = review.pointer("/spec/token").and_then(Value::as_str).unwrap_or_default();
    let audiences: Vec<String> =
        serde_json::from_value(review["spec"]["audiences"].clone()).unwrap_or_default();
    match server.authenticator().user_of(token, &audiences) {
        Some(user) => {
            let audiences =
                if audiences.is_empty() { vec![super::auth::AUDIENCE.to_owned()] } else { audiences };
            json!({"authenticated": true, "user": user_info(&user), "audiences": audiences})
        }
        None => json!({"error": "[invalid bearer token, square/go-jose: error in cryptographic primitive]"}),
    }
}

fn may(server: &ApiServer, incoming: &Incoming, kind: &str, review: &Value) -> Result<Value, ApiError> {
    let spec = &review["spec"];
    let of = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let user = match kind {
        "SelfSubjectAccessReview" => incoming.user.clone(),
        _ => UserInfo {
            name: of(spec, "user"),
            uid: of(spec, "uid"),
            groups: serde_json::from_value(spec["groups"].clone()).unwrap_or_default(),
            extra: serde_json::from_value(spec["extra"].clone()).unwrap_or_default(),
        },
    };
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_object() == path.is_object() {
        let message = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Err(ApiError::bad_request(message));
    }
    let question = if resource.is_object() {
        RequestInfo {
            is_resource: true,
            verb: of(resource, "verb"),
            group: of(resource, "group"),
            version: of(resource, "version"),
            namespace: of(resource, "namespace"),
            resource: of(resource, "resource"),
            subresource: of(resource, "subresource"),
            name: of(resource, "name"),
            ..RequestInfo::default()
        }
    } else {
        RequestInfo { verb: of(path, "verb"), path: of(path, "path"), ..RequestInfo::default() }
    };
    Ok(match server.authorizers().decide(&user, &question) {
        Decision::Allow => json!({"allowed": true}),
        Decision::Deny(reason) => json!({"allowed": false, "denied": true, "reason": reason}),
        Decision::NoOpinion(reason) => json!({"allowed": false, "reason": reason}),
    })
}
