//! The group of the `rollout` verbs, and the flags they share.
// Models kubectl/pkg/cmd/rollout (rollout.go).

use async_trait::async_trait;

use super::history::History;
use super::pause::{PAUSE, RESTART, RESUME};
use super::status::Status;
use super::undo::Undo;
use crate::kubectl::command::{Verb, not_runnable};
use crate::kubectl::error::Result;
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::{FilenameOptions, Visited};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::targets::{Finding, find, require_resources, selector_flag};

/// `kubectl rollout`.
pub struct Rollout;

static VERBS: &[&dyn Verb] = &[&History, &PAUSE, &RESTART, &RESUME, &Status, &Undo];

#[async_trait]
impl Verb for Rollout {
    fn name(&self) -> &'static str {
        "rollout"
    }
    fn short(&self) -> &'static str {
        "Manage the rollout of a resource"
    }
    fn long(&self) -> &'static str {
        "Look after the rollout of deployments, daemon sets and stateful sets."
    }
    fn examples(&self) -> &'static str {
        "# Go back to the revision before\nkubectl rollout undo deployment/web\n\n# See how far a rollout is\nkubectl rollout \
         status deployment/web\n\n# Start every pod anew\nkubectl rollout restart deployment/web"
    }
    fn usage(&self) -> &'static str {
        "SUBCOMMAND"
    }
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        VERBS
    }
    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(not_runnable(session))
    }
}

/// The flags by which every rollout verb finds objects.
pub(super) fn finding_flags() -> Vec<Flag> {
    let mut flags = FilenameOptions::flags("identifying the resource to get from a server.");
    flags.push(selector_flag());
    flags
}

/// The objects that a rollout verb works on.
pub(super) async fn found(session: &Session, flags: &Flags, args: &[String]) -> Result<Visited> {
    require_resources(flags, args)?;
    find(session, flags, args, Finding { allow_empty_selector: true, latest: true, local: false }).await
}
