//! YAML into JSON values, with go-yaml's words for what is wrong.
//!
//! The crate serde-saphyr parses; this file turns keys into texts as Go does and its messages into go-yaml's, with
//! go-yaml's habits of counting lines: errors of the parser name the line before, and the first line goes unnamed.
// Models sigs.k8s.io/yaml (convertToJSONableObject) and go-yaml v2 (parser.fail).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one document. `Err` is what Go says, like `yaml: line 3: did not find expected key`.
pub fn to_json(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    // Go reads the first document and leaves the rest.
    let text = text.find("\n...\n").map_or(text, |end| &text[..=end]);
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
    };
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(node) => Ok(node.0),
        Err(error) => Err(format!("yaml: {}", told(&error, text))),
    }
}

/// A value with keys as Go's JSON has them.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        // Go decodes what does not fit into an int64 as a float.
        Ok(Node(i64::try_from(value).map_or_else(|_| Value::from(value as f64), Value::from)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value);
        number
            .map(|number| Node(Value::Number(number)))
            .ok_or_else(|| E::custom("json: unsupported value: NaN or Inf"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node(Value::String(value)))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = vec![];
        while let Some(Node(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Node(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut map = Map::new();
        while let Some(Node(key)) = access.next_key()? {
            let key = match key {
                Value::String(text) => text,
                Value::Bool(bool) => bool.to_string(),
                Value::Number(number) if number.is_f64() => {
                    crate::meta::number::go_float(number.as_f64().unwrap_or_default())
                }
                Value::Number(number) => number.to_string(),
                other => {
                    let kind = if other.is_null() { "%!s(<nil>), key: <nil>" } else { "map or list" };
                    return Err(serde::de::Error::custom(format!("unsupported map key of type: {kind}")));
                }
            };
            let Node(value) = access.next_value()?;
            map.insert(key, value);
        }
        Ok(Node(Value::Object(map)))
    }
}

/// An error in go-yaml's words.
fn told(error: &serde_saphyr::Error, text: &str) -> String {
    let full = error.without_snippet().to_string();
    let first = full.lines().next().unwrap_or_default();
    let (line, column) = error.location().map_or((1, 1), |place| (place.line().max(1), place.column()));
    let message = first
        .split_once(" column ")
        .map_or(first, |(_, rest)| rest.split_once(": ").map_or(first, |(_, rest)| rest));
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.split(" at line ").next().unwrap_or_default();
    let source = text.lines().nth(usize::try_from(line).unwrap_or(1).saturating_sub(1)).unwrap_or_default();
    let before: String =
        source.chars().take(usize::try_from(column).unwrap_or(1).saturating_sub(1)).collect();
    let last = text.matches('\n').count() as u64;
    let here = line - 1;
    // The scanner's marks are printed one higher than the parser's.
    let (message, mark, scanner) = match message {
        m if m.starts_with("mapping values are not allowed") => {
            ("mapping values are not allowed in this context", here, true)
        }
        m if m.starts_with("tabs disallowed")
            || m.starts_with("tab cannot")
            || m.starts_with("unexpected character") =>
        {
            ("found character that cannot start any token", here, true)
        }
        m if m.starts_with("unclosed bracket") => {
            let open = text.trim_end().ends_with(['[', ',', '{']);
            let message = match (open, m.contains('[')) {
                (true, true) => "did not find expected node content",
                (_, true) => "did not find expected ',' or ']'",
                (_, false) => "did not find expected ',' or '}'",
            };
            // The end of the text is the line behind the last one, whether that ends or not.
            (message, last + u64::from(!text.ends_with('\n')), false)
        }
        m if m.ends_with("did not find expected ',' or '}'")
            && innermost(text, line, &before) == Some('[') =>
        {
            ("did not find expected ',' or ']'", here, false)
        }
        m if m.starts_with("illegal placement of ':'") => ("did not find expected ',' or ']'", here, false),
        m if m.starts_with("misplaced bracket") => {
            let value = before.trim_end().ends_with([':', '-']);
            (
                if value { "did not find expected node content" } else { "did not find expected key" },
                here,
                false,
            )
        }
        m if m.starts_with("invalid indentation in multiline quoted scalar")
            || m.contains("unexpected end of stream") =>
        {
            ("found unexpected end of stream", last, true)
        }
        m if m.starts_with("simple key expected") => {
            ("could not find expected ':'", next_line(text, line) - 1, true)
        }
        m if m.starts_with("invalid trailing content") => ("did not find expected key", here, false),
        m if m.starts_with("alias references unknown anchor") => {
            let name = source.get(before.len()..).unwrap_or_default().trim_start_matches('*');
            return format!(
                "unknown anchor '{}' referenced",
                name.split([' ', ',', ']', '}']).next().unwrap_or_default()
            );
        }
        m => {
            let problem = m
                .strip_prefix("while ")
                .and_then(|rest| rest.split_once(", "))
                .map_or(m, |(_, problem)| problem);
            (problem, here, m.starts_with("while scanning") || m.contains("escape"))
        }
    };
    // The first line has the number 0 in go-yaml, and is left out.
    if mark == 0 { message.to_owned() } else { format!("line {}: {message}", mark + u64::from(scanner)) }
}

/// The bracket that is open where `before`, on `line`, ends.
fn innermost(text: &str, line: u64, before: &str) -> Option<char> {
    let above = text.lines().take(usize::try_from(line).unwrap_or(1).saturating_sub(1));
    let mut open = vec![];
    for letter in above.flat_map(str::chars).chain(before.chars()) {
        match letter {
            '[' | '{' => open.push(letter),
            ']' | '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// The line of what comes after a line.
fn next_line(text: &str, line: u64) -> u64 {
    let lines: Vec<&str> = text.lines().collect();
    let after = (line as usize..lines.len()).find(|index| {
        let content = lines[*index].trim();
        !content.is_empty() && !content.starts_with('#')
    });
    after.map_or(lines.len() as u64 + 1, |index| index as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_go_reads_them() {
        let text = "a: yes\nb: 0644\nc: 1.50\nd: on\ne: 1e3\nf: 2020-01-01\ng: ~\nh: 0x1F\nk: 12:30\nl: \"yes\"\ny: 1\n7: x\ntrue: z\nm: 12345678901234567890\n";
        let expected = json!({
            "a": true, "b": 420, "c": 1.5, "d": true, "e": 1000.0, "f": "2020-01-01", "g": null, "h": 31, "k": "12:30", "l": "yes",
            "7": "x", "true": "z", "m": 12345678901234567000.0,
        });
        assert_eq!(to_json(text).unwrap(), expected);
        assert_eq!(to_json("a: 1\na: 2\n").unwrap(), json!({"a": 2}));
        assert_eq!(to_json("a: &x {b: 1}\nc:\n  <<: *x\n").unwrap(), json!({"a": {"b": 1}, "c": {"b": 1}}));
        assert_eq!(to_json("").unwrap(), Value::Null);
    }

    #[test]
    fn what_is_wrong_is_told_in_gos_words() {
        let cases = [
            ("x: [", "line 1: did not find expected node content"),
            (
                "apiVersion: v1\ndata:\n  a: b\nkind: [\nmetadata:\n  name: x\n",
                "line 5: did not find expected ',' or ']'",
            ),
            ("x: [\n", "line 1: did not find expected node content"),
            (
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n   labels: x\n",
                "line 5: mapping values are not allowed in this context",
            ),
            (
                "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n",
                "line 4: found character that cannot start any token",
            ),
            (
                "spec:\n  containers:\n  - name: a\n    image: b\n   ports: c\n",
                "line 4: did not find expected key",
            ),
            ("a: \"unterminated\nb: c\n", "line 3: found unexpected end of stream"),
            ("a: b: c\n", "mapping values are not allowed in this context"),
            ("a: {b: c\n", "line 1: did not find expected ',' or '}'"),
            ("a: [b, c\nd: e\n", "line 1: did not find expected ',' or ']'"),
            ("a: b\n c: d\n", "line 2: mapping values are not allowed in this context"),
            ("a: @b\n", "found character that cannot start any token"),
            ("a: *b\n", "unknown anchor 'b' referenced"),
            ("a: |\n text\n  more\nbad\n", "line 5: could not find expected ':'"),
            ("a:\n  b: c\n d: e\n", "line 2: did not find expected key"),
            ("a: 'it's'\n", "did not find expected key"),
            ("a: \"x\\q\"\n", "found unknown escape character"),
            (
                "spec:\n  containers:\n    - name: x\n      image: y\n     command: z\n",
                "line 4: did not find expected '-' indicator",
            ),
            ("kind: Pod\n}\n", "line 1: did not find expected key"),
            ("kind: Pod\na: ]\n", "line 1: did not find expected node content"),
        ];
        for (text, expected) in cases {
            assert_eq!(to_json(text).unwrap_err(), format!("yaml: {expected}"), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c:\\-\\[\\]{}\n \t'\"*&!|>#,0-9é]{0,60}") {
            let _ = to_json(&text);
        }

        #[test]
        fn what_is_written_is_read_back(text in "\\PC{0,40}", key in "[a-z0-9 :#-]{0,12}") {
            let value = json!({"k": {key: [text.clone(), {"x": text}]}});
            prop_assert_eq!(to_json(&super::super::to_string(&value)).unwrap(), value);
        }
    }
}
