//! A kubelet as a whole: its start and stop, and the loop that tells pod workers of news.
// Models pkg/kubelet/kubelet.go (syncLoop) and pkg/kubelet/pleg.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::backoff::Backoff;
use super::config::{Dependencies, HEALTH_PORT, KubeletConfig, SERVER_PORT};
use super::images::Images;
use super::lookup::Caches;
use super::pod::PodEntry;
use super::worker::Worker;
use super::{node, server, spec, status};
use crate::informer::{Change, Informer};
use crate::net::Listen;
use crate::runtime::api::{ContainerEvent, ContainerState, SandboxState};

/// How often a runtime that tells of nothing is looked at.
const RELIST: Duration = Duration::from_secs(1);

/// Why a kubelet could not start.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// Its port cannot be listened on.
    #[error("listen tcp {address}: bind: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
}

/// A running kubelet. Dropping it ends it as killing a kubelet does: containers stay as they are, and the next kubelet on
/// the node adopts them.
#[derive(Debug)]
pub struct Kubelet {
    task: AbortOnDropHandle<()>,
}

/// What the kubelet's parts share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) deps: Dependencies,
    pub(super) config: KubeletConfig,
    pub(super) images: Images,
    pub(super) crash_backoff: Backoff,
    pub(super) caches: Caches,
    pub(super) nodes: Informer<Node>,
    pods: Mutex<BTreeMap<String, Arc<PodEntry>>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<PodEntry>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pods of this node by UID.
    pub(super) fn pods(&self) -> Vec<Arc<PodEntry>> {
        self.lock().values().cloned().collect()
    }

    /// The pod of a name.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<Arc<PodEntry>> {
        let pods = self.lock();
        let mut named = pods.values().filter(|entry| entry.namespace == namespace && entry.name == name);
        named.find(|entry| !entry.is_removed()).cloned()
    }

    /// The pods that use the node's resources, without one.
    pub(super) fn other_active_pods(&self, uid: &str) -> Vec<Arc<Pod>> {
        let others = self.pods().into_iter().filter(|entry| entry.uid != uid);
        others.filter(|entry| !status::is_terminal(&entry.known_status())).map(|entry| entry.pod()).collect()
    }

    /// The node's object, as far as it is known.
    pub(super) fn node(&self) -> Node {
        self.nodes.get("", &self.config.node.name).map(|node| node.as_ref().clone()).unwrap_or_default()
    }

    /// Forgets a pod that is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
        self.images.forget(uid);
        self.crash_backoff.forget(&format!("{uid}_"));
    }
}

impl Kubelet {
    /// Starts a kubelet. It goes on by itself; the node registers as soon as the API server answers.
    pub async fn start(config: KubeletConfig, deps: Dependencies) -> Result<Self, KubeletError> {
        let listen = async |address: SocketAddr| {
            deps.host.listen(address).await.map_err(|error| KubeletError::Listen { address, error })
        };
        let main = listen(SocketAddr::from(([0, 0, 0, 0], SERVER_PORT))).await?;
        let health = listen(SocketAddr::from(([127, 0, 0, 1], HEALTH_PORT))).await?;
        let shared = Arc::new(Shared {
            caches: Caches::new(&deps),
            nodes: deps.informers.of(),
            images: Images::default(),
            crash_backoff: Backoff::default(),
            pods: Mutex::default(),
            config,
            deps,
        });
        let task = tokio::spawn(async move {
            // Everything is a part of this task or owned by it, so that its end is the end of all.
            tokio::join!(
                server::serve(shared.clone(), main),
                server::serve_health(health),
                node::run(shared.clone()),
                Loop::run(shared),
            );
        });
        Ok(Self { task: AbortOnDropHandle::new(task) })
    }

    /// Ends the kubelet and waits until its ports are free; containers stay as they are.
    pub async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// The kubelet's loop.
struct Loop {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

impl Loop {
    async fn run(shared: Arc<Shared>) {
        let pods: Informer<Pod> = shared.deps.informers.of();
        let config_maps = shared.caches.config_maps.subscribe();
        let secrets = shared.caches.secrets.subscribe();
        let events = shared.deps.runtime.events();
        pods.synced().await;
        let changes = pods.subscribe();
        let mut this = Self { shared: shared.clone(), workers: JoinSet::new() };
        let orphans = remove_orphans(&shared, &pods);
        let relist = async {
            match events {
                Some(events) => follow(&shared, events).await,
                None => look_again_and_again(&shared).await,
            }
        };
        tokio::join!(orphans, relist, this.dispatch(changes, config_maps, secrets));
    }

    async fn dispatch(
        &mut self,
        mut pods: UnboundedReceiver<Change<Pod>>,
        mut config_maps: UnboundedReceiver<Change<ConfigMap>>,
        mut secrets: UnboundedReceiver<Change<Secret>>,
    ) {
        loop {
            tokio::select! { biased;
                Some(change) = pods.recv() => self.pod_changed(change),
                Some(change) = config_maps.recv() => {
                    self.source_changed("ConfigMap", &change.object().metadata);
                }
                Some(change) = secrets.recv() => self.source_changed("Secret", &change.object().metadata),
                Some(ended) = self.workers.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!(%error, "a pod worker failed");
                    }
                }
                else => return,
            }
        }
    }

    fn pod_changed(&mut self, change: Change<Pod>) {
        let pod = change.object().clone();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if node != Some(self.shared.config.node.name.as_str()) {
            return;
        }
        let known = self.shared.lock().get(spec::uid(&pod)).cloned();
        match (change, known) {
            (Change::Deleted(_), Some(entry)) => entry.remove(pod),
            (Change::Deleted(_), None) => {}
            (_, Some(entry)) => entry.update(pod),
            (_, None) => {
                let entry = Arc::new(PodEntry::new(pod));
                self.shared.lock().insert(entry.uid.clone(), entry.clone());
                self.workers.spawn(Worker::new(self.shared.clone(), entry).run());
            }
        }
    }

    fn source_changed(&self, kind: &str, meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) {
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let name = meta.name.as_deref().unwrap_or_default();
        let users = self.shared.pods().into_iter().filter(|entry| entry.namespace == namespace);
        users.filter(|entry| entry.refers_to(kind, name)).for_each(|entry| entry.wake());
    }
}

/// Passes on what the runtime tells.
async fn follow(shared: &Shared, mut events: BoxStream<'static, ContainerEvent>) {
    while let Some(event) = events.next().await {
        let entry = shared.lock().get(&event.pod_uid).cloned();
        if let Some(entry) = entry {
            entry.wake_for_runtime();
        }
    }
}

/// How far a sandbox or a container is.
#[derive(PartialEq)]
enum Stage {
    Sandbox(SandboxState),
    Container(ContainerState),
}

/// Looks for changes once a second, for a runtime that tells of none.
async fn look_again_and_again(shared: &Shared) {
    let runtime = &shared.deps.runtime;
    // By id: the pod's UID and the stage.
    let mut before: BTreeMap<String, (String, Stage)> = BTreeMap::new();
    loop {
        shared.deps.clock.sleep(RELIST).await;
        let (Ok(containers), Ok(sandboxes)) =
            (runtime.list_containers(None).await, runtime.list_pod_sandboxes().await)
        else {
            continue;
        };
        let pods: BTreeMap<&str, &str> =
            sandboxes.iter().map(|sandbox| (sandbox.id.as_str(), sandbox.config.uid.as_str())).collect();
        let mut now = BTreeMap::new();
        for container in containers {
            if let Some(pod) = pods.get(container.sandbox_id.as_str()) {
                now.insert(container.id, ((*pod).to_owned(), Stage::Container(container.state)));
            }
        }
        for sandbox in &sandboxes {
            now.insert(sandbox.id.clone(), (sandbox.config.uid.clone(), Stage::Sandbox(sandbox.state)));
        }
        let changed = now.iter().filter(|(id, seen)| before.get(*id) != Some(seen));
        let gone = before.iter().filter(|(id, _)| !now.contains_key(*id));
        let touched: BTreeSet<&str> = changed.chain(gone).map(|(_, (pod, _))| pod.as_str()).collect();
        for pod in touched {
            let entry = shared.lock().get(pod).cloned();
            if let Some(entry) = entry {
                entry.wake_for_runtime();
            }
        }
        before = now;
    }
}

/// Takes away what runs of pods that were deleted while no kubelet was there.
async fn remove_orphans(shared: &Shared, pods: &Informer<Pod>) {
    let Ok(sandboxes) = shared.deps.runtime.list_pod_sandboxes().await else { return };
    let known: BTreeSet<String> = pods.list().iter().map(|pod| spec::uid(pod).to_owned()).collect();
    for sandbox in sandboxes.iter().filter(|sandbox| !known.contains(&sandbox.config.uid)) {
        for call in [
            shared.deps.runtime.stop_pod_sandbox(&sandbox.id).await,
            shared.deps.runtime.remove_pod_sandbox(&sandbox.id).await,
        ] {
            if let Err(error) = call {
                tracing::debug!(%error, "an orphaned sandbox could not be removed");
            }
        }
    }
}
