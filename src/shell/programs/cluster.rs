//! `cluster` for the sandbox shell: stops and starts the parts of the cluster, to see what each is there for.

use async_trait::async_trait;
use clap::{Parser, Subcommand};
use tokio::io::AsyncWriteExt;

use crate::bash::{Program, ProgramContext};
use crate::cluster::{Component, ComponentStatus, Components};

/// The command.
#[derive(Clone)]
pub struct ClusterCommand {
    components: Components,
}

impl ClusterCommand {
    /// `cluster` for the cluster that these are the components of.
    pub fn new(components: Components) -> Self {
        Self { components }
    }
}

#[derive(Parser)]
#[command(
    name = "cluster",
    about = "Stop and start the parts of this cluster",
    disable_version_flag = true,
    after_help = "Components: scheduler, controller-manager, kube-proxy, kubelet. The last two run on every node: name it if there are several."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the components and whether they run
    Status,
    /// Stop a component
    Stop(Which),
    /// Start a component
    Start(Which),
}

#[derive(clap::Args)]
struct Which {
    /// scheduler, controller-manager, kube-proxy or kubelet
    component: Component,
    /// Whose kube-proxy or kubelet
    node: Option<String>,
}

#[async_trait]
impl Program for ClusterCommand {
    async fn run(&self, context: ProgramContext) -> i32 {
        let ProgramContext { args, stdio, .. } = context;
        let (mut stdout, mut stderr) = (stdio.stdout, stdio.stderr);
        let (text, code) = match CommandLine::try_parse_from(&args) {
            Err(error) if error.use_stderr() => (Err(error.to_string()), error.exit_code()),
            Err(error) => (Ok(error.to_string()), 0),
            Ok(line) => match self.answer(line.command).await {
                Ok(text) => (Ok(text), 0),
                Err(error) => (Err(format!("error: {error}\n")), 1),
            },
        };
        // Nobody reads: nothing to tell.
        let _ = match text {
            Ok(text) => stdout.write_all(text.as_bytes()).await,
            Err(text) => stderr.write_all(text.as_bytes()).await,
        };
        code
    }
}

impl ClusterCommand {
    async fn answer(&self, command: Command) -> Result<String, crate::cluster::ComponentError> {
        let (done, which) = match command {
            Command::Status => return Ok(table(&self.components.status())),
            Command::Stop(which) => {
                (self.components.stop(which.component, which.node.as_deref()).await?, "stopped")
            }
            Command::Start(which) => {
                (self.components.start(which.component, which.node.as_deref()).await?, "started")
            }
        };
        let name = done.now.component.name();
        let whose = done.now.node.map(|node| format!(" of {node}")).unwrap_or_default();
        Ok(match (done.changed, done.now.running) {
            (true, _) => format!("{name}{whose} {which}\n"),
            (false, true) => format!("{name}{whose} runs already\n"),
            (false, false) => format!("{name}{whose} is stopped already\n"),
        })
    }
}

fn table(all: &[ComponentStatus]) -> String {
    let mut rows = vec![["COMPONENT".to_owned(), "NODE".to_owned(), "STATE".to_owned()]];
    rows.extend(all.iter().map(|status| {
        let state = if status.running { "running" } else { "stopped" };
        let node = status.node.as_deref().unwrap_or("-");
        [status.component.name().to_owned(), node.to_owned(), state.to_owned()]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0) + 3;
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[component, node, state]| format!("{component:first$}{node:second$}{state}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::{MemoryFiles, SharedWriter, Stdio, System};
    use crate::clock::Clock;
    use crate::cluster::{Cluster, ClusterConfig, Time};
    use std::sync::Arc;

    async fn typed(command: &ClusterCommand, clock: &Clock, line: &str) -> String {
        let (stdout, out) = SharedWriter::capture();
        let (stderr, err) = SharedWriter::capture();
        let context = ProgramContext {
            args: line.split(' ').map(str::to_owned).collect(),
            env: [].into(),
            cwd: "/".to_owned(),
            files: Arc::new(MemoryFiles::new(clock.clone())),
            stdio: Stdio { stdout: Box::new(stdout), stderr: Box::new(stderr), ..Stdio::null() },
            system: System::new("k8s-learn", clock.clone()),
        };
        let code = command.run(context).await;
        let [out, err] = [out, err].map(|kept| String::from_utf8(kept.lock().unwrap().clone()).unwrap());
        format!("{out}{err}[{code}]")
    }

    #[tokio::test(start_paused = true)]
    async fn components_are_stopped_and_started_by_name() {
        let config =
            ClusterConfig { nodes: 2, seed: Some(1), time: Time::Virtual, ..ClusterConfig::default() };
        let cluster = Cluster::start(config).await.unwrap();
        let command = ClusterCommand::new(cluster.components());
        for (line, answer) in [
            ("cluster stop scheduler", "scheduler stopped\n[0]"),
            ("cluster stop kube-scheduler", "scheduler is stopped already\n[0]"),
            ("cluster stop kubelet minikube-m02", "kubelet of minikube-m02 stopped\n[0]"),
            ("cluster start kube-proxy minikube", "kube-proxy of minikube runs already\n[0]"),
            (
                "cluster stop kubelet",
                "error: every node has a kubelet: say which one is meant: minikube, minikube-m02\n[1]",
            ),
            (
                "cluster stop kubelet x",
                "error: there is no node \"x\": the nodes are minikube, minikube-m02\n[1]",
            ),
            (
                "cluster stop scheduler minikube",
                "error: the cluster has one scheduler: it is not a node's\n[1]",
            ),
        ] {
            assert_eq!(typed(&command, cluster.clock(), line).await, answer, "{line}");
        }
        insta::assert_snapshot!(typed(&command, cluster.clock(), "cluster status").await, @r"
        COMPONENT            NODE           STATE
        scheduler            -              stopped
        controller-manager   -              running
        kube-proxy           minikube       running
        kubelet              minikube       running
        kube-proxy           minikube-m02   running
        kubelet              minikube-m02   stopped
        [0]
        ");
        let wrong = typed(&command, cluster.clock(), "cluster stop etcd").await;
        assert!(
            wrong.contains("there is no component \"etcd\": the components are scheduler,")
                && wrong.ends_with("[2]"),
            "{wrong}"
        );
        assert!(
            typed(&command, cluster.clock(), "cluster --help").await.contains("Stop and start the parts")
        );
        let clock = cluster.clock().clone();
        cluster.stop().await;
        assert_eq!(
            typed(&command, &clock, "cluster start scheduler").await,
            "error: the cluster has ended\n[1]"
        );
    }
}
