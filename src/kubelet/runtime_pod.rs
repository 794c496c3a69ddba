//! A pod as the runtime sees it: its sandboxes and containers, the newest first.
//!
//! Read anew for each sync; nothing here is kept.
// Models pkg/kubelet/container (PodStatus) and pkg/kubelet/util (PodSandboxChanged).

use std::cmp::Reverse;

use crate::runtime::ContainerRuntime;
use crate::runtime::api::{ContainerState, ContainerStatus, Result, SandboxState, SandboxStatus};

/// The label that ties a container to what it was made from.
pub(super) const HASH_LABEL: &str = "io.kubernetes.container.hash";

/// A pod as the runtime sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct RuntimePod {
    /// The newest first.
    pub(super) sandboxes: Vec<SandboxStatus>,
    /// Of all sandboxes, the newest first.
    pub(super) containers: Vec<ContainerStatus>,
}

/// Whether the pod needs a new sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SandboxChange {
    pub(super) create: bool,
    pub(super) attempt: u32,
    /// The sandbox there is.
    pub(super) id: Option<String>,
}

impl RuntimePod {
    /// Asks the runtime.
    pub(super) async fn observe(runtime: &dyn ContainerRuntime, uid: &str) -> Result<Self> {
        let mut sandboxes: Vec<SandboxStatus> = runtime.list_pod_sandboxes().await?;
        sandboxes.retain(|sandbox| sandbox.config.uid == uid);
        sandboxes.sort_by_key(|sandbox| Reverse((sandbox.config.attempt, sandbox.created_at)));
        let mut containers = vec![];
        for sandbox in &sandboxes {
            containers.extend(runtime.list_containers(Some(&sandbox.id)).await?);
        }
        containers.sort_by_key(|container| Reverse((container.created_at, container.attempt)));
        Ok(Self { sandboxes, containers })
    }

    /// The newest container of a name.
    pub(super) fn find(&self, name: &str) -> Option<&ContainerStatus> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The containers that run.
    pub(super) fn running(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.containers.iter().filter(|container| container.state == ContainerState::Running)
    }

    /// The pod's IPs; none without a sandbox that is up.
    pub(super) fn ips(&self) -> Vec<String> {
        let newest = self.sandboxes.first().filter(|sandbox| sandbox.state == SandboxState::Ready);
        newest.map(|sandbox| sandbox.ips.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// Whether something started or ended since `before`. That something was removed is no news, unless it ran.
    // Models computeEvents and isSyncPodWorthy.
    pub(super) fn has_news_since(&self, before: &Self) -> bool {
        let container = |pod: &Self, id: &str| pod.containers.iter().find(|c| c.id == id).map(|c| c.state);
        let sandbox = |pod: &Self, id: &str| pod.sandboxes.iter().find(|s| s.id == id).map(|s| s.state);
        let lost = before.running().any(|was| container(self, &was.id).is_none());
        lost || self.containers.iter().any(|now| container(before, &now.id) != Some(now.state))
            || self.sandboxes.iter().any(|now| sandbox(before, &now.id) != Some(now.state))
    }

    /// Whether the pod needs a new sandbox.
    pub(super) fn sandbox_change(&self, host_network: bool) -> SandboxChange {
        let Some(newest) = self.sandboxes.first() else {
            return SandboxChange { create: true, attempt: 0, id: None };
        };
        let ready = self.sandboxes.iter().filter(|sandbox| sandbox.state == SandboxState::Ready).count();
        let addressed = host_network || !newest.ips.is_empty();
        let usable = ready == 1 && newest.state == SandboxState::Ready && addressed;
        SandboxChange {
            create: !usable,
            attempt: newest.config.attempt + u32::from(!usable),
            id: Some(newest.id.clone()),
        }
    }
}
