//! Printing what changes.
// Models GetOptions.watch.

use futures::StreamExt;
use serde_json::{Value, json};

use super::verb::{Options, is_table};
use crate::kubectl::client::{Request, WatchEvent};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::output::table::TablePrinter;
use crate::kubectl::output::{ResourcePrinter, TabWriter, json};
use crate::kubectl::resources::{is_list, list_items};

enum Printer {
    Table(TablePrinter, TabWriter),
    Objects(Box<dyn ResourcePrinter>),
}

/// Prints what is there (unless `only`), and then every change until the watch ends.
pub(super) async fn run(options: &Options<'_>, args: &[String], only: bool) -> Result<()> {
    let mut found = options.builder(args).single_resource_type().visit().await?;
    if options.flags.bool("ignore-not-found") && found.errors.iter().any(KubectlError::is_not_found) {
        return Ok(());
    }
    let single = found.single_item_implied;
    KubectlError::aggregate(std::mem::take(&mut found.errors))?;
    let [first, ..] = &found.infos[..] else {
        return Err(KubectlError::message(
            "watch is only supported on individual resources and resource collections",
        ));
    };
    if found.targets_single_items && found.infos.len() != 1 {
        let count = found.infos.len();
        let text = format!(
            "watch is only supported on individual resources and resource collections - {count} resources were found"
        );
        return Err(KubectlError::message(text));
    }
    let mapping = first.mapping()?.clone();
    let name = if single { first.name.clone() } else { String::new() };
    // A single object is watched from about now, and the event of its being there is passed over.
    let version = if single {
        "0".to_owned()
    } else {
        found.infos.last().map_or("0", |info| info.resource_version()).to_owned()
    };
    let namespace = first.namespace.clone();
    let mut printer = if options.human {
        let mut table = options.table_printer(Some(&mapping), false);
        if options.all_namespaces && !mapping.namespaced {
            table = options.table_printer(None, false);
        }
        Printer::Table(table, TabWriter::for_tables())
    } else {
        Printer::Objects(options.object_printer().await?)
    };
    for info in std::mem::take(&mut found.infos) {
        let objects = if is_list(&info.object) { list_items(info.object) } else { vec![info.object] };
        for object in objects {
            let event = WatchEvent { kind: "ADDED".to_owned(), object };
            show(options, &mut printer, event, !only).await?;
        }
    }
    let request = Request::get(mapping.path(&namespace, "", ""))
        .query("watch", "true")
        .query("resourceVersion", version)
        .query("labelSelector", if single { "" } else { options.flags.string("selector") })
        .query(
            "fieldSelector",
            if single {
                format!("metadata.name={name}")
            } else {
                options.flags.string("field-selector").to_owned()
            },
        );
    let mut events = options.session.client().await?.watch(options.ask_for_tables(request)).await?;
    let mut visible = !single;
    while let Some(event) = events.next().await {
        show(options, &mut printer, event?, visible).await?;
        visible = true;
    }
    Ok(())
}

/// Prints an object; an invisible table still tells its columns.
async fn show(options: &Options<'_>, printer: &mut Printer, event: WatchEvent, visible: bool) -> Result<()> {
    let told = options.flags.bool("output-watch-events");
    let mut text = String::new();
    match printer {
        _ if !visible => {}
        Printer::Table(table, writer) => {
            let kind = if told { event.kind.as_str() } else { "" };
            table.print(&event.object, kind, options.session.clock.now(), writer)?;
            text = writer.flush();
        }
        Printer::Objects(printer) if told => {
            let object = event_object(event);
            match options.flags.string("output") {
                "json" => text = json_event(&object),
                _ => printer.print(&object, &mut text)?,
            }
        }
        Printer::Objects(printer) => printer.print(&event.object, &mut text)?,
    }
    options.session.out.write(text).await
}

fn event_object(event: WatchEvent) -> Value {
    debug_assert!(!is_table(&event.object), "tables are printed as tables");
    let mut object = event.object;
    crate::kubectl::output::print_flags::omit_managed_fields(&mut object);
    json!({"type": event.kind, "object": object})
}

/// A watch event in JSON: one line, the type first.
fn json_event(event: &Value) -> String {
    format!("{{\"type\":{},\"object\":{}}}\n", event["type"], json::compact(&event["object"]))
}
