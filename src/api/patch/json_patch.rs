//! JSON patch (RFC 6902), with the server's limits.
// Models applyJSPatch of apiserver/pkg/endpoints/handlers.

use json_patch::PatchOperation;
use serde_json::Value;

use super::error::unprocessable;
use crate::api::codec::{MediaType, parse};
use crate::api::status::ApiError;

/// At most so many operations are done at once.
const MAX_OPERATIONS: usize = 10_000;
/// What copies may add, in bytes of JSON: as much as a request may have.
const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// What an operation may have in it.
const FIELDS: [&str; 4] = ["op", "path", "from", "value"];

/// The document that the patch makes of `document`, and warnings about the patch.
pub(super) fn apply(mut document: Value, patch: &[u8]) -> Result<(Value, Vec<String>), ApiError> {
    let patch = parse(patch, MediaType::Json)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    let Value::Array(operations) = patch else {
        let what = match patch {
            Value::Object(_) => "object",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            _ => "bool",
        };
        return Err(ApiError::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {what} into Go value of type []handlers.jsonPatchOp"
        )));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(ApiError::too_large(format!(
            "Request entity is too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let warnings = unknown_fields(&operations);
    let mut copied = 0;
    for operation in operations {
        let operation: PatchOperation = serde_json::from_value(operation).map_err(|_| unprocessable())?;
        if let PatchOperation::Copy(copy) = &operation {
            copied += document.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
            if copied > MAX_COPIED_BYTES {
                return Err(unprocessable());
            }
        }
        json_patch::patch_unsafe(&mut document, std::slice::from_ref(&operation))
            .map_err(|_| unprocessable())?;
    }
    Ok((document, warnings))
}

fn unknown_fields(operations: &[Value]) -> Vec<String> {
    let mut warnings = vec![];
    for (index, operation) in operations.iter().enumerate() {
        let keys = operation.as_object().into_iter().flat_map(|map| map.keys());
        let unknown = keys.filter(|key| !FIELDS.contains(&key.as_str()));
        warnings.extend(unknown.map(|key| format!("json patch unknown field \"[{index}].{key}\"")));
    }
    warnings
}
