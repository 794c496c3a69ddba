//! What the parts of the kubelet know of one pod together: its object, its status, its probes' results.
//!
//! Written by the pod's worker and the kubelet's loop; read by probes and the server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::Notify;

use super::prober::Results;
use super::spec;
use crate::informer::revision_of;

/// One pod of this node.
#[derive(Debug)]
pub(super) struct PodEntry {
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    state: Mutex<State>,
    wake: Notify,
    /// Whether there is news beside what the runtime tells.
    news: AtomicBool,
    /// What the probes found.
    pub(super) results: Results,
}

#[derive(Debug)]
struct State {
    pod: Arc<Pod>,
    /// Whether the object is gone from the API.
    removed: bool,
    /// The last status that was made.
    status: Option<PodStatus>,
    /// The newest status that the API is known to have, and the revision it had it at.
    api: (i64, PodStatus),
}

impl PodEntry {
    pub(super) fn new(pod: Arc<Pod>) -> Self {
        let api = (revision(&pod), pod.status.clone().unwrap_or_default());
        Self {
            uid: spec::uid(&pod).to_owned(),
            namespace: spec::namespace(&pod).to_owned(),
            name: spec::name(&pod).to_owned(),
            state: Mutex::new(State { pod, removed: false, status: None, api }),
            wake: Notify::new(),
            news: AtomicBool::new(false),
            results: Results::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pod's object as last seen.
    pub(super) fn pod(&self) -> Arc<Pod> {
        self.lock().pod.clone()
    }

    /// Takes a newer object; wakes the worker if there is something to do.
    pub(super) fn update(&self, pod: Arc<Pod>) {
        let mut state = self.lock();
        let differs = spec::differs(&state.pod, &pod);
        if revision(&pod) >= state.api.0 {
            state.api = (revision(&pod), pod.status.clone().unwrap_or_default());
        }
        let over = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
        let ended =
            over(&pod) != over(&state.pod) && matches!(over(&pod).as_deref(), Some("Failed" | "Succeeded"));
        state.pod = pod;
        drop(state);
        if differs || ended {
            self.wake();
        }
    }

    /// Takes note that the object is gone.
    pub(super) fn remove(&self, last: Arc<Pod>) {
        let mut state = self.lock();
        state.pod = last;
        state.removed = true;
        drop(state);
        self.wake();
    }

    /// Whether the object is gone from the API.
    pub(super) fn is_removed(&self) -> bool {
        self.lock().removed
    }

    /// Has the worker look at the pod.
    pub(super) fn wake(&self) {
        self.news.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Has the worker look whether the runtime has changed since it last looked.
    pub(super) fn wake_for_runtime(&self) {
        self.wake.notify_one();
    }

    /// Whether there was news beside what the runtime tells; there is none after that.
    pub(super) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }

    /// Waits to be woken.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The last status that was made here.
    pub(super) fn status(&self) -> Option<PodStatus> {
        self.lock().status.clone()
    }

    /// The last status that was made here, or the API's.
    pub(super) fn known_status(&self) -> PodStatus {
        let state = self.lock();
        state.status.clone().unwrap_or_else(|| state.api.1.clone())
    }

    /// Sets the status that was made.
    pub(super) fn set_status(&self, status: PodStatus) {
        self.lock().status = Some(status);
    }

    /// The newest status that the API is known to have.
    pub(super) fn api_status(&self) -> PodStatus {
        self.lock().api.1.clone()
    }

    /// Takes what the API answered to a write.
    pub(super) fn wrote(&self, pod: &Pod) {
        let mut state = self.lock();
        if revision(pod) >= state.api.0 {
            state.api = (revision(pod), pod.status.clone().unwrap_or_default());
        }
    }

    /// Whether the pod uses a ConfigMap or Secret.
    pub(super) fn refers_to(&self, kind: &str, name: &str) -> bool {
        let pod = self.pod();
        let Some(pod_spec) = pod.spec.as_ref() else { return false };
        let config_map = kind == "ConfigMap";
        let of_volume = pod_spec.volumes.iter().flatten().any(|volume| {
            let direct = if config_map {
                volume.config_map.as_ref().map(|source| source.name.as_str())
            } else {
                volume.secret.as_ref().and_then(|source| source.secret_name.as_deref())
            };
            let parts = volume.projected.iter().flat_map(|source| source.sources.iter().flatten());
            let mut projected = parts.filter_map(|part| match config_map {
                true => part.config_map.as_ref().map(|source| source.name.as_str()),
                false => part.secret.as_ref().map(|source| source.name.as_str()),
            });
            direct == Some(name) || projected.any(|other| other == name)
        });
        let all = spec::init_containers(&pod).iter().chain(spec::containers(&pod));
        let mut of_env = all.flat_map(|container| {
            let keys = container.env.iter().flatten().filter_map(|variable| {
                let source = variable.value_from.as_ref()?;
                match config_map {
                    true => source.config_map_key_ref.as_ref().map(|key| key.name.as_str()),
                    false => source.secret_key_ref.as_ref().map(|key| key.name.as_str()),
                }
            });
            let whole = container.env_from.iter().flatten().filter_map(|source| match config_map {
                true => source.config_map_ref.as_ref().map(|map| map.name.as_str()),
                false => source.secret_ref.as_ref().map(|secret| secret.name.as_str()),
            });
            keys.chain(whole)
        });
        of_volume || of_env.any(|other| other == name)
    }
}

fn revision(pod: &Pod) -> i64 {
    revision_of(&pod.metadata).and_then(|revision| i64::try_from(revision).ok()).unwrap_or(0)
}
