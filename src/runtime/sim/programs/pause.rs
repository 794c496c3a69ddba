//! `pause`, which waits to be ended.

use async_trait::async_trait;

use crate::bash::{Program, ProgramContext, signal};

/// Does nothing until it is asked to end.
pub(super) struct Pause;

#[async_trait]
impl Program for Pause {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let signals = context.system.signals.clone();
        signals.handle(signal::TERM);
        signals.handle(signal::INT);
        let number = signals.next().await;
        let shown = if number == signal::INT { "Interrupt" } else { "Terminated" };
        context.stdio.err(format!("Shutting down, got signal: {shown}\n")).await;
        0
    }
}
