//! Objects as Kubernetes' own messages show them: with the field names of its internal Go types, every field written.
//!
//! Pod updates are refused with a diff of such texts; `fixtures/schema/internal.tsv` has the facts.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// A field of an internal type.
struct Field {
    name: &'static str,
    /// The name in the API's JSON; with a `^` in front it is a field of the object around.
    json: &'static str,
    shape: &'static str,
}

static TYPES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let table = include_str!("../../../fixtures/schema/internal.tsv");
    let mut types: HashMap<&'static str, Vec<Field>> = HashMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        if let [name, field, json, shape] = line.split('\t').collect::<Vec<_>>()[..] {
            types.entry(name).or_default().push(Field { name: field, json, shape });
        }
    }
    types
});

/// A value whose fields have an order.
enum Tree {
    Leaf(String),
    List(Vec<Tree>),
    Fields(Vec<(String, Tree)>),
}

/// The object of that internal type, on lines of their own with one space of indentation a level.
pub(crate) fn pretty(type_name: &str, object: &Value) -> String {
    let mut text = String::new();
    write(&typed(type_name, object, &Map::new()), 0, &mut text);
    text
}

fn typed(type_name: &str, object: &Value, around: &Map<String, Value>) -> Tree {
    let none = Map::new();
    let fields = object.as_object().unwrap_or(&none);
    let mut rows = vec![];
    for field in TYPES.get(type_name).into_iter().flatten() {
        if field.name == "ObjectMeta" {
            // Embedded: its fields stand beside the others.
            let meta = fields.get("metadata").and_then(Value::as_object);
            rows.extend(meta.into_iter().flatten().map(|(name, value)| (name.clone(), plain(value))));
            continue;
        }
        let value = match field.json.strip_prefix('^') {
            Some(outer) => around.get(outer),
            None => fields.get(field.json),
        };
        rows.push((
            field.name.to_owned(),
            shaped(field.shape, value.filter(|value| !value.is_null()), fields),
        ));
    }
    Tree::Fields(rows)
}

fn shaped(shape: &str, value: Option<&Value>, around: &Map<String, Value>) -> Tree {
    let null = || Tree::Leaf("null".to_owned());
    if let Some(inner) = shape.strip_prefix('*') {
        return value.map_or_else(null, |value| shaped(inner, Some(value), around));
    }
    if let Some(inner) = shape.strip_prefix("[]") {
        let list = value.and_then(Value::as_array);
        return list.map_or_else(null, |list| {
            Tree::List(list.iter().map(|v| shaped(inner, Some(v), around)).collect())
        });
    }
    if let Some(inner) = shape.strip_prefix("map:") {
        let map = value.and_then(Value::as_object);
        let entry = |(key, value): (&String, &Value)| (key.clone(), shaped(inner, Some(value), around));
        return map.map_or_else(null, |map| Tree::Fields(map.iter().map(entry).collect()));
    }
    match (shape, value) {
        ("v1", Some(value)) => plain(value),
        ("string", None) => Tree::Leaf("\"\"".to_owned()),
        ("quantity", None) => Tree::Leaf("\"0\"".to_owned()),
        ("bool", None) => Tree::Leaf("false".to_owned()),
        ("int" | "intstr", None) => Tree::Leaf("0".to_owned()),
        ("string" | "bool" | "int" | "intstr" | "quantity", Some(value)) => plain(value),
        (name, value) => typed(name, value.unwrap_or(&Value::Null), around),
    }
}

fn plain(value: &Value) -> Tree {
    match value {
        Value::Array(list) => Tree::List(list.iter().map(plain).collect()),
        Value::Object(fields) => {
            Tree::Fields(fields.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::String(text) => Tree::Leaf(quoted(text)),
        other => Tree::Leaf(other.to_string()),
    }
}

/// A string as Go's JSON writes it, which hides what HTML would read.
fn quoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn write(tree: &Tree, depth: usize, text: &mut String) {
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', depth));
    };
    match tree {
        Tree::Leaf(leaf) => text.push_str(leaf),
        Tree::List(list) if list.is_empty() => text.push_str("[]"),
        Tree::Fields(fields) if fields.is_empty() => text.push_str("{}"),
        Tree::List(list) => {
            text.push('[');
            for (index, element) in list.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                line(text, depth + 1);
                write(element, depth + 1, text);
            }
            line(text, depth);
            text.push(']');
        }
        Tree::Fields(fields) => {
            text.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                line(text, depth + 1);
                text.push_str(&quoted(name));
                text.push_str(": ");
                write(value, depth + 1, text);
            }
            line(text, depth);
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_that_a_shape_names_is_in_the_table() {
        let plain = ["v1", "string", "bool", "int", "intstr", "quantity"];
        for field in TYPES.values().flatten() {
            let name = field.shape.trim_start_matches("map:").trim_start_matches(['*', '[', ']']);
            assert!(plain.contains(&name) || TYPES.contains_key(name), "{name} of {}", field.name);
        }
    }

    #[test]
    fn fields_have_their_internal_names_and_zero_values() {
        let text = pretty("EnvVar", &json!({"name": "A", "value": "<b>"}));
        assert_eq!(text, "{\n \"Name\": \"A\",\n \"Value\": \"\\u003cb\\u003e\",\n \"ValueFrom\": null\n}");
        let text = pretty("PodSpec", &json!({"hostNetwork": true, "securityContext": {}}));
        assert!(
            text.contains(" \"SecurityContext\": {\n  \"HostNetwork\": true,\n  \"HostPID\": false,"),
            "{text}"
        );
    }
}
