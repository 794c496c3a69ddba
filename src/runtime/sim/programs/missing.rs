//! A command that the shell would have but the image does not: not found, in the words of the image's shell.

use async_trait::async_trait;

use crate::bash::{Dialect, Program, ProgramContext};

/// Says that there is no such command.
pub(super) struct Missing;

#[async_trait]
impl Program for Missing {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let name = context.args.first().cloned().unwrap_or_default();
        let text = match context.system.dialect {
            Dialect::Busybox => format!("sh: {name}: not found\n"),
            Dialect::Dash => format!("sh: 1: {name}: not found\n"),
            Dialect::Gnu => format!("bash: line 1: {name}: command not found\n"),
        };
        context.stdio.err(text).await;
        127
    }
}
