//! The revisions that are kept of an object: replica sets of a deployment, controller revisions of the others.
// Models kubectl/pkg/polymorphichelpers (history.go).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::patch::merge_patch;
use crate::kubectl::client::{Client, Request};
use crate::kubectl::describe::fields::{is_controlled_by, selector, text};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::resources::{Info, list_items};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::patching::{Patch, STRATEGIC_PATCH};

/// The annotation that says why a revision came about.
pub use crate::kubectl::verbs::recording::CHANGE_CAUSE;
const REVISION: &str = "deployment.kubernetes.io/revision";

/// A revision of an object.
#[derive(Clone, Debug)]
pub struct Revision {
    /// The replica set or controller revision.
    pub source: Value,
    /// The object as it was: the replica set, or the daemon or stateful set with the revision's template in it.
    pub object: Value,
}

impl Revision {
    /// The pod template, with the change's cause among its annotations if that is wanted.
    pub fn template(&self) -> &Value {
        &self.object["spec"]["template"]
    }

    /// Why it came about.
    pub fn change_cause(&self) -> &str {
        self.source["metadata"]["annotations"][CHANGE_CAUSE].as_str().unwrap_or_default()
    }
}

/// The revisions of an object by their numbers.
pub async fn of(session: &Session, info: &Info, for_undo: bool) -> Result<BTreeMap<i64, Revision>> {
    let mapping = info.mapping()?;
    let client = session.client().await?;
    match (mapping.group.as_str(), mapping.kind.as_str()) {
        ("apps" | "extensions", "Deployment") => deployment(&client, info).await,
        ("apps", "DaemonSet" | "StatefulSet") => controlled(&client, info).await,
        (group, kind) => {
            let name = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
            Err(KubectlError::message(match (known(kind), for_undo) {
                (true, false) => format!("no history viewer has been implemented for {name:?}"),
                (true, true) => format!("no rollbacker has been implemented for {name:?}"),
                (false, false) => {
                    format!("error retrieving history for {name:?}, no visitor method exists for {name:?}")
                }
                (false, true) => {
                    format!("error retrieving rollbacker for {name:?}, no visitor method exists for {name:?}")
                }
            }))
        }
    }
}

fn known(kind: &str) -> bool {
    ["Job", "Pod", "ReplicaSet", "ReplicationController", "CronJob"].contains(&kind)
}

/// Lists the objects of a resource that the object controls.
async fn owned(client: &Client, info: &Info, path: &str, object: &Value) -> Result<Vec<Value>> {
    let labels = selector(object, "/spec/selector").map_err(KubectlError::message)?;
    let request = Request::get(format!("/apis/apps/v1/namespaces/{}/{path}", info.namespace));
    let mut items = list_items(client.json(request.query("labelSelector", labels.to_string())).await?);
    items.retain(|item| is_controlled_by(item, text(object, "/metadata/uid")));
    items.sort_by_key(|item| text(item, "/metadata/name").to_owned());
    Ok(items)
}

async fn deployment(client: &Client, info: &Info) -> Result<BTreeMap<i64, Revision>> {
    let failed = |error: KubectlError| {
        KubectlError::message(format!("failed to retrieve deployment {}: {error}", info.name))
    };
    let deployment = client.json(Request::get(info.path()?)).await.map_err(failed)?;
    let failed = |error: KubectlError| {
        KubectlError::message(format!(
            "failed to retrieve replica sets from deployment {}: {error}",
            info.name
        ))
    };
    let mut revisions = BTreeMap::new();
    for mut set in owned(client, info, "replicasets", &deployment).await.map_err(failed)? {
        let number = set["metadata"]["annotations"][REVISION].as_str().map_or(Ok(0), str::parse);
        let Ok(number) = number else { continue };
        set["kind"] = json!("ReplicaSet");
        set["apiVersion"] = json!("apps/v1");
        revisions.insert(number, Revision { source: set.clone(), object: set });
    }
    Ok(revisions)
}

async fn controlled(client: &Client, info: &Info) -> Result<BTreeMap<i64, Revision>> {
    let mapping = info.mapping()?;
    let object = client.json(Request::get(info.path()?)).await?;
    let mut revisions = BTreeMap::new();
    for source in owned(client, info, "controllerrevisions", &object).await? {
        let number = source["revision"].as_i64().unwrap_or_default();
        let patch = Patch { media_type: STRATEGIC_PATCH, body: source["data"].clone() };
        let unable =
            |_| KubectlError::message(format!("unable to parse history {}", text(&source, "/metadata/name")));
        let past = patch.apply_locally(mapping, &object).map_err(unable)?;
        revisions.insert(number, Revision { source, object: past });
    }
    Ok(revisions)
}

/// A template with its own hash taken out, for comparison.
pub fn without_hash(template: &Value) -> Value {
    let hash = json!({"metadata": {"labels": {"pod-template-hash": null}, "creationTimestamp": null}});
    let mut bare = merge_patch(template.clone(), hash);
    if let Some(metadata) = bare["metadata"].as_object_mut() {
        metadata.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    }
    bare
}
