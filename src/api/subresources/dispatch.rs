//! Which sub-resource is meant, and whether the kind has it.

use axum::body::Body;
use http::{Request, Response};

use crate::api::endpoints;
use crate::api::handler::{Incoming, call_of, read, read_patch};
use crate::api::negotiate::{self, Output};
use crate::api::registry::KindRef;
use crate::api::request::WriteOptions;
use crate::api::rest::{Call, Presenter, Reply};
use crate::api::server::ApiServer;
use crate::api::status::ApiError;

/// Answers a request on a sub-resource.
pub(in crate::api) async fn answer(
    server: &ApiServer,
    incoming: Incoming,
    kind: KindRef,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let call = call_of(&incoming, kind.clone());
    match incoming.info.subresource.as_str() {
        "status" if kind.info().traits.status => {
            let output = Output::negotiate(&incoming.headers, &incoming.query)?;
            let reply = status(server, &incoming, &call, request).await?;
            Presenter::new(server.rest(), kind, output).response(reply)
        }
        _ => Ok(endpoints::no_such_path()),
    }
}

/// The object with its status; the verbs are those of the object, cut down to the status by the pipeline.
async fn status(server: &ApiServer, incoming: &Incoming, call: &Call, request: Request<Body>) -> Result<Reply, ApiError> {
    let rest = server.rest();
    match incoming.info.verb.as_str() {
        "get" => rest.get(call, &incoming.query),
        "update" => {
            let media = negotiate::input(&incoming.headers)?;
            let body = read(request).await?;
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
