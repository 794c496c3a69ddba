//! `k8s-learn kubectl ...`, and the same when the binary is called kubectl: on the host's files, sockets and terminal.

use std::sync::Arc;

use super::command_line::live_runtime;
use crate::bash::{HostFiles, Program, ProgramContext, System, host_stdio};
use crate::clock::Clock;
use crate::kubectl::{EditRequest, Editor, HostConnect, HostDiffProgram, HostNetwork, Kubectl};
use crate::seed::Seed;

/// Runs kubectl with these arguments, the first being its name.
pub(super) fn run(args: Vec<String>) -> anyhow::Result<i32> {
    let runtime = live_runtime()?;
    let code = runtime.block_on(async {
        let clock = Clock::real();
        let kubectl = Kubectl {
            connect: Arc::new(HostConnect),
            network: Arc::new(HostNetwork),
            editor: Arc::new(HostEditor),
            diff_program: Arc::new(HostDiffProgram),
            clock: Clock::real(),
            seed: Seed::from_entropy(),
        };
        let context = ProgramContext {
            args,
            env: std::env::vars().collect(),
            cwd: std::env::current_dir()
                .map_or_else(|_| "/".to_owned(), |path| path.to_string_lossy().into_owned()),
            files: Arc::new(HostFiles::new()),
            stdio: host_stdio(),
            system: System::new("localhost", clock),
        };
        kubectl.run(context).await
    });
    // A read of the terminal may still be waiting for a key; it is not worth waiting for.
    runtime.shutdown_background();
    Ok(code)
}

/// Runs the host's editor on the host's terminal.
struct HostEditor;

#[async_trait::async_trait]
impl Editor for HostEditor {
    async fn edit(&self, request: EditRequest<'_>) -> Result<(), String> {
        let unable = |why: String| format!("there was a problem with the editor {:?}{why}", request.command);
        // Quotes and the like are the shell's business; plain words are run as they are.
        let mut words = request.command.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        if request.command.contains(['"', '\'', '\\']) {
            words = vec![
                "/bin/sh".to_owned(),
                "-c".to_owned(),
                format!("{} {:?}", request.command, request.path),
            ];
        } else {
            words.push(request.path.to_owned());
        }
        let program = words.remove(0);
        let mut command = tokio::process::Command::new(&program);
        command.args(words).current_dir(request.cwd).kill_on_drop(true);
        match command.status().await {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(unable(String::new())),
            // A path that leads nowhere is a program that could not start, and not one that could not be found.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && program.contains('/') => {
                Err(unable(String::new()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(format!("unable to launch the editor {:?}", request.command))
            }
            Err(error) => Err(unable(format!(": {error}"))),
        }
    }
}
