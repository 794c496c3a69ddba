//! Entrypoint scripts of images that end in `exec "$@"`, and the program of `hello-world`.

use async_trait::async_trait;

use super::super::launcher::Launcher;
use crate::bash::{Program, ProgramContext};

/// Runs the command that it is given.
pub(super) struct Entrypoint {
    launcher: Launcher,
}

impl Entrypoint {
    pub(super) fn new(launcher: Launcher) -> Self {
        Self { launcher }
    }
}

#[async_trait]
impl Program for Entrypoint {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let name = context.name().to_owned();
        let mut command = context.args.split_off(1);
        // redis' takes options of its server alone.
        if name == "docker-entrypoint.sh"
            && command.first().is_some_and(|word| word.starts_with('-') || word.ends_with(".conf"))
        {
            command.insert(0, "redis-server".to_owned());
        }
        self.launcher.exec(context, command).await
    }
}

/// Says that containers work.
pub(super) struct Hello;

const HELLO: &str = "\nHello from a container!\n\nThat you can read this means that all of it works:\n 1. the image was pulled,\n 2. a container was made of it,\n 3. its program ran and wrote these lines,\n 4. and they came back to you through its log.\n\nTry something larger: a shell of your own in busybox or ubuntu.\n\n";

#[async_trait]
impl Program for Hello {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        context.stdio.out(HELLO).await;
        0
    }
}
