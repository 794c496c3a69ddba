//! What a template finds in a value.
// Models k8s.io/client-go/util/jsonpath (jsonpath.go) and its fork of text/template's comparisons.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::parser::{Bound, Node, parse};
use crate::kubectl::output::{gofmt, json};

/// A parsed template.
#[derive(Clone, Debug)]
pub struct JsonPath {
    nodes: Vec<Node>,
    allow_missing_keys: bool,
}

type Found<'a> = Vec<Cow<'a, Value>>;

/// How far ranges have been opened and closed while nodes are walked.
#[derive(Default)]
struct Ranges {
    begin: usize,
    inside: usize,
    end: usize,
    /// The node that ended the last range.
    last_end: Option<usize>,
}

impl JsonPath {
    /// Parses a template. `Err` is the reason, like `unclosed action`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { nodes: parse(text)?, allow_missing_keys: false })
    }

    /// Whether fields that are not there are passed over.
    #[must_use]
    pub fn allow_missing_keys(mut self, allow: bool) -> Self {
        self.allow_missing_keys = allow;
        self
    }

    /// What each part of the template finds, in order.
    pub fn find<'a>(&self, data: &'a Value) -> Result<Vec<Found<'a>>, String> {
        self.results(Some(Cow::Borrowed(data)), 0, &mut Ranges::default())
    }

    /// The text that the template makes of a value.
    pub fn execute(&self, data: &Value) -> Result<String, String> {
        let mut text = String::new();
        for results in self.find(data)? {
            let texts: Vec<String> = results.iter().map(|value| to_text(value)).collect();
            text += &texts.join(" ");
        }
        Ok(text)
    }

    /// What the template finds, as JSON arrays.
    pub fn execute_as_json(&self, data: &Value) -> Result<String, String> {
        let mut text = String::new();
        for results in self.find(data)? {
            let array = Value::Array(results.into_iter().map(Cow::into_owned).collect());
            text += &json::pretty(&array, "    ");
            text.push('\n');
        }
        Ok(text)
    }

    fn results<'a>(
        &self,
        data: Option<Cow<'a, Value>>,
        start: usize,
        ranges: &mut Ranges,
    ) -> Result<Vec<Found<'a>>, String> {
        let current: Found<'a> = data.into_iter().collect();
        let mut all = vec![];
        let mut index = start;
        while let Some(node) = self.nodes.get(index) {
            let results = self.walk(current.clone(), node, ranges)?;
            if ranges.end > 0 && ranges.end <= ranges.inside {
                ranges.end -= 1;
                ranges.last_end = Some(index);
                break;
            }
            if ranges.begin > 0 {
                ranges.begin -= 1;
                ranges.inside += 1;
                if results.is_empty() {
                    // The position still has to get to the end of the range.
                    self.results(None, index + 1, ranges)?;
                }
                for value in results {
                    all.extend(self.results(Some(value), index + 1, ranges)?);
                }
                ranges.inside -= 1;
                if let Some(end) = ranges.last_end.filter(|end| *end > index) {
                    index = end;
                }
                index += 1;
                continue;
            }
            all.push(results);
            index += 1;
        }
        Ok(all)
    }

    fn walk<'a>(&self, input: Found<'a>, node: &Node, ranges: &mut Ranges) -> Result<Found<'a>, String> {
        let constant = |value: Value| Ok(input.iter().map(|_| Cow::Owned(value.clone())).collect());
        match node {
            Node::List(nodes) => {
                nodes.iter().try_fold(input, |current, node| self.walk(current, node, ranges))
            }
            Node::Text(text) => Ok(vec![Cow::Owned(Value::String(text.clone()))]),
            Node::Field(name) => self.field(input, name),
            Node::Array(bounds) => array(input, *bounds),
            Node::Filter { left, right, operator } => self.filter(input, left, right, operator),
            Node::Int(int) => constant(Value::from(*int)),
            Node::Float(float) => constant(Value::from(*float)),
            Node::Bool(bool) => constant(Value::from(*bool)),
            Node::Wildcard => Ok(input.into_iter().flat_map(children).collect()),
            Node::Recursive => Ok(recursive(input)),
            Node::Union(parts) => {
                let mut all = vec![];
                for part in parts {
                    all.extend(self.list(input.clone(), part)?);
                }
                Ok(all)
            }
            Node::Identifier(name) => match name.as_str() {
                "range" => {
                    ranges.begin += 1;
                    Ok(input)
                }
                "end" if ranges.inside > 0 => {
                    ranges.end += 1;
                    Ok(vec![])
                }
                "end" => Err("not in range, nothing to end".to_owned()),
                name => Err(format!("unrecognized identifier {name}")),
            },
        }
    }

    fn list<'a>(&self, input: Found<'a>, nodes: &[Node]) -> Result<Found<'a>, String> {
        let mut ranges = Ranges::default();
        nodes.iter().try_fold(input, |current, node| self.walk(current, node, &mut ranges))
    }

    fn field<'a>(&self, input: Found<'a>, name: &str) -> Result<Found<'a>, String> {
        if input.is_empty() {
            return Ok(input);
        }
        let found: Found<'a> = input.into_iter().filter_map(|value| get(value, name)).collect();
        if found.is_empty() && !self.allow_missing_keys {
            return Err(format!("{name} is not found"));
        }
        Ok(found)
    }

    fn filter<'a>(
        &self,
        input: Found<'a>,
        left: &[Node],
        right: &[Node],
        operator: &str,
    ) -> Result<Found<'a>, String> {
        let mut kept = vec![];
        for value in input {
            if !value.is_array() {
                return Err(format!("{} is not array or slice and cannot be filtered", gofmt::plain(&value)));
            }
            for item in children(value) {
                let lefts = self.list(vec![Cow::Borrowed(item.as_ref())], left);
                if operator == "exists" {
                    let exists = lefts.is_ok_and(|found| !found.is_empty());
                    if exists {
                        kept.push(item);
                    }
                    continue;
                }
                let lefts = lefts?;
                let Some(left) = only(&lefts)? else { continue };
                let rights = self.list(vec![Cow::Borrowed(item.as_ref())], right)?;
                let Some(right) = only(&rights)? else { continue };
                if compare(left, right, operator)? {
                    kept.push(item);
                }
            }
        }
        Ok(kept)
    }
}

fn only<'f>(found: &'f Found<'_>) -> Result<Option<&'f Value>, String> {
    match &found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err("can only compare one element at a time".to_owned()),
    }
}

fn get<'a>(value: Cow<'a, Value>, name: &str) -> Option<Cow<'a, Value>> {
    match value {
        Cow::Borrowed(value) => value.as_object()?.get(name).map(Cow::Borrowed),
        Cow::Owned(Value::Object(mut map)) => map.remove(name).map(Cow::Owned),
        Cow::Owned(_) => None,
    }
}

/// The values in an object or array.
fn children(value: Cow<'_, Value>) -> Vec<Cow<'_, Value>> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Value::Object(map)) => map.into_iter().map(|(_, value)| Cow::Owned(value)).collect(),
        _ => vec![],
    }
}

/// Every object and array in the values, they themselves first.
fn recursive(input: Found<'_>) -> Found<'_> {
    let mut all = vec![];
    for value in input {
        let below = children(value.clone());
        let text = value.as_str().is_some_and(|text| !text.is_empty());
        if !below.is_empty() || text {
            all.push(value);
            all.extend(recursive(below));
        }
    }
    all
}

fn array(input: Found<'_>, bounds: [Bound; 3]) -> Result<Found<'_>, String> {
    let mut all = vec![];
    for value in input {
        if value.is_null() {
            continue;
        }
        let Some(length) = value.as_array().map(|items| i64::try_from(items.len()).unwrap_or(i64::MAX))
        else {
            return Err(format!("{} is not array or slice", gofmt::type_name(&value)));
        };
        let [first, second, step] = bounds;
        let mut from = if first.known { first.value } else { 0 };
        if from < 0 {
            from += length;
        }
        let mut to = if second.known { second.value } else { length };
        if to < 0 || (to == 0 && second.derived) {
            to += length;
        }
        if from == to {
            return Ok(all);
        }
        let out = |index: i64| Err(format!("array index out of bounds: index {index}, length {length}"));
        if from >= length || from < 0 {
            return out(from);
        }
        if to > length || to < 0 {
            return out(to - 1);
        }
        if from > to {
            return Err(format!("starting index {from} is greater than ending index {to}"));
        }
        if step.known && step.value <= 0 {
            return Err("step must be > 0".to_owned());
        }
        let step = if step.known { usize::try_from(step.value).unwrap_or(usize::MAX) } else { 1 };
        let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
        all.extend(children(value).into_iter().skip(from).take(to - from).step_by(step));
    }
    Ok(all)
}

/// Compares as Go's text/template: only values of one basic kind.
fn compare(left: &Value, right: &Value, operator: &str) -> Result<bool, String> {
    let bad_kind = || "invalid type for comparison".to_owned();
    if !matches!(operator, "<" | ">" | "==" | "!=" | "<=" | ">=") {
        return Err(format!("unrecognized filter operator {operator}"));
    }
    let kinds = "incompatible types for comparison".to_owned();
    let order = match (left, right) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => match operator {
            "==" | "!=" => a.cmp(b),
            _ => return Err(bad_kind()),
        },
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        },
        (Value::Null | Value::Array(_) | Value::Object(_), _)
        | (_, Value::Null | Value::Array(_) | Value::Object(_)) => {
            return Err(bad_kind());
        }
        _ => return Err(kinds),
    };
    Ok(match operator {
        "<" => order == Ordering::Less,
        ">" => order == Ordering::Greater,
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        "<=" => order != Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

/// A result as it is printed: objects and arrays as JSON, the rest as Go's `%v`.
pub(super) fn to_text(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => json::compact(value),
        Value::Null => "null".to_owned(),
        other => gofmt::plain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn data() -> Value {
        json!({
            "kind": "List",
            "items": [
                {"kind": "Node", "metadata": {"name": "a", "labels": {"k8s.io/x": "1"}}, "n": 1, "status": {"ip": ["x", "y"], "cpu": 4}},
                {"kind": "Node", "metadata": {"name": "b"}, "n": 2, "status": {"ip": ["z"], "cpu": 8}},
            ],
            "users": [{"name": "me", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
            "f": 1.5, "t": true, "nothing": null,
        })
    }

    #[test]
    fn templates_find_what_kubectls_find() {
        let cases = [
            ("kind is {.kind}", "kind is List"),
            ("{.items[*].metadata.name}", "a b"),
            ("{.items[*]['metadata.name', 'status.cpu']}", "a b 4 8"),
            ("{.users[?(@.name==\"e2e\")].user.password}", "secret"),
            ("{range .items[*]}[{.metadata.name}, {.status.cpu}] {end}", "[a, 4] [b, 8] "),
            ("{range .items[*]}{.metadata.name}{\"\\t\"}{end}!", "a\tb\t!"),
            ("{.items[-1:].metadata.name}", "b"),
            ("{.items[0:2:2].metadata.name}", "a"),
            ("{.items[-1].metadata.name}", "b"),
            ("{.items[?(@.n>1)].metadata.name}", "b"),
            ("{.items[?(@.metadata.labels)].metadata.name}", "a"),
            ("{.items[0].metadata.labels.k8s\\.io/x}", "1"),
            ("{..ip[0]}", "x z"),
            ("{.items[*].status.ip[*]}", "x y z"),
            ("{.users[0]}", r#"{"name":"me","user":{}}"#),
            ("{.f} {.t} {.nothing}", "1.5 true null"),
            ("{range .items[*]}{range .status.ip[*]}{@} {end}; {end}", "x y ; z ; "),
            ("{range .nosuch[*]}{.x}{end}rest", "rest"),
            ("{$.kind}{'it'}", "Listit"),
            ("{.items[*].metadata.*}", r#"{"k8s.io/x":"1"} a b"#),
            ("no braces", "no braces"),
        ];
        for (template, expected) in cases {
            let path = JsonPath::parse(template).unwrap().allow_missing_keys(true);
            assert_eq!(path.execute(&data()).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_kubectls_words() {
        let parse = [
            ("{.items[*].metadata.name", "unclosed action"),
            ("{.items[x]}", "invalid array index x"),
            ("{.items[0", "unterminated array"),
            ("{\"x}", "unterminated quoted string"),
            ("{.a[?(@.b]}", "unterminated filter"),
            ("{...x}", "unrecognized"),
            ("{*}", "unrecognized character in action: U+002A '*'"),
            ("{....x}", "invalid multiple recursive descent"),
        ];
        for (template, expected) in parse {
            match JsonPath::parse(template) {
                Err(error) => {
                    assert!(error.starts_with(expected) || expected == "unrecognized", "{template}: {error}")
                }
                Ok(_) => assert_eq!(expected, "unrecognized", "{template}"),
            }
        }
        let run = [
            ("{.nosuch}", "nosuch is not found"),
            ("{.items[5]}", "array index out of bounds: index 5, length 2"),
            ("{end}", "not in range, nothing to end"),
            ("{foo}", "unrecognized identifier foo"),
            ("{.kind[0]}", "string is not array or slice"),
            ("{.items[?(@.n==\"x\")]}", "incompatible types for comparison"),
        ];
        for (template, expected) in run {
            assert_eq!(
                JsonPath::parse(template).unwrap().execute(&data()).unwrap_err(),
                expected,
                "{template}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_template_is_run_or_refused(template in "[{}.*\\[\\]?()@$'\"a-n:, 0-9=<>!\\\\-]{0,30}") {
            if let Ok(path) = JsonPath::parse(&template) {
                let _ = path.execute(&data());
            }
        }
        #[test]
        fn any_text_is_parsed_or_refused(template in "\\PC{0,40}") {
            let _ = JsonPath::parse(&template);
        }
    }
}
