//! `-o go-template`: Go's text/template over the object, with kubectl's two functions.
// Models k8s.io/cli-runtime/pkg/printers/template.go. The language itself is the crate gotmpl.

use std::sync::Arc;

use gotmpl::{MissingKey, Template, TemplateError, Value as Data};
use serde_json::Value;

use super::print_flags::ResourcePrinter;
use super::{gofmt, json};
use crate::kubectl::error::{KubectlError, Result};

/// Prints what a template makes of an object.
pub struct TemplatePrinter {
    source: String,
    template: Template,
}

/// How many rounds the ranges of one template may make together.
const MAX_ROUNDS: u64 = 10_000_000;

impl TemplatePrinter {
    /// A printer for a template.
    pub fn new(source: &str, allow_missing_keys: bool) -> Result<Self> {
        let missing = if allow_missing_keys { MissingKey::Invalid } else { MissingKey::Error };
        let parsed = Template::new("output")
            .missing_key(missing)
            .max_range_iters(MAX_ROUNDS)
            .func("exists", |arguments| Ok(Data::Bool(exists(arguments))))
            .func("base64decode", base64decode)
            .parse(source);
        let template = parsed.map_err(|error| {
            KubectlError::message(format!(
                "error parsing template {source}, {}",
                without_column(&error.to_string())
            ))
        })?;
        if let Some((line, name)) = undefined_function(source) {
            return Err(KubectlError::message(format!(
                "error parsing template {source}, template: output:{line}: function {name:?} not defined"
            )));
        }
        Ok(Self { source: source.to_owned(), template })
    }
}

impl ResourcePrinter for TemplatePrinter {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        let Err(error) = self.template.execute_fmt(out, &to_data(object)) else { return Ok(()) };
        let source = &self.source;
        let error = located(&error.to_string(), source);
        *out += &format!(
            "Error executing template: {error}. Printing more information for debugging the template:\n"
        );
        *out += &format!("\ttemplate was:\n\t\t{source}\n\traw data was:\n\t\t{}\n", json::compact(object));
        *out += &format!("\tobject given to template engine was:\n\t\t{}\n\n", gofmt::plain(object));
        Err(KubectlError::message(format!("error executing template {}: {error}", gofmt::quote(source))))
    }
}

/// What may stand alone in an action: the words of the language, Go's functions, kubectl's two.
const KNOWN_WORDS: &[&str] = &[
    "and",
    "base64decode",
    "block",
    "break",
    "call",
    "continue",
    "define",
    "else",
    "end",
    "eq",
    "exists",
    "false",
    "ge",
    "gt",
    "html",
    "if",
    "index",
    "js",
    "le",
    "len",
    "lt",
    "ne",
    "nil",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "range",
    "slice",
    "template",
    "true",
    "urlquery",
    "with",
];

/// The first word of a template that parses that is no function, with its line: Go looks functions up as it parses, the
/// engine as it runs.
fn undefined_function(source: &str) -> Option<(usize, &str)> {
    let mut rest = source;
    while let Some(start) = rest.find("{{") {
        rest = &rest[start + 2..];
        loop {
            let letter = rest.chars().next()?;
            let whole = |in_word: fn(char) -> bool| {
                rest.char_indices().skip(1).find(|(_, c)| !in_word(*c)).map_or(rest.len(), |(end, _)| end)
            };
            let length = match letter {
                '}' if rest.starts_with("}}") => break,
                '"' | '\'' => quoted_length(rest, letter),
                '`' => rest[1..].find('`').map_or(rest.len(), |end| end + 2),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                '.' | '$' | '0'..='9' => whole(|c| c.is_alphanumeric() || matches!(c, '_' | '.')),
                letter if letter.is_alphabetic() || letter == '_' => {
                    let word = &rest[..whole(|c| c.is_alphanumeric() || c == '_')];
                    if !KNOWN_WORDS.contains(&word) {
                        let before = &source[..source.len() - rest.len()];
                        return Some((before.matches('\n').count() + 1, word));
                    }
                    word.len()
                }
                letter => letter.len_utf8(),
            };
            rest = &rest[length..];
        }
    }
    None
}

/// How long the quoted text at the start is.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        if letter == quote && !escaped {
            return index + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    text.len()
}

/// Go's parse errors name the line alone: `template: output:1: ...`.
fn without_column(error: &str) -> String {
    let cut = error.strip_prefix("template: output:").and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let (column, message) = rest.split_once(": ")?;
        column.parse::<u64>().ok()?;
        Some(format!("template: output:{line}: {message}"))
    });
    cut.unwrap_or_else(|| error.to_owned())
}

/// An error with the place that Go names. The engine keeps no places: the first that fits is taken.
fn located(error: &str, source: &str) -> String {
    let message = error.strip_prefix("execution error: ").unwrap_or(error);
    let indexing = message.starts_with("index out of range") || message.starts_with("cannot index");
    let message = &if indexing { format!("error calling index: {message}") } else { message.to_owned() };
    let at = |offset: usize, node: &str, message: &str| {
        let before = &source[..offset];
        let (line, column) =
            (before.matches('\n').count() + 1, before.len() - before.rfind('\n').map_or(0, |end| end + 1));
        format!("template: output:{line}:{column}: executing \"output\" at <{node}>: {message}")
    };
    let no_field = message.strip_prefix("can't evaluate field ").and_then(|rest| rest.split(' ').next());
    let no_key = message.strip_prefix("map has no entry for key: ");
    if let Some(field) = no_field.or(no_key) {
        let end_of = |offset: usize| offset + 1 + field.len();
        let whole = |offset: &usize| {
            !source[end_of(*offset)..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        };
        let place = source.match_indices(&format!(".{field}")).map(|(offset, _)| offset).find(whole);
        if let Some(offset) = place {
            let chain = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '$'));
            let before = source[..offset].char_indices().rev().find(|(_, letter)| chain(*letter));
            let start = before.map_or(0, |(index, letter)| index + letter.len_utf8());
            let text = match no_key {
                Some(key) => format!("map has no entry for key {}", gofmt::quote(key)),
                None => format!("can't evaluate field {field} in type interface {{}}"),
            };
            return at(offset, &source[start..end_of(offset)], &text);
        }
    }
    if let Some(function) = message.strip_prefix("error calling ").and_then(|rest| rest.split(':').next())
        && let Some(offset) = source.find(&format!("{function} "))
    {
        let end = source[offset..].find([')', '|', '}']).map_or(source.len(), |length| offset + length);
        return at(offset, source[offset..end].trim_end(), message);
    }
    message.to_owned()
}

/// The value that the template engine sees.
fn to_data(value: &Value) -> Data {
    match value {
        Value::Null => Data::Nil,
        Value::Bool(bool) => Data::Bool(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Data::Int(int),
            None => Data::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Data::String(text.as_str().into()),
        Value::Array(items) => Data::List(items.iter().map(to_data).collect()),
        Value::Object(map) => Data::Map(Arc::new(
            map.iter().map(|(key, value)| (key.as_str().into(), to_data(value))).collect(),
        )),
    }
}

/// Whether `index` with these arguments would find something.
fn exists(arguments: &[Data]) -> bool {
    let [first, indices @ ..] = arguments else { return false };
    let mut value = first.clone();
    for index in indices {
        let number = match index {
            Data::Int(int) => usize::try_from(*int).ok(),
            Data::Uint(int) => usize::try_from(*int).ok(),
            _ => None,
        };
        let next = match (&value, index) {
            (Data::List(items), _) => number.and_then(|number| items.get(number)).cloned(),
            (Data::Map(map), Data::String(key)) => Some(map.get(key).cloned().unwrap_or(Data::Nil)),
            _ => None,
        };
        let Some(next) = next else { return false };
        value = next;
    }
    !matches!(value, Data::Nil)
}

fn base64decode(arguments: &[Data]) -> Result<Data, TemplateError> {
    use base64::Engine;
    let [Data::String(text)] = arguments else {
        return Err(TemplateError::Exec("base64decode: expected one string".to_owned()));
    };
    let plain: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let failed = |error: base64::DecodeError| TemplateError::Exec(format!("base64 decode failed: {error}"));
    let decoded = base64::engine::general_purpose::STANDARD.decode(plain).map_err(failed)?;
    Ok(Data::String(String::from_utf8_lossy(&decoded).as_ref().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn render(template: &str, allow_missing: bool) -> Result<String, String> {
        let object = json!({
            "items": [{"metadata": {"name": "a"}, "n": 3}, {"metadata": {"name": "b", "labels": {"x": "1", "y": "2"}}, "n": 30080}],
            "data": {"password": "aGk="}, "big": 1_000_650_000, "t": true,
        });
        let mut out = String::new();
        let mut printer = TemplatePrinter::new(template, allow_missing).map_err(|e| e.report().0)?;
        printer.print(&object, &mut out).map_err(|e| e.report().0)?;
        Ok(out)
    }

    #[test]
    fn templates_are_executed_as_go_does() {
        let cases = [
            ("{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}", "a\nb\n"),
            ("{{(index .items 1).n}}", "30080"),
            ("{{.data.password | base64decode}}", "hi"),
            ("{{range $k, $v := (index .items 1).metadata.labels}}{{$k}}={{$v}} {{end}}", "x=1 y=2 "),
            ("{{.nosuch}}", "<no value>"),
            ("{{len .items}} {{printf \"%-5s|\" \"x\"}}", "2 x    |"),
            ("{{if and .t (eq \"a\" (index .items 0).metadata.name)}}yes{{else}}no{{end}}", "yes"),
            ("{{.big}}", "1000650000"),
            ("{{exists .items 0 \"metadata\"}} {{exists .items 5}}", "true false"),
            ("{{with .nosuch}}x{{else}}none{{end}}", "none"),
            ("{{- range $i, $e := .items}}{{if $i}},{{end}}{{$e.metadata.name}}{{end -}}", "a,b"),
            ("{{.data}}", "map[password:aGk=]"),
        ];
        for (template, expected) in cases {
            assert_eq!(render(template, true).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_gos_words() {
        assert_eq!(
            render("{{range", true).unwrap_err(),
            "error: error parsing template {{range, template: output:1: unclosed action\n"
        );
        let text = render("{{index .items 9}}", true).unwrap_err();
        assert!(
            text.ends_with("at <index .items 9>: error calling index: index out of range: 9\n"),
            "{text}"
        );
        let expected = "error: error executing template \"{{.items.x}}\": template: output:1:8: executing \"output\" at <.items.x>: can't \
                        evaluate field x in type interface {}\n";
        assert_eq!(render("{{.items.x}}", true).unwrap_err(), expected);
        assert!(render("{{.nosuch}}", false).unwrap_err().contains("map has no entry for key \"nosuch\""));
    }

    proptest! {
        #[test]
        fn any_template_is_run_or_refused(template in "[{}.a-t$ \"|()-]{0,30}") {
            let _ = render(&template, true);
        }
    }
}
