//! YAML into JSON values, with go-yaml's words for what is wrong.

use serde_json::Value;

/// Reads one document. `Err` is what Go says, like `yaml: line 3: did not find expected key`.
pub fn to_json(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str::<Value>(text).map_err(|error| format!("yaml: {error}"))
}
