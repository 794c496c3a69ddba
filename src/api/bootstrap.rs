//! What every cluster has before anybody asks: the system namespaces, the system priority classes, and the Service
//! `kubernetes` with the API server behind it. Made through the same pipeline as everything else.
// Models pkg/controlplane/controller/{systemnamespaces,kubernetesservice} and pkg/registry/scheduling/rest.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::select_all;
use serde_json::{Value, json};

use super::auth::UserInfo;
use super::options::WriteOptions;
use super::probes::Probes;
use super::rest::Call;
use super::server::ApiServer;
use super::status::ApiError;
use crate::store::{Author, EventKind, KeyRange, WatchRequest};

/// The IP that the Service `kubernetes` has: the first of the Services' network.
pub const KUBERNETES_SERVICE_IP: &str = "10.96.0.1";
/// How long a deleted Service `kubernetes` stays away.
// Models the EndpointInterval of pkg/controlplane, at which a real server looks whether it is there.
const REPAIR_INTERVAL: Duration = Duration::from_secs(10);
/// The name under which the API server writes.
const AGENT: &str = "kube-apiserver";

const NAMESPACES: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "default"];

const PRIORITY_CLASSES: [(&str, i64, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

impl ApiServer {
    /// Makes what is missing. `endpoint` is where the API server can be reached from within the cluster; without it the
    /// Service `kubernetes` has nothing behind it.
    pub fn bootstrap(&self, endpoint: Option<SocketAddr>) -> Result<(), ApiError> {
        for name in NAMESPACES {
            self.make("", "v1", "namespaces", "", json!({"metadata": {"name": name}}))?;
        }
        for (name, value, description) in PRIORITY_CLASSES {
            let class = json!({"metadata": {"name": name}, "value": value, "description": description});
            self.make("scheduling.k8s.io", "v1", "priorityclasses", "", class)?;
        }
        self.make("", "v1", "services", "default", service(endpoint.map_or(443, |address| address.port())))?;
        if let Some(address) = endpoint {
            self.make("", "v1", "endpoints", "default", endpoints(address))?;
            self.make("discovery.k8s.io", "v1", "endpointslices", "default", endpoint_slice(address))?;
        }
        Ok(())
    }

    /// Makes the default StorageClass that minikube has.
    pub fn bootstrap_storage_class(&self) -> Result<(), ApiError> {
        self.make("storage.k8s.io", "v1", "storageclasses", "", storage_class())
    }

    /// Makes the Service `kubernetes` and what belongs to it again when somebody deletes it. Runs until it is dropped.
    pub async fn keep_kubernetes_service(self, endpoint: Option<SocketAddr>) {
        let store = self.rest().store().clone();
        let key = |group: &str, version: &str, plural: &str| {
            let kind = self.rest().registry().resource(group, version, plural);
            kind.map(|kind| kind.info().storage_key("default", "kubernetes"))
        };
        let keys =
            [("", "v1", "services"), ("", "v1", "endpoints"), ("discovery.k8s.io", "v1", "endpointslices")];
        let keys: Vec<String> =
            keys.into_iter().filter_map(|(group, version, plural)| key(group, version, plural)).collect();
        loop {
            let watch = |key: &String| store.watch(WatchRequest::new(KeyRange::key(key.as_str()), 0));
            let Ok(watches) = keys.iter().map(watch).collect::<Result<Vec<_>, _>>() else { return };
            let mut writes = select_all(watches);
            while let Some(write) = writes.next().await {
                if write.events().any(|event| event.kind == EventKind::Delete) {
                    self.rest().clock().sleep(REPAIR_INTERVAL).await;
                    if let Err(error) = self.bootstrap(endpoint) {
                        tracing::warn!(%error, "the Service kubernetes cannot be made again");
                    }
                }
            }
        }
    }

    /// Creates an object unless it is there. Kinds that are not served are passed over.
    fn make(
        &self,
        group: &str,
        version: &str,
        plural: &str,
        namespace: &str,
        value: Value,
    ) -> Result<(), ApiError> {
        let Some(kind) = self.rest().registry().resource(group, version, plural) else { return Ok(()) };
        let call = Call {
            kind,
            namespace: namespace.to_owned(),
            name: String::new(),
            subresource: String::new(),
            user: UserInfo::new("system:apiserver", &["system:masters"]),
            agent: AGENT.to_owned(),
            author: Author {
                component: AGENT.into(),
                request: format!("bootstrap {plural}").into(),
                cause: None,
            },
            probes: Probes::default(),
        };
        match self.rest().create_value(&call, &WriteOptions::default(), value) {
            Err(error) if error.reason() == "AlreadyExists" => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

fn service(target_port: u16) -> Value {
    json!({
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": KUBERNETES_SERVICE_IP,
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": target_port}],
        },
    })
}

/// The class as minikube's addon applies it.
fn storage_class() -> Value {
    let mut class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            "labels": {"addonmanager.kubernetes.io/mode": "EnsureExists"},
            "name": "standard",
        },
        "provisioner": "k8s.io/minikube-hostpath",
    });
    let applied = format!("{class}\n");
    class["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = applied.into();
    class
}

fn endpoints(address: SocketAddr) -> Value {
    json!({
        "metadata": {"name": "kubernetes", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{
            "addresses": [{"ip": address.ip().to_string()}],
            "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
        }],
    })
}

fn endpoint_slice(address: SocketAddr) -> Value {
    json!({
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::Door;

    #[tokio::test(start_paused = true)]
    async fn a_deleted_service_kubernetes_comes_again() {
        let door = Door::open();
        let clock = door.server.rest().clock().clone();
        let endpoint = Some(SocketAddr::from(([192, 168, 49, 2], 8443)));
        let keeping = tokio::spawn(door.server.clone().keep_kubernetes_service(endpoint));
        clock.sleep(Duration::from_secs(1)).await;
        let paths =
            ["services", "endpoints"].map(|plural| format!("/api/v1/namespaces/default/{plural}/kubernetes"));
        for path in &paths {
            assert_eq!(door.ask(&format!("DELETE {path}"), &[], "").await.code, 200);
            assert_eq!(door.get(path).await.code, 404);
        }
        clock.sleep(REPAIR_INTERVAL + Duration::from_secs(1)).await;
        for path in &paths {
            assert_eq!(door.get(path).await.code, 200, "{path} is there again");
        }
        keeping.abort();
    }
}
