//! Why a patch cannot be made or applied, in Kubernetes' words.
// Models k8s.io/apimachinery/pkg/util/mergepatch and interpretStrategicMergePatchError of apiserver/pkg/endpoints/handlers.

use serde_json::{Map, Value};

use super::go_print::go_print;
use crate::api::status::ApiError;

/// Why a strategic or merge patch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// A document is not a JSON object.
    #[error("invalid JSON document")]
    BadJsonDoc,
    /// A list that merges holds lists.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// `$deleteFromPrimitiveList` without a field or without a list.
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// `$retainKeys` that does not name the patch's own keys.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// `$setElementOrder` that contradicts itself.
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// The kind has no schema to merge by.
    #[error("strategic merge patch format is not supported")]
    Unsupported,
    /// Applying would undo what somebody else changed, and overwriting was not asked for.
    #[error("patch:\n{patch}\nconflicts with changes made from original to current:\n{current}\n")]
    Conflict {
        /// The patch, as YAML.
        patch: String,
        /// What was changed, as YAML.
        current: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl PatchError {
    pub(super) fn no_merge_key(map: &Map<String, Value>, key: &str) -> Self {
        let map = go_print(&Value::Object(map.clone()));
        Self::Other(format!("map: {map} does not contain declared merge key: {key}"))
    }

    pub(super) fn bad_arg(expected: &str, actual: &Value) -> Self {
        Self::Other(format!("expected a {expected}, but received a {}", go_type(actual)))
    }

    pub(super) fn bad_directive(directive: &Value, map: &Map<String, Value>) -> Self {
        let directive = go_print(directive);
        Self::Other(format!(
            "unknown patch type: {directive} in map: {}",
            go_print(&Value::Object(map.clone()))
        ))
    }
}

impl From<PatchError> for ApiError {
    fn from(error: PatchError) -> Self {
        match &error {
            PatchError::ListOfLists => unprocessable(),
            PatchError::Other(_) | PatchError::Conflict { .. } => Self::new(500, "", error.to_string()),
            _ => Self::bad_request(error.to_string()),
        }
    }
}

/// 422 without a word of what is wrong, as the server answers to a JSON patch that does not apply.
pub(super) fn unprocessable() -> ApiError {
    ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
}

/// Go's type of a decoded JSON value.
pub(super) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
