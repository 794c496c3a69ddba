//! `kubectl apply view-last-applied` and `set-last-applied`.
// Models kubectl/pkg/cmd/apply (apply_view_last_applied.go, apply_set_last_applied.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::{json::pretty, print_flags};
use crate::kubectl::resources::{Builder, FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::patching::{MERGE_PATCH, Patch, send};
use crate::kubectl::verbs::targets::{Finding, all_flag, find, selector_flag};
use crate::kubectl::verbs::writing::{
    DryRun, LAST_APPLIED, WriteOptions, dry_run, dry_run_flag, go_json, tell,
};
use crate::yaml;

/// `kubectl apply view-last-applied`.
pub struct ViewLastApplied;

#[async_trait]
impl Verb for ViewLastApplied {
    fn name(&self) -> &'static str {
        "view-last-applied"
    }
    fn short(&self) -> &'static str {
        "View the latest last-applied-configuration annotations of a resource/object"
    }
    fn long(&self) -> &'static str {
        "Show what was applied last, as the annotation of apply keeps it."
    }
    fn usage(&self) -> &'static str {
        "(TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = FilenameOptions::flags("that contains the last-applied-configuration annotations");
        flags.extend([
            all_flag(),
            selector_flag(),
            Flag::string("output", "yaml", "yaml or json.").short('o'),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let output = flags.string("output");
        if !["yaml", "json"].contains(&output) {
            let text =
                format!("Unexpected -o output mode: {output}, the flag 'output' must be one of yaml|json");
            return Err(KubectlError::usage(&session.command_path, text));
        }
        let finding = Finding { latest: true, ..Finding::default() };
        for info in find(session, flags, args, finding).await?.into_infos()? {
            // What was never applied is passed over without a word, as kubectl does.
            let Some(text) = info.object["metadata"]["annotations"][LAST_APPLIED].as_str() else { continue };
            let object: Value =
                serde_json::from_str(text).map_err(|error| KubectlError::message(error.to_string()))?;
            if output == "json" {
                session.out.write(format!("{}\n", pretty(&object, "  "))).await?;
            } else {
                session.out.write(yaml::to_string(&object)).await?;
            }
        }
        Ok(())
    }
}

/// `kubectl apply set-last-applied`.
pub struct SetLastApplied;

#[async_trait]
impl Verb for SetLastApplied {
    fn name(&self) -> &'static str {
        "set-last-applied"
    }
    fn short(&self) -> &'static str {
        "Set the last-applied-configuration annotation on a live object to match the contents of a file"
    }
    fn long(&self) -> &'static str {
        "Write a file into the annotation of apply, as if it had been applied, and change nothing else."
    }
    fn usage(&self) -> &'static str {
        "-f FILENAME"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("that contains the last-applied-configuration annotations"));
        flags.extend([
            dry_run_flag(),
            Flag::bool("create-annotation", false, "Make the annotation where there is none."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, _: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let (namespace, enforce) = session.namespace()?;
        let files = FilenameOptions::new(flags);
        let builder =
            Builder::new(session).namespace(&namespace).default_namespace().filenames(enforce, &files);
        let infos = builder.flatten().visit().await?.into_infos()?;
        let client = session.client().await?;
        let mut changes = vec![];
        for info in infos {
            let current = client
                .json(Request::get(info.path()?))
                .await
                .map_err(|error| error.while_doing("getting", &info.source))?;
            let there = current["metadata"]["annotations"][LAST_APPLIED].as_str();
            if there.is_none() && !flags.bool("create-annotation") {
                let text = format!(
                    "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command \
                     with --create-annotation",
                    info.name
                );
                return Err(KubectlError::message(text));
            }
            let kept = there.and_then(|text| serde_json::from_str::<Value>(text).ok());
            if kept.as_ref() == Some(&info.object) {
                session.out.line(format!("set-last-applied {}: no changes required.", info.name)).await?;
            } else {
                let text = format!("{}\n", go_json(&info.object));
                changes.push((info, current, text));
            }
        }
        for (info, current, text) in changes {
            set(session, flags, &info, (&current, &text), dry_run).await?;
        }
        Ok(())
    }
}

async fn set(
    session: &Session,
    flags: &Flags,
    info: &Info,
    (current, text): (&Value, &str),
    dry_run: DryRun,
) -> Result<()> {
    if dry_run == DryRun::Client {
        return tell(session, flags, current, "configured", dry_run).await;
    }
    let body = json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
    let patch = Patch { media_type: MERGE_PATCH, body };
    let options = WriteOptions { dry_run, field_manager: "", validation: "" };
    let object = send(session, info, &patch, &options).await?;
    tell(session, flags, &object, "configured", dry_run).await
}
