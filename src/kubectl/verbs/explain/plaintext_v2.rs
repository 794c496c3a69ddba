//! The older layout of explain, `-o plaintext-openapiv2`.
// Models k8s.io/kubectl/pkg/explain (model_printer.go, fields_printer.go, formatter.go).

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::{Document, indent, reference};

/// The width of descriptions, their indentation included.
const WIDTH: usize = 80;

/// What is at a path, or the field that is not there.
pub(super) fn output<'p>(
    document: &Document,
    schema: &Value,
    path: &[&'p str],
    recursive: bool,
) -> Result<String, &'p str> {
    let mut current = schema;
    for field in path {
        current = object(document, current)["properties"].get(*field).ok_or(*field)?;
    }
    let target = object(document, current);
    let fields = target["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    let mut text = String::new();
    if let Some(name) = path.last() {
        let label = if fields { "RESOURCE: " } else { "FIELD:    " };
        text += &format!("{label}{name} <{}>\n\n", kind(document, current));
    }
    let mut descriptions: Vec<&str> = vec![];
    for schema in [current, target] {
        if let Some(own) =
            schema["description"].as_str().filter(|own| !own.is_empty() && !descriptions.contains(own))
        {
            descriptions.push(own);
        }
    }
    text += "DESCRIPTION:\n";
    if descriptions.is_empty() {
        text += "     <empty>\n";
    }
    for (number, description) in descriptions.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        text += &wrapped(5, description);
    }
    if fields {
        text += "\nFIELDS:\n";
        text += &list(document, target, 3, recursive, &BTreeSet::new());
    }
    Ok(text)
}

/// The object behind lists, maps and references.
fn object<'a>(document: &'a Document, schema: &'a Value) -> &'a Value {
    let mut current = schema;
    // A schema leads to its object in a few steps; a cycle ends the walk.
    for _ in 0..16 {
        let resolved = document.resolved(current);
        let next = ["items", "additionalProperties"]
            .iter()
            .map(|below| &resolved[*below])
            .find(|below| below.is_object());
        let next = next.or_else(|| resolved["allOf"].get(0).filter(|_| resolved["properties"].is_null()));
        match next {
            Some(next) => current = next,
            None => return resolved,
        }
    }
    current
}

/// The type: `string`, `[]Object`, `map[string]string`.
fn kind(document: &Document, schema: &Value) -> String {
    let guess = document.type_guess(schema);
    let base = guess.trim_start_matches("[]").trim_start_matches("map[string]");
    let prefix = &guess[..guess.len() - base.len()];
    if !base.starts_with(|c: char| c.is_ascii_uppercase()) {
        return guess;
    }
    // What may be a number or a text, like a quantity, is a text to this layout.
    let either = object(document, schema)["oneOf"].is_array();
    format!("{prefix}{}", if either { "string" } else { "Object" })
}

fn list(
    document: &Document,
    schema: &Value,
    amount: usize,
    recursive: bool,
    seen: &BTreeSet<String>,
) -> String {
    let mut text = String::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let required = schema["required"].as_array().is_some_and(|list| list.iter().any(|item| item == name));
        let mark = if required { " -required-" } else { "" };
        text += &format!("{}\t<{}>{mark}\n", indent(amount, name), kind(document, field));
        if !recursive {
            let description = field["description"].as_str().unwrap_or("<no description>");
            text += &format!("{}\n", wrapped(amount + 2, description));
            continue;
        }
        let below = object(document, field);
        let name = format!("{}{}", reference(field), kind(document, field));
        if below["properties"].is_object() && !seen.contains(&name) {
            let mut seen = seen.clone();
            seen.insert(name);
            text += &list(document, below, amount + 3, recursive, &seen);
        }
    }
    text
}

/// A description with its lines joined and broken anew, but for lists, blocks that are indented and empty lines.
// Models wrapString.
fn wrapped(amount: usize, text: &str) -> String {
    let mut lines: Vec<String> = vec![];
    let mut line = String::new();
    for source in text.split('\n') {
        let (block, blank) = (source.starts_with("    "), source.trim().is_empty());
        let list = source.trim().split_once(char::is_whitespace).is_some_and(|(mark, _)| {
            let digits = mark.strip_suffix('.').unwrap_or(mark);
            ["-", "*"].contains(&mark)
                || (!digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit()))
        });
        if (block || blank || list || line.ends_with(':')) && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if block {
            lines.push(source.to_owned());
            continue;
        }
        if blank && !lines.is_empty() {
            lines.push(String::new());
            continue;
        }
        for word in source.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH - amount {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    let padded = |line: &String| if line.is_empty() { "\n".to_owned() } else { indent(amount, line) + "\n" };
    lines.iter().map(padded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_broken_anew_but_for_lists_and_blocks() {
        let text = "One  two\nthree:\nfour\n\n- a\n2. b\n    as it is";
        assert_eq!(wrapped(2, text), "  One two three:\n  four\n\n  - a\n  2. b\n      as it is\n");
        assert_eq!(
            wrapped(70, "word another third"),
            "          word\n".replace("          ", &" ".repeat(70))
                + &format!("{}another\n{}third\n", " ".repeat(70), " ".repeat(70))
        );
    }
}
