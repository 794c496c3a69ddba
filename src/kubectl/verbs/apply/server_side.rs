//! Server-side apply, and what client-side apply left behind when one changes over.
// Models kubectl/pkg/cmd/apply (apply.go) and client-go/util/csaupgrade.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::apply_verb::{CLIENT_SIDE, Run, warn_if_deleting};
use crate::kubectl::client::Request;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::resources::Info;
use crate::kubectl::verbs::patching::{APPLY_PATCH, JSON_PATCH, Patch, send};
use crate::kubectl::verbs::writing::{LAST_APPLIED, WriteOptions, go_json, tell};

/// The manager of server-side apply.
pub const SERVER_SIDE: &str = "kubectl";
/// The manager that keeps the annotation of client-side apply.
const LAST_APPLIED_MANAGER: &str = "kubectl-last-applied";
/// How often a migration is tried again.
const RETRIES: usize = 5;

/// Sends the whole object for the server to apply.
pub(super) async fn apply(run: &Run<'_>, mut info: Info) -> Result<()> {
    let body = info.object.clone();
    info.subresource = run.flags.string("subresource").to_owned();
    let applied = send_apply(run, &info, &body).await.map_err(explain)?;
    info.subresource.clear();
    info.refresh(applied);
    let err = &run.session.err;
    match save_annotation(run, &mut info).await {
        Err(error) => {
            let text = format!(
                "Warning: failed to migrate {LAST_APPLIED} for Server-Side Apply. This is non-fatal and will be retried next \
                 time you apply. Error: {error}"
            );
            err.line(text).await?;
        }
        Ok(()) => match migrate(run, &mut info).await {
            Err(error) => {
                let text = format!(
                    "Warning: server rejected managed fields migration to Server-Side Apply. This is non-fatal and will be \
                     retried next time you apply. Error: {error}"
                );
                err.line(text).await?;
            }
            Ok(false) => {}
            Ok(true) => match send_apply(run, &info, &body).await {
                Ok(object) => info.refresh(object),
                Err(error) => {
                    let text = format!(
                        "Warning: failed to re-apply configuration after performing Server-Side Apply migration. This is \
                         non-fatal and will be retried next time you apply. Error: {error}"
                    );
                    err.line(text).await?;
                }
            },
        },
    }
    warn_if_deleting(run.session, &info).await?;
    tell(run.session, run.flags, &info.object, "serverside-applied", run.dry_run).await
}

fn manager<'a>(run: &'a Run<'_>) -> &'a str {
    if run.flags.changed("field-manager") { run.flags.string("field-manager") } else { SERVER_SIDE }
}

async fn send_apply(run: &Run<'_>, info: &Info, body: &Value) -> Result<Value> {
    let options = WriteOptions { field_manager: manager(run), ..run.options() };
    let force = run.flags.bool("force-conflicts").to_string();
    let request =
        options.on(Request::patch(info.path()?)).query("force", force).body(APPLY_PATCH, go_json(body));
    run.session.client().await?.json(request).await
}

/// Adds to a conflict what one can do about it.
fn explain(error: KubectlError) -> KubectlError {
    if error.code() == Some(415) {
        return KubectlError::message(format!("Server-side apply not available on the server: ({error})"));
    }
    if !error.is_conflict() {
        return error;
    }
    KubectlError::message(format!(
        "{error}\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this \
         warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` \
         flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields \
         that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  \
         value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their \
         configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts"
    ))
}

/// The managers that hold the annotation by that operation.
fn owners(object: &Value, operation: &str) -> BTreeSet<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let annotation = format!("f:{LAST_APPLIED}");
    let owner = |entry: &&Value| {
        entry["operation"] == operation
            && entry["subresource"].as_str().unwrap_or_default().is_empty()
            && !entry["fieldsV1"]["f:metadata"]["f:annotations"][annotation.as_str()].is_null()
    };
    entries.filter(owner).filter_map(|entry| entry["manager"].as_str().map(str::to_owned)).collect()
}

/// Gives the annotation of client-side apply a manager of its own, so that it stays.
async fn save_annotation(run: &Run<'_>, info: &mut Info) -> Result<()> {
    if manager(run) != SERVER_SIDE || !owners(&info.object, "Apply").is_empty() {
        return Ok(());
    }
    let Some(annotation) = info.object["metadata"]["annotations"][LAST_APPLIED].as_str() else {
        return Ok(());
    };
    let mut metadata = json!({"name": info.name, "annotations": {LAST_APPLIED: annotation}});
    if !info.namespace.is_empty() {
        metadata["namespace"] = json!(info.namespace);
    }
    let only =
        json!({"apiVersion": info.object["apiVersion"], "kind": info.object["kind"], "metadata": metadata});
    let options = WriteOptions { field_manager: LAST_APPLIED_MANAGER, ..run.options() };
    let request = options.on(Request::patch(info.path()?)).body(APPLY_PATCH, go_json(&only));
    let object = run.session.client().await?.json(request).await?;
    info.refresh(object);
    Ok(())
}

/// Hands the fields of client-side apply over to server-side apply. Says whether there were any.
async fn migrate(run: &Run<'_>, info: &mut Info) -> Result<bool> {
    let mut names = owners(&info.object, "Update");
    if names.is_empty() {
        return Ok(false);
    }
    names.insert(CLIENT_SIDE.to_owned());
    let mut last = KubectlError::message("timed out waiting for the condition");
    for _ in 0..RETRIES {
        let Some(fields) = upgraded(&info.object, &names, manager(run)) else { return Ok(false) };
        let body = json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": info.object["metadata"]["resourceVersion"]},
        ]);
        let patch = Patch { media_type: JSON_PATCH, body };
        match send(run.session, info, &patch, &run.options()).await {
            Ok(object) => {
                info.refresh(object);
                return Ok(true);
            }
            Err(error) if error.is_conflict() => {
                last = error;
                info.get(&run.session.client().await?).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// The managed fields with those of client-side apply joined to the server-side manager's; `None` if nothing changes.
fn upgraded(object: &Value, names: &BTreeSet<String>, manager: &str) -> Option<Value> {
    let entries = object["metadata"]["managedFields"].as_array()?.clone();
    let plain = |entry: &Value| entry["subresource"].as_str().unwrap_or_default().is_empty();
    let mine = |entry: &Value| {
        plain(entry)
            && entry["operation"] == "Update"
            && entry["manager"].as_str().is_some_and(|name| names.contains(name))
    };
    let (taken, mut kept): (Vec<Value>, Vec<Value>) = entries.into_iter().partition(mine);
    let first = taken.first()?.clone();
    let annotation = format!("f:{LAST_APPLIED}");
    let mut joined = json!({});
    for entry in &taken {
        join(&mut joined, &entry["fieldsV1"]);
    }
    if let Some(annotations) = joined["f:metadata"]["f:annotations"].as_object_mut() {
        annotations.remove(&annotation);
    }
    match kept
        .iter_mut()
        .find(|entry| plain(entry) && entry["operation"] == "Apply" && entry["manager"] == manager)
    {
        Some(entry) => join(&mut entry["fieldsV1"], &joined),
        None => {
            let mut entry = first;
            entry["operation"] = json!("Apply");
            entry["manager"] = json!(manager);
            entry["fieldsV1"] = joined;
            kept.push(entry);
        }
    }
    Some(Value::Array(kept))
}

/// The union of two field sets.
fn join(fields: &mut Value, other: &Value) {
    for (name, inner) in other.as_object().into_iter().flatten() {
        if !fields.is_object() {
            *fields = json!({});
        }
        match fields.get_mut(name) {
            Some(known) => join(known, inner),
            None => fields[name.as_str()] = inner.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_sides_fields_go_over_to_server_side() {
        let annotation = format!("f:{LAST_APPLIED}");
        let object = json!({"metadata": {"managedFields": [
            {"manager": CLIENT_SIDE, "operation": "Update", "fieldsV1": {"f:metadata": {"f:annotations": {annotation: {}}}, "f:a": {}}},
            {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:b": {}}}]}});
        assert_eq!(owners(&object, "Update").into_iter().collect::<Vec<_>>(), [CLIENT_SIDE]);
        let fields = upgraded(&object, &BTreeSet::from([CLIENT_SIDE.to_owned()]), "kubectl").unwrap();
        assert_eq!(fields.as_array().unwrap().len(), 1);
        assert!(fields[0]["fieldsV1"]["f:a"].is_object() && fields[0]["fieldsV1"]["f:b"].is_object());
    }
}
