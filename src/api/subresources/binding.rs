//! `pods/binding`: which node a pod is on. The scheduler's only write, and it can be done once.
// Models pkg/registry/core/pod/storage (BindingREST).

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::success;
use crate::api::admission::Operation;
use crate::api::codec::{self, Target};
use crate::api::handler::{Incoming, read_object};
use crate::api::options::WriteOptions;
use crate::api::rest::{Call, Reply, Rest};
use crate::api::status::{ApiError, GroupResource};
use crate::meta::age;

/// Binds the pod that the call names.
pub(super) async fn create(
    rest: &Rest,
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<Reply, ApiError> {
    let (body, media) = read_object(incoming, request).await?;
    let options = WriteOptions::parse(&incoming.query, "CreateOptions", false)?;
    let binding =
        codec::decode_as(&Target::named("", "v1", "Binding"), &body, media, options.field_validation)?;
    let text = |pointer: &str| binding.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = text("/metadata/name");
    let call =
        if call.name.is_empty() { Call { name: name.to_owned(), ..call.clone() } } else { call.clone() };
    if call.name != name {
        return Err(ApiError::bad_request("name in URL does not match name in Binding object"));
    }
    let namespace = text("/metadata/namespace");
    if !namespace.is_empty() && namespace != call.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    check_target(text("/target/kind"), text("/target/name"))?;
    let mut warnings = binding.warnings.clone();
    warnings.extend(rest.consult(&call, Operation::Create, None, options.dry_run)?);
    let now = age::rfc3339(rest.clock().now());
    rest.write_through(&call, options.dry_run, |pod| assign(&call, pod, &binding.value, &now))?;
    Ok(success(201).warn(warnings))
}

fn check_target(kind: &str, name: &str) -> Result<(), ApiError> {
    let mut wrong = vec![];
    if !["", "Node"].contains(&kind) {
        wrong.push(format!(
            "target.kind: Unsupported value: {kind:?}: supported values: \"<empty>\", \"Node\""
        ));
    }
    if name.is_empty() {
        wrong.push("target.name: Required value".to_owned());
    }
    match &wrong[..] {
        [] => Ok(()),
        [one] => Err(ApiError::new(500, "", one.clone())),
        many => Err(ApiError::new(500, "", format!("[{}]", many.join(", ")))),
    }
}

/// Puts the pod on the node, with the binding's labels and annotations.
fn assign(call: &Call, pod: &mut Value, binding: &Value, now: &str) -> Result<(), ApiError> {
    let conflict = |why: &str| ApiError::conflict(&GroupResource::new("", "pods/binding"), &call.name, why);
    for (field, what) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (wanted, have) = (text(binding, &["metadata", field]), text(pod, &["metadata", field]));
        if !wanted.is_empty() && wanted != have {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
                 {what} in precondition: {wanted}, {what} in object meta: {have}",
                call.key()
            );
            return Err(ApiError::conflict(&call.resource(), &call.name, &why));
        }
    }
    if !pod.pointer("/metadata/deletionTimestamp").is_none_or(Value::is_null) {
        return Err(conflict(&format!("pod {} is being deleted, cannot be assigned to a host", call.name)));
    }
    let node = text(pod, &["spec", "nodeName"]);
    if !node.is_empty() {
        return Err(conflict(&format!("pod {} is already assigned to node {node:?}", call.name)));
    }
    if pod.pointer("/spec/schedulingGates").and_then(Value::as_array).is_some_and(|gates| !gates.is_empty()) {
        return Err(conflict(&format!("pod {} has non-empty .spec.schedulingGates", call.name)));
    }
    pod["spec"]["nodeName"] = binding["target"]["name"].clone();
    if let Some(status) = pod["status"].as_object_mut() {
        status.remove("nominatedNodeName");
    }
    for map in ["labels", "annotations"] {
        for (key, value) in
            binding.pointer(&format!("/metadata/{map}")).and_then(Value::as_object).into_iter().flatten()
        {
            pod["metadata"][map][key] = value.clone();
        }
    }
    set_condition(pod, json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now}));
    Ok(())
}

/// Sets a condition of a pod; one that has the same status keeps the time of its transition.
// Models pkg/api/pod (UpdatePodCondition).
pub(super) fn set_condition(pod: &mut Value, mut condition: Value) {
    if !pod["status"]["conditions"].is_array() {
        pod["status"]["conditions"] = json!([]);
    }
    let Some(conditions) = pod["status"]["conditions"].as_array_mut() else { return };
    match conditions.iter_mut().find(|old| old["type"] == condition["type"]) {
        Some(old) => {
            if old["status"] == condition["status"] {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter().fold(value, |value, key| value.get(key).unwrap_or(&Value::Null)).as_str().unwrap_or_default()
}
