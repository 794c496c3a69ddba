//! A pod's sandbox: its place in the network, and what it was made from.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::network::NetHost;
use crate::runtime::api::{SandboxConfig, SandboxState, SandboxStatus};

/// A sandbox. It is ready while it has its network.
pub(super) struct Sandbox {
    pub(super) id: String,
    pub(super) config: SandboxConfig,
    pub(super) created_at: Timestamp,
    /// The path of its network namespace, for messages.
    pub(super) namespace_path: String,
    network: Mutex<Option<NetHost>>,
}

impl Sandbox {
    pub(super) fn new(
        id: String,
        config: SandboxConfig,
        created_at: Timestamp,
        namespace: &str,
        host: NetHost,
    ) -> Self {
        let namespace_path = format!("/var/run/netns/cni-{namespace}");
        Self { id, config, created_at, namespace_path, network: Mutex::new(Some(host)) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<NetHost>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its place in the network, while it is ready.
    pub(super) fn host(&self) -> Option<NetHost> {
        self.lock().clone()
    }

    /// Leaves the network; `false` if it had left before.
    pub(super) fn stop(&self) -> bool {
        let network = self.lock().take();
        network.is_some()
    }

    pub(super) fn status(&self) -> SandboxStatus {
        let host = self.host();
        let state = if host.is_some() { SandboxState::Ready } else { SandboxState::NotReady };
        let own = host.filter(|_| !self.config.host_network);
        SandboxStatus {
            id: self.id.clone(),
            config: self.config.clone(),
            state,
            created_at: self.created_at,
            ips: own.map(|host| host.ip()).into_iter().collect::<Vec<IpAddr>>(),
        }
    }
}
