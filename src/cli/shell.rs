//! `k8s-learn shell`: the sandbox shell on a fresh cluster, without panes.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::Context;
use futures::io::AllowStdIo;
use tokio_util::compat::FuturesAsyncWriteCompatExt;

use super::command_line::{ClusterArgs, ShellArgs, TimeArg, live_runtime, virtual_runtime};
use crate::api::auth::UserInfo;
use crate::bash::{Stdio, host_stdio, host_terminal};
use crate::client;
use crate::cluster::{Cluster, RuntimeConfig, Time};
use crate::runtime::sim::Pace;
use crate::shell::{LiveSource, Session, SessionConfig, repl};

/// `k8s-learn shell`: a script if one is given, else the prompt.
pub(super) fn run(args: ShellArgs) -> anyhow::Result<i32> {
    let script = match (&args.commands, &args.file) {
        (Some(commands), _) => Some(commands.clone()),
        (None, Some(file)) => Some(read(file)?),
        (None, None) if !std::io::stdin().is_terminal() => Some(read(&PathBuf::from("-"))?),
        (None, None) => None,
    };
    let Some(script) = script else {
        anyhow::ensure!(args.time == TimeArg::Real, "--time virtual is for scripts: use -c or a file");
        return prompt(&args.cluster);
    };
    let from_stdin = args.file.as_ref().is_some_and(|file| file.as_os_str() == "-")
        || (args.commands.is_none() && args.file.is_none());
    let runtime = match args.time {
        TimeArg::Real => live_runtime()?,
        TimeArg::Virtual => virtual_runtime()?,
    };
    anyhow::ensure!(
        args.time == TimeArg::Real || args.cluster.runtime.config() == RuntimeConfig::Sim,
        "--time virtual is for --runtime sim: real containers live in the machine's own time"
    );
    let time = if args.time == TimeArg::Virtual { Time::Virtual } else { Time::Real };
    let code = runtime.block_on(async {
        let (cluster, mut session) = start(&args.cluster, time, Pace::Instant).await?;
        let open = || {
            let mut stdio = match time {
                Time::Real => host_stdio(),
                Time::Virtual => undisturbed_stdio(),
            };
            if from_stdin {
                stdio.stdin = Box::new(tokio::io::empty());
                stdio.stdin_is_terminal = false;
            }
            stdio
        };
        let code = session.run_script(&script, open).await;
        drop(session);
        cluster.stop().await;
        anyhow::Ok(code)
    })?;
    runtime.shutdown_background();
    Ok(code)
}

/// This process's streams for a script on virtual time: nothing to read, and each write is done before anything else goes on.
/// Tokio's own streams write on another thread, and how far the cluster gets meanwhile would be chance.
fn undisturbed_stdio() -> Stdio {
    Stdio {
        stdout: Box::new(AllowStdIo::new(std::io::stdout()).compat_write()),
        stderr: Box::new(AllowStdIo::new(std::io::stderr()).compat_write()),
        terminal: host_terminal(),
        ..Stdio::null()
    }
}

fn prompt(args: &ClusterArgs) -> anyhow::Result<i32> {
    let runtime = live_runtime()?;
    let code = runtime.block_on(async {
        let (cluster, mut session) = start(args, Time::Real, Pace::Real).await?;
        println!("A Kubernetes cluster is running in this process. Try: kubectl get nodes    (exit or Ctrl-D ends it)");
        let mut source =
            LiveSource::new(client::component(cluster.service(), "completion", UserInfo::admin())).await;
        source.look_in(session.files());
        let code = repl::run(&mut session, Box::new(source), history_file()).await?;
        drop(session);
        cluster.stop().await;
        anyhow::Ok(code)
    })?;
    runtime.shutdown_background();
    Ok(code)
}

async fn start(args: &ClusterArgs, time: Time, pace: Pace) -> anyhow::Result<(Cluster, Session)> {
    let mut config = args.config(pace);
    config.time = time;
    let cluster = Cluster::start(config).await.context("the cluster does not start")?;
    cluster.ready().await;
    let host_directory = std::env::current_dir().ok();
    let session =
        Session::new(&cluster, SessionConfig { host_directory, advice: true, ..SessionConfig::default() })?;
    Ok((cluster, session))
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Where lines are remembered, made if it is not there.
pub(super) fn history_file() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")))?;
    let directory = data.join("k8s-learn");
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory.join("history"))
}
