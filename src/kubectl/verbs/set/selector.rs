//! `kubectl set selector`.
// Models kubectl/pkg/cmd/set (set_selector.go).

use async_trait::async_trait;

use super::change::{self, Sending};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::create::plain::label_selector;
use crate::kubectl::verbs::writing::dry_run;

/// `kubectl set selector`.
pub struct Selector;

#[async_trait]
impl Verb for Selector {
    fn name(&self) -> &'static str {
        "selector"
    }
    fn short(&self) -> &'static str {
        "Set the selector on a resource"
    }
    fn long(&self) -> &'static str {
        "Set the labels by which a Service finds its pods. The old selector is replaced."
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = change::recorded_flags();
        flags.push(Flag::string("resource-version", "", "Change the object only if it is of this version."));
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let Some((expression, resources)) = args.split_last() else {
            return Err(KubectlError::message("one selector is required"));
        };
        let selector = label_selector(expression)?;
        let sending = Sending { session, flags, dry_run, done: "selector updated", failed: "" };
        let mut errors = vec![];
        for info in &change::objects(session, flags, resources).await? {
            if info.object["kind"] != "Service" {
                errors.push(KubectlError::message("setting a selector is only supported for Services"));
                continue;
            }
            if selector["matchExpressions"].is_array() {
                let text =
                    format!("match expression {} not supported on this object", selector["matchExpressions"]);
                errors.push(KubectlError::message(text));
                continue;
            }
            let mut after = info.object.clone();
            after["spec"]["selector"] = selector["matchLabels"].clone();
            if !flags.string("resource-version").is_empty() {
                after["metadata"]["resourceVersion"] = flags.string("resource-version").into();
            }
            errors.extend(sending.send(info, &after).await.err());
        }
        KubectlError::aggregate(errors)
    }
}
