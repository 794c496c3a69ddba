//! `kubectl rollout history`.
// Models kubectl/pkg/cmd/rollout (rollout_history.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::group::{finding_flags, found};
use super::revisions::{self, CHANGE_CAUSE, Revision};
use crate::kubectl::command::Verb;
use crate::kubectl::describe::template;
use crate::kubectl::describe::writer::{Writer, align};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::{Operation, print_flags, printer};
use crate::kubectl::resources::Info;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::writing::{DryRun, tell};

/// `kubectl rollout history`.
pub struct History;

#[async_trait]
impl Verb for History {
    fn name(&self) -> &'static str {
        "history"
    }
    fn short(&self) -> &'static str {
        "View rollout history"
    }
    fn long(&self) -> &'static str {
        "Show the revisions of a rollout, or the pod template of one of them."
    }
    fn examples(&self) -> &'static str {
        "# Show the revisions of a deployment\nkubectl rollout history deployment/web\n\n# Show its third revision\nkubectl \
         rollout history deployment/web --revision=3"
    }
    fn usage(&self) -> &'static str {
        "(TYPE NAME | TYPE/NAME) [flags]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(finding_flags());
        flags.push(Flag::int("revision", 0, "The revision to show in full."));
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let wanted = flags.int("revision");
        let found = found(session, flags, args).await?;
        if wanted < 0 {
            return Err(KubectlError::message(format!("revision must be a positive integer: {wanted}")));
        }
        let mut errors = found.errors;
        for info in &found.infos {
            let shown = if flags.changed("output") {
                objects(session, flags, info, wanted).await
            } else {
                words(session, flags, info, wanted).await
            };
            errors.extend(shown.err());
        }
        KubectlError::aggregate(errors)
    }
}

fn missing() -> KubectlError {
    KubectlError::message("unable to find the specified revision")
}

async fn objects(session: &Session, flags: &Flags, info: &Info, wanted: i64) -> Result<()> {
    let revisions = revisions::of(session, info, false).await?;
    let mut printer = printer(session, flags, &Operation::default()).await?;
    let mut text = String::new();
    if wanted > 0 {
        printer.print(&revisions.get(&wanted).ok_or_else(missing)?.object, &mut text)?;
    } else {
        revisions.values().try_for_each(|revision| printer.print(&revision.object, &mut text))?;
    }
    session.out.write(text).await
}

async fn words(session: &Session, flags: &Flags, info: &Info, wanted: i64) -> Result<()> {
    let revisions = revisions::of(session, info, false).await?;
    let text = if revisions.is_empty() {
        "No rollout history found.".to_owned()
    } else if wanted > 0 {
        template_text(revisions.get(&wanted).ok_or_else(missing)?, true)
    } else {
        let line = |(number, revision): (&i64, &Revision)| {
            let cause = Some(revision.change_cause()).filter(|cause| !cause.is_empty()).unwrap_or("<none>");
            format!("{number}\t{cause}\n")
        };
        let lines: String = revisions.iter().map(line).collect();
        align(&format!("REVISION\tCHANGE-CAUSE\n{lines}"), 2)
    };
    let with = if wanted > 0 { format!("with revision #{wanted}") } else { String::new() };
    tell(session, flags, &info.object, &format!("{with}\n{text}"), DryRun::None).await
}

/// The template of a revision in words, its columns not aligned, as kubectl leaves them.
pub(super) fn template_text(revision: &Revision, with_cause: bool) -> String {
    let mut holder = json!({"template": revision.template()});
    let replica_set = revision.source["kind"] == "ReplicaSet";
    if with_cause && replica_set && !revision.change_cause().is_empty() {
        let metadata: &mut Value = &mut holder["template"]["metadata"];
        if !metadata["annotations"].is_object() {
            metadata["annotations"] = json!({});
        }
        metadata["annotations"][CHANGE_CAUSE] = json!(revision.change_cause());
    }
    let mut writer = Writer::new();
    template::section(&mut writer, &holder, "/template");
    writer.finish_unaligned()
}
