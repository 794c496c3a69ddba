//! `serviceaccounts/token`: a token that is a service account for a while.
// Models pkg/registry/core/serviceaccount/storage (TokenREST).

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::api::auth::{AUDIENCE, Binding, Claims};
use crate::api::codec::{self, Target};
use crate::api::field::{FieldError, FieldPath};
use crate::api::handler::{Incoming, read_object};
use crate::api::options::WriteOptions;
use crate::api::rest::{Call, Content, Reply};
use crate::api::server::ApiServer;
use crate::api::status::{ApiError, GroupResource};
use crate::meta::age;

/// How long a token lasts that does not say.
const DEFAULT_SECONDS: i64 = 3600;
/// The shortest that a token may last.
const MIN_SECONDS: i64 = 600;
/// The longest.
const MAX_SECONDS: i64 = 1 << 32;

/// Signs a token for the service account that the call names.
pub(super) async fn create(
    server: &ApiServer,
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<Reply, ApiError> {
    let rest = server.rest();
    let (body, media) = read_object(incoming, request).await?;
    let options = WriteOptions::parse(&incoming.query, "CreateOptions", false)?;
    let target = Target::named("authentication.k8s.io", "v1", "TokenRequest");
    let decoded = codec::decode_as(&target, &body, media, options.field_validation)?;
    let mut ask = decoded.value;
    check_meta(call, &ask)?;
    let account = rest.value(&*call.kind, &*rest.stored(call)?)?;
    let uid = text(&account, "/metadata/uid");
    let wanted = text(&ask, "/metadata/uid");
    if !wanted.is_empty() && wanted != uid {
        let why = format!(
            "the UID in the token request ({wanted}) does not match the UID of the service account ({uid})"
        );
        let resource = GroupResource::new("authentication.k8s.io", "TokenRequest");
        return Err(ApiError::conflict(&resource, &call.name, &why));
    }
    let seconds = ask.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS);
    check_seconds(seconds)?;
    let mut audiences: Vec<String> =
        serde_json::from_value(ask["spec"]["audiences"].clone()).unwrap_or_default();
    if audiences.is_empty() {
        audiences = vec![AUDIENCE.to_owned()];
    }
    let claims = claims(server, call, &ask, uid)?;
    let now = rest.clock().now();
    let expires = now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now);
    let token = server.authenticator().signer().sign(claims, &audiences, seconds);
    ask["metadata"]["name"] = call.name.as_str().into();
    ask["metadata"]["namespace"] = call.namespace.as_str().into();
    ask["metadata"]["uid"] = uid.into();
    ask["metadata"]["creationTimestamp"] = age::rfc3339(now).into();
    ask["spec"]["audiences"] = audiences.into();
    ask["spec"]["expirationSeconds"] = seconds.into();
    ask["status"] = json!({"token": token, "expirationTimestamp": age::rfc3339(expires)});
    Ok(Reply::new(201, Content::Other(codec::encode_value(&target, &ask))).warn(decoded.warnings))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn check_meta(call: &Call, ask: &Value) -> Result<(), ApiError> {
    for (field, wanted) in [("name", &call.name), ("namespace", &call.namespace)] {
        let have = text(ask, &format!("/metadata/{field}"));
        if !have.is_empty() && have != wanted {
            let why = format!("must match the service account {field} if specified");
            let error = FieldError::invalid(&FieldPath::new("metadata").child(field), have, why);
            return Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", &call.name, &[error]));
        }
    }
    Ok(())
}

fn check_seconds(seconds: i64) -> Result<(), ApiError> {
    let why = match seconds {
        ..MIN_SECONDS => "may not specify a duration less than 10 minutes",
        MIN_SECONDS..=MAX_SECONDS => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let error = FieldError::invalid(&FieldPath::new("spec").child("expirationSeconds"), seconds, why);
    Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &[error]))
}

/// What the token says: the account, and the object that it is bound to.
fn claims(server: &ApiServer, call: &Call, ask: &Value, uid: &str) -> Result<Claims, ApiError> {
    let mut claims = Claims {
        namespace: call.namespace.clone(),
        serviceaccount: Binding { name: call.name.clone(), uid: uid.to_owned() },
        ..Claims::default()
    };
    let Some(bound) = ask.pointer("/spec/boundObjectRef").filter(|bound| bound.is_object()) else {
        return Ok(claims);
    };
    let (version, kind, name) = (text(bound, "/apiVersion"), text(bound, "/kind"), text(bound, "/name"));
    let object = |plural: &str, name: &str| {
        let kind = server.rest().registry().resource("", "v1", plural);
        let kind = kind.ok_or_else(|| ApiError::internal(format!("{plural} are not served")))?;
        let call = Call { kind, name: name.to_owned(), ..call.clone() };
        server.rest().value(&*call.kind, &*server.rest().stored(&call)?)
    };
    let bind =
        |object: &Value| Binding { name: name.to_owned(), uid: text(object, "/metadata/uid").to_owned() };
    let found = match (version.contains('/'), kind) {
        (false, "Pod") => {
            let pod = object("pods", name)?;
            if text(&pod, "/spec/serviceAccountName") != call.name {
                return Err(ApiError::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    call.name
                )));
            }
            let node = text(&pod, "/spec/nodeName");
            if !node.is_empty() {
                let uid = object("nodes", node)
                    .map(|node| text(&node, "/metadata/uid").to_owned())
                    .unwrap_or_default();
                claims.node = Some(Binding { name: node.to_owned(), uid });
            }
            claims.pod = Some(bind(&pod));
            pod
        }
        (false, "Secret") => {
            let secret = object("secrets", name)?;
            claims.secret = Some(bind(&secret));
            secret
        }
        (false, "Node") => {
            let node = object("nodes", name)?;
            claims.node = Some(bind(&node));
            node
        }
        _ => {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            return Err(ApiError::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    let (wanted, have) = (text(bound, "/uid"), text(&found, "/metadata/uid"));
    if !wanted.is_empty() && wanted != have {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been \
             deleted and then recreated"
        );
        return Err(ApiError::conflict(&GroupResource::new("", kind), name, &why));
    }
    Ok(claims)
}
