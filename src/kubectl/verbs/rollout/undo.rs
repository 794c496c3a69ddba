//! `kubectl rollout undo`.
// Models kubectl/pkg/cmd/rollout (rollout_undo.go) and kubectl/pkg/polymorphichelpers (rollback.go).

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::group::{finding_flags, found};
use super::history::template_text;
use super::revisions::{self, Revision, without_hash};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::Info;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::patching::{JSON_PATCH, Patch, STRATEGIC_PATCH, send};
use crate::kubectl::verbs::writing::{DryRun, LAST_APPLIED, WriteOptions, dry_run, dry_run_flag, tell};

/// `kubectl rollout undo`.
pub struct Undo;

/// Annotations that belong to the deployment, whatever its revision.
const OWN_ANNOTATIONS: [&str; 6] = [
    LAST_APPLIED,
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

#[async_trait]
impl Verb for Undo {
    fn name(&self) -> &'static str {
        "undo"
    }
    fn short(&self) -> &'static str {
        "Undo a previous rollout"
    }
    fn long(&self) -> &'static str {
        "Go back to the revision before, or to the one that --to-revision names."
    }
    fn examples(&self) -> &'static str {
        "# Go back to the revision before\nkubectl rollout undo deployment/web\n\n# Go back to the third revision\nkubectl \
         rollout undo deployment/web --to-revision=3"
    }
    fn usage(&self) -> &'static str {
        "(TYPE NAME | TYPE/NAME) [flags]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(finding_flags());
        flags.push(dry_run_flag());
        flags.push(Flag::int("to-revision", 0, "The revision to go back to; 0 for the one before."));
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let found = found(session, flags, args).await?;
        let mut errors = found.errors;
        for info in &found.infos {
            if info.object["metadata"]["annotations"][LAST_APPLIED].is_string() {
                let resource = &info.mapping()?.resource;
                let text = format!(
                    "Warning: resource {resource}/{} was previously managed with 'kubectl apply'. Rolling back will not update \
                     the {LAST_APPLIED} annotation, which may cause unexpected behavior on future 'kubectl apply' operations. \
                     Consider using 'kubectl apply' with your previous configuration file instead.",
                    info.name
                );
                session.err.line(text).await?;
            }
            match undo(session, info, flags.int("to-revision"), dry_run).await {
                Ok(done) => tell(session, flags, &info.object, &done, dry_run).await?,
                Err(error) => errors.push(error),
            }
        }
        KubectlError::aggregate(errors)
    }
}

/// Goes back and says what was done.
async fn undo(session: &Session, info: &Info, to: i64, dry_run: DryRun) -> Result<String> {
    let missing = || KubectlError::message(format!("unable to find specified revision {to} in history"));
    if to < 0 {
        return Err(missing());
    }
    let revisions = revisions::of(session, info, true).await?;
    let deployment = info.mapping()?.kind == "Deployment";
    let revision = if to > 0 {
        revisions.get(&to).ok_or_else(missing)?
    } else {
        before(&revisions).ok_or_else(|| {
            KubectlError::message(if deployment {
                format!("no rollout history found for deployment {:?}", info.name)
            } else {
                "no last revision to roll back to".to_owned()
            })
        })?
    };
    if dry_run == DryRun::Client {
        return Ok(template_text(revision, false));
    }
    let current = session.client().await?.json(Request::get(info.path()?)).await?;
    if deployment && current["spec"]["paused"] == json!(true) {
        let text = "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again";
        return Err(KubectlError::message(text));
    }
    if without_hash(revision.template()) == without_hash(&current["spec"]["template"]) {
        return Ok(format!("skipped rollback (current template already matches revision {to})"));
    }
    let patch = if deployment {
        Patch { media_type: JSON_PATCH, body: deployment_patch(&current, revision) }
    } else {
        Patch { media_type: STRATEGIC_PATCH, body: revision.source["data"].clone() }
    };
    let options = WriteOptions { dry_run, field_manager: "", validation: "" };
    let failed =
        |error: KubectlError| KubectlError::message(format!("failed restoring revision {to}: {error}"));
    send(session, info, &patch, &options).await.map_err(failed)?;
    Ok("rolled back".to_owned())
}

/// The newest revision but one.
fn before(revisions: &BTreeMap<i64, Revision>) -> Option<&Revision> {
    revisions.values().rev().nth(1)
}

fn deployment_patch(current: &Value, revision: &Revision) -> Value {
    let mut annotations = json!({});
    let of = |object: &Value| object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    for (key, value) in of(current).into_iter().filter(|(key, _)| OWN_ANNOTATIONS.contains(&key.as_str())) {
        annotations[key] = value;
    }
    for (key, value) in
        of(&revision.source).into_iter().filter(|(key, _)| !OWN_ANNOTATIONS.contains(&key.as_str()))
    {
        annotations[key] = value;
    }
    let mut template = revision.template().clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    json!([
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": annotations},
    ])
}
