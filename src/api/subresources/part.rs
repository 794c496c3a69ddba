//! Sub-resources that change one part of their parent: `namespaces/finalize`, `pods/ephemeralcontainers`, `pods/resize`.
//! Everything else in the body is ignored.
// Models pkg/registry/core/namespace (finalizeStrategy) and pkg/registry/core/pod (EphemeralContainersStrategy,
// ResizeStrategy).

use axum::body::Body;
use http::Request;
use serde_json::Value;

use crate::api::codec;
use crate::api::handler::{Incoming, read_object, read_patch};
use crate::api::options::WriteOptions;
use crate::api::rest::{Call, Change, Reply, Rest};
use crate::api::status::ApiError;

/// Which resources have which of these sub-resources.
const PARTS: [(&str, &str); 3] =
    [("namespaces", "finalize"), ("pods", "ephemeralcontainers"), ("pods", "resize")];

/// Whether the core resource has that sub-resource.
pub(super) fn exists(resource: &str, subresource: &str) -> bool {
    PARTS.contains(&(resource, subresource))
}

/// Reads, replaces or patches the part.
pub(super) async fn answer(
    rest: &Rest,
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<Reply, ApiError> {
    match incoming.info.verb.as_str() {
        "get" => rest.get(call, &incoming.query),
        "update" => {
            let (body, media) = read_object(incoming, request).await?;
            let options = WriteOptions::parse(&incoming.query, "UpdateOptions", false)?;
            let decoded = codec::decode(call.info(), &body, media, options.field_validation)?;
            let reply = rest.change(call, &options, false, |before| {
                let before = before.ok_or_else(|| call.not_found())?;
                Ok(Change {
                    value: with_part(&call.subresource, before, &decoded.value),
                    ..Change::default()
                })
            })?;
            Ok(reply.warn(decoded.warnings))
        }
        "patch" => {
            let (patch_type, options, body) = read_patch(incoming, call, request).await?;
            rest.change(call, &options, false, |before| {
                let change = rest.patched(call, &options, patch_type, &body, before)?;
                let before = before.ok_or_else(|| call.not_found())?;
                Ok(Change { value: with_part(&call.subresource, before, &change.value), ..change })
            })
        }
        verb => Err(ApiError::method_not_supported(&call.resource(), verb)),
    }
}

/// The object as it was, with the one part of the new one, and the revision that the client wants it to be of.
fn with_part(subresource: &str, before: &Value, new: &Value) -> Value {
    let mut value = before.clone();
    copy(&mut value, new, "metadata", "resourceVersion");
    copy(&mut value, new, "metadata", "managedFields");
    match subresource {
        "finalize" => copy(&mut value, new, "spec", "finalizers"),
        "ephemeralcontainers" => copy(&mut value, new, "spec", "ephemeralContainers"),
        _ => {
            for list in ["containers", "initContainers"] {
                resize(&mut value, new, list);
            }
        }
    }
    value
}

fn copy(to: &mut Value, from: &Value, parent: &str, field: &str) {
    let Some(to) = to.get_mut(parent).and_then(Value::as_object_mut) else { return };
    match from.get(parent).and_then(|parent| parent.get(field)) {
        Some(value) => to.insert(field.to_owned(), value.clone()),
        None => to.remove(field),
    };
}

/// Takes the resources and the resize policy of each container of a list.
fn resize(to: &mut Value, from: &Value, list: &str) {
    let (pointer, none) = (format!("/spec/{list}"), vec![]);
    let new = from.pointer(&pointer).and_then(Value::as_array).unwrap_or(&none);
    for container in to.pointer_mut(&pointer).and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(other) = new.iter().find(|other| other.get("name") == container.get("name")) else {
            continue;
        };
        let Some(container) = container.as_object_mut() else { continue };
        for field in ["resources", "resizePolicy"] {
            match other.get(field) {
                Some(value) => container.insert(field.to_owned(), value.clone()),
                None => container.remove(field),
            };
        }
    }
}
