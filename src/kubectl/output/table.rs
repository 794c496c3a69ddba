//! Server-side tables as `kubectl get` prints them, and plain objects when there is no table.
// Models k8s.io/cli-runtime/pkg/printers/tableprinter.go.

use serde_json::{Value, json};

use super::columns::escape_terminal;
use super::gofmt;
use super::tabwriter::TabWriter;
use crate::kubectl::error::Result;
use crate::kubectl::resources::{is_list, list_items};
use crate::meta::age;
use jiff::Timestamp;

/// What a table shows.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    pub no_headers: bool,
    pub wide: bool,
    pub with_namespace: bool,
    /// `deployment.apps`, put before names; empty for none.
    pub kind: String,
    pub show_labels: bool,
    pub label_columns: Vec<String>,
}

/// Prints tables one after another into a [`TabWriter`]; headers only when the columns change.
#[derive(Clone, Debug, Default)]
pub struct TablePrinter {
    options: TableOptions,
    last_columns: Vec<Value>,
    printed_headers: bool,
    printed_plain: bool,
}

impl TablePrinter {
    /// A printer with these options.
    pub fn new(options: TableOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Prints a table, or an object or list without one. `event` is a watch event's type, or empty.
    pub fn print(
        &mut self,
        object: &Value,
        event: &str,
        now: Timestamp,
        writer: &mut TabWriter,
    ) -> Result<()> {
        if object["kind"] == "Table" && object["columnDefinitions"].is_array() || object["rows"].is_array() {
            self.table(object, event, writer);
        } else {
            self.plain(object, event, now, writer);
        }
        Ok(())
    }

    fn table(&mut self, table: &Value, event: &str, writer: &mut TabWriter) {
        let mut columns = table["columnDefinitions"].as_array().cloned().unwrap_or_default();
        let rows = table["rows"].as_array().map_or(&[][..], Vec::as_slice);
        let mut headers = !self.options.no_headers;
        if self.printed_headers && (columns.is_empty() || columns == self.last_columns) {
            headers = false;
        }
        if columns.is_empty() {
            columns.clone_from(&self.last_columns);
        } else if columns != self.last_columns {
            self.last_columns.clone_from(&columns);
            self.printed_headers = false;
        }
        if rows.is_empty() {
            return;
        }
        self.printed_headers = true;
        let shown: Vec<usize> = (0..columns.len())
            .filter(|i| self.options.wide || columns[*i]["priority"].as_i64().unwrap_or(0) == 0)
            .collect();
        if headers {
            let names = shown.iter().map(|i| columns[*i]["name"].as_str().unwrap_or_default().to_owned());
            writer.line(&self.header(names, event).join("\t"));
        }
        let name = columns.iter().position(|column| column["format"] == "name" && column["type"] == "string");
        for row in rows {
            let cells = row["cells"].as_array().map_or(&[][..], Vec::as_slice);
            let metadata = &row["object"]["metadata"];
            let cell = |i: &usize| {
                let text = cells.get(*i).map(cell_text);
                match (text, name) {
                    (Some(text), Some(name)) if name == *i && !self.options.kind.is_empty() => {
                        Some(format!("{}/{text}", self.options.kind))
                    }
                    (text, _) => text,
                }
            };
            let cells: Vec<String> = shown.iter().filter_map(cell).collect();
            writer.line(&self.decorated(cells, metadata, event).join("\t"));
        }
    }

    fn header(&self, names: impl Iterator<Item = String>, event: &str) -> Vec<String> {
        let mut header = vec![];
        if !event.is_empty() {
            header.push("EVENT".to_owned());
        }
        if self.options.with_namespace {
            header.push("NAMESPACE".to_owned());
        }
        header.extend(names.map(|name| name.to_uppercase()));
        let label = |label: &String| label.rsplit('/').next().unwrap_or_default().to_uppercase();
        header.extend(self.options.label_columns.iter().map(label));
        if self.options.show_labels {
            header.push("LABELS".to_owned());
        }
        header
    }

    /// A row with what the options add to it.
    fn decorated(&self, cells: Vec<String>, metadata: &Value, event: &str) -> Vec<String> {
        let mut row = vec![];
        if !event.is_empty() {
            row.push(format!("{event:8}"));
        }
        if self.options.with_namespace {
            row.push(metadata["namespace"].as_str().unwrap_or_default().to_owned());
        }
        row.extend(cells);
        let labels = &metadata["labels"];
        row.extend(
            self.options.label_columns.iter().map(|key| labels[key].as_str().unwrap_or_default().to_owned()),
        );
        if self.options.show_labels {
            row.push(format_labels(labels));
        }
        row
    }

    fn plain(&mut self, object: &Value, event: &str, now: Timestamp, writer: &mut TabWriter) {
        if !self.printed_plain && !self.options.no_headers {
            let names = ["Name", "Age"].into_iter().map(str::to_owned);
            writer.line(&self.header(names, event).join("\t"));
        }
        self.printed_plain = true;
        let objects = if is_list(object) { list_items(object.clone()) } else { vec![object.clone()] };
        for object in objects {
            let metadata = &object["metadata"];
            let created = metadata["creationTimestamp"].as_str().and_then(|time| time.parse().ok());
            let name = metadata["name"].as_str().unwrap_or_default();
            let name = if self.options.kind.is_empty() {
                name.to_owned()
            } else {
                format!("{}/{name}", self.options.kind)
            };
            let cells = vec![name, age::since(created, now)];
            writer.line(&self.decorated(cells, metadata, event).join("\t"));
        }
    }
}

/// A cell on one line.
fn cell_text(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => match text.find(['\u{c}', '\n', '\r']) {
            Some(end) => format!("{}...", escape_terminal(&text[..end])),
            None => escape_terminal(text),
        },
        other => gofmt::plain(other),
    }
}

/// `a=1,b=2`, or `<none>`.
// Models labels.FormatLabels.
pub fn format_labels(labels: &Value) -> String {
    let pairs = labels.as_object().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// The rows of a table in another order.
pub fn reorder(table: &mut Value, order: &[usize]) {
    if let Some(rows) = table["rows"].as_array_mut() {
        let mut old: Vec<Value> = std::mem::take(rows);
        rows.extend(order.iter().filter_map(|index| old.get_mut(*index).map(Value::take)));
    } else {
        table["rows"] = json!([]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, i64)], rows: &[(&str, &str)]) -> Value {
        let definition = |(index, (name, priority)): (usize, &(&str, i64))| json!({"name": name, "type": "string", "format": if index == 0 { "name" } else { "" }, "priority": priority});
        let columns: Vec<Value> = columns.iter().enumerate().map(definition).collect();
        let row = |(name, status): &(&str, &str)| {
            let labels = json!({"app": name, "z": "1"});
            json!({"cells": [name, status, "w"], "object": {"metadata": {"name": name, "namespace": "default", "labels": labels}}})
        };
        json!({"kind": "Table", "columnDefinitions": columns, "rows": rows.iter().map(row).collect::<Vec<_>>()})
    }

    fn check(options: TableOptions, expected: &str) {
        let (mut printer, mut writer) = (TablePrinter::new(options), TabWriter::for_tables());
        let table =
            table(&[("Name", 0), ("Status", 0), ("Node", 1)], &[("a", "Running"), ("long-name", "x\ny")]);
        printer.print(&table, "", Timestamp::UNIX_EPOCH, &mut writer).unwrap();
        assert_eq!(writer.flush(), expected);
    }

    #[test]
    fn tables_are_printed_as_the_options_say() {
        check(TableOptions::default(), "NAME        STATUS\na           Running\nlong-name   x...\n");
        check(
            TableOptions { wide: true, no_headers: true, ..TableOptions::default() },
            "a           Running   w\nlong-name   x...      w\n",
        );
        let options = TableOptions {
            with_namespace: true,
            kind: "pod".into(),
            label_columns: vec!["x/app".into(), "app".into()],
            show_labels: true,
            ..TableOptions::default()
        };
        check(
            options,
            concat!(
                "NAMESPACE   NAME            STATUS    APP   APP         LABELS\n",
                "default     pod/a           Running         a           app=a,z=1\n",
                "default     pod/long-name   x...            long-name   app=long-name,z=1\n",
            ),
        );
    }

    #[test]
    fn headers_come_once() {
        let (mut printer, mut writer) = (TablePrinter::new(TableOptions::default()), TabWriter::for_tables());
        let columns = [("Name", 0), ("Status", 0)];
        for rows in [[("a", "1")], [("b", "2")]] {
            printer.print(&table(&columns, &rows), "ADDED", Timestamp::UNIX_EPOCH, &mut writer).unwrap();
        }
        let mut bare = table(&[], &[("c", "3")]);
        bare["columnDefinitions"] = Value::Null;
        printer.print(&bare, "MODIFIED", Timestamp::UNIX_EPOCH, &mut writer).unwrap();
        assert_eq!(
            writer.flush(),
            "EVENT      NAME   STATUS\nADDED      a      1\nADDED      b      2\nMODIFIED   c      3\n"
        );
    }
}
