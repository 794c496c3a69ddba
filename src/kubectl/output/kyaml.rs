//! `-o kyaml`: YAML in flow style with quoted texts, a dialect that is hard to get wrong.
// Models sigs.k8s.io/yaml/kyaml.

use serde_json::Value;

use super::print_flags::ResourcePrinter;
use crate::kubectl::error::Result;
use crate::meta::number::go_number;

/// Prints documents with `---` in front of each.
#[derive(Default)]
pub struct KyamlPrinter;

impl ResourcePrinter for KyamlPrinter {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        *out += "---\n";
        write(out, object, 0);
        out.push('\n');
        Ok(())
    }
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// Writes a value whose line starts at a column.
fn write(out: &mut String, value: &Value, column: usize) {
    match value {
        Value::Object(map) if map.is_empty() => *out += "{}",
        Value::Object(map) => {
            *out += "{\n";
            for (key, value) in map {
                spaces(out, column + 2);
                if needs_quotes(key) {
                    text_on_one_line(out, key);
                } else {
                    *out += key;
                }
                *out += ": ";
                write(out, value, column + 2);
                *out += ",\n";
            }
            spaces(out, column);
            out.push('}');
        }
        Value::Array(items) => list(out, items, column),
        Value::String(text) if text.contains('\n') => lines(out, text, column),
        Value::String(text) => text_on_one_line(out, text),
        Value::Number(number) => *out += &go_number(number),
        other => *out += &other.to_string(),
    }
}

/// A list: items that are all objects or lists hug its brackets, others get lines of their own.
fn list(out: &mut String, items: &[Value], column: usize) {
    let cuddled = items.iter().all(|item| item.is_object() || item.is_array());
    if cuddled {
        out.push('[');
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                *out += ", ";
            }
            write(out, item, column);
        }
        out.push(']');
        return;
    }
    *out += "[\n";
    for item in items {
        spaces(out, column + 2);
        write(out, item, column + 2);
        *out += ",\n";
    }
    spaces(out, column);
    out.push(']');
}

/// A text of several lines: one a line, joined by escaped line breaks.
fn lines(out: &mut String, text: &str, column: usize) {
    *out += "\"\\\n";
    for line in text.split_inclusive('\n') {
        let (content, end) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\\n"));
        spaces(out, column + 2);
        out.push(if content.starts_with([' ', '\t']) { '\\' } else { ' ' });
        escape(out, content);
        *out += end;
        *out += "\\\n";
    }
    spaces(out, column + 2);
    out.push('"');
}

fn text_on_one_line(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text);
    out.push('"');
}

fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            '\r' => *out += "\\r",
            '\0' => *out += "\\0",
            '\u{7}' => *out += "\\a",
            '\u{8}' => *out += "\\b",
            '\u{b}' => *out += "\\v",
            '\u{c}' => *out += "\\f",
            '\u{1b}' => *out += "\\e",
            '\u{2028}' => *out += "\\L",
            '\u{2029}' => *out += "\\P",
            '\t' => out.push('\t'),
            control if control < ' ' || control == '\u{7f}' => {
                *out += &format!("\\x{:02X}", u32::from(control))
            }
            other => out.push(other),
        }
    }
}

/// Whether a key would be read as something else than itself.
fn needs_quotes(key: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let edge = |c: char| c.is_alphanumeric() || c == '_';
    let plain = key.chars().all(inside) && key.starts_with(edge) && key.ends_with(edge);
    let words =
        ["null", "true", "false", "y", "yes", "n", "no", "t", "f", "on", "off", "inf", "infinity", "nan"];
    !plain || words.contains(&key.to_lowercase().as_str()) || !crate::yaml::resolve::is_text(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_laid_out() {
        let value = json!({
            "l1": [{"a": 1}, {"b": [[1]]}], "l2": [1, {"a": 1}], "l3": [], "l4": [[]], "f": true, "on": "x", "1": 2, "a/b": null,
            "s": "  lead\nx\n", "q": "a\"b", "1a": 1, "a-": 1,
        });
        let expected = "---\n{\n  \"1\": 2,\n  1a: 1,\n  \"a-\": 1,\n  a/b: null,\n  \"f\": true,\n  l1: [{\n    a: 1,\n  }, {\n    b: [[\n      \
                        1,\n    ]],\n  }],\n  l2: [\n    1,\n    {\n      a: 1,\n    },\n  ],\n  l3: [],\n  l4: [[]],\n  \"on\": \"x\",\n  q: \
                        \"a\\\"b\",\n  s: \"\\\n    \\  lead\\n\\\n     x\\n\\\n    \",\n}\n";
        let mut out = String::new();
        KyamlPrinter.print(&value, &mut out).unwrap();
        assert_eq!(out, expected);
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back(text in "\\PC{0,40}|[ \na-c]{0,20}", key in "[a-zA-Z0-9 :#/._-]{0,12}", number in -1000..1000) {
            let value = json!({"k": {key: [text.clone(), {"x": text.clone(), "n": [[number, true, null]]}]}, "t": text});
            let mut out = String::new();
            KyamlPrinter.print(&value, &mut out).unwrap();
            proptest::prop_assert_eq!(crate::yaml::to_json(out.trim_start_matches("---\n")).unwrap(), value, "{}", out);
        }
    }
}
