//! `kubectl options`: the flags that every verb takes.

use async_trait::async_trait;

use crate::kubectl::command::{Verb, options};
use crate::kubectl::error::Result;
use crate::kubectl::factory::global_flags;
use crate::kubectl::flags::Flags;
use crate::kubectl::session::Session;

/// The verb.
pub struct Options;

#[async_trait]
impl Verb for Options {
    fn name(&self) -> &'static str {
        "options"
    }

    fn short(&self) -> &'static str {
        "Print the list of flags inherited by all commands"
    }

    fn hidden(&self) -> bool {
        true
    }

    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        let home = session.variable("HOME").unwrap_or_default();
        let text = format!(
            "The following options can be passed to any command:\n\n{}",
            options(&global_flags(home))
        );
        session.out.write(text).await
    }
}
