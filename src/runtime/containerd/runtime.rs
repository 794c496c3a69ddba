//! The runtime of one node and what its calls share. The trait over it is in `service`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::client::{Client, other};
use super::config::NodeConfig;
use super::container;
use super::course::Course;
use super::events::{self, Events};
use super::proto::cri;
use super::rotation;
use super::sandbox::{self, own_labels};
use super::volumes::Volumes;
use crate::runtime::api::{ContainerState, ContainerStatus, Result, SandboxStatus};
use crate::seed::Seed;

/// The most of a container's last words that is read.
const MAX_LAST_WORDS: u64 = 4096;

/// A runtime of one node whose containers are containerd's. Dropping it leaves them running.
pub struct ContainerdRuntime {
    pub(super) shared: Arc<Shared>,
    _following: AbortOnDropHandle<()>,
    _rotation: AbortOnDropHandle<()>,
}

/// What the runtime's calls share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) version: String,
    pub(super) config: NodeConfig,
    pub(super) volumes: Volumes,
    pub(super) events: Events,
    pub(super) course: Arc<Course>,
    /// For names that nobody sees.
    pub(super) seed: Seed,
    /// The addresses of sandboxes, which never change.
    addresses: Mutex<BTreeMap<String, Vec<IpAddr>>>,
    /// What was told of containers, good for as long as their state is the same.
    statuses: Mutex<BTreeMap<String, ContainerStatus>>,
    /// The sandboxes' configurations: a container is made with its own's.
    configs: Mutex<BTreeMap<String, cri::PodSandboxConfig>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ContainerdRuntime {
    /// A runtime over a connection. `version` is containerd's. Needs a tokio runtime.
    pub fn new(client: Client, version: String, config: NodeConfig, course: Arc<Course>) -> Self {
        let shared = Arc::new(Shared {
            volumes: Volumes::new(config.state.join("volumes"), config.clock.clone()),
            client,
            version,
            config,
            events: Events::default(),
            course,
            seed: Seed::from_entropy(),
            addresses: Mutex::default(),
            statuses: Mutex::default(),
            configs: Mutex::default(),
        });
        let following = AbortOnDropHandle::new(tokio::spawn(events::follow(shared.clone())));
        let rotation = AbortOnDropHandle::new(tokio::spawn(rotation::keep(shared.clone())));
        Self { shared, _following: following, _rotation: rotation }
    }
}

impl Shared {
    /// The node's sandboxes as the CRI lists them.
    pub(super) async fn list_sandboxes(&self) -> std::result::Result<Vec<cri::PodSandbox>, Status> {
        let filter =
            cri::PodSandboxFilter { label_selector: own_labels(&self.config.node), ..Default::default() };
        let request = cri::ListPodSandboxRequest { filter: Some(filter) };
        Ok(self.client.runtime().list_pod_sandbox(request).await?.into_inner().items)
    }

    /// The node's containers as the CRI lists them.
    pub(super) async fn list(
        &self,
        sandbox: Option<&str>,
    ) -> std::result::Result<Vec<cri::Container>, Status> {
        let filter = cri::ContainerFilter {
            pod_sandbox_id: sandbox.unwrap_or_default().to_owned(),
            label_selector: own_labels(&self.config.node),
            ..Default::default()
        };
        let request = cri::ListContainersRequest { filter: Some(filter) };
        Ok(self.client.runtime().list_containers(request).await?.into_inner().containers)
    }

    /// The addresses of a sandbox.
    pub(super) async fn addresses(&self, id: &str) -> Result<Vec<IpAddr>> {
        if let Some(known) = lock(&self.addresses).get(id) {
            return Ok(known.clone());
        }
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let answer = self.client.runtime().pod_sandbox_status(request).await.map_err(other)?.into_inner();
        let found = answer.status.as_ref().map(sandbox::addresses).unwrap_or_default();
        if !found.is_empty() {
            lock(&self.addresses).insert(id.to_owned(), found.clone());
        }
        Ok(found)
    }

    /// A sandbox as the kubelet knows it.
    pub(super) async fn sandbox_status(&self, listed: cri::PodSandbox) -> Result<SandboxStatus> {
        let ready = listed.state == i32::from(cri::PodSandboxState::SandboxReady);
        let ips = if ready { self.addresses(&listed.id).await? } else { vec![] };
        Ok(sandbox::status(listed, ips))
    }

    pub(super) fn keep_config(&self, id: &str, config: cri::PodSandboxConfig) {
        lock(&self.configs).insert(id.to_owned(), config);
    }

    /// The configuration of a sandbox; of one that was there before this process, what the CRI remembers of it.
    pub(super) async fn sandbox_config(&self, id: &str) -> Result<cri::PodSandboxConfig> {
        if let Some(known) = lock(&self.configs).get(id) {
            return Ok(known.clone());
        }
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let answer = self.client.runtime().pod_sandbox_status(request).await.map_err(other)?.into_inner();
        let status = answer.status.unwrap_or_default();
        let metadata = status.metadata.unwrap_or_default();
        let known = crate::runtime::api::SandboxConfig {
            name: metadata.name.clone(),
            uid: metadata.uid.clone(),
            namespace: metadata.namespace.clone(),
            ..Default::default()
        };
        let directory = sandbox::log_directory(&self.config.state, &known);
        Ok(cri::PodSandboxConfig {
            metadata: Some(metadata),
            labels: status.labels,
            annotations: status.annotations,
            log_directory: directory.to_string_lossy().into_owned(),
            ..Default::default()
        })
    }

    /// What the CRI says of one container.
    pub(super) async fn raw_status(&self, id: &str) -> std::result::Result<cri::ContainerStatus, Status> {
        let request = cri::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        let answer = self.client.runtime().container_status(request).await?.into_inner();
        answer.status.ok_or_else(|| Status::not_found(format!("container {id:?} has no status")))
    }

    /// A container that was listed, as the kubelet knows it. `None`: it went meanwhile.
    pub(super) async fn status_of(&self, listed: &cri::Container) -> Result<Option<ContainerStatus>> {
        let state = container::state(listed.state);
        let known = lock(&self.statuses).get(&listed.id).filter(|known| known.state == state).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let raw = match self.raw_status(&listed.id).await {
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(None),
            raw => raw.map_err(other)?,
        };
        let status = self.told(&listed.pod_sandbox_id, raw).await;
        lock(&self.statuses).insert(listed.id.clone(), status.clone());
        Ok(Some(status))
    }

    /// A container as the CRI tells of it, with its last words.
    pub(super) async fn told(&self, sandbox: &str, raw: cri::ContainerStatus) -> ContainerStatus {
        let mut words = String::new();
        if container::state(raw.state) == ContainerState::Exited
            && let Some(file) = container::last_words_file(&raw)
        {
            words = last_words(file).await;
        }
        container::status(sandbox, raw, words)
    }

    pub(super) async fn container_runs(&self, id: &str) -> bool {
        self.raw_status(id).await.is_ok_and(|raw| container::state(raw.state) == ContainerState::Running)
    }

    pub(super) async fn sandbox_runs(&self, id: &str) -> bool {
        let request = cri::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let ready = i32::from(cri::PodSandboxState::SandboxReady);
        let answer = self.client.runtime().pod_sandbox_status(request).await;
        answer.is_ok_and(|answer| answer.into_inner().status.is_some_and(|status| status.state == ready))
    }

    /// What was known of a container that is gone.
    pub(super) fn forget_container(&self, id: &str) {
        lock(&self.statuses).remove(id);
        self.events.removed(id);
    }

    /// What was known of a sandbox that is gone.
    pub(super) fn forget_sandbox(&self, id: &str) {
        lock(&self.addresses).remove(id);
        lock(&self.configs).remove(id);
        self.events.removed(id);
    }

    /// The file for a container's last words.
    pub(super) fn last_words_path(&self, pod_uid: &str, name: &str, attempt: u32) -> PathBuf {
        self.config.state.join("last-words").join(pod_uid).join(format!("{name}_{attempt}"))
    }
}

async fn last_words(file: &str) -> String {
    use tokio::io::AsyncReadExt;
    let mut bytes = vec![];
    if let Ok(file) = tokio::fs::File::open(file).await {
        // What could be read counts.
        let _ = file.take(MAX_LAST_WORDS).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
