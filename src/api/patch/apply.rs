//! A PATCH request's body applied to an object: the one entry for the three kinds of patches.
// Models apiserver/pkg/endpoints/handlers/patch.go (jsonPatcher, smpPatcher).

use serde_json::Value;

use super::error::PatchError;
use super::go_print::go_print;
use super::{json_patch, merge, strategic};
use crate::api::codec::{self, Decoded, FieldValidation, MediaType, Target};
use crate::api::field::{FieldError, FieldPath};
use crate::api::status::ApiError;

/// How a patch is written, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
}

/// The object that a patch makes of `current`, which is the object as it is served (see `codec::to_canonical_value`). The
/// result is like a decoded body: no defaults yet.
pub fn apply(
    target: &Target<'_>,
    current: Value,
    patch: &[u8],
    r#type: PatchType,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    match r#type {
        PatchType::Json => {
            let (patched, warnings) = json_patch::apply(current, patch)?;
            decoded(target, patched, warnings, validation)
        }
        PatchType::Merge => {
            let document = codec::parse(patch, MediaType::Json)
                .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
            if !document.is_object() {
                return Err(ApiError::bad_request(
                    "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}",
                ));
            }
            let repeated = codec::repeated_fields(patch);
            decoded(target, merge::merge_patch(current, document), repeated, validation)
        }
        PatchType::Strategic => strategic(target, current, patch, validation),
    }
}

/// The patched document as an object, with the errors that the patch gets when it is none.
fn decoded(
    target: &Target<'_>,
    patched: Value,
    mut warnings: Vec<String>,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    let text = String::from_utf8_lossy(&codec::encode_plain("", &patched)).into_owned();
    let read = codec::decode_loosely(target, text.as_bytes()).map_err(|error| invalid(&text, &error))?;
    warnings.extend(read.warnings);
    finish(read.value, warnings, &text, validation)
}

fn strategic(
    target: &Target<'_>,
    current: Value,
    patch: &[u8],
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    let (Some(info), false) = (target.schema, target.custom) else {
        return Err(PatchError::Unsupported.into());
    };
    let document = codec::parse(patch, MediaType::Json).map_err(ApiError::bad_request)?;
    let (Value::Object(document), Value::Object(current)) = (document, current) else {
        return Err(ApiError::bad_request(
            "json: cannot unmarshal into Go value of type map[string]interface {}",
        ));
    };
    let shown = go_print(&Value::Object(document.clone()));
    let patched = strategic::strategic_merge(current, document, info)?;
    let read =
        codec::from_unstructured(target, Value::Object(patched)).map_err(|error| invalid(&shown, &error))?;
    let mut warnings = codec::repeated_fields(patch);
    warnings.extend(read.warnings);
    finish(read.value, warnings, &shown, validation)
}

fn finish(
    value: Value,
    warnings: Vec<String>,
    shown: &str,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    match validation {
        FieldValidation::Ignore => Ok(Decoded { value, warnings: vec![] }),
        FieldValidation::Strict if !warnings.is_empty() => {
            Err(invalid(shown, &format!("strict decoding error: {}", warnings.join(", "))))
        }
        _ => Ok(Decoded { value, warnings }),
    }
}

fn invalid(shown: &str, error: &str) -> ApiError {
    ApiError::invalid("", "", "", &[FieldError::invalid(&FieldPath::new("patch"), shown, error)])
}
