//! Which sub-resource is meant, and whether the kind has it.

use axum::body::Body;
use http::{Request, Response};
use serde_json::json;

use super::{binding, connect, eviction, part, proxy, scale, token};
use crate::api::admission::Operation;
use crate::api::codec::{self, Target};
use crate::api::endpoints;
use crate::api::handler::{Incoming, call_of, read_object, read_patch};
use crate::api::negotiate::Output;
use crate::api::options::WriteOptions;
use crate::api::registry::KindRef;
use crate::api::rest::{Call, Content, Presenter, Reply};
use crate::api::server::ApiServer;
use crate::api::status::ApiError;

/// Answers a request on a sub-resource.
pub(in crate::api) async fn answer(
    server: &ApiServer,
    incoming: Incoming,
    kind: KindRef,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let rest = server.rest();
    let call = call_of(&incoming, kind.clone());
    let core = kind.info().group.is_empty();
    let (resource, verb) = (kind.info().plural.clone(), incoming.info.verb.clone());
    let subresource = call.subresource.as_str();
    let is_proxy = subresource == "proxy" && core && proxy::exists(&resource);
    if incoming.info.parts.len() > 3 && !is_proxy {
        return Ok(endpoints::no_such_path());
    }
    if is_proxy || (core && resource == "pods" && connect::exists(subresource)) {
        return stream(server, &incoming, &call, request).await;
    }
    let output = Output::negotiate(&incoming.headers, &incoming.query)?;
    let created = |exists: bool| exists && verb == "create";
    let known = match (resource.as_str(), subresource) {
        (_, "status") => kind.info().traits.status,
        (_, "scale") => kind.info().traits.scale,
        ("pods", "binding" | "eviction") | ("serviceaccounts", "token") if core => {
            if !created(true) {
                return Ok(endpoints::method_not_allowed());
            }
            true
        }
        (resource, subresource) => core && part::exists(resource, subresource),
    };
    if !known {
        return Ok(endpoints::no_such_path());
    }
    let reply = match subresource {
        "status" => status(server, &incoming, &call, request).await?,
        "scale" => scale::answer(rest, &incoming, &call, request).await?,
        "binding" => binding::create(rest, &incoming, &call, request).await?,
        "eviction" => eviction::create(rest, &incoming, &call, request).await?,
        "token" => token::create(server, &incoming, &call, request).await?,
        _ => part::answer(rest, &incoming, &call, request).await?,
    };
    Presenter::new(rest, kind, output).response(reply)
}

/// `POST bindings`: the pod is named by the body alone.
pub(in crate::api) async fn bind(
    server: &ApiServer,
    incoming: &Incoming,
    pods: KindRef,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let output = Output::negotiate(&incoming.headers, &incoming.query)?;
    let call = Call { subresource: "binding".to_owned(), ..call_of(incoming, pods.clone()) };
    let reply = binding::create(server.rest(), incoming, &call, request).await?;
    Presenter::new(server.rest(), pods, output).response(reply)
}

async fn stream(
    server: &ApiServer,
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    if incoming.query.get("dryRun").is_some() {
        return Err(ApiError::bad_request("dryRun is not supported"));
    }
    let allowed = match call.subresource.as_str() {
        "proxy" => true,
        "log" => incoming.info.verb == "get",
        _ => ["get", "create"].contains(&incoming.info.verb.as_str()),
    };
    if !allowed {
        return Ok(endpoints::method_not_allowed());
    }
    if call.subresource != "log" {
        server.rest().consult(call, Operation::Connect, None, false)?;
    }
    if call.subresource == "proxy" {
        return proxy::answer(server, incoming, call, request).await;
    }
    connect::answer(server, call, &incoming.query, request).await
}

/// The object with its status; the verbs are those of the object, cut down to the status by the pipeline.
async fn status(
    server: &ApiServer,
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<Reply, ApiError> {
    let rest = server.rest();
    match incoming.info.verb.as_str() {
        "get" => rest.get(call, &incoming.query),
        "update" => {
            let (body, media) = read_object(incoming, request).await?;
            let options = WriteOptions::parse(&incoming.query, "UpdateOptions", false)?;
            rest.update(call, &options, &body, media)
        }
        "patch" => {
            let (patch_type, options, body) = read_patch(incoming, call, request).await?;
            rest.patch(call, &options, patch_type, &body)
        }
        verb => Err(ApiError::method_not_supported(&call.resource(), verb)),
    }
}

/// A Status that says only that it is done.
pub(super) fn success(code: u16) -> Reply {
    let status = json!({"status": "Success", "code": code});
    Reply::new(code, Content::Other(codec::encode_value(&Target::named("", "v1", "Status"), &status)))
}
