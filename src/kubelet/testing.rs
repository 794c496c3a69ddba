//! What the kubelet's tests share: a runtime that pretends, and a node on a real API server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc};

use super::{Dependencies, Kubelet, KubeletConfig, NodeConfig};
use crate::api::auth::UserInfo;
use crate::api::server::{ApiServer, Config};
use crate::client;
use crate::clock::Clock;
use crate::events::Recorder;
use crate::informer::Informers;
use crate::net::BoxIo;
use crate::network::{Fabric, NetHost};
use crate::runtime::ContainerRuntime;
use crate::runtime::api::*;
use crate::seed::Seed;
use crate::store::Store;

/// A stream of what a channel carries, without what was missed.
fn from_broadcast(receiver: broadcast::Receiver<ContainerEvent>) -> BoxStream<'static, ContainerEvent> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(event) => return Some((event, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
    .boxed()
}

/// A runtime that runs nothing. A container's command says what it pretends: `exit CODE SECONDS`, anything else runs on.
/// Images with `missing` in their name cannot be pulled.
pub(super) struct Pretender {
    clock: Clock,
    seed: Seed,
    state: Mutex<State>,
    events: broadcast::Sender<ContainerEvent>,
    /// Whether it has a stream of events at all.
    tells: bool,
    /// Where processes that end by themselves say so.
    ends: mpsc::UnboundedSender<(String, i32)>,
}

#[derive(Default)]
struct State {
    sandboxes: BTreeMap<String, SandboxStatus>,
    containers: BTreeMap<String, (ContainerStatus, ContainerConfig)>,
    volumes: BTreeMap<String, VolumeContent>,
    images: Vec<String>,
    /// What `exec_sync` answers.
    healthy: bool,
    /// How much each volume holds.
    usage: BTreeMap<String, u64>,
    host_files: BTreeMap<String, HostFile>,
}

impl Pretender {
    fn new(clock: Clock, seed: Seed, tells: bool) -> Arc<Self> {
        let state = State { healthy: true, ..State::default() };
        let (ends, mut ended) = mpsc::unbounded_channel::<(String, i32)>();
        let this = Arc::new(Self {
            clock,
            seed,
            state: Mutex::new(state),
            events: broadcast::channel(1024).0,
            tells,
            ends,
        });
        let ending = Arc::downgrade(&this);
        tokio::spawn(async move {
            while let Some((id, code)) = ended.recv().await {
                let Some(this) = ending.upgrade() else { return };
                this.end(&id, code);
            }
        });
        this
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: &str, kind: ContainerEventKind) {
        let uid = {
            let state = self.lock();
            let sandbox = state
                .containers
                .get(id)
                .map(|(status, _)| status.sandbox_id.clone())
                .unwrap_or(id.to_owned());
            state.sandboxes.get(&sandbox).map(|sandbox| sandbox.config.uid.clone()).unwrap_or_default()
        };
        let _ = self.events.send(ContainerEvent { pod_uid: uid, container_id: id.to_owned(), kind });
    }

    /// Ends a container's process.
    pub(super) fn end(&self, id: &str, code: i32) {
        {
            let mut state = self.lock();
            let Some((status, _)) = state.containers.get_mut(id) else { return };
            if status.state != ContainerState::Running {
                return;
            }
            status.state = ContainerState::Exited;
            status.exit_code = code;
            status.reason = if code == 0 { "Completed" } else { "Error" }.to_owned();
            status.finished_at = Some(self.clock.now());
        }
        self.tell(id, ContainerEventKind::Stopped);
    }

    /// What `exec` probes find from now on.
    pub(super) fn set_healthy(&self, healthy: bool) {
        self.lock().healthy = healthy;
    }

    /// Says how much a volume holds from now on.
    pub(super) fn set_usage(&self, volume: &str, bytes: u64) {
        self.lock().usage.insert(volume.to_owned(), bytes);
    }

    /// What the container of that name was made with.
    pub(super) fn config(&self, name: &str) -> Option<ContainerConfig> {
        let state = self.lock();
        state.containers.values().find(|(status, _)| status.name == name).map(|(_, config)| config.clone())
    }

    /// A volume's files as text.
    pub(super) fn files(&self, volume: &str) -> BTreeMap<String, String> {
        let content = self.lock().volumes.get(volume).cloned().unwrap_or_default();
        content
            .files
            .into_iter()
            .map(|(path, (bytes, _))| (path, String::from_utf8_lossy(&bytes).into_owned()))
            .collect()
    }

    /// Containers by name: how many there are of each.
    pub(super) fn names(&self) -> Vec<String> {
        self.lock().containers.values().map(|(status, _)| status.name.clone()).collect()
    }
}

#[async_trait]
impl ContainerRuntime for Pretender {
    fn version(&self) -> RuntimeVersion {
        RuntimeVersion { name: "containerd".to_owned(), version: "2.1.9".to_owned() }
    }

    async fn run_pod_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus> {
        let id = self.seed.hex(32);
        let number = self.lock().sandboxes.len() as u8 + 2;
        let status = SandboxStatus {
            id: id.clone(),
            config,
            state: SandboxState::Ready,
            created_at: self.clock.now(),
            ips: vec![[10, 244, 0, number].into()],
        };
        self.lock().sandboxes.insert(id.clone(), status.clone());
        self.tell(&id, ContainerEventKind::Started);
        Ok(status)
    }

    async fn stop_pod_sandbox(&self, id: &str) -> Result<()> {
        if let Some(sandbox) = self.lock().sandboxes.get_mut(id) {
            sandbox.state = SandboxState::NotReady;
        }
        self.tell(id, ContainerEventKind::Stopped);
        Ok(())
    }

    async fn remove_pod_sandbox(&self, id: &str) -> Result<()> {
        let mut state = self.lock();
        state.sandboxes.remove(id);
        state.containers.retain(|_, (status, _)| status.sandbox_id != id);
        Ok(())
    }

    async fn list_pod_sandboxes(&self) -> Result<Vec<SandboxStatus>> {
        Ok(self.lock().sandboxes.values().cloned().collect())
    }

    async fn create_container(&self, sandbox_id: &str, config: ContainerConfig) -> Result<String> {
        let id = self.seed.hex(32);
        let status = ContainerStatus {
            id: id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            name: config.name.clone(),
            attempt: config.attempt,
            state: ContainerState::Created,
            created_at: self.clock.now(),
            started_at: None,
            finished_at: None,
            exit_code: 0,
            reason: String::new(),
            message: String::new(),
            image: config.user_image.clone(),
            image_id: "sha256:1".to_owned(),
            labels: config.labels.clone(),
            termination_message: String::new(),
            user: (0, 0, vec![0]),
        };
        self.lock().containers.insert(id.clone(), (status, config));
        self.tell(&id, ContainerEventKind::Created);
        Ok(id)
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        let command = {
            let mut state = self.lock();
            let (status, config) = state.containers.get_mut(id).expect("the container was created");
            let command = config.command.clone();
            if command.first().map(String::as_str) == Some("nosuch") {
                status.state = ContainerState::Exited;
                status.exit_code = 128;
                status.reason = "StartError".to_owned();
                status.finished_at = Some(self.clock.now());
                return Err(RuntimeError::Start("no such file".to_owned()));
            }
            status.state = ContainerState::Running;
            status.started_at = Some(self.clock.now());
            command
        };
        self.tell(id, ContainerEventKind::Started);
        if let [word, code, seconds] = &command[..]
            && word == "exit"
        {
            let (code, seconds): (i32, u64) = (code.parse().unwrap(), seconds.parse().unwrap());
            let (clock, events) = (self.clock.clone(), self.ends.clone());
            let id = id.to_owned();
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                let _ = events.send((id, code));
            });
        }
        Ok(())
    }

    async fn stop_container(&self, id: &str, _: Duration) -> Result<()> {
        self.clock.sleep(Duration::from_millis(10)).await;
        self.end(id, 143);
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.lock().containers.remove(id);
        Ok(())
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        let state = self.lock();
        state
            .containers
            .get(id)
            .map(|(status, _)| status.clone())
            .ok_or_else(|| RuntimeError::NotFound(id.to_owned()))
    }

    async fn list_containers(&self, sandbox_id: Option<&str>) -> Result<Vec<ContainerStatus>> {
        let state = self.lock();
        let all = state.containers.values().map(|(status, _)| status.clone());
        Ok(all.filter(|status| sandbox_id.is_none_or(|id| status.sandbox_id == id)).collect())
    }

    fn events(&self) -> Option<BoxStream<'static, ContainerEvent>> {
        self.tells.then(|| from_broadcast(self.events.subscribe()))
    }

    async fn exec_sync(&self, _: &str, _: &[String], _: Duration) -> Result<ExecResult> {
        let healthy = self.lock().healthy;
        Ok(ExecResult {
            exit_code: i32::from(!healthy),
            stderr: Bytes::from("not well"),
            ..ExecResult::default()
        })
    }

    async fn exec(&self, _: &str, command: &[String], mut streams: Streams) -> Result<i32> {
        let mut input = String::new();
        if let Some(stdin) = &mut streams.stdin {
            stdin.read_to_string(&mut input).await.map_err(|error| RuntimeError::Other(error.to_string()))?;
        }
        if let Some(stdout) = &mut streams.stdout {
            let _ = stdout.write_all(format!("{} {input}", command.join(" ")).as_bytes()).await;
        }
        Ok(7)
    }

    async fn attach(&self, _: &str, _: Streams) -> Result<()> {
        Ok(())
    }

    async fn port_forward(&self, _: &str, _: u16) -> Result<BoxIo> {
        Err(RuntimeError::Other("nobody listens".to_owned()))
    }

    async fn logs(&self, id: &str, _: LogRequest) -> Result<BoxStream<'static, LogLine>> {
        let status = self.container_status(id).await?;
        let line = LogLine {
            time: status.created_at,
            stderr: false,
            bytes: Bytes::from(format!("life {}\n", status.attempt)),
        };
        Ok(futures::stream::iter([line]).boxed())
    }

    async fn pull_image(&self, image: &str, _: &[RegistryCredential]) -> Result<String> {
        self.clock.sleep(Duration::from_millis(1200)).await;
        if image.contains("missing") {
            return Err(RuntimeError::Pull(format!("{image}: not found")));
        }
        self.lock().images.push(image.to_owned());
        Ok(image.to_owned())
    }

    async fn image_status(&self, image: &str) -> Result<Option<Image>> {
        let known = self.lock().images.iter().any(|known| known == image);
        Ok(known.then(|| Image { id: image.to_owned(), size_bytes: 1000, ..Image::default() }))
    }

    async fn list_images(&self) -> Result<Vec<Image>> {
        Ok(vec![])
    }

    async fn remove_image(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn write_volume(&self, volume: &str, content: VolumeContent) -> Result<()> {
        self.lock().volumes.insert(volume.to_owned(), content);
        Ok(())
    }

    async fn remove_volume(&self, volume: &str) -> Result<()> {
        self.lock().volumes.remove(volume);
        Ok(())
    }

    async fn volume_usage(&self, volume: &str) -> Result<u64> {
        Ok(self.lock().usage.get(volume).copied().unwrap_or_default())
    }

    async fn host_file(&self, path: &str) -> Result<Option<HostFile>> {
        Ok(self.lock().host_files.get(path).copied())
    }

    async fn make_host_file(&self, path: &str, kind: HostFile) -> Result<()> {
        self.lock().host_files.insert(path.to_owned(), kind);
        Ok(())
    }

    async fn stats(&self) -> Result<Vec<ContainerStats>> {
        Ok(vec![])
    }
}

/// A node with a kubelet, and the API server that it talks to.
pub(super) struct TestNode {
    pub(super) clock: Clock,
    pub(super) runtime: Arc<Pretender>,
    pub(super) client: kube::Client,
    pub(super) host: NetHost,
    pub(super) kubelet: Option<Kubelet>,
    deps: Dependencies,
    config: KubeletConfig,
    /// Keeps the server.
    _server: ApiServer,
}

impl TestNode {
    /// A node named `m` that is registered, and the namespace `default` with what pods need.
    pub(super) async fn start() -> Self {
        Self::on_runtime(true).await
    }

    /// The same on a runtime that tells of nothing, so that it has to be looked at.
    pub(super) async fn without_events() -> Self {
        Self::on_runtime(false).await
    }

    async fn on_runtime(tells: bool) -> Self {
        let clock = Clock::virtual_time();
        let seed = Seed::new(1);
        let store = Store::new(clock.clone());
        let server = ApiServer::new(Config::new(store, clock.clone(), seed.clone()));
        server.bootstrap(Some(([192, 168, 49, 2], 8443).into())).unwrap();
        let user = UserInfo {
            name: "system:node:m".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..UserInfo::default()
        };
        let client = client::component(&server.service(), "kubelet", user);
        let runtime = Pretender::new(clock.clone(), seed.clone(), tells);
        let host = Fabric::new(seed.clone(), clock.clone()).join_node([192, 0, 2, 2].into(), "m").unwrap();
        let deps = Dependencies {
            client: client.clone(),
            informers: Informers::new(client.clone(), clock.clone()),
            runtime: runtime.clone(),
            host: host.clone(),
            clock: clock.clone(),
            seed: seed.clone(),
            recorder: Recorder::new(client.clone(), "kubelet", "m", clock.clone()),
            security: None,
        };
        let mut config = KubeletConfig::new(NodeConfig::new("m", host.ip(), &seed));
        config.node.labels.insert("disk".to_owned(), "ssd".to_owned());
        let account: ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        let _ = accounts.create(&PostParams::default(), &account).await;
        let mut node = Self { clock, runtime, client, host, kubelet: None, deps, config, _server: server };
        node.set_config_map("kube-root-ca.crt", json!({"ca.crt": "-"})).await;
        node.start_kubelet().await;
        node
    }

    pub(super) async fn start_kubelet(&mut self) {
        self.kubelet = Some(Kubelet::start(self.config.clone(), self.deps.clone()).await.unwrap());
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(super) async fn set_config_map(&self, name: &str, data: Value) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), "default");
        let map: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap();
        if api.create(&PostParams::default(), &map).await.is_err() {
            api.replace(name, &PostParams::default(), &map).await.unwrap();
        }
    }

    /// Makes a pod that is bound to the node.
    pub(super) async fn create(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = "m".into();
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
        self.pods().create(&PostParams::default(), &pod).await.unwrap()
    }

    /// Waits until the pod is as wanted, for ten minutes of the clock.
    pub(super) async fn until(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let deadline = self.clock.after(Duration::from_secs(600));
        while self.clock.now() < deadline {
            if let Ok(Some(pod)) = self.pods().get_opt(name).await {
                last = serde_json::to_value(&pod).unwrap();
                if wanted(&last) {
                    return last;
                }
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} never was {what}; at last {last:#}");
    }

    /// Waits until the pod is gone.
    pub(super) async fn until_gone(&self, name: &str) {
        let deadline = self.clock.after(Duration::from_secs(600));
        while self.clock.now() < deadline {
            if self.pods().get_opt(name).await.unwrap().is_none() {
                return;
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} never went");
    }

    /// The events so far: `reason: message`, each once, in the order of their first time.
    pub(super) async fn events(&self, about: &str) -> Vec<String> {
        // The recorder writes behind.
        self.clock.sleep(Duration::from_secs(1)).await;
        let api: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.involved_object.name.as_deref() == Some(about));
        events
            .sort_by_key(|event| event.metadata.resource_version.clone().and_then(|v| v.parse::<u64>().ok()));
        events
            .into_iter()
            .map(|event| {
                format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default())
            })
            .collect()
    }
}
