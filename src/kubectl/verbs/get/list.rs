//! Printing what is there.
// Models GetOptions.Run and printGeneric.

use std::sync::Arc;

use serde_json::{Value, json};

use super::verb::{Options, is_table};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::output::table::{TablePrinter, reorder};
use crate::kubectl::output::{TabWriter, sort};
use crate::kubectl::resources::{FilenameOptions, Info, Visited, is_list, list_items};

/// Gets and prints once.
pub(super) async fn run(options: &Options<'_>, args: &[String]) -> Result<()> {
    let mut builder = options.builder(args).continue_on_error();
    if !options.tables() {
        builder = builder.flatten();
    }
    let mut found = builder.visit().await?;
    if options.flags.bool("ignore-not-found") {
        found.ignore_errors(KubectlError::is_not_found);
    }
    if options.human { tables(options, found).await } else { objects(options, found).await }
}

async fn tables(options: &Options<'_>, found: Visited) -> Result<()> {
    let session = options.session;
    let mut infos = found.infos;
    if !options.sort_by.is_empty() && infos.len() > 1 {
        let objects: Vec<&Value> = infos.iter().map(|info| &info.object).collect();
        let order = sort::order(&objects, &options.sort_by)?;
        let mut old: Vec<Option<Info>> = infos.into_iter().map(Some).collect();
        infos = order.into_iter().filter_map(|index| old.get_mut(index)?.take()).collect();
    }
    let with_kind = infos.windows(2).any(|pair| kind(&pair[0]) != kind(&pair[1]));
    let namespaced = !options.all_namespaces && infos.iter().all(Info::namespaced);
    let now = session.clock.now();
    let mut text = String::new();
    let mut writer = TabWriter::for_tables();
    let mut current: Option<(Option<Arc<Mapping>>, TablePrinter)> = None;
    let mut separate = false;
    let end_group = |writer: &mut TabWriter, text: &mut String, separate: &mut bool| {
        let group = writer.flush();
        writer.forget_widths();
        if !group.is_empty() && std::mem::take(separate) {
            text.push('\n');
        }
        *text += &group;
    };
    for info in &mut infos {
        let same = current
            .as_ref()
            .is_some_and(|(mapping, _)| same_resource(mapping.as_ref(), info.mapping.as_ref()));
        if !same {
            end_group(&mut writer, &mut text, &mut separate);
            separate = current.is_some() && !options.flags.bool("no-headers") && !text.is_empty();
            current = Some((info.mapping.clone(), options.table_printer(info.mapping.as_deref(), with_kind)));
        }
        let Some((_, printer)) = &mut current else { continue };
        if let Err(error) = sort_rows(options, &mut info.object) {
            // kubectl drops errors of printing a table and tells that it printed nothing.
            tracing::debug!(%error, "cannot sort");
            continue;
        }
        printer.print(&info.object, "", now, &mut writer)?;
    }
    end_group(&mut writer, &mut text, &mut separate);
    session.out.write(&text).await?;
    if text.is_empty() && !options.flags.bool("ignore-not-found") && found.errors.is_empty() {
        let nothing = if namespaced {
            format!("No resources found in {} namespace.", options.namespace)
        } else {
            "No resources found".to_owned()
        };
        session.err.line(nothing).await?;
    }
    if !FilenameOptions::new(options.flags).is_empty() && !found.errors.is_empty() {
        // kubectl wraps errors of files twice, and so tells even one without "error: ".
        return Err(KubectlError::Many(found.errors));
    }
    KubectlError::aggregate(found.errors)
}

fn kind(info: &Info) -> Option<(&str, &str, &str)> {
    info.mapping
        .as_ref()
        .map(|mapping| (mapping.group.as_str(), mapping.version.as_str(), mapping.kind.as_str()))
}

fn same_resource(a: Option<&Arc<Mapping>>, b: Option<&Arc<Mapping>>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a == b)
}

/// Sorts the rows of a table, or the items of a list.
fn sort_rows(options: &Options<'_>, object: &mut Value) -> Result<()> {
    if options.sort_by.is_empty() {
        return Ok(());
    }
    if is_table(object) {
        let rows = object["rows"].as_array().map_or(&[][..], Vec::as_slice);
        if rows.len() > 1 {
            let objects: Vec<&Value> = rows.iter().map(|row| &row["object"]).collect();
            let order = sort::table_order(&objects, &options.sort_by)?;
            reorder(object, &order);
        }
    }
    Ok(())
}

/// Prints one object, or a list of several.
async fn objects(options: &Options<'_>, found: Visited) -> Result<()> {
    let Visited { infos, mut errors, single_item_implied, .. } = found;
    if single_item_implied && !errors.is_empty() {
        return KubectlError::aggregate(errors);
    }
    if infos.is_empty() && options.flags.bool("ignore-not-found") {
        return KubectlError::aggregate(errors);
    }
    let mut printer = options.object_printer().await?;
    let mut infos = infos;
    let mut object = match &mut infos[..] {
        [one] if single_item_implied => one.object.take(),
        _ => {
            let items: Vec<Value> = infos.into_iter().map(|info| info.object).collect();
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
        }
    };
    if is_list(&object) {
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let mut items = list_items(object);
        if !options.sort_by.is_empty() && !items.is_empty() {
            let order = sort::order(&items.iter().collect::<Vec<_>>(), &options.sort_by)?;
            items = order.into_iter().map(|index| items[index].take()).collect();
        }
        object = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items});
    }
    let mut text = String::new();
    if let Err(error) = printer.print(&object, &mut text) {
        errors.push(error);
    }
    options.session.out.write(text).await?;
    KubectlError::aggregate(errors)
}

#[cfg(test)]
mod tests {
    use crate::kubectl::verbs::testing::Harness;

    /// Runs lines against one fresh server and compares what each prints.
    async fn check(cases: &[(&str, &str)]) {
        let harness = Harness::new().await;
        harness.file("two.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {x: '1'}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {k: v}\n");
        harness.run("create -f two.yaml").await;
        for (line, expected) in cases {
            assert_eq!(harness.run(line).await, *expected, "kubectl {line}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn objects_are_printed_in_every_form() {
        check(&[
            ("get cm", "NAME   DATA   AGE\na      0      0s\nb      1      0s\n"),
            ("get cm --no-headers -L x", "a     0     0s    1\nb     1     0s    \n"),
            ("get cm -l x=1 --show-labels", "NAME   DATA   AGE   LABELS\na      0      0s    x=1\n"),
            ("get cm -o name", "configmap/a\nconfigmap/b\n"),
            ("get cm/b ns/default -o name", "configmap/b\nnamespace/default\n"),
            ("get -f two.yaml", "NAME   DATA   AGE\na      0      0s\nb      1      0s\n"),
            ("get cm b -o jsonpath={.data.k}", "v"),
            ("get cm -o custom-columns=N:.metadata.name --sort-by=.metadata.name", "N\na\nb\n"),
            ("get cm b -o go-template={{.data.k}}", "v"),
            ("get cm,ns", "NAME          DATA   AGE\nconfigmap/a   0      0s\nconfigmap/b   1      0s\n\nNAME                STATUS   AGE\nnamespace/default   Active   0s\n"),
        ])
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_is_told() {
        check(&[
            ("get pods", "No resources found in default namespace.\n"),
            ("get pods -A", "No resources found\n"),
            ("get pods x", "Error from server (NotFound): pods \"x\" not found\n[exit 1]\n"),
            ("get pods x --ignore-not-found", ""),
            ("get nosuch", "error: the server doesn't have a resource type \"nosuch\"\n[exit 1]\n"),
            ("get -f nosuch.yaml", "error: the path \"nosuch.yaml\" does not exist\n[exit 1]\n"),
            ("get cm default/a x", "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'\n[exit 1]\n"),
            ("get cm a -A", "error: a resource cannot be retrieved by name across all namespaces\n[exit 1]\n"),
        ])
        .await;
    }
}
