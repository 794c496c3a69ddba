//! The runtime's verbs, each one or a few calls of the CRI.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::client::{go_name, other, with_code, words};
use super::container::{self, Around};
use super::proto::cri;
use super::runtime::{ContainerdRuntime, Shared};
use super::volumes::Volumes;
use super::{logs, rotation, sandbox, streams};
use crate::net::BoxIo;
use crate::network::PodPlace;
use crate::runtime::ContainerRuntime;
use crate::runtime::api::*;

/// How the CRI counts a stop's grace: in seconds.
fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}

/// A call for something that may be gone already.
fn gone_is_fine<T>(answer: std::result::Result<T, tonic::Status>) -> Result<()> {
    match answer {
        Err(status) if status.code() == Code::NotFound => Ok(()),
        answer => answer.map(drop).map_err(other),
    }
}

#[async_trait]
impl ContainerRuntime for ContainerdRuntime {
    fn version(&self) -> RuntimeVersion {
        RuntimeVersion { name: "containerd".to_owned(), version: self.shared.version.clone() }
    }

    async fn run_pod_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus> {
        let shared = &self.shared;
        let sent = sandbox::config(&shared.config, &config);
        let directory = Path::new(&sent.log_directory);
        tokio::fs::create_dir_all(directory)
            .await
            .map_err(|error| RuntimeError::Other(format!("{}: {error}", directory.display())))?;
        shared.course.have_pause().await?;
        let request =
            cri::RunPodSandboxRequest { config: Some(sent.clone()), runtime_handler: String::new() };
        let mut answer = shared.client.runtime().run_pod_sandbox(request.clone()).await;
        if let Err(status) = &answer
            && shared.course.have_missed_pause(status.message()).await?
        {
            answer = shared.client.runtime().run_pod_sandbox(request).await;
        }
        let id = answer
            .map_err(|status| {
                let code = go_name(status.code());
                RuntimeError::Other(format!("rpc error: code = {code} desc = {}", words(&status)))
            })?
            .into_inner()
            .pod_sandbox_id;
        shared.keep_config(&id, sent);
        shared.events.created(&id, &config.uid, true);
        let ips = shared.addresses(&id).await?;
        if let Some(ip) = ips.first().filter(|_| !config.host_network) {
            let place = PodPlace {
                namespace: config.namespace.clone(),
                name: config.name.clone(),
                node: shared.config.node.clone(),
                ip: *ip,
                host_ports: config.host_ports.clone(),
            };
            shared.config.places.set(&id, place);
            shared.config.places.settled(&shared.config.clock).await;
        }
        let created_at = shared.config.clock.now();
        Ok(SandboxStatus { id, config, state: SandboxState::Ready, created_at, ips })
    }

    async fn stop_pod_sandbox(&self, id: &str) -> Result<()> {
        let request = cri::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        gone_is_fine(self.shared.client.runtime().stop_pod_sandbox(request).await)?;
        self.shared.config.places.clear(id);
        self.shared.events.stopped(id);
        Ok(())
    }

    async fn remove_pod_sandbox(&self, id: &str) -> Result<()> {
        let shared = &self.shared;
        let config = shared.sandbox_config(id).await;
        for container in shared.list(Some(id)).await.map_err(other)? {
            self.remove_container(&container.id).await?;
        }
        let request = cri::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        gone_is_fine(shared.client.runtime().remove_pod_sandbox(request).await)?;
        shared.forget_sandbox(id);
        shared.config.places.clear(id);
        if let Ok(config) = config {
            clear(shared, &config).await;
        }
        Ok(())
    }

    async fn list_pod_sandboxes(&self) -> Result<Vec<SandboxStatus>> {
        let listed = self.shared.list_sandboxes().await.map_err(other)?;
        let mut all = vec![];
        for sandbox in listed {
            match self.shared.sandbox_status(sandbox).await {
                Err(RuntimeError::NotFound(_)) => {}
                status => all.push(status?),
            }
        }
        Ok(all)
    }

    async fn create_container(&self, sandbox_id: &str, config: ContainerConfig) -> Result<String> {
        let shared = &self.shared;
        let sandbox_config = shared.sandbox_config(sandbox_id).await?;
        let uid = sandbox_config.metadata.as_ref().map(|metadata| metadata.uid.clone()).unwrap_or_default();
        let mut mounts = vec![];
        for mount in &config.mounts {
            let host_path = shared.volumes.source(&mount.source).await?.to_string_lossy().into_owned();
            mounts.push(cri::Mount {
                container_path: mount.container_path.clone(),
                host_path,
                readonly: mount.readonly,
            });
        }
        let last_words = shared.last_words_path(&uid, &config.name, config.attempt);
        let has_last_words = !config.termination_message_path.is_empty();
        if has_last_words {
            make_last_words(&last_words)
                .await
                .map_err(|error| RuntimeError::Create(format!("{}: {error}", last_words.display())))?;
            mounts.push(cri::Mount {
                container_path: config.termination_message_path.clone(),
                host_path: last_words.to_string_lossy().into_owned(),
                readonly: false,
            });
        }
        let image = self.image_status(&config.image).await?;
        let network = sandbox_config.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
        let network = network.and_then(|security| security.namespace_options.as_ref());
        let around = Around {
            node: &shared.config.node,
            mounts,
            last_words: has_last_words.then_some(&last_words),
            host_network: network.is_some_and(|n| n.network == i32::from(cri::NamespaceMode::Node)),
            image_user: image.and_then(|image| image.user?.split(':').next()?.parse().ok()),
        };
        let request = cri::CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(container::config(&config, around)),
            sandbox_config: Some(sandbox_config),
        };
        let answer = shared.client.runtime().create_container(request).await;
        let id = answer.map_err(|status| RuntimeError::Create(words(&status)))?.into_inner().container_id;
        shared.events.created(&id, &uid, false);
        Ok(id)
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let request = cri::StartContainerRequest { container_id: id.to_owned() };
        let answer = self.shared.client.runtime().start_container(request).await;
        if let Err(status) = answer {
            self.shared.events.stopped(id);
            return Err(RuntimeError::Start(words(&status)));
        }
        self.shared.events.started(id);
        Ok(())
    }

    async fn stop_container(&self, id: &str, timeout: Duration) -> Result<()> {
        let request = cri::StopContainerRequest { container_id: id.to_owned(), timeout: seconds(timeout) };
        gone_is_fine(self.shared.client.runtime().stop_container(request).await)?;
        self.shared.events.stopped(id);
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let raw = self.shared.raw_status(id).await.ok();
        let request = cri::RemoveContainerRequest { container_id: id.to_owned() };
        gone_is_fine(self.shared.client.runtime().remove_container(request).await)?;
        if let Some(raw) = raw {
            let files = [Some(raw.log_path.as_str()), container::last_words_file(&raw)];
            for file in files.into_iter().flatten().filter(|file| !file.is_empty()) {
                // It may never have been written.
                let _ = tokio::fs::remove_file(file).await;
            }
            rotation::remove_aside(Path::new(&raw.log_path)).await;
        }
        self.shared.forget_container(id);
        Ok(())
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        let filter = cri::ContainerFilter { id: id.to_owned(), ..Default::default() };
        let request = cri::ListContainersRequest { filter: Some(filter) };
        let listed = self.shared.client.runtime().list_containers(request).await.map_err(other)?.into_inner();
        let sandbox =
            listed.containers.first().map(|listed| listed.pod_sandbox_id.clone()).unwrap_or_default();
        let raw = self.shared.raw_status(id).await.map_err(other)?;
        Ok(self.shared.told(&sandbox, raw).await)
    }

    async fn list_containers(&self, sandbox_id: Option<&str>) -> Result<Vec<ContainerStatus>> {
        let mut all = vec![];
        for listed in self.shared.list(sandbox_id).await.map_err(other)? {
            all.extend(self.shared.status_of(&listed).await?);
        }
        Ok(all)
    }

    fn events(&self) -> Option<BoxStream<'static, ContainerEvent>> {
        Some(self.shared.events.listen())
    }

    async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<ExecResult> {
        let request = cri::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.to_vec(),
            timeout: seconds(timeout),
        };
        let answer = self.shared.client.runtime().exec_sync(request).await;
        let answer = answer.map_err(|status| match status.code() {
            Code::DeadlineExceeded => RuntimeError::DeadlineExceeded(words(&status)),
            _ => RuntimeError::Start(words(&status)),
        })?;
        let cri::ExecSyncResponse { stdout, stderr, exit_code } = answer.into_inner();
        Ok(ExecResult { exit_code, stdout: stdout.into(), stderr: stderr.into() })
    }

    async fn exec(&self, id: &str, command: &[String], streams: Streams) -> Result<i32> {
        let request = cri::ExecRequest {
            container_id: id.to_owned(),
            cmd: command.to_vec(),
            tty: streams.tty,
            stdin: streams.stdin.is_some(),
            stdout: streams.stdout.is_some(),
            stderr: streams.stderr.is_some() && !streams.tty,
        };
        let url = self.shared.client.runtime().exec(request).await.map_err(other)?.into_inner().url;
        streams::run(&url, streams).await
    }

    async fn attach(&self, id: &str, streams: Streams) -> Result<()> {
        let request = cri::AttachRequest {
            container_id: id.to_owned(),
            tty: streams.tty,
            stdin: streams.stdin.is_some(),
            stdout: streams.stdout.is_some(),
            stderr: streams.stderr.is_some() && !streams.tty,
        };
        let url = self.shared.client.runtime().attach(request).await.map_err(other)?.into_inner().url;
        streams::run(&url, streams).await.map(drop)
    }

    async fn port_forward(&self, sandbox_id: &str, port: u16) -> Result<BoxIo> {
        let request =
            cri::PortForwardRequest { pod_sandbox_id: sandbox_id.to_owned(), port: vec![port.into()] };
        let url = self.shared.client.runtime().port_forward(request).await.map_err(other)?.into_inner().url;
        streams::forward(&url, port).await
    }

    async fn logs(&self, id: &str, request: LogRequest) -> Result<BoxStream<'static, LogLine>> {
        let raw = self.shared.raw_status(id).await.map_err(other)?;
        let ended = if container::state(raw.state) == ContainerState::Running {
            self.shared.events.known().get(id).map(|known| known.ended.clone()).unwrap_or_default()
        } else {
            let ended = CancellationToken::new();
            ended.cancel();
            ended
        };
        logs::read(Path::new(&raw.log_path), request, ended).await
    }

    async fn pull_image(&self, image: &str, secrets: &[RegistryCredential]) -> Result<String> {
        if let Some(id) = self.shared.course.pull(image, secrets).await? {
            return Ok(id);
        }
        let mut refusals: Vec<String> = vec![];
        for auth in auths(secrets) {
            let request = cri::PullImageRequest { image: Some(named(image)), auth };
            match self.shared.client.images().pull_image(request).await {
                Ok(answer) => return Ok(answer.into_inner().image_ref),
                Err(status) => refusals.push(with_code(&status)),
            }
        }
        // As several errors are told as one.
        refusals.dedup();
        Err(RuntimeError::Pull(match &refusals[..] {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        }))
    }

    async fn image_status(&self, image: &str) -> Result<Option<Image>> {
        let request = cri::ImageStatusRequest { image: Some(named(image)) };
        let answer = self.shared.client.images().image_status(request).await;
        let answer = answer.map_err(|status| match words(&status) {
            text if text.contains("invalid reference format") => RuntimeError::InvalidImageName(text),
            _ => other(status),
        })?;
        Ok(answer.into_inner().image.map(described))
    }

    async fn list_images(&self) -> Result<Vec<Image>> {
        let request = cri::ListImagesRequest { filter: None };
        let answer = self.shared.client.images().list_images(request).await.map_err(other)?;
        Ok(answer.into_inner().images.into_iter().map(described).collect())
    }

    async fn remove_image(&self, image: &str) -> Result<()> {
        let request = cri::RemoveImageRequest { image: Some(named(image)) };
        gone_is_fine(self.shared.client.images().remove_image(request).await)
    }

    async fn write_volume(&self, volume: &str, content: VolumeContent) -> Result<()> {
        self.shared.volumes.write(volume, &content, &self.shared.seed).await
    }

    async fn remove_volume(&self, volume: &str) -> Result<()> {
        self.shared.volumes.remove(volume).await
    }

    async fn volume_usage(&self, volume: &str) -> Result<u64> {
        self.shared.volumes.usage(volume).await
    }

    async fn host_file(&self, path: &str) -> Result<Option<HostFile>> {
        Volumes::host_file(path).await
    }

    async fn make_host_file(&self, path: &str, kind: HostFile) -> Result<()> {
        Volumes::make_host_file(path, kind).await
    }

    async fn stats(&self) -> Result<Vec<ContainerStats>> {
        let filter = cri::ContainerStatsFilter {
            label_selector: sandbox::own_labels(&self.shared.config.node),
            ..Default::default()
        };
        let request = cri::ListContainerStatsRequest { filter: Some(filter) };
        let answer = self.shared.client.runtime().list_container_stats(request).await.map_err(other)?;
        let used = |stats: cri::ContainerStats| {
            let value = |value: Option<cri::UInt64Value>| value.map_or(0, |value| value.value);
            Some(ContainerStats {
                id: stats.attributes?.id,
                cpu_nanoseconds: stats.cpu.map_or(0, |cpu| value(cpu.usage_core_nano_seconds)),
                memory_bytes: stats.memory.map_or(0, |memory| value(memory.working_set_bytes)),
            })
        };
        Ok(answer.into_inner().stats.into_iter().filter_map(used).collect())
    }
}

/// What is tried one after the other: nobody if there is nobody.
fn auths(secrets: &[RegistryCredential]) -> Vec<Option<cri::AuthConfig>> {
    let auth = |secret: &RegistryCredential| cri::AuthConfig {
        username: secret.username.clone(),
        password: secret.password.clone(),
        // Without an address it is for whoever is asked.
        server_address: String::new(),
    };
    match secrets {
        [] => vec![None],
        some => some.iter().map(|secret| Some(auth(secret))).collect(),
    }
}

fn named(image: &str) -> cri::ImageSpec {
    cri::ImageSpec { image: image.to_owned(), ..Default::default() }
}

fn described(image: cri::Image) -> Image {
    let user = image.uid.map(|uid| uid.value.to_string());
    Image {
        id: image.id,
        tags: image.repo_tags,
        digests: image.repo_digests,
        size_bytes: image.size,
        user: user.or(Some(image.username).filter(|name| !name.is_empty())),
    }
}

/// An empty file that every user of the container can write.
async fn make_last_words(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(directory) = path.parent() {
        tokio::fs::create_dir_all(directory).await?;
    }
    tokio::fs::write(path, b"").await?;
    tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).await
}

/// Takes away what is left of a pod's files when its last sandbox is gone.
async fn clear(shared: &Shared, config: &cri::PodSandboxConfig) {
    let uid = config.metadata.as_ref().map(|metadata| metadata.uid.as_str()).unwrap_or_default();
    let of =
        |sandbox: &cri::PodSandbox| sandbox.metadata.as_ref().is_some_and(|metadata| metadata.uid == uid);
    let others = shared.list_sandboxes().await.is_ok_and(|all| all.iter().any(of));
    if uid.is_empty() || others {
        return;
    }
    let words = shared.config.state.join("last-words").join(uid);
    for directory in [Path::new(&config.log_directory), &words] {
        // What is there is ours alone; what is not there need not go.
        let _ = tokio::fs::remove_dir_all(directory).await;
    }
}
