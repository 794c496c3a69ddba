//! JSON merge patch (RFC 7386), and making one from two or three documents: what kubectl sends for custom resources.
// Models github.com/evanphx/json-patch (MergePatch, CreateMergePatch) and apimachinery/pkg/util/jsonmergepatch.

use serde_json::{Map, Value};

use super::diff::{object, yaml};
use super::error::PatchError;

/// The document that the patch makes of `document`.
pub fn merge_patch(document: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let mut map = match document {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(&key);
        } else {
            let old = map.remove(&key).unwrap_or_default();
            map.insert(key, merge_patch(old, value));
        }
    }
    Value::Object(map)
}

/// The patch that makes `modified` of `original`.
pub fn create_merge_patch(original: &Value, modified: &Value) -> Result<Value, PatchError> {
    Ok(Value::Object(difference(object(original)?, object(modified)?)))
}

fn difference(original: &Map<String, Value>, modified: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, new) in modified {
        match (original.get(key), new) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let inner = difference(old, new);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Some(old), new) if old == new => {}
            _ => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    for key in original.keys().filter(|key| !modified.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// The patch that brings `current` to `modified` and takes away what was in `original` and is no longer wanted.
pub fn create_three_way_json_merge_patch(
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Result<Value, PatchError> {
    let additions = filtered(&difference(object(current)?, object(modified)?), false);
    let deletions = filtered(&difference(object(original)?, object(modified)?), true);
    if conflict(&additions, &deletions) {
        return Err(PatchError::Conflict {
            patch: yaml(&Value::Object(additions)),
            current: yaml(&Value::Object(deletions)),
        });
    }
    Ok(Value::Object(combined(deletions, additions)))
}

/// Only the nulls of a patch, or all but them.
fn filtered(patch: &Map<String, Value>, nulls: bool) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in patch {
        let value = match value {
            Value::Null if nulls => Value::Null,
            Value::Object(map) if !map.is_empty() => {
                let inner = filtered(map, nulls);
                if inner.is_empty() {
                    continue;
                }
                Value::Object(inner)
            }
            Value::Null => continue,
            _ if nulls => continue,
            value => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    kept
}

/// Whether two patches set the same thing differently.
fn conflict(left: &Map<String, Value>, right: &Map<String, Value>) -> bool {
    left.iter().any(|(key, left)| match (left, right.get(key)) {
        (_, None) => false,
        (Value::Object(left), Some(Value::Object(right))) => conflict(left, right),
        (left, Some(right)) => left != right,
    })
}

/// Two patches as one: nulls are kept.
fn combined(mut first: Map<String, Value>, second: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in second {
        let value = match (first.remove(&key), value) {
            (Some(Value::Object(first)), Value::Object(second)) => Value::Object(combined(first, second)),
            (_, value) => value,
        };
        first.insert(key, value);
    }
    first
}
