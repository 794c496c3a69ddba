//! `scale`: how many replicas, whatever the kind.
// Models pkg/registry/apps/deployment/storage (ScaleREST).

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::api::codec::{self, Target};
use crate::api::field::{FieldError, FieldPath};
use crate::api::handler::{Incoming, read_object, read_patch};
use crate::api::kind::Object;
use crate::api::options::WriteOptions;
use crate::api::patch;
use crate::api::rest::{Call, Change, Content, PatchType, Reply, Rest};
use crate::api::status::ApiError;

fn target() -> Target<'static> {
    Target::named("autoscaling", "v1", "Scale")
}

/// Reads, replaces or patches the scale of an object.
pub(super) async fn answer(
    rest: &Rest,
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<Reply, ApiError> {
    match incoming.info.verb.as_str() {
        "get" => {
            let object = rest.decode(&*call.kind, &*rest.stored(call)?)?;
            Ok(Reply::new(200, Content::Other(scale_bytes(call, &*object)?)))
        }
        "update" => {
            let (body, media) = read_object(incoming, request).await?;
            let options = WriteOptions::parse(&incoming.query, "UpdateOptions", false)?;
            let decoded = codec::decode_as(&target(), &body, media, options.field_validation)?;
            let reply = change(rest, call, &options, |_| Ok(decoded.value.clone()))?;
            Ok(reply.warn(decoded.warnings))
        }
        "patch" => {
            let (patch_type, options, body) = read_patch(incoming, call, request).await?;
            let PatchType::Of(patch_type) = patch_type else {
                let message = "the body of the request was in an unknown format - accepted media types include: \
                               application/json-patch+json, application/merge-patch+json, \
                               application/strategic-merge-patch+json";
                return Err(ApiError::unsupported_media_type(message));
            };
            change(rest, call, &options, |scale| {
                Ok(patch::apply(&target(), scale, &body, patch_type, options.field_validation)?.value)
            })
        }
        verb => Err(ApiError::method_not_supported(&call.resource(), verb)),
    }
}

/// Changes the object so that its scale is what `new` makes of it.
fn change(
    rest: &Rest,
    call: &Call,
    options: &WriteOptions,
    new: impl Fn(Value) -> Result<Value, ApiError>,
) -> Result<Reply, ApiError> {
    let reply = rest.change(call, options, false, |before| {
        let before = before.ok_or_else(|| call.not_found())?;
        let mut object = call.kind.decode(before.clone())?;
        let scale = codec::to_canonical_value(&target(), &scale_value(call, &*object)?);
        let scale = new(scale)?;
        call.kind.set_scale(&mut *object, replicas(call, &scale)?);
        object.meta_mut().resource_version =
            scale.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
        let uid = scale.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        if !uid.is_empty() {
            object.meta_mut().uid = Some(uid.to_owned());
        }
        Ok(Change { value: object.to_value(), ..Change::default() })
    })?;
    let Content::Object(bytes) = &reply.content else { return Ok(reply) };
    let object = call.kind.decode(serde_json::from_slice(bytes).map_err(ApiError::internal)?)?;
    Ok(Reply { content: Content::Other(scale_bytes(call, &*object)?), ..reply })
}

fn replicas(call: &Call, scale: &Value) -> Result<i32, ApiError> {
    let replicas = scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
    if replicas < 0 {
        let field = FieldPath::new("spec").child("replicas");
        let error = FieldError::invalid(&field, replicas, "must be greater than or equal to 0");
        return Err(ApiError::invalid("autoscaling", "Scale", &call.name, &[error]));
    }
    i32::try_from(replicas).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn scale_value(call: &Call, object: &dyn Object) -> Result<Value, ApiError> {
    let meta = object.meta();
    let scale = call
        .kind
        .scale(object)
        .ok_or_else(|| ApiError::internal(format!("{} has no scale", call.resource())))?;
    Ok(json!({
        "metadata": {
            "name": meta.name, "namespace": meta.namespace, "uid": meta.uid,
            "resourceVersion": meta.resource_version, "creationTimestamp": meta.creation_timestamp,
        },
        "spec": {"replicas": scale.spec_replicas},
        "status": {"replicas": scale.status_replicas, "selector": scale.selector},
    }))
}

fn scale_bytes(call: &Call, object: &dyn Object) -> Result<Bytes, ApiError> {
    Ok(codec::encode_value(&target(), &scale_value(call, object)?))
}
