//! The layout of explain: a description, and the fields with theirs.
// Models k8s.io/kubectl/pkg/explain/v2/templates/plaintext.tmpl.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::{Document, indent, reference, wrap};

/// How many values of an enum a field's line shows.
const SHOWN_VALUES: usize = 4;

/// What is below a schema; empty if a field of the path is not there.
pub(super) fn output(document: &Document, schema: &Value, path: &[&str], recursive: bool) -> String {
    follow(document, schema, path, recursive, &BTreeSet::new())
}

fn follow(
    document: &Document,
    schema: &Value,
    path: &[&str],
    recursive: bool,
    seen: &BTreeSet<String>,
) -> String {
    let name = reference(schema);
    let resolved = document.resolved(schema);
    let Some((first, rest)) = path.split_first() else { return described(document, resolved, recursive) };
    if !name.is_empty() && seen.contains(name) {
        return String::new();
    }
    let mut seen = seen.clone();
    seen.insert(name.to_owned());
    if let Some(field) = resolved["properties"].get(first) {
        let mut text = String::new();
        if rest.is_empty() {
            text = format!("FIELD: {first} <{}>\n{}\n\n", document.type_guess(field), values_on_lines(field));
        }
        let below = follow(document, field, rest, recursive, &BTreeSet::new());
        return if below.is_empty() { below } else { text + &below };
    }
    for below in ["items", "additionalProperties"] {
        if resolved[below].is_object() {
            return follow(document, &resolved[below], path, recursive, &seen);
        }
    }
    let alternatives = resolved["allOf"].as_array().into_iter().flatten();
    alternatives
        .map(|schema| follow(document, schema, path, recursive, &seen))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn described(document: &Document, schema: &Value, recursive: bool) -> String {
    let description = description(document, schema);
    let description = if description.is_empty() { "<empty>" } else { &description };
    let mut text = format!("DESCRIPTION:\n{}\n", indent(4, &wrap(76, description)));
    let documents = external_docs(schema, 0, 76);
    if !documents.is_empty() {
        text += &format!("\n{documents}");
    }
    let fields = fields(document, schema, 1, recursive, &BTreeSet::new());
    if !fields.is_empty() {
        text += &format!("FIELDS:\n{fields}");
    }
    text
}

/// The descriptions of a schema and of what it is made of.
fn description(document: &Document, schema: &Value) -> String {
    let resolved = document.resolved(schema);
    let mut text = String::new();
    if let Some(own) = resolved["description"].as_str().filter(|own| !own.is_empty()) {
        text += own;
        text.push('\n');
    }
    for part in resolved["allOf"].as_array().into_iter().flatten() {
        text += &description(document, part);
    }
    for below in ["items", "additionalProperties"] {
        if resolved[below].is_object() {
            text += &description(document, &resolved[below]);
        }
    }
    text
}

fn external_docs(schema: &Value, amount: usize, width: usize) -> String {
    let documents = &schema["externalDocs"];
    if !documents.is_object() {
        return String::new();
    }
    let mut text = indent(amount, "EXTERNAL DOCS:") + "\n";
    if let Some(description) = documents["description"].as_str().filter(|d| !d.is_empty()) {
        text += &format!("{}\n", indent(amount + 4, &wrap(width, description)));
    }
    if let Some(url) = documents["url"].as_str().filter(|url| !url.is_empty()) {
        text += &format!("{}\n", indent(amount + 4, &format!("URL: {url}")));
    }
    text
}

/// The fields of a schema, and with `recursive` those below them.
fn fields(
    document: &Document,
    schema: &Value,
    level: usize,
    recursive: bool,
    seen: &BTreeSet<String>,
) -> String {
    let name = reference(schema);
    if !name.is_empty() && seen.contains(name) {
        return String::new();
    }
    let mut seen = seen.clone();
    seen.insert(name.to_owned());
    let resolved = document.resolved(schema);
    let mut text = String::new();
    for (name, field) in resolved["properties"].as_object().into_iter().flatten() {
        let required =
            resolved["required"].as_array().is_some_and(|list| list.iter().any(|item| item == name));
        text += &detail(document, name, field, required, level * 2, recursive);
        if recursive {
            text += &fields(document, field, level + 1, recursive, &seen);
        }
    }
    for part in resolved["allOf"].as_array().into_iter().flatten() {
        text += &fields(document, part, level, recursive, &seen);
    }
    for below in ["items", "additionalProperties"] {
        if resolved[below].is_object() {
            text += &fields(document, &resolved[below], level, recursive, &seen);
        }
    }
    text
}

fn detail(
    document: &Document,
    name: &str,
    field: &Value,
    required: bool,
    amount: usize,
    short: bool,
) -> String {
    let mut text = format!("{}\t<{}>", indent(amount, name), document.type_guess(field));
    if required {
        text += " -required-";
    }
    text += &values_on_a_line(field, amount);
    text.push('\n');
    if short {
        return text;
    }
    let description = field["description"].as_str().filter(|d| !d.is_empty()).unwrap_or("<no description>");
    text += &format!("{}\n", indent(amount + 2, &wrap(78_usize.saturating_sub(amount), description)));
    let documents = external_docs(field, amount + 2, 76_usize.saturating_sub(amount));
    if !documents.is_empty() {
        text += &format!("\n{documents}");
    }
    text + "\n"
}

fn enum_values(field: &Value) -> Vec<String> {
    let text = |value: &Value| match value.as_str() {
        Some("") => "\"\"".to_owned(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    field["enum"].as_array().into_iter().flatten().map(text).collect()
}

fn values_on_lines(field: &Value) -> String {
    let values = enum_values(field);
    if values.is_empty() {
        return String::new();
    }
    values.iter().fold("ENUM:".to_owned(), |text, value| text + "\n    " + value)
}

fn values_on_a_line(field: &Value, amount: usize) -> String {
    let values = enum_values(field);
    if values.is_empty() {
        return String::new();
    }
    let more = if values.len() > SHOWN_VALUES { ", ...." } else { "" };
    let shown = &values[..values.len().min(SHOWN_VALUES)];
    format!("\n{}enum: {}{more}", " ".repeat(amount), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Document {
        Document(json!({"components": {"schemas": {
            "io.k8s.Pod": {"description": "A pod.", "type": "object", "required": ["spec"], "properties": {
                "kind": {"type": "string", "description": "The kind."},
                "spec": {"allOf": [{"$ref": "#/components/schemas/io.k8s.PodSpec"}], "description": "What is wanted."},
            }},
            "io.k8s.PodSpec": {"description": "PodSpec is a spec.", "type": "object", "properties": {
                "containers": {"type": "array", "items": {"$ref": "#/components/schemas/io.k8s.Container"}},
                "policy": {"type": "string", "enum": ["", "A", "B", "C", "D"], "description": "Which."},
            }},
            "io.k8s.Container": {"type": "object", "properties": {"name": {"type": "string"}, "again": {"$ref": "#/components/schemas/io.k8s.Container"}}},
        }}}))
    }

    fn explain(path: &[&str], recursive: bool) -> String {
        let document = document();
        let schema = document.resolve("#/components/schemas/io.k8s.Pod").unwrap();
        output(&document, schema, path, recursive)
    }

    #[test]
    fn kinds_and_fields_are_laid_out() {
        let kind = "DESCRIPTION:\n    A pod.\n    \nFIELDS:\n  kind\t<string>\n    The kind.\n\n  spec\t<PodSpec> -required-\n    What is \
                    wanted.\n\n";
        assert_eq!(explain(&[], false), kind);
        let policy = "FIELD: policy <string>\nENUM:\n    \"\"\n    A\n    B\n    C\n    D\n\nDESCRIPTION:\n    Which.\n    \n";
        assert_eq!(explain(&["spec", "policy"], false), policy);
        let spec = "FIELD: spec <PodSpec>\n\n\nDESCRIPTION:\n    What is wanted.\n    PodSpec is a spec.\n    \nFIELDS:\n  \
                    containers\t<[]Container>\n    again\t<Container>\n    name\t<string>\n  policy\t<string>\n  enum: \"\", A, B, C, ....\n";
        assert_eq!(explain(&["spec"], true), spec);
        assert_eq!(explain(&["spec", "containers", "nosuch"], false), "");
        assert!(
            explain(&["spec", "containers", "name"], false)
                .starts_with("FIELD: name <string>\n\n\nDESCRIPTION:\n    <empty>\n")
        );
    }
}
