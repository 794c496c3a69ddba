//! `-o custom-columns`: a table of JSONPath expressions.
// Models k8s.io/kubectl/pkg/cmd/get (customcolumn.go).

use serde_json::Value;

use super::gofmt;
use super::jsonpath::{JsonPath, relaxed};
use super::print_flags::ResourcePrinter;
use super::tabwriter::TabWriter;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::resources::{is_list, list_items};

/// Prints objects as rows.
pub struct ColumnsPrinter {
    headers: Vec<String>,
    paths: Vec<JsonPath>,
    no_headers: bool,
    /// Whether the last object was a list, once there was one: headers are printed when that changes.
    last_was_list: Option<bool>,
}

impl ColumnsPrinter {
    /// Reads `NAME:.metadata.name,NODE:.spec.nodeName`.
    pub fn from_spec(spec: &str, no_headers: bool) -> Result<Self> {
        if spec.is_empty() {
            return Err(KubectlError::message("custom-columns format specified but no custom columns given"));
        }
        let columns = spec.split(',').map(|part| {
            let unexpected = || {
                KubectlError::message(format!(
                    "unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"
                ))
            };
            part.split_once(':').ok_or_else(unexpected)
        });
        let columns: Vec<(&str, &str)> = columns.collect::<Result<_>>()?;
        Self::new(&columns, no_headers)
    }

    /// Reads a file of two lines: headers, and expressions.
    pub fn from_file(content: &str, no_headers: bool) -> Result<Self> {
        let mut lines = content.lines();
        let missing = |what: &str| {
            KubectlError::message(format!(
                "invalid template, missing {what} line. Expected format is one line of space separated headers, one line of space \
                 separated column specs."
            ))
        };
        let headers: Vec<&str> = lines.next().ok_or_else(|| missing("header"))?.split_whitespace().collect();
        let specs: Vec<&str> = lines.next().ok_or_else(|| missing("spec"))?.split_whitespace().collect();
        if headers.len() != specs.len() {
            let (headers, specs) = (headers.len(), specs.len());
            return Err(KubectlError::message(format!(
                "number of headers ({headers}) and field specifications ({specs}) don't match"
            )));
        }
        let columns: Vec<(&str, &str)> = headers.into_iter().zip(specs).collect();
        Self::new(&columns, no_headers)
    }

    fn new(columns: &[(&str, &str)], no_headers: bool) -> Result<Self> {
        let path = |spec: &&str| {
            JsonPath::parse(&relaxed(spec)?)
                .map(|path| path.allow_missing_keys(true))
                .map_err(KubectlError::Message)
        };
        Ok(Self {
            headers: columns.iter().map(|(header, _)| (*header).to_owned()).collect(),
            paths: columns.iter().map(|(_, spec)| path(spec)).collect::<Result<_>>()?,
            no_headers,
            last_was_list: None,
        })
    }

    fn row(&self, object: &Value) -> Result<String> {
        let mut cells = vec![];
        for path in &self.paths {
            let found = path.find(object).map_err(KubectlError::Message)?;
            let mut texts = vec![];
            if found.first().is_none_or(Vec::is_empty) {
                texts.push("<none>".to_owned());
            }
            texts.extend(found.iter().flatten().map(|value| escape_terminal(&gofmt::plain(value))));
            cells.push(texts.join(","));
        }
        Ok(cells.join("\t"))
    }
}

impl ResourcePrinter for ColumnsPrinter {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        let mut writer = TabWriter::for_tables();
        let list = is_list(object);
        if !self.no_headers && self.last_was_list != Some(list) {
            writer.line(&self.headers.join("\t"));
            self.last_was_list = Some(list);
        }
        let items = if list { list_items(object.clone()) } else { vec![object.clone()] };
        let printed = items.iter().try_for_each(|item| {
            writer.line(&self.row(item)?);
            Ok(())
        });
        *out += &writer.flush();
        printed
    }
}

/// Makes control sequences of terminals visible.
// Models printers.EscapeTerminal.
pub fn escape_terminal(text: &str) -> String {
    text.replace('\u{1b}', "^[").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn print(printer: Result<ColumnsPrinter>) -> Result<String, String> {
        let list = json!({"kind": "List", "items": [{"metadata": {"name": "long-name"}, "c": [{"n": 1}, {"n": 2}]}, {"metadata": {"name": "b"}}]});
        let mut out = String::new();
        printer.map_err(|e| e.report().0)?.print(&list, &mut out).map_err(|e| e.report().0)?;
        Ok(out)
    }

    #[test]
    fn columns_are_printed() {
        let spec = "NAME:.metadata.name,N:.c[*].n";
        assert_eq!(
            print(ColumnsPrinter::from_spec(spec, false)).unwrap(),
            "NAME        N\nlong-name   1,2\nb           <none>\n"
        );
        assert_eq!(
            print(ColumnsPrinter::from_file("NAME\nmetadata.name\n", true)).unwrap(),
            "long-name\nb\n"
        );
    }

    #[test]
    fn wrong_columns_are_refused() {
        for (spec, expected) in [
            ("NAME", "error: unexpected custom-columns spec: NAME, expected <header>:<json-path-expr>\n"),
            ("", "error: custom-columns format specified but no custom columns given\n"),
        ] {
            assert_eq!(print(ColumnsPrinter::from_spec(spec, false)).unwrap_err(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_columns_are_read_or_refused(spec in "[A-Z:.a-z,\\[\\]{}*]{0,30}|\\PC{0,30}") {
            let _ = ColumnsPrinter::from_spec(&spec, false);
            let _ = ColumnsPrinter::from_file(&spec, false);
        }
    }
}
