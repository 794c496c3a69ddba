//! The three-way patch of client-side apply, and its retries.
// Models kubectl/pkg/cmd/apply (patcher.go).

use std::time::Duration;

use serde_json::{Value, json};

use super::apply_verb::Run;
use crate::api::patch::{create_three_way_json_merge_patch, create_three_way_merge_patch};
use crate::kubectl::client::Request;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::resources::{Info, Visited};
use crate::kubectl::verbs::deletion::{Deletion, gone};
use crate::kubectl::verbs::patching::{MERGE_PATCH, Patch, STRATEGIC_PATCH, send, type_info};
use crate::kubectl::verbs::watching::WEEK;
use crate::kubectl::verbs::writing::{DryRun, LAST_APPLIED, create_request, go_json};

/// How often a conflict is tried again.
const RETRIES: usize = 5;
/// How many retries go without a rest.
const TRIES_BEFORE_BACK_OFF: usize = 1;
const BACK_OFF: Duration = Duration::from_secs(1);

/// Brings one object to what the file says.
pub(super) struct Patcher<'a> {
    pub run: &'a Run<'a>,
    pub info: &'a Info,
    /// What the file says, with itself in the annotation.
    pub modified: &'a Value,
    /// How the object is deleted if it must be made anew.
    pub deletion: Deletion,
}

impl Patcher<'_> {
    /// Gives the patch and the object that came of it; with an error, the patch that failed.
    pub async fn patch(
        &self,
        current: Value,
    ) -> std::result::Result<(String, Value), (String, KubectlError)> {
        let mut attempt = self.try_once(&current).await;
        for retry in 1..=RETRIES {
            let Err((_, error)) = &attempt else { break };
            if !error.is_conflict() {
                break;
            }
            if retry > TRIES_BEFORE_BACK_OFF {
                self.run.session.clock.sleep(BACK_OFF).await;
            }
            let fresh = self.current().await.map_err(|error| (String::new(), error))?;
            attempt = self.try_once(&fresh).await;
        }
        match attempt {
            Err((patch, error))
                if self.run.flags.bool("force") && ["Conflict", "Invalid"].contains(&error.reason()) =>
            {
                let made = self.delete_and_create(&current).await.map_err(|error| (patch, error))?;
                Ok((go_json(self.modified), made))
            }
            Err((patch, error)) if self.run.dry_run != DryRun::Client => {
                Err((patch, error.while_doing("patching", &self.info.source)))
            }
            other => other,
        }
    }

    async fn current(&self) -> Result<Value> {
        self.run.session.client().await?.json(Request::get(self.info.path()?)).await
    }

    async fn try_once(
        &self,
        current: &Value,
    ) -> std::result::Result<(String, Value), (String, KubectlError)> {
        let overwrite = self.run.flags.bool("overwrite");
        let patch = self
            .info
            .mapping()
            .and_then(|mapping| three_way(mapping, self.modified, current, overwrite))
            .map_err(|error| (String::new(), error))?;
        let text = go_json(&patch.body);
        if patch.is_empty() {
            return Ok((text, current.clone()));
        }
        let patched = if self.run.dry_run == DryRun::Client {
            let local =
                |error: KubectlError| KubectlError::message(format!("applying patch locally: {error}"));
            self.info.mapping().and_then(|mapping| patch.apply_locally(mapping, current)).map_err(local)
        } else {
            send(self.run.session, self.info, &patch, &self.run.options()).await
        };
        patched.map(|object| (text.clone(), object)).map_err(|error| (text, error))
    }

    /// Deletes the object and makes it anew; if that fails, makes the old one again.
    async fn delete_and_create(&self, old: &Value) -> Result<Value> {
        let session = self.run.session;
        let quiet = Deletion { quiet: true, wait: false, ..self.deletion.clone() };
        quiet.run(session, Visited { infos: vec![self.info.clone()], ..Visited::default() }).await?;
        let mapping = self.info.mapping()?;
        let timeout = if self.deletion.timeout.is_zero() { WEEK } else { self.deletion.timeout };
        gone(session, self.info, mapping, old["metadata"]["uid"].as_str().unwrap_or_default(), timeout)
            .await?;
        let path = mapping.path(&self.info.namespace, "", "");
        let client = session.client().await?;
        let options = self.run.options();
        let error = match client.json(create_request(path.clone(), self.modified, &options)).await {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        let mut again = old.clone();
        if let Some(metadata) = again["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
            metadata.remove("uid");
        }
        let text = "An error occurred force-replacing the existing object with the newly provided one";
        match client.json(create_request(path, &again, &options)).await {
            Ok(_) => Err(error),
            Err(second) => Err(KubectlError::message(format!(
                "{text}:\n\n{error}.\n\nAdditionally, an error occurred attempting to restore the original object:\n\n{second}"
            ))),
        }
    }
}

/// The patch that brings an object to what a file says, as far as the file changed it since it was applied last.
pub fn three_way(mapping: &Mapping, modified: &Value, current: &Value, overwrite: bool) -> Result<Patch> {
    let original = original(current)?;
    let (media_type, body) = match type_info(mapping) {
        Some(info) => {
            (STRATEGIC_PATCH, create_three_way_merge_patch(&original, modified, current, info, overwrite))
        }
        None => (MERGE_PATCH, create_three_way_json_merge_patch(&original, modified, current)),
    };
    let body = body.map_err(|error| {
        let [original, modified, current] = [&original, modified, current].map(go_json);
        KubectlError::message(format!(
            "creating patch with:\noriginal:\n{original}\nmodified:\n{modified}\ncurrent:\n{current}\nfor: {error}"
        ))
    })?;
    if ["apiVersion", "kind"].iter().any(|field| body.get(field).is_some())
        || body["metadata"].get("name").is_some()
    {
        return Err(KubectlError::message("At least one of apiVersion, kind and name was changed"));
    }
    Ok(Patch { media_type, body })
}

/// What was applied last, by the annotation.
fn original(current: &Value) -> Result<Value> {
    let Some(text) = current["metadata"]["annotations"][LAST_APPLIED].as_str() else {
        return Ok(json!({}));
    };
    serde_json::from_str(text)
        .map_err(|error| KubectlError::message(format!("retrieving original configuration: {error}")))
}
