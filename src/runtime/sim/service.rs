//! The CRI's verbs over the simulated runtime, and its stream of events.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;

use super::container::Container;
use super::runtime::SimRuntime;
use super::sandbox::Sandbox;
use super::{exec, life};
use crate::net::{BoxIo, Dial};
use crate::runtime::ContainerRuntime;
use crate::runtime::api::*;

/// Who listens to what happens. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Events {
    listeners: Arc<Mutex<Vec<mpsc::UnboundedSender<ContainerEvent>>>>,
}

impl Events {
    /// Tells everybody who listens.
    pub(super) fn send(&self, container: &Container, kind: ContainerEventKind) {
        self.tell(&container.pod_uid, &container.id, kind);
    }

    fn send_for_sandbox(&self, sandbox: &Sandbox, kind: ContainerEventKind) {
        self.tell(&sandbox.config.uid, &sandbox.id, kind);
    }

    fn tell(&self, pod_uid: &str, id: &str, kind: ContainerEventKind) {
        let event = ContainerEvent { pod_uid: pod_uid.to_owned(), container_id: id.to_owned(), kind };
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.send(event.clone()).is_ok());
    }

    fn listen(&self) -> BoxStream<'static, ContainerEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (event, receiver))
        })
        .boxed()
    }
}

#[async_trait]
impl ContainerRuntime for SimRuntime {
    fn version(&self) -> RuntimeVersion {
        RuntimeVersion { name: "containerd".to_owned(), version: "2.1.9".to_owned() }
    }

    async fn run_pod_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus> {
        let sandbox = self.make_sandbox(config).await?;
        self.events.send_for_sandbox(&sandbox, ContainerEventKind::Started);
        Ok(sandbox.status())
    }

    async fn stop_pod_sandbox(&self, id: &str) -> Result<()> {
        let sandbox = self.sandbox(id)?;
        for container in self.containers_of(id) {
            life::kill(&container).await;
        }
        if sandbox.stop() {
            self.config.fabric.places().clear(id);
            self.takes(100).await;
            self.events.send_for_sandbox(&sandbox, ContainerEventKind::Stopped);
        }
        Ok(())
    }

    async fn remove_pod_sandbox(&self, id: &str) -> Result<()> {
        let Ok(sandbox) = self.sandbox(id) else { return Ok(()) };
        self.stop_pod_sandbox(id).await?;
        for container in self.containers_of(id) {
            self.remove_container(&container.id).await?;
        }
        self.lock().sandboxes.remove(id);
        self.events.send_for_sandbox(&sandbox, ContainerEventKind::Deleted);
        Ok(())
    }

    async fn list_pod_sandboxes(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.lock().sandboxes.values().map(|sandbox| sandbox.status()).collect())
    }

    async fn create_container(&self, sandbox_id: &str, config: ContainerConfig) -> Result<String> {
        let container = self.make_container(sandbox_id, config).await?;
        self.events.send(&container, ContainerEventKind::Created);
        Ok(container.id.clone())
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let container = self.container(id)?;
        self.takes(80).await;
        life::start(&container, &self.events).await
    }

    async fn stop_container(&self, id: &str, timeout: Duration) -> Result<()> {
        life::stop(&*self.container(id)?, timeout).await;
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let Ok(container) = self.container(id) else { return Ok(()) };
        if container.state() == ContainerState::Running {
            return Err(RuntimeError::Other(format!(
                "failed to set removing state for container {id:?}: container is still running, to stop first"
            )));
        }
        self.lock().containers.remove(id);
        self.events.send(&container, ContainerEventKind::Deleted);
        Ok(())
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        Ok(self.container(id)?.status())
    }

    async fn list_containers(&self, sandbox_id: Option<&str>) -> Result<Vec<ContainerStatus>> {
        let state = self.lock();
        let of = |container: &&Arc<Container>| sandbox_id.is_none_or(|id| container.sandbox_id == id);
        Ok(state.containers.values().filter(of).map(|container| container.status()).collect())
    }

    fn events(&self) -> Option<BoxStream<'static, ContainerEvent>> {
        Some(self.events.listen())
    }

    async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<ExecResult> {
        exec::exec_sync(&*self.container(id)?, &self.config.seed.hex(32), command, timeout).await
    }

    async fn exec(&self, id: &str, command: &[String], streams: Streams) -> Result<i32> {
        exec::exec(&*self.container(id)?, &self.config.seed.hex(32), command, streams).await
    }

    async fn attach(&self, id: &str, streams: Streams) -> Result<()> {
        exec::attach(&*self.container(id)?, streams).await
    }

    async fn port_forward(&self, sandbox_id: &str, port: u16) -> Result<BoxIo> {
        let sandbox = self.sandbox(sandbox_id)?;
        let path = &sandbox.namespace_path;
        let host = sandbox.host().ok_or_else(|| {
            RuntimeError::Other(format!("failed to execute portforward in network namespace {path:?}: sandbox container is not running"))
        })?;
        host.dial(([127, 0, 0, 1], port).into()).await.map_err(|_| {
            RuntimeError::Other(format!(
                "failed to execute portforward in network namespace {path:?}: failed to connect to localhost:{port} \
                 inside namespace {sandbox_id:?}, IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused IPv6 \
                 dial tcp6: address localhost: no suitable address found "
            ))
        })
    }

    async fn logs(&self, id: &str, request: LogRequest) -> Result<BoxStream<'static, LogLine>> {
        Ok(self.container(id)?.log.read(&request))
    }

    async fn pull_image(&self, image: &str, secrets: &[RegistryCredential]) -> Result<String> {
        self.images.pull(image, secrets).await
    }

    async fn image_status(&self, image: &str) -> Result<Option<Image>> {
        self.images.status(image)
    }

    async fn list_images(&self) -> Result<Vec<Image>> {
        Ok(self.images.list())
    }

    async fn remove_image(&self, image: &str) -> Result<()> {
        self.images.remove(image)
    }

    async fn write_volume(&self, volume: &str, content: VolumeContent) -> Result<()> {
        self.volumes.write(volume, &content);
        Ok(())
    }

    async fn remove_volume(&self, volume: &str) -> Result<()> {
        self.volumes.remove(volume);
        Ok(())
    }

    async fn volume_usage(&self, volume: &str) -> Result<u64> {
        Ok(self.volumes.usage(volume))
    }

    async fn host_file(&self, path: &str) -> Result<Option<HostFile>> {
        self.config.disk.kind(path).await
    }

    async fn make_host_file(&self, path: &str, kind: HostFile) -> Result<()> {
        self.config.disk.make(path, kind).await
    }

    async fn stats(&self) -> Result<Vec<ContainerStats>> {
        let state = self.lock();
        let running =
            state.containers.values().filter(|container| container.state() == ContainerState::Running);
        let stats = |container: &Arc<Container>| {
            let (cpu_nanoseconds, memory_bytes) = container.cgroup.usage();
            ContainerStats { id: container.id.clone(), cpu_nanoseconds, memory_bytes }
        };
        Ok(running.map(stats).collect())
    }
}
