//! Reading fields of objects whose shape is not known for sure: what is missing reads as Go's zero value.
//!
//! Describers get what any server answered, so nothing here fails. Paths are JSON pointers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use crate::meta::age;
use crate::meta::quantity::Quantity;
use crate::meta::selector::Selector;

/// How Go prints a time that was never set.
const ZERO_TIME: &str = "Mon, 01 Jan 0001 00:00:00 +0000";

/// The string at a path, or the empty string.
pub fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The string at a path, if it is there and not empty.
pub fn some_text<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    Some(text(object, path)).filter(|text| !text.is_empty())
}

/// The whole number at a path, or 0.
pub fn int(object: &Value, path: &str) -> i64 {
    some_int(object, path).unwrap_or(0)
}

/// The whole number at a path.
pub fn some_int(object: &Value, path: &str) -> Option<i64> {
    object.pointer(path).and_then(Value::as_i64)
}

/// Whether `true` is at a path.
pub fn flag(object: &Value, path: &str) -> bool {
    object.pointer(path).and_then(Value::as_bool).unwrap_or(false)
}

/// The array at a path, or an empty one.
pub fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The strings of the array at a path.
pub fn texts<'a>(object: &'a Value, path: &str) -> Vec<&'a str> {
    list(object, path).iter().filter_map(Value::as_str).collect()
}

/// What is at a path, unless it is null.
pub fn some<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    object.pointer(path).filter(|value| !value.is_null())
}

/// The map of strings at a path, in the order of its keys.
pub fn map(object: &Value, path: &str) -> BTreeMap<String, String> {
    let entries = object.pointer(path).and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), plain(value))).collect()
}

/// The time at a path.
pub fn time(object: &Value, path: &str) -> Option<Timestamp> {
    text(object, path).parse().ok()
}

/// The time at a path as a description prints it.
pub fn time_text(object: &Value, path: &str) -> String {
    time(object, path).map_or_else(|| ZERO_TIME.to_owned(), age::rfc1123z)
}

/// The quantities at a path, in the order of their names.
pub fn quantities(object: &Value, path: &str) -> BTreeMap<String, Quantity> {
    map(object, path).into_iter().map(|(name, text)| (name, text.parse().unwrap_or(Quantity::ZERO))).collect()
}

/// A value as Go's `%v` prints it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut parts: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            parts.sort();
            format!("map[{}]", parts.join(" "))
        }
        other => other.to_string(),
    }
}

/// The text or number at a path, as it prints; empty if there is none.
pub fn int_or_text(object: &Value, path: &str) -> String {
    some(object, path).map(plain).unwrap_or_default()
}

/// Strings as Go's `%v` prints a slice.
pub fn slice(items: &[&str]) -> String {
    format!("[{}]", items.join(" "))
}

/// A text, or `<none>`.
pub fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// `True` or `False`.
pub fn title_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// Labels on one line, or `<none>`.
// Models apimachinery/pkg/labels (FormatLabels).
pub fn format_labels(labels: &BTreeMap<String, String>) -> String {
    let joined = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    or_none(&joined).to_owned()
}

/// The label selector at a path; none there selects nothing.
pub fn selector(object: &Value, path: &str) -> Result<Selector, String> {
    let Some(value) = some(object, path) else { return Ok(Selector::nothing()) };
    let selector: LabelSelector = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    Selector::from_label_selector(&selector)
}

/// The label selector at a path on one line, `<none>` or `<error>`.
// Models apimachinery/pkg/apis/meta/v1 (FormatLabelSelector).
pub fn format_selector(object: &Value, path: &str) -> String {
    match selector(object, path) {
        Ok(selector) => or_none(&selector.to_string()).to_owned(),
        Err(_) => "<error>".to_owned(),
    }
}

/// The name of an object's controller as `Kind/name`.
pub fn controller(object: &Value) -> Option<String> {
    let owner = list(object, "/metadata/ownerReferences").iter().find(|owner| flag(owner, "/controller"))?;
    Some(format!("{}/{}", text(owner, "/kind"), text(owner, "/name")))
}

/// Whether the object with that UID is the controller.
pub fn is_controlled_by(object: &Value, uid: &str) -> bool {
    let mut owners = list(object, "/metadata/ownerReferences").iter();
    owners.find(|owner| flag(owner, "/controller")).is_some_and(|owner| text(owner, "/uid") == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_reads_as_zero() {
        let object = json!({"spec": {"n": 3, "list": ["a", "b"], "at": "2026-11-20T08:04:15Z"}});
        assert_eq!((int(&object, "/spec/n"), int(&object, "/spec/none")), (3, 0));
        assert_eq!(slice(&texts(&object, "/spec/list")), "[a b]");
        assert_eq!(time_text(&object, "/spec/at"), "Fri, 20 Nov 2026 08:04:15 +0000");
        assert_eq!(time_text(&object, "/spec/never"), ZERO_TIME);
        assert_eq!(plain(&object), "map[spec:map[at:2026-11-20T08:04:15Z list:[a b] n:3]]");
        assert_eq!(format_selector(&object, "/spec/selector"), "<none>");
    }
}
