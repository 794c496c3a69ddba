//! `k8s-learn kubectl ...`, and the same when the binary is called kubectl: on the host's files, sockets and terminal.

use std::sync::Arc;

use crate::bash::{HostFiles, Program, ProgramContext, host_stdio};
use crate::clock::Clock;
use crate::kubectl::{HostConnect, HostNetwork, Kubectl};
use crate::seed::Seed;

/// Runs kubectl with these arguments, the first being its name.
pub(super) fn run(args: Vec<String>) -> anyhow::Result<i32> {
    let runtime = super::live_runtime()?;
    let code = runtime.block_on(async {
        let kubectl = Kubectl {
            connect: Arc::new(HostConnect),
            network: Arc::new(HostNetwork),
            clock: Clock::real(),
            seed: Seed::from_entropy(),
        };
        let context = ProgramContext {
            args,
            env: std::env::vars().collect(),
            cwd: std::env::current_dir().map_or_else(|_| "/".to_owned(), |path| path.to_string_lossy().into_owned()),
            files: Arc::new(HostFiles::new()),
            stdio: host_stdio(),
        };
        kubectl.run(context).await
    });
    // A read of the terminal may still be waiting for a key; it is not worth waiting for.
    runtime.shutdown_background();
    Ok(code)
}
