//! kubectl as a program: the same in the sandbox shell, in a container and as `k8s-learn kubectl` on the host.
//!
//! Whoever builds a shell puts a [`Kubectl`] into it; [`Kubectl::run`] reads the command line and runs the verb.

use std::sync::Arc;

use async_trait::async_trait;

use super::command::{self, Found};
use super::connect::Connect;
use super::diff_program::DiffProgram;
use super::editor::Editor;
use super::error::{KubectlError, Result};
use super::factory::{Factory, FactoryParts, global_flags};
use super::flags::{self, FlagError};
use super::network::Network;
use super::session::{Session, SessionParts};
use super::verbs::{self, GROUPS};
use crate::bash::{Program, ProgramContext};
use crate::clock::Clock;
use crate::seed::Seed;

/// kubectl, with what it needs of the place that it runs in.
#[derive(Clone)]
pub struct Kubectl {
    /// How clusters are reached.
    pub connect: Arc<dyn Connect>,
    /// The network for `proxy`, `port-forward` and URLs.
    pub network: Arc<dyn Network>,
    /// The editor for `edit`.
    pub editor: Arc<dyn Editor>,
    /// What compares files for `diff`.
    pub diff_program: Arc<dyn DiffProgram>,
    /// The time for ages, timeouts and waits.
    pub clock: Clock,
    /// The chance for names.
    pub seed: Seed,
}

#[async_trait]
impl Program for Kubectl {
    async fn run(&self, context: ProgramContext) -> i32 {
        let args: Vec<String> = context.args.iter().skip(1).cloned().collect();
        let home = context.env.get("HOME").cloned().unwrap_or_default();
        let globals = global_flags(&home);
        let mut stdio = context.stdio;
        let found = match command::find(GROUPS, &globals, &args) {
            Ok(found) => found,
            Err(error) => return tell(&mut stdio.stderr, &error).await,
        };
        let mut known = globals;
        known.extend(found.verb.map(|verb| verb.flags()).unwrap_or_default());
        let (flags, rest) = match flags::parse(&known, &found.args) {
            Ok(parsed) => parsed,
            Err(FlagError::Help) => return say(&mut stdio.stdout, &help_of(&found)).await,
            Err(FlagError::Message(text)) => {
                let error = match found.verb {
                    Some(verb) => verb.flag_error(&found.path, text),
                    None => command::flag_error(&found.path, &text),
                };
                return tell(&mut stdio.stderr, &error).await;
            }
        };
        // The whole line is read once more, with the words that name the verb.
        let recorded = if flags.bool("record") { flags::parse(&known, &args).ok() } else { None };
        let change_cause = recorded.map(|(flags, words)| verbs::change_cause(&flags, &words));
        let parts = FactoryParts {
            connect: self.connect.clone(),
            files: context.files.clone(),
            clock: self.clock.clone(),
            env: context.env.clone(),
            cwd: context.cwd.clone(),
        };
        let session = Session::new(SessionParts {
            factory: Factory::load(&flags, parts).await,
            stdio,
            env: context.env,
            cwd: context.cwd,
            files: context.files,
            network: self.network.clone(),
            editor: self.editor.clone(),
            diff_program: self.diff_program.clone(),
            clock: self.clock.clone(),
            seed: self.seed.clone(),
            command_path: found.path.clone(),
            verb: found.verb,
            change_cause,
        });
        for warning in &flags.warnings {
            // A reader that is gone is told by the verb's own writing.
            let _ = session.err.line(warning).await;
        }
        let result = dispatch(&session, &found, &flags, &rest).await;
        finish(&session, result).await
    }
}

async fn dispatch(session: &Session, found: &Found, flags: &flags::Flags, args: &[String]) -> Result<()> {
    match found.verb {
        Some(verb) if verb.runnable() => verb.run(session, flags, args).await,
        Some(_) if !args.is_empty() => {
            Err(KubectlError::usage(&found.path, format!("unknown command {:?}", args.join(" "))))
        }
        // A group alone is a mistake: its help goes to standard error, and the code is 1.
        Some(_) => {
            session.err.write(help_of(found)).await?;
            Err(KubectlError::Exit(1))
        }
        None => session.out.write(help_of(found)).await,
    }
}

fn help_of(found: &Found) -> String {
    found.verb.map_or_else(|| command::root_help(GROUPS), |verb| command::help(verb, &found.path))
}

async fn finish(session: &Session, result: Result<()>) -> i32 {
    if let Err(error) = result {
        let (text, code) = error.report();
        let _ = session.err.write(text).await;
        return code;
    }
    let warnings = session.client.get().map_or(0, super::client::Client::warnings);
    if session.factory.overrides.warnings_as_errors && warnings > 0 {
        let noun = if warnings == 1 { "warning" } else { "warnings" };
        let _ = session.err.line(format!("error: {warnings} {noun} received")).await;
        return 1;
    }
    0
}

type Stream = Box<dyn tokio::io::AsyncWrite + Send + Unpin>;

async fn tell(stderr: &mut Stream, error: &KubectlError) -> i32 {
    let (text, code) = error.report();
    say(stderr, &text).await;
    code
}

async fn say(stream: &mut Stream, text: &str) -> i32 {
    use tokio::io::AsyncWriteExt;
    let written = async {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    };
    i32::from(written.await.is_err())
}
