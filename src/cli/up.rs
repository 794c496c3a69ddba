//! `k8s-learn up`: a cluster for other programs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::command_line::{UpArgs, live_runtime};
use crate::cluster::Cluster;
use crate::runtime::sim::Pace;

/// Serves until SIGINT or SIGTERM.
pub(super) fn run(args: UpArgs) -> anyhow::Result<()> {
    live_runtime()?.block_on(serve(args))
}

async fn serve(args: UpArgs) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let mut config = args.cluster.config(Pace::Instant);
    config.without = args.without.clone();
    config.token = args.token;
    config.serve_names = vec![address.ip().to_string(), "localhost".to_owned()];
    let cluster = Cluster::start(config).await.context("the cluster does not start")?;
    let server = cluster.serve(listener)?;
    let _node_ports = cluster.open_node_ports(address.ip());
    let url = format!("https://{address}");
    let path = write_kubeconfig(args.kubeconfig, &cluster.kubeconfig(&url)?)?;
    let ready = tokio::select! { biased;
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
        () = cluster.ready() => true,
    };
    if ready {
        println!("ready {url} kubeconfig {}", path.display());
        tokio::select! { biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    drop(server);
    cluster.stop().await;
    Ok(())
}

/// Writes the kubeconfig so that only its owner can read it: there is a key in it.
fn write_kubeconfig(wanted: Option<PathBuf>, content: &str) -> anyhow::Result<PathBuf> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = match wanted {
        Some(path) => path,
        None => std::env::temp_dir().join(format!("k8s-learn-{}.kubeconfig", std::process::id())),
    };
    let write = |path: &Path| {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())
    };
    write(&path).with_context(|| format!("cannot write the kubeconfig {}", path.display()))?;
    Ok(path)
}
