//! Labels, annotations, taints, tolerations: lists of which every line but the first starts under the first.
// Models kubectl/pkg/describe (printLabelsMultiline and the other Multiline functions).

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{map, some_int, some_text, text, time};
use super::writer::{Writer, put};
use crate::meta::age;

/// The annotation that describe never shows.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// How long an annotation may be on one line.
const MAX_ANNOTATION: usize = 140;

/// `Name:` and, for what has one, `Namespace:`.
pub fn name_and_namespace(w: &mut Writer, object: &Value) {
    put!(w, 0, "Name:\t{}\n", text(object, "/metadata/name"));
    put!(w, 0, "Namespace:\t{}\n", text(object, "/metadata/namespace"));
}

/// `Labels:` and `Annotations:` of an object.
pub fn labels_and_annotations(w: &mut Writer, object: &Value) {
    labels(w, "Labels", &map(object, "/metadata/labels"));
    annotations(w, "Annotations", &map(object, "/metadata/annotations"));
}

/// Lines under a title, or `<none>`.
pub fn lines(w: &mut Writer, title: &str, lines: &[String]) {
    put!(w, 0, "{title}:\t");
    if lines.is_empty() {
        w.write(0, "<none>\n");
    }
    for (index, line) in lines.iter().enumerate() {
        let indent = if index == 0 { "" } else { "\t" };
        put!(w, 0, "{indent}{line}\n");
    }
}

/// `key=value` lines.
pub fn labels(w: &mut Writer, title: &str, labels: &BTreeMap<String, String>) {
    let all: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    lines(w, title, &all);
}

/// `key: value` lines; long and many-lined values get lines of their own and are cut.
pub fn annotations(w: &mut Writer, title: &str, annotations: &BTreeMap<String, String>) {
    put!(w, 0, "{title}:\t");
    let shown: Vec<_> = annotations.iter().filter(|(key, _)| *key != LAST_APPLIED).collect();
    if shown.is_empty() {
        w.write(0, "<none>\n");
    }
    for (index, (key, value)) in shown.into_iter().enumerate() {
        if index != 0 {
            w.write(0, "\t");
        }
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 > MAX_ANNOTATION || value.contains('\n') {
            put!(w, 0, "{key}:\n");
            for line in value.split('\n') {
                put!(w, 0, "\t  {}\n", shorten(line, MAX_ANNOTATION - 2));
            }
        } else {
            put!(w, 0, "{key}: {value}\n");
        }
    }
}

/// Cuts after so many bytes, never inside a letter.
fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &text[..end])
}

/// A node's taints by effect and key.
pub fn taints(w: &mut Writer, title: &str, taints: &[Value]) {
    let mut sorted: Vec<&Value> = taints.iter().collect();
    sorted.sort_by_key(|taint| format!("{},{}", text(taint, "/effect"), text(taint, "/key")));
    let all: Vec<String> = sorted.into_iter().map(taint_text).collect();
    lines(w, title, &all);
}

/// `key=value:effect`, as `kubectl taint` reads it.
// Models api/core/v1 (Taint.ToString).
fn taint_text(taint: &Value) -> String {
    let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
    match (value.is_empty(), effect.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{key}:{effect}"),
        (false, true) => format!("{key}={value}:"),
        (false, false) => format!("{key}={value}:{effect}"),
    }
}

/// A pod's tolerations by key.
pub fn tolerations(w: &mut Writer, title: &str, tolerations: &[Value]) {
    let mut sorted: Vec<&Value> = tolerations.iter().collect();
    sorted.sort_by_key(|toleration| text(toleration, "/key"));
    let all: Vec<String> = sorted.into_iter().map(toleration_text).collect();
    lines(w, title, &all);
}

fn toleration_text(toleration: &Value) -> String {
    let mut line = text(toleration, "/key").to_owned();
    if let Some(value) = some_text(toleration, "/value") {
        line.push_str(&format!("={value}"));
    }
    if let Some(effect) = some_text(toleration, "/effect") {
        line.push_str(&format!(":{effect}"));
    }
    if text(toleration, "/operator") == "Exists" && text(toleration, "/value").is_empty() {
        line.push_str(if line.is_empty() { "op=Exists" } else { " op=Exists" });
    }
    if let Some(seconds) = some_int(toleration, "/tolerationSeconds") {
        line.push_str(&format!(" for {seconds}s"));
    }
    line
}

/// The age of the time at a path.
pub fn age_of(object: &Value, path: &str, now: jiff::Timestamp) -> String {
    age::since(time(object, path), now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(describe: impl FnOnce(&mut Writer), expected: &str) {
        let mut w = Writer::new();
        describe(&mut w);
        assert_eq!(w.finish(), expected);
    }

    #[test]
    fn lists_stand_under_their_first_line() {
        let some = map(&json!({"l": {"b": "2", "a": "1"}}), "/l");
        check(|w| labels(w, "Labels", &some), "Labels:  a=1\n         b=2\n");
        check(|w| labels(w, "Labels", &BTreeMap::new()), "Labels:  <none>\n");
        let hidden = map(&json!({"l": {LAST_APPLIED: "{}"}}), "/l");
        check(|w| annotations(w, "Annotations", &hidden), "Annotations:  <none>\n");
        let long = map(&json!({"l": {"k": "x".repeat(200), "m": "one\ntwo\n"}}), "/l");
        let expected = format!(
            "Annotations:  k:\n                {}...\n              m:\n                one\n                two\n",
            "x".repeat(138)
        );
        check(|w| annotations(w, "Annotations", &long), &expected);
    }

    #[test]
    fn taints_and_tolerations_read_as_they_are_written() {
        let value =
            json!([{"key": "b", "effect": "NoSchedule"}, {"key": "a", "value": "x", "effect": "NoExecute"}]);
        check(
            |w| taints(w, "Taints", value.as_array().unwrap()),
            "Taints:  a=x:NoExecute\n         b:NoSchedule\n",
        );
        let value = json!([
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"operator": "Exists"}, {"key": "k", "operator": "Equal", "value": "v"}]);
        check(
            |w| tolerations(w, "T", value.as_array().unwrap()),
            "T:  op=Exists\n    k=v\n    node.kubernetes.io/unreachable:NoExecute op=Exists for 300s\n",
        );
    }
}
