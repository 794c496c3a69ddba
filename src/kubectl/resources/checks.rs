//! What the builder refuses: objects that do not say what they are, names that no path can hold.
// Models k8s.io/kubectl/pkg/validation, cli-runtime/pkg/resource/metadata_decoder.go and rest.IsValidPathSegmentName.

use serde_json::Value;

use crate::kubectl::error::{KubectlError, Result};

/// A name that cannot be part of a path.
// Models rest.IsValidPathSegmentName.
pub(super) fn check_name(name: &str) -> Result<()> {
    let refused = |why: &str| Err(KubectlError::message(format!("invalid resource name {name:?}: [{why}]")));
    if matches!(name, "." | "..") {
        return refused(&format!("may not be '{name}'"));
    }
    match name.chars().find(|c| matches!(c, '/' | '%')) {
        Some(c) => refused(&format!("may not contain '{c}'")),
        None => Ok(()),
    }
}

/// Objects must say what they are before anything is sent.
// Models validation.paramVerifyingSchema.
pub(super) fn validate(document: &Value, source: &str) -> Result<()> {
    let refused = |text: &str| {
        Err(KubectlError::message(format!(
            "error validating {source:?}: error validating data: {text}; if you choose to ignore these errors, turn \
             validation off with --validate=false"
        )))
    };
    if !document.is_object() {
        return refused("invalid object to validate");
    }
    let missing = |field: &str| document[field].as_str().unwrap_or_default().is_empty();
    let errors: Vec<&str> = [("apiVersion", "apiVersion not set"), ("kind", "kind not set")]
        .into_iter()
        .filter(|(field, _)| missing(field))
        .map(|(_, text)| text)
        .collect();
    match errors[..] {
        [] => {}
        [one] => return refused(one),
        _ => return refused(&format!("[{}]", errors.join(", "))),
    }
    let version = document["apiVersion"].as_str().unwrap_or_default();
    if version.matches('/').count() > 1 {
        return refused(&format!("unexpected GroupVersion string: {version}"));
    }
    Ok(())
}

pub(super) fn decodable(object: &Value, source: &str) -> Result<()> {
    let unable = |why: String| Err(KubectlError::message(format!("unable to decode {source:?}: {why}")));
    if !object.is_object() {
        return unable(format!(
            "json: cannot unmarshal {} into Go value of type unstructured.detector",
            go_type(object)
        ));
    }
    if object["kind"].as_str().unwrap_or_default().is_empty() {
        return unable(format!("Object 'Kind' is missing in '{object}'"));
    }
    for field in ["labels", "annotations"] {
        let Some(map) = object["metadata"][field].as_object() else { continue };
        if let Some(wrong) = map.values().find(|value| !value.is_string() && !value.is_null()) {
            let text = format!(
                "json: cannot unmarshal {} into Go struct field ObjectMeta.metadata.{field} of type string",
                go_type(wrong)
            );
            return unable(text);
        }
    }
    Ok(())
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
