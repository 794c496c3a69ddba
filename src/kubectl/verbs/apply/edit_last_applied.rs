//! `kubectl apply edit-last-applied`.
// Models kubectl/pkg/cmd/apply (apply_edit_last_applied.go).

use async_trait::async_trait;

use crate::kubectl::command::Verb;
use crate::kubectl::error::Result;
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::edit::{self, Mode};

/// `kubectl apply edit-last-applied`.
pub struct EditLastApplied;

#[async_trait]
impl Verb for EditLastApplied {
    fn name(&self) -> &'static str {
        "edit-last-applied"
    }
    fn short(&self) -> &'static str {
        "Edit latest last-applied-configuration annotations of a resource/object"
    }
    fn long(&self) -> &'static str {
        "Open what was applied last in an editor, and write it back into the annotation."
    }
    fn usage(&self) -> &'static str {
        "(RESOURCE/NAME | -f FILENAME)"
    }
    fn flags(&self) -> Vec<Flag> {
        edit::flags("kubectl-client-side-apply")
    }
    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        edit::run(session, flags, args, Mode::LastApplied).await
    }
}
