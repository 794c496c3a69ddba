//! A node for tests: a runtime with a pod in it, and short ways to run things there.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;

use super::{NodeDisk, Pace, SimConfig, SimRuntime};
use crate::clock::Clock;
use crate::network::Fabric;
use crate::runtime::ContainerRuntime;
use crate::runtime::api::*;
use crate::seed::Seed;

/// A runtime and the sandbox of a pod called `web`.
pub(super) struct Node {
    pub(super) runtime: Arc<SimRuntime>,
    pub(super) clock: Clock,
    pub(super) fabric: Fabric,
    pub(super) sandbox: String,
}

/// What a command answered: exit code, standard output, standard error.
pub(super) type Said = (i32, String, String);

impl Node {
    pub(super) async fn new() -> Self {
        let (clock, seed) = (Clock::virtual_time(), Seed::new(7));
        let fabric = Fabric::new(seed.clone(), clock.clone());
        let config = SimConfig {
            node: "minikube".into(),
            fabric: fabric.clone(),
            clock: clock.clone(),
            seed,
            pace: Pace::Instant,
            disk: NodeDisk::new(&clock, None),
        };
        let runtime = Arc::new(SimRuntime::new(config));
        let mut node = Self { runtime, clock, fabric, sandbox: String::new() };
        node.sandbox = node.pod("web").await;
        node
    }

    /// Another pod's sandbox.
    pub(super) async fn pod(&self, name: &str) -> String {
        let dns = DnsConfig {
            servers: vec!["10.96.0.10".into()],
            searches: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]
                .map(str::to_owned)
                .to_vec(),
            options: vec!["ndots:5".into()],
        };
        let config = SandboxConfig {
            name: name.into(),
            uid: format!("uid-{name}"),
            hostname: name.into(),
            dns,
            ..SandboxConfig::default()
        };
        self.runtime.run_pod_sandbox(config).await.unwrap().id
    }

    /// A container's configuration.
    pub(super) async fn config(&self, image: &str, command: &[&str]) -> ContainerConfig {
        ContainerConfig {
            name: "app".into(),
            image: self.runtime.pull_image(image, &[]).await.unwrap(),
            user_image: image.into(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            termination_message_path: "/dev/termination-log".into(),
            ..ContainerConfig::default()
        }
    }

    /// A container that has been started.
    pub(super) async fn start(&self, image: &str, command: &[&str]) -> String {
        self.start_with(self.config(image, command).await).await
    }

    pub(super) async fn start_with(&self, config: ContainerConfig) -> String {
        let id = self.runtime.create_container(&self.sandbox, config).await.unwrap();
        self.runtime.start_container(&id).await.unwrap();
        id
    }

    pub(super) async fn status(&self, id: &str) -> ContainerStatus {
        self.runtime.container_status(id).await.unwrap()
    }

    /// Waits for a container's end.
    pub(super) async fn ended(&self, id: &str) -> ContainerStatus {
        let container = self.runtime.container(id).unwrap();
        self.clock
            .timeout(Duration::from_secs(3600), container.ended())
            .await
            .expect("a container that ends");
        self.status(id).await
    }

    pub(super) async fn logs(&self, id: &str) -> String {
        let lines = self.runtime.logs(id, LogRequest::default()).await.unwrap();
        let lines: Vec<LogLine> = lines.collect().await;
        lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    /// Runs a command in a container to its end.
    pub(super) async fn exec(&self, id: &str, command: &[&str]) -> Said {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let result = self.runtime.exec_sync(id, &command, Duration::from_secs(60)).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (result.exit_code, text(&result.stdout), text(&result.stderr))
    }

    /// The same, with standard output only, of a command that succeeds.
    pub(super) async fn out(&self, id: &str, command: &[&str]) -> String {
        let (code, out, err) = self.exec(id, command).await;
        assert_eq!((code, err.as_str()), (0, ""), "{command:?} said {out}");
        out
    }
}
