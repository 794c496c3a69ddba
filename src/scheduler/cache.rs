//! What the scheduler believes: the nodes with their pods, those included that it has just assigned but not yet seen.
// Models pkg/scheduler/backend/cache.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::info::{NodeInfo, PodInfo};

/// The scheduler's cache. Changes copy only the node that they touch, so that a snapshot costs next to nothing.
#[derive(Debug, Default)]
pub struct Cache {
    nodes: BTreeMap<String, Arc<NodeInfo>>,
    pods: BTreeMap<String, Placed>,
    /// Pods that wait for a node on which others are being evicted, by UID.
    nominated: BTreeMap<String, (String, Arc<PodInfo>)>,
}

#[derive(Debug)]
struct Placed {
    node: String,
    assumed: bool,
}

/// The nodes at one moment, by name.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The nodes.
    pub nodes: Vec<Arc<NodeInfo>>,
    /// Pods that wait for a node, by its name.
    pub nominated: BTreeMap<String, Vec<Arc<PodInfo>>>,
}

impl Snapshot {
    /// A node by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.nodes.iter().find(|node| node.name() == name)
    }

    /// The same with one node replaced.
    pub fn with(&self, replaced: &Arc<NodeInfo>) -> Self {
        let nodes =
            self.nodes.iter().map(|node| if node.name() == replaced.name() { replaced } else { node });
        Self { nodes: nodes.cloned().collect(), nominated: self.nominated.clone() }
    }
}

impl Cache {
    /// Takes in a node.
    pub fn set_node(&mut self, node: Arc<Node>) {
        let name = node.metadata.name.clone().unwrap_or_default();
        Arc::make_mut(self.nodes.entry(name).or_default()).set_node(Some(node));
    }

    /// A node has gone. Its pods are remembered until they go too.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(info) = self.nodes.get_mut(name) {
            Arc::make_mut(info).set_node(None);
            if info.pod_count() == 0 {
                self.nodes.remove(name);
            }
        }
    }

    /// A pod is on a node, the cluster says.
    pub fn set_pod(&mut self, pod: Arc<PodInfo>) {
        let node = pod.pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        self.place(pod, node, false);
    }

    /// A pod will be on a node, the scheduler says.
    pub fn assume(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.place(pod, node.to_owned(), true);
    }

    /// Whether the pod was assigned but has not been seen on its node yet.
    pub fn is_assumed(&self, uid: &str) -> bool {
        self.pods.get(uid).is_some_and(|placed| placed.assumed)
    }

    /// The assignment has failed. Does nothing if the pod has been seen on a node.
    pub fn forget(&mut self, uid: &str) {
        if self.is_assumed(uid) {
            self.remove_pod(uid);
        }
    }

    /// The pod has gone, or come to its end.
    pub fn remove_pod(&mut self, uid: &str) {
        self.nominated.remove(uid);
        let Some(placed) = self.pods.remove(uid) else { return };
        let Some(info) = self.nodes.get_mut(&placed.node) else { return };
        Arc::make_mut(info).remove_pod(uid);
        if info.node().is_none() && info.pod_count() == 0 {
            self.nodes.remove(&placed.node);
        }
    }

    /// The pod waits for room on that node; an empty name takes it back.
    pub fn nominate(&mut self, pod: Arc<PodInfo>, node: &str) {
        let uid = pod.uid().to_owned();
        match node.is_empty() {
            true => drop(self.nominated.remove(&uid)),
            false => drop(self.nominated.insert(uid, (node.to_owned(), pod))),
        }
    }

    /// The nodes as they are now.
    pub fn snapshot(&self) -> Snapshot {
        let mut nominated: BTreeMap<String, Vec<Arc<PodInfo>>> = BTreeMap::new();
        for (node, pod) in self.nominated.values() {
            nominated.entry(node.clone()).or_default().push(pod.clone());
        }
        let nodes = self.nodes.values().filter(|info| info.node().is_some()).cloned().collect();
        Snapshot { nodes, nominated }
    }

    fn place(&mut self, pod: Arc<PodInfo>, node: String, assumed: bool) {
        let uid = pod.uid().to_owned();
        self.remove_pod(&uid);
        Arc::make_mut(self.nodes.entry(node.clone()).or_default()).add_pod(pod);
        self.pods.insert(uid, Placed { node, assumed });
    }
}
