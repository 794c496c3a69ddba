//! The runtime's state and how it makes sandboxes and containers. The trait over it is in `service`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cgroup::Cgroup;
use super::config::{Pace, SimConfig};
use super::console::Console;
use super::container::{Container, Stage, environment, user, working_dir};
use super::images::ImageStore;
use super::log::ContainerLog;
use super::programs::{self, Machine};
use super::root_files::Parts;
use super::sandbox::Sandbox;
use super::service::Events;
use super::volumes::VolumeStore;
use crate::bash::{ProcessInfo, Processes};
use crate::network::{NetHost, PodPlace};
use crate::runtime::api::{ContainerConfig, Result, RuntimeError, SandboxConfig};
use crate::watch;

/// The pods' addresses of a node that was not told.
const DEFAULT_POD_CIDR: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 244, 0, 0), 24);

/// A runtime of one node whose containers live in this process. Dropping it kills them.
pub struct SimRuntime {
    pub(super) config: SimConfig,
    pub(super) images: ImageStore,
    pub(super) volumes: VolumeStore,
    pub(super) events: Events,
    pub(super) state: Mutex<State>,
    /// Every container's own token is a child of it.
    alive: CancellationToken,
}

#[derive(Default)]
pub(super) struct State {
    /// By id, in the order of the ids.
    pub(super) sandboxes: BTreeMap<String, Arc<Sandbox>>,
    pub(super) containers: BTreeMap<String, Arc<Container>>,
    pod_cidr: Option<(Ipv4Addr, u8)>,
    /// The address given last: the next one comes behind it, as host-local IPAM does.
    last_ip: Option<Ipv4Addr>,
    node_host: Option<NetHost>,
}

impl Drop for SimRuntime {
    fn drop(&mut self) {
        self.alive.cancel();
    }
}

impl SimRuntime {
    /// A runtime with no images and no containers.
    pub fn new(config: SimConfig) -> Self {
        let (clock, seed) = (config.clock.clone(), config.seed.clone());
        Self {
            images: ImageStore::new(clock.clone(), seed.clone(), config.pace),
            volumes: VolumeStore::new(clock, seed, config.disk.clone()),
            events: Events::default(),
            state: Mutex::default(),
            alive: CancellationToken::new(),
            config,
        }
    }

    /// Says from which network pods get their addresses.
    pub fn set_pod_cidr(&self, network: Ipv4Addr, bits: u8) {
        self.lock().pod_cidr = Some((network, bits));
    }

    /// Says which place in the network the node has: pods with `hostNetwork` share it.
    pub fn set_node_host(&self, host: NetHost) {
        self.lock().node_host = Some(host);
    }

    /// Puts an image on the node without a pull.
    pub fn preload(&self, image: &str) -> Result<()> {
        self.images.preload(image).map(drop)
    }

    /// The processes of every container by the container's id, as each container numbers its own.
    pub fn processes(&self) -> Vec<(String, Vec<ProcessInfo>)> {
        let containers: Vec<Arc<Container>> = self.lock().containers.values().cloned().collect();
        containers.iter().map(|container| (container.id.clone(), container.processes.list())).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the time pass that something takes on a real node.
    pub(super) async fn takes(&self, milliseconds: u64) {
        if self.config.pace == Pace::Real {
            let jitter = self.config.seed.below(milliseconds / 2 + 1);
            self.config.clock.sleep(Duration::from_millis(milliseconds + jitter)).await;
        }
    }

    /// Gives a pod the next free address of the node.
    fn join(&self) -> Result<NetHost> {
        let mut state = self.lock();
        let (network, bits) = state.pod_cidr.unwrap_or(DEFAULT_POD_CIDR);
        let size = 1_u32 << (32 - u32::from(bits.clamp(8, 30)));
        let base = u32::from(network);
        let last = state.last_ip.map_or(1, |ip| u32::from(ip).wrapping_sub(base));
        // The network's own address, the gateway and the broadcast address are nobody's.
        let order = (last + 1..size - 1).chain(2..(last + 1).min(size - 1)).filter(|n| *n >= 2);
        for ip in order.map(|n| Ipv4Addr::from(base + n)) {
            if let Ok(host) = self.config.fabric.join(IpAddr::V4(ip), &self.config.node) {
                state.last_ip = Some(ip);
                return Ok(host);
            }
        }
        Err(RuntimeError::Other(format!(
            "rpc error: code = Unknown desc = failed to setup network for sandbox: plugin type=\"ptp\" failed (add): \
             failed to allocate for range 0: no IP addresses available in range set: {}-{}",
            Ipv4Addr::from(base + 1),
            Ipv4Addr::from(base + size - 2)
        )))
    }

    fn node_host(&self) -> Option<NetHost> {
        self.lock().node_host.clone()
    }

    /// Makes a sandbox with its network.
    pub(super) async fn make_sandbox(&self, config: SandboxConfig) -> Result<Arc<Sandbox>> {
        self.takes(300).await;
        let host = if config.host_network {
            self.node_host().ok_or_else(|| {
                RuntimeError::Other(format!("node {:?} has no place in the network", self.config.node))
            })?
        } else {
            self.join()?
        };
        let (seed, clock) = (&self.config.seed, &self.config.clock);
        let sandbox = Sandbox::new(seed.hex(32), config, clock.now(), &seed.uuid().to_string(), host.clone());
        let sandbox = Arc::new(sandbox);
        self.lock().sandboxes.insert(sandbox.id.clone(), sandbox.clone());
        if !sandbox.config.host_network {
            let SandboxConfig { namespace, name, host_ports, .. } = &sandbox.config;
            let place = PodPlace {
                namespace: namespace.clone(),
                name: name.clone(),
                node: self.config.node.clone(),
                ip: host.ip(),
                host_ports: host_ports.clone(),
            };
            let places = self.config.fabric.places();
            places.set(&sandbox.id, place);
            places.settled(clock).await;
        }
        Ok(sandbox)
    }

    pub(super) fn sandbox(&self, id: &str) -> Result<Arc<Sandbox>> {
        let found = self.lock().sandboxes.get(id).cloned();
        found.ok_or_else(|| {
            RuntimeError::NotFound(format!("an error occurred when try to find sandbox {id:?}: not found"))
        })
    }

    pub(super) fn container(&self, id: &str) -> Result<Arc<Container>> {
        let found = self.lock().containers.get(id).cloned();
        found.ok_or_else(|| {
            RuntimeError::NotFound(format!("an error occurred when try to find container {id:?}: not found"))
        })
    }

    pub(super) fn containers_of(&self, sandbox_id: &str) -> Vec<Arc<Container>> {
        self.lock()
            .containers
            .values()
            .filter(|container| container.sandbox_id == sandbox_id)
            .cloned()
            .collect()
    }

    /// Makes a container in a sandbox that is ready.
    pub(super) async fn make_container(
        &self,
        sandbox_id: &str,
        config: ContainerConfig,
    ) -> Result<Arc<Container>> {
        let sandbox = self.sandbox(sandbox_id)?;
        let host = sandbox.host().ok_or_else(|| {
            RuntimeError::Create(format!(
                "failed to create containerd container: sandbox {sandbox_id:?} is not ready"
            ))
        })?;
        let image = self.images.get(&config.image)?.ok_or_else(|| {
            RuntimeError::Create(format!(
                "failed to create containerd container: image {:?}: not found",
                config.image
            ))
        })?;
        let mut mounts = vec![];
        for mount in &config.mounts {
            mounts.push(self.volumes.mount(mount).await?);
        }
        let SimConfig { clock, seed, node, .. } = &self.config;
        let hostname = Some(&sandbox.config.hostname).filter(|name| !name.is_empty()).unwrap_or(node).clone();
        let image_files = image.files(clock);
        let (user, home) = user(&config.security, image.data.user.as_deref(), &image_files)
            .await
            .map_err(RuntimeError::Create)?;
        let log = ContainerLog::new(clock.clone());
        let parts = Parts {
            image: image_files,
            read_only: config.security.readonly_rootfs,
            mounts,
            hostname: hostname.clone(),
            dns: sandbox.config.dns.clone(),
            ip: host.ip().to_string(),
            termination_message_path: config.termination_message_path.clone(),
            log: log.clone(),
            clock: clock.clone(),
            working_dir: working_dir(&config, &image),
        };
        let env = environment(&config, &image, &hostname, &home);
        let cgroup = Cgroup::new(clock.clone(), config.resources, image.data.memory_bytes);
        let machine = Machine {
            host,
            cgroup: cgroup.clone(),
            env: env.clone(),
            version: image.data.version.clone(),
            seed: seed.clone(),
            real: false,
        };
        let (launcher, programs) = programs::install(&machine, &image.data);
        let container = Arc::new(Container {
            id: seed.hex(32),
            sandbox_id: sandbox_id.to_owned(),
            pod_uid: sandbox.config.uid.clone(),
            hostname,
            created_at: clock.now(),
            clock: clock.clone(),
            files: parts.assemble(),
            env,
            user,
            processes: Processes::default(),
            launcher,
            cgroup,
            console: Console::new(log.clone()),
            log,
            stage: watch::Sender::new(Stage::default()),
            killed: self.alive.child_token(),
            signals: Mutex::default(),
            programs: Mutex::new(Some(programs)),
            config,
            image,
        });
        self.lock().containers.insert(container.id.clone(), container.clone());
        Ok(container)
    }
}
