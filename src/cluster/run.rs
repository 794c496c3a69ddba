//! A cluster that runs.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::components::{Components, Plane};
use super::config::{API_PORT, ClusterConfig, ClusterError, Component, NODE_NETWORK, RuntimeConfig, Time};
use super::front_door::{self, FrontDoor};
use super::kubeconfig::{Credentials, kubeconfig};
use super::node::{self, Machine, NodeMachine, Shared};
use super::real::{self, RealMachine};
use super::storage::ClusterStorage;
use crate::api::auth::{Pki, UserInfo};
use crate::api::registry::Registry;
use crate::api::server::{ApiServer, Config};
use crate::client::{self, ApiService};
use crate::clock::Clock;
use crate::informer::Informers;
use crate::network::policy::{Enforcer, PolicyKeeper};
use crate::network::{ClusterDns, Fabric, HostNodePorts, NetHost};
use crate::runtime::containerd::Containerd;
use crate::scheduler::Decisions;
use crate::seed::Seed;
use crate::store::Store;

/// A cluster. Dropping it stops everything in it.
pub struct Cluster {
    config: ClusterConfig,
    clock: Clock,
    seed: Seed,
    store: Store,
    api: ApiServer,
    service: ApiService,
    pki: Pki,
    informers: Informers,
    keeper: JoinHandle<()>,
    _policies: PolicyKeeper,
    learner: NetHost,
    decisions: Decisions,
    _door: Option<FrontDoor>,
    plane: Arc<Plane>,
    real: Option<RealMachine>,
}

/// The API on a socket; dropping it closes the socket and its connections.
pub struct Serving {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Cluster {
    /// Builds a cluster and starts it; [`Cluster::ready`] tells when it can be used.
    pub async fn start(config: ClusterConfig) -> Result<Self, ClusterError> {
        let clock = match config.time {
            Time::Real => Clock::real(),
            Time::Virtual => Clock::virtual_time(),
        };
        let seed = config.seed.map_or_else(Seed::from_entropy, Seed::new);
        // First of all: if it cannot be had nothing else is begun.
        let containerd = match &config.runtime {
            RuntimeConfig::Sim => None,
            RuntimeConfig::Containerd(wanted) => Some(Arc::new(Containerd::open(wanted, &clock).await?)),
        };
        let started = Self::build(config, clock, seed, containerd.clone()).await;
        if started.is_err()
            && let Some(containerd) = &containerd
        {
            real::close(containerd).await;
        }
        started
    }

    async fn build(
        config: ClusterConfig,
        clock: Clock,
        seed: Seed,
        containerd: Option<Arc<Containerd>>,
    ) -> Result<Self, ClusterError> {
        let store = Store::new(clock.clone());
        let places = containerd.as_ref().map(|containerd| containerd.places().clone()).unwrap_or_default();
        let fabric = Fabric::new(seed.clone(), clock.clone()).with_places(places);
        let pki = Pki::generate(seed.fork()).map_err(|error| ClusterError::Pki(error.to_string()))?;
        let control_plane = std::net::SocketAddr::new(IpAddr::V4(node::address(0)), API_PORT);
        let mut api_config = Config::new(store.clone(), clock.clone(), seed.clone());
        api_config.address = control_plane.to_string();
        api_config.tokens = config.token.iter().map(|token| (token.clone(), UserInfo::admin())).collect();
        // Nobody sees it, so it is not drawn from the cluster's seed.
        let api_server_token: Arc<str> = Seed::from_entropy().hex(32).into();
        api_config.kubelet_token = api_server_token.clone();
        let api = ApiServer::new(api_config);
        api.bootstrap(Some(control_plane)).map_err(|error| ClusterError::Bootstrap(error.to_string()))?;
        if config.storage_class {
            let made = api.bootstrap_storage_class();
            made.map_err(|error| ClusterError::Bootstrap(error.to_string()))?;
        }
        let keeper = {
            let api = api.clone();
            tokio::spawn(async move {
                tokio::join!(api.clone().run(), api.keep_kubernetes_service(Some(control_plane)));
            })
        };
        let service = api.service();
        let system = UserInfo::new("system:masters", &["system:masters"]);
        let informers = Informers::new(client::component(&service, "k8s-learn", system), clock.clone());
        fabric.set_resolver(Arc::new(ClusterDns::new(&informers)));
        let enforcer = if containerd.is_some() { Enforcer::Kernel } else { Enforcer::Fabric };
        let policies = PolicyKeeper::start(&fabric, &informers, enforcer);
        let mut real = None;
        if let Some(containerd) = &containerd {
            let names = Arc::new(ClusterDns::new(&informers));
            real = Some(RealMachine::prepare(containerd, &config, &fabric, names, &clock).await?);
        }
        let own = IpAddr::V4(std::net::Ipv4Addr::from(u32::from(NODE_NETWORK) + 1));
        let learner = fabric.join_machine(own, &node::name(0)).map_err(|_| ClusterError::Address(own))?;
        api.set_dialer(Arc::new(learner.clone()));
        let decisions = Decisions::default();
        let storage = ClusterStorage::new(&clock, containerd.as_deref());
        let shared = Shared {
            service: service.clone(),
            informers: informers.clone(),
            fabric,
            clock: clock.clone(),
            seed: seed.clone(),
            pace: config.pace,
            storage,
            containerd,
            pki: pki.clone(),
            api_server_token,
            decisions: decisions.clone(),
        };
        let root_ca = pki.certificate().into();
        let plane = Plane::start(&config, shared, &learner, root_ca).await?;
        // From here on the API server is on the first node: its loopback is that node's.
        let mut door = None;
        if let Some(first) = plane.machines.first() {
            api.set_dialer(Arc::new(first.host.clone()));
            door = Some(FrontDoor::open(api.clone(), pki.clone(), first.host.clone(), clock.clone()).await?);
            if let Some(real) = &mut real {
                real.open(first.host.ip(), api.clone(), pki.clone(), &clock).await?;
            }
        }
        Ok(Self {
            config,
            clock,
            seed,
            store,
            api,
            service,
            pki,
            informers,
            keeper,
            _policies: policies,
            learner,
            decisions,
            _door: door,
            plane,
            real,
        })
    }

    fn has(&self, component: Component) -> bool {
        !self.config.without.contains(&component)
    }

    /// Stops and starts the cluster's components, and tells which run.
    pub fn components(&self) -> Components {
        Components::of(&self.plane)
    }

    /// The machines under the nodes, the control plane's first.
    pub fn machines(&self) -> Vec<NodeMachine> {
        self.plane.machines.iter().map(Machine::handle).collect()
    }

    /// Waits until every node is Ready and pods can be made in `default`.
    pub async fn ready(&self) {
        if self.has(Component::Kubelet) {
            let nodes = self.informers.of::<Node>();
            let mut changes = nodes.subscribe();
            while nodes.list().iter().filter(|node| is_ready(node)).count() < self.config.nodes {
                if changes.recv().await.is_none() {
                    return;
                }
            }
        }
        if self.has(Component::ControllerManager) {
            let accounts = self.informers.of::<ServiceAccount>();
            let mut changes = accounts.subscribe();
            while accounts.get("default", "default").is_none() {
                if changes.recv().await.is_none() {
                    return;
                }
            }
        }
    }

    /// Serves the API over TLS on a socket of this machine.
    pub fn serve(&self, listener: TcpListener) -> Result<Serving, ClusterError> {
        let pki_error = |error: crate::api::auth::PkiError| ClusterError::Pki(error.to_string());
        let identity = front_door::identity(&self.pki, &self.config.serve_names).map_err(pki_error)?;
        let (api, pki, stop) = (self.api.clone(), self.pki.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = api.serve_tls(listener, &pki, &identity, stopped).await {
                tracing::error!(%error, "the API cannot be served");
            }
        });
        Ok(Serving { stop, task })
    }

    /// Opens the cluster's node ports on an address of this machine.
    pub fn open_node_ports(&self, address: IpAddr) -> HostNodePorts {
        let target = self.plane.machines.first().map_or(self.learner.ip(), |machine| machine.host.ip());
        HostNodePorts::start(address, self.learner.clone(), target, &self.informers)
    }

    /// The kubeconfig of the administrator, for a server at `url`.
    pub fn kubeconfig(&self, url: &str) -> Result<String, ClusterError> {
        let admin = UserInfo::admin();
        let groups: Vec<&str> =
            admin.groups.iter().map(String::as_str).filter(|g| *g != "system:authenticated").collect();
        let identity =
            self.pki.client(&admin.name, &groups).map_err(|error| ClusterError::Pki(error.to_string()))?;
        let authority = self.pki.certificate().to_owned();
        Ok(kubeconfig(url, &Credentials { authority, certificate: identity.certificate, key: identity.key }))
    }

    /// The address under which the cluster's own machines reach the API.
    pub fn url(&self) -> String {
        format!("https://{}:{API_PORT}", node::address(0))
    }

    /// A client of the administrator, for tests and benches.
    pub fn admin(&self) -> kube::Client {
        client::component(&self.service, "k8s-learn", UserInfo::admin())
    }

    /// The API server as in-process callers see it.
    pub fn service(&self) -> &ApiService {
        &self.service
    }

    /// The cluster's time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The cluster's source of chance.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The store behind the API server.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Who runs the containers.
    pub fn runtime(&self) -> &RuntimeConfig {
        &self.config.runtime
    }

    /// What the scheduler decided lately, and why. Kept when it is stopped and started.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// The API's kinds.
    pub fn registry(&self) -> &Registry {
        self.api.rest().registry()
    }

    /// The learner's machine, beside the nodes.
    pub fn learner(&self) -> &NetHost {
        &self.learner
    }

    /// Stops everything, kubelets first.
    pub async fn stop(mut self) {
        self.plane.stop().await;
        if let Some(real) = &mut self.real {
            real.close().await;
        }
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
