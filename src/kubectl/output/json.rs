//! JSON as Go writes it: keys in order, four spaces, `<`, `>` and `&` escaped or not as kubectl has it.
// Models k8s.io/cli-runtime/pkg/printers/json.go and encoding/json.

use serde::Serialize;
use serde_json::Value;

use crate::meta::number::go_number;

use super::print_flags::ResourcePrinter;
use crate::kubectl::error::Result;

/// Prints objects with an indentation of four spaces.
pub struct JsonPrinter;

impl ResourcePrinter for JsonPrinter {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        write_value(out, object, Some("    "), 0);
        out.push('\n');
        Ok(())
    }
}

/// A value in one line, keys in order.
pub fn compact(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, None, 0);
    out
}

/// A value on lines, keys in order, one indentation a level.
pub fn pretty(value: &Value, indent: &str) -> String {
    let mut out = String::new();
    write_value(&mut out, value, Some(indent), 0);
    out
}

/// A struct on lines, its fields in the order of their declaration.
pub fn pretty_ordered(value: &impl Serialize, indent: &str) -> String {
    let mut bytes = vec![];
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // Serialising plain data into memory cannot fail.
    let _ = value.serialize(&mut serializer);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn line_break(out: &mut String, indent: Option<&str>, depth: usize) {
    if let Some(indent) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(indent, depth));
    }
}

fn write_value(out: &mut String, value: &Value, indent: Option<&str>, depth: usize) {
    match value {
        Value::String(text) => write_string(out, text),
        Value::Number(number) => *out += &go_number(number),
        Value::Array(items) if items.is_empty() => *out += "[]",
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                line_break(out, indent, depth + 1);
                write_value(out, item, indent, depth + 1);
            }
            line_break(out, indent, depth);
            out.push(']');
        }
        Value::Object(map) if map.is_empty() => *out += "{}",
        Value::Object(map) => {
            out.push('{');
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for (number, key) in keys.into_iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                line_break(out, indent, depth + 1);
                write_string(out, key);
                *out += if indent.is_some() { ": " } else { ":" };
                write_value(out, &map[key], indent, depth + 1);
            }
            line_break(out, indent, depth);
            out.push('}');
        }
        other => *out += &other.to_string(),
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            '\r' => *out += "\\r",
            '\t' => *out += "\\t",
            '\u{8}' => *out += "\\b",
            '\u{c}' => *out += "\\f",
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => *out += &format!("\\u{:04x}", u32::from(letter)),
            control if control < ' ' => *out += &format!("\\u{:04x}", u32::from(control)),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_printed_as_go_prints_them() {
        let value = json!({"b": [1, 2.5, {}], "a": "<x> & \"y\"", "c": [], "d": null, "e": 1e30, "f": true});
        assert_eq!(
            compact(&value),
            r#"{"a":"\u003cx\u003e \u0026 \"y\"","b":[1,2.5,{}],"c":[],"d":null,"e":1e+30,"f":true}"#
        );
        assert_eq!(pretty(&json!({"a": [1]}), "    "), "{\n    \"a\": [\n        1\n    ]\n}");
    }
}
