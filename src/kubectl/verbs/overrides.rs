//! `--overrides`: a patch on what `run` and `expose` make.
// Models kubectl/pkg/cmd/util (override_options.go, merge.go).

use serde_json::Value;

use super::patching::{MERGE_PATCH, Patch, STRATEGIC_PATCH};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::Mapping;
use crate::yaml;

/// `--overrides` and `--override-type`.
pub fn flags(default_type: &str) -> Vec<Flag> {
    vec![
        Flag::string("overrides", "", "JSON or YAML that is merged into the object before it is created."),
        Flag::string("override-type", default_type, "How it is merged: json, merge or strategic."),
    ]
}

/// The object with the overrides in it.
pub fn apply(flags: &Flags, mapping: &Mapping, object: Value) -> Result<Value> {
    let text = flags.string("overrides");
    if text.is_empty() {
        return Ok(object);
    }
    let body: Value = yaml::to_json(text)
        .map_err(|error| KubectlError::message(format!("error parsing overrides: {error}")))?;
    match flags.string("override-type") {
        "json" => json_patch(object, &body),
        "merge" => Patch { media_type: MERGE_PATCH, body }.apply_locally(mapping, &object),
        "strategic" => Patch { media_type: STRATEGIC_PATCH, body }.apply_locally(mapping, &object),
        other => Err(KubectlError::message(format!("invalid override type: {other:?}"))),
    }
}

/// Applies a JSON patch here.
pub fn json_patch(mut object: Value, patch: &Value) -> Result<Value> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|error| KubectlError::message(error.to_string()))?;
    json_patch::patch(&mut object, &patch).map_err(|error| KubectlError::message(error.to_string()))?;
    Ok(object)
}
