//! What runs in a cluster besides the API server and the store, as a value that can be steered while it runs.
//!
//! The cluster owns a [`Plane`]; [`Components`] is a handle to it for the shell, lessons and views. A handle does not keep
//! the cluster alive.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use super::config::{ClusterConfig, ClusterError, Component};
use super::control_plane::{ControlPlane, ControllerManager, KubeScheduler};
use super::node::{ClusterNode, Machine, Shared};
use crate::network::NetHost;
use crate::watch;

/// Whether a component runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStatus {
    /// Which one.
    pub component: Component,
    /// Where, if every node has its own.
    pub node: Option<String>,
    /// Whether it runs.
    pub running: bool,
    /// Since when it is so.
    pub since: Timestamp,
}

/// What came of stopping or starting a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The component as it is now.
    pub now: ComponentStatus,
    /// Whether it was otherwise before.
    pub changed: bool,
}

/// Why a component was not stopped or started.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// No node has that name.
    #[error("there is no node {node:?}: the nodes are {}", .nodes.join(", "))]
    NoSuchNode { node: String, nodes: Vec<String> },
    /// Several nodes have one, and none was named.
    #[error("every node has a {component}: say which one is meant: {}", .nodes.join(", "))]
    WhichNode { component: Component, nodes: Vec<String> },
    /// There is one in the cluster, and a node was named.
    #[error("the cluster has one {0}: it is not a node's")]
    NotOfNode(Component),
    /// The cluster has ended.
    #[error("the cluster has ended")]
    Ended,
    /// It does not start.
    #[error(transparent)]
    Start(#[from] ClusterError),
}

/// Stops and starts a cluster's components, and tells which run. Cheap to clone; it outlives the cluster without keeping it.
#[derive(Clone, Debug)]
pub struct Components {
    plane: Weak<Plane>,
    states: watch::Receiver<Vec<ComponentStatus>>,
}

impl Components {
    pub(super) fn of(plane: &Arc<Plane>) -> Self {
        Self { plane: Arc::downgrade(plane), states: plane.states.subscribe() }
    }

    /// Every component, those of the nodes node by node.
    pub fn status(&self) -> Vec<ComponentStatus> {
        self.states.borrow().clone()
    }

    /// [`Components::status`] as it changes. It ends with the cluster.
    pub fn watch(&self) -> watch::Receiver<Vec<ComponentStatus>> {
        self.states.clone()
    }

    /// Stops a component, and returns when its ports are free. `node` can be left out if there is no choice.
    pub async fn stop(&self, component: Component, node: Option<&str>) -> Result<Changed, ComponentError> {
        self.set(component, node, false).await
    }

    /// Starts a component, and returns when its ports are open. `node` can be left out if there is no choice.
    pub async fn start(&self, component: Component, node: Option<&str>) -> Result<Changed, ComponentError> {
        self.set(component, node, true).await
    }

    async fn set(
        &self,
        component: Component,
        node: Option<&str>,
        running: bool,
    ) -> Result<Changed, ComponentError> {
        let plane = self.plane.upgrade().ok_or(ComponentError::Ended)?;
        let mut running_now = plane.lock().await;
        let node = running_now.choose(component, node)?;
        let changed = running_now.set(component, node, running).await?;
        Ok(Changed { now: running_now.status_of(component, node), changed })
    }
}

/// The components of a cluster. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Plane {
    running: Mutex<Running>,
    states: watch::Sender<Vec<ComponentStatus>>,
    pub(super) machines: Vec<Machine>,
}

/// What runs. Fields are dropped in this order: who reacts goes before what is reacted to.
#[derive(Debug)]
struct Running {
    scheduler: Option<KubeScheduler>,
    controllers: Option<ControllerManager>,
    nodes: Vec<ClusterNode>,
    control_plane: ControlPlane,
    /// When the cluster was made.
    began: Timestamp,
    /// When each was last started or stopped.
    since: BTreeMap<(Component, Option<usize>), Timestamp>,
    /// The cluster has ended, and nothing is started any more.
    ended: bool,
}

/// What runs, in one hand. When it is let go of, those who watch are told what has changed, whatever became of the change.
struct Steering<'a> {
    running: MutexGuard<'a, Running>,
    states: &'a watch::Sender<Vec<ComponentStatus>>,
}

impl Plane {
    /// Makes the nodes and starts what the configuration does not leave out. The control plane is on the first node, or on
    /// `otherwise` if there is none.
    pub(super) async fn start(
        config: &ClusterConfig,
        shared: Shared,
        otherwise: &NetHost,
        root_ca: Arc<str>,
    ) -> Result<Arc<Self>, ClusterError> {
        let machines =
            (0..config.nodes).map(|index| Machine::new(index, &shared)).collect::<Result<Vec<_>, _>>()?;
        machines.iter().try_for_each(|machine| machine.deliver(&config.images))?;
        let host = machines.first().map_or(otherwise, |machine| &machine.host).clone();
        let control_plane = ControlPlane { shared: shared.clone(), host, root_ca };
        let running = Running {
            scheduler: None,
            controllers: None,
            nodes: vec![],
            control_plane,
            began: shared.clock.now(),
            since: BTreeMap::new(),
            ended: false,
        };
        let plane = Self { running: Mutex::new(running), states: watch::Sender::new(vec![]), machines };
        let mut steering = plane.lock().await;
        let wanted = |component| !config.without.contains(&component);
        for component in
            [Component::ControllerManager, Component::Scheduler].into_iter().filter(|c| wanted(*c))
        {
            steering.set(component, None, true).await?;
        }
        for (index, machine) in plane.machines.iter().enumerate() {
            steering.nodes.push(ClusterNode::new(machine.clone(), shared.clone()));
            for component in [Component::KubeProxy, Component::Kubelet].into_iter().filter(|c| wanted(*c)) {
                steering.set(component, Some(index), true).await?;
            }
        }
        drop(steering);
        Ok(Arc::new(plane))
    }

    /// Ends everything, kubelets first.
    pub(super) async fn stop(&self) {
        let mut running = self.lock().await;
        running.ended = true;
        for node in &mut running.nodes {
            node.stop_kubelet().await;
        }
        for node in &mut running.nodes {
            node.stop_proxy().await;
        }
        if let Some(scheduler) = running.scheduler.take() {
            scheduler.stop().await;
        }
        if let Some(controllers) = running.controllers.take() {
            controllers.stop().await;
        }
    }

    async fn lock(&self) -> Steering<'_> {
        Steering { running: self.running.lock().await, states: &self.states }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.states.send_modify(|all| all.iter_mut().for_each(|status| status.running = false));
    }
}

impl std::ops::Deref for Steering<'_> {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl std::ops::DerefMut for Steering<'_> {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.running
    }
}

impl Drop for Steering<'_> {
    fn drop(&mut self) {
        let now = self.running.status();
        self.states.send_if_modified(|before| {
            let differs = *before != now;
            *before = now;
            differs
        });
    }
}

impl Running {
    fn runs(&self, component: Component, node: Option<usize>) -> bool {
        match component {
            Component::Scheduler => self.scheduler.is_some(),
            Component::ControllerManager => self.controllers.is_some(),
            Component::KubeProxy | Component::Kubelet => {
                node.and_then(|index| self.nodes.get(index)).is_some_and(|node| node.runs(component))
            }
        }
    }

    fn status(&self) -> Vec<ComponentStatus> {
        let once = [Component::Scheduler, Component::ControllerManager].map(|component| (component, None));
        let nodes = (0..self.nodes.len()).flat_map(|index| {
            [Component::KubeProxy, Component::Kubelet].map(|component| (component, Some(index)))
        });
        once.into_iter().chain(nodes).map(|(component, index)| self.status_of(component, index)).collect()
    }

    fn status_of(&self, component: Component, index: Option<usize>) -> ComponentStatus {
        ComponentStatus {
            component,
            node: index.and_then(|index| Some(self.nodes.get(index)?.machine.name.clone())),
            running: self.runs(component, index),
            since: self.since.get(&(component, index)).copied().unwrap_or(self.began),
        }
    }

    /// Which node is meant.
    fn choose(&self, component: Component, node: Option<&str>) -> Result<Option<usize>, ComponentError> {
        let names = || self.nodes.iter().map(|node| node.machine.name.clone()).collect::<Vec<_>>();
        match node {
            _ if self.ended => Err(ComponentError::Ended),
            None if !component.is_per_node() => Ok(None),
            Some(_) if !component.is_per_node() => Err(ComponentError::NotOfNode(component)),
            None if self.nodes.len() == 1 => Ok(Some(0)),
            None => Err(ComponentError::WhichNode { component, nodes: names() }),
            Some(wanted) => {
                let found = self.nodes.iter().position(|node| node.machine.name == wanted);
                let missing = || ComponentError::NoSuchNode { node: wanted.to_owned(), nodes: names() };
                found.map(Some).ok_or_else(missing)
            }
        }
    }

    /// Has a component run or not. The answer is whether that is a change.
    async fn set(
        &mut self,
        component: Component,
        node: Option<usize>,
        running: bool,
    ) -> Result<bool, ClusterError> {
        if self.runs(component, node) == running {
            return Ok(false);
        }
        self.since.insert((component, node), self.control_plane.shared.clock.now());
        let node = node.and_then(|index| self.nodes.get_mut(index));
        match (component, node, running) {
            (Component::Scheduler, _, true) => self.scheduler = Some(self.control_plane.scheduler().await?),
            (Component::Scheduler, _, false) => {
                if let Some(scheduler) = self.scheduler.take() {
                    scheduler.stop().await;
                }
            }
            (Component::ControllerManager, _, true) => {
                self.controllers = Some(self.control_plane.controller_manager().await?);
            }
            (Component::ControllerManager, _, false) => {
                if let Some(controllers) = self.controllers.take() {
                    controllers.stop().await;
                }
            }
            (Component::Kubelet, Some(node), true) => node.start_kubelet().await?,
            (Component::Kubelet, Some(node), false) => node.stop_kubelet().await,
            (Component::KubeProxy, Some(node), true) => node.start_proxy().await,
            (Component::KubeProxy, Some(node), false) => node.stop_proxy().await,
            (Component::Kubelet | Component::KubeProxy, None, _) => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Cluster, ClusterConfig, Time, scenarios};
    use crate::network::ServiceRules;
    use k8s_openapi::api::core::v1::{Pod, Service};
    use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
    use serde_json::json;
    use std::time::Duration;

    async fn cluster(nodes: usize) -> Cluster {
        let config = ClusterConfig { nodes, seed: Some(1), time: Time::Virtual, ..ClusterConfig::default() };
        let cluster = Cluster::start(config).await.unwrap();
        cluster.ready().await;
        cluster
    }

    /// Lets everything happen that happens by itself within a second.
    async fn settle(cluster: &Cluster) {
        cluster.clock().sleep(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_watches_is_told_of_each_change() {
        let cluster = cluster(1).await;
        let components = cluster.components();
        let mut states = components.watch();
        assert!(states.borrow_and_update().iter().all(|status| status.running));
        for component in Component::ALL {
            for running in [false, true] {
                let done = components.set(component, None, running).await.unwrap();
                assert!(done.changed && done.now.running == running, "{done:?}");
                states.changed().await.unwrap();
                let now = states.borrow_and_update().clone();
                assert!(
                    now.iter().all(|status| status.running != (status.component == component && !running))
                );
                assert!(!components.set(component, None, running).await.unwrap().changed);
            }
        }
        cluster.stop().await;
        states.changed().await.unwrap();
        assert!(components.status().iter().all(|status| !status.running));
        let ended = components.start(Component::Scheduler, None).await.unwrap_err();
        assert!(matches!(ended, ComponentError::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_scheduler_pods_wait_and_without_controllers_nothing_reacts() {
        let cluster = cluster(1).await;
        let components = cluster.components();
        let pods = Api::<Pod>::namespaced(cluster.admin(), "default");
        components.stop(Component::ControllerManager, None).await.unwrap();
        let created = scenarios::create_deployment(&cluster, "web", 1);
        let waiting = cluster.clock().timeout(Duration::from_secs(60), created);
        assert!(waiting.await.is_err(), "nobody makes a ReplicaSet");
        assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 0);
        components.stop(Component::Scheduler, None).await.unwrap();
        components.start(Component::ControllerManager, None).await.unwrap();
        settle(&cluster).await;
        let waiting = pods.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].spec.as_ref().unwrap().node_name, None);
        components.start(Component::Scheduler, None).await.unwrap();
        settle(&cluster).await;
        let pod = pods.list(&ListParams::default()).await.unwrap().items.remove(0);
        assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_kube_proxy_leaves_the_rules_as_they_were() {
        let cluster = cluster(2).await;
        let components = cluster.components();
        let services = Api::<Service>::namespaced(cluster.admin(), "default");
        let backends = |rules: &ServiceRules| -> Vec<usize> {
            let of_web =
                rules.virtual_addresses.values().filter(|port| port.name.starts_with("default/web:"));
            of_web.map(|port| port.backends.len()).collect()
        };
        let rules = |node: &str| backends(&cluster.learner().fabric().rules(node));
        let web = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
        services.create(&PostParams::default(), &serde_json::from_value(web).unwrap()).await.unwrap();
        scenarios::create_deployment(&cluster, "web", 2).await.unwrap();
        settle(&cluster).await;
        assert_eq!((rules("minikube"), rules("minikube-m02")), (vec![2], vec![2]));
        components.stop(Component::KubeProxy, Some("minikube")).await.unwrap();
        scenarios::scale_deployment(&cluster, "web", 3).await.unwrap();
        settle(&cluster).await;
        assert_eq!((rules("minikube"), rules("minikube-m02")), (vec![2], vec![3]));
        let patch = Patch::Merge(json!({"spec": {"selector": {"app": "nobody"}}}));
        services.patch("web", &PatchParams::default(), &patch).await.unwrap();
        settle(&cluster).await;
        assert_eq!((rules("minikube"), rules("minikube-m02")), (vec![2], vec![0]));
        components.start(Component::KubeProxy, Some("minikube")).await.unwrap();
        settle(&cluster).await;
        assert_eq!(rules("minikube"), [0]);
    }
}
