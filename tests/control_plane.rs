//! The control plane without kubelets: the API server, all controllers and the scheduler, on a virtual clock. A small
//! stand-in makes pods run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_learn::api::auth::UserInfo;
use k8s_learn::api::server::{ApiServer, Config};
use k8s_learn::client;
use k8s_learn::clock::Clock;
use k8s_learn::controllers::{self, Context, Handle, VolumeDirectories};
use k8s_learn::informer::Informers;
use k8s_learn::scheduler::{self, Decisions, Scheduler};
use k8s_learn::seed::Seed;
use k8s_learn::store::Store;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, Namespace, Node, Pod, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A disk for volumes that nobody looks at.
struct NoDisk;

#[async_trait::async_trait]
impl VolumeDirectories for NoDisk {
    fn root(&self) -> String {
        "/volumes".to_owned()
    }

    async fn make(&self, _path: &str) -> Result<(), String> {
        Ok(())
    }

    async fn remove(&self, _path: &str) -> Result<(), String> {
        Ok(())
    }
}

/// A cluster that lives as long as the value.
struct Plane {
    client: kube::Client,
    clock: Clock,
    scheduler: Scheduler,
    _server: ApiServer,
    _controllers: BTreeMap<&'static str, Handle>,
    _kubelet: JoinSet<()>,
}

impl Plane {
    /// With nodes of 4 cores, and the namespace `default`.
    async fn start(nodes: usize) -> Self {
        let (clock, seed) = (Clock::virtual_time(), Seed::new(1));
        let server = ApiServer::new(Config::new(Store::new(clock.clone()), clock.clone(), seed.clone()));
        let service = server.service();
        let admin = client::component(&service, "kubectl", UserInfo::admin());
        for name in ["default", "kube-system", "kube-node-lease"] {
            let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            // The server may have made it already.
            let _ = Api::<Namespace>::all(admin.clone()).create(&PostParams::default(), &namespace).await;
        }
        let informers =
            Informers::new(client::component(&service, "informers", UserInfo::admin()), clock.clone());
        let context = Context {
            clients: {
                let service = service.clone();
                Arc::new(move |name| client::component(&service, name, UserInfo::admin()))
            },
            informers: informers.clone(),
            clock: clock.clone(),
            seed: seed.clone(),
            root_ca: "CERTIFICATE".into(),
            directories: Arc::new(NoDisk),
        };
        let controllers = controllers::all().iter().map(|row| (row.name, (row.start)(&context))).collect();
        let for_scheduler = client::component(&service, "kube-scheduler", UserInfo::admin());
        let scheduler =
            scheduler::start(for_scheduler, &informers, clock.clone(), seed, Decisions::default());
        let mut kubelet = JoinSet::new();
        kubelet.spawn(run_pods(
            client::component(&service, "kubelet", UserInfo::admin()),
            informers,
            clock.clone(),
        ));
        let plane = Self {
            client: admin,
            clock,
            scheduler,
            _server: server,
            _controllers: controllers,
            _kubelet: kubelet,
        };
        for i in 1..=nodes {
            plane.add_node(&format!("n{i}")).await;
        }
        plane
    }

    async fn add_node(&self, name: &str) {
        let node = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            },
        });
        let api: Api<Node> = Api::all(self.client.clone());
        api.create(&PostParams::default(), &serde_json::from_value(node.clone()).unwrap()).await.unwrap();
        let patch = Patch::Merge(json!({"status": node["status"]}));
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create<K>(&self, object: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::Serialize
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        self.api::<K>()
            .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
            .await
            .unwrap();
    }

    /// Waits until the condition holds, for at most `seconds` of the cluster's time.
    async fn until<F: Future<Output = Result<(), String>>>(&self, seconds: u64, condition: impl Fn() -> F) {
        let end = self.clock.after(Duration::from_secs(seconds));
        loop {
            match condition().await {
                Ok(()) => return,
                Err(why) if self.clock.now() >= end => panic!("after {seconds} s: {why}"),
                Err(_) => self.clock.sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn deployed(&self, name: &str, replicas: i32) {
        self.until(30, || async {
            let deployment = self.api::<Deployment>().get(name).await.map_err(|error| error.to_string())?;
            let status = deployment.status.clone().unwrap_or_default();
            let done = status.available_replicas.unwrap_or(0) == replicas
                && status.replicas.unwrap_or(0) == replicas
                && status.updated_replicas.unwrap_or(0) == replicas
                && status.observed_generation == deployment.metadata.generation;
            if done { Ok(()) } else { Err(format!("{status:#?}")) }
        })
        .await;
    }

    /// The events about objects of a kind, in the order in which they were written: reason and message.
    async fn events(&self, kind: &str) -> Vec<String> {
        let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.involved_object.kind.as_deref() == Some(kind));
        events.sort_by_key(|e| e.metadata.resource_version.clone().and_then(|v| v.parse::<u64>().ok()));
        let text = |event: Event| {
            format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default())
        };
        events.into_iter().map(text).collect()
    }
}

/// Pods with a node run and are ready; deleted ones go.
async fn run_pods(client: kube::Client, informers: Informers, clock: Clock) {
    let pods = informers.of::<Pod>();
    pods.synced().await;
    let mut changes = pods.subscribe();
    let mut next = 0_u8;
    while let Some(change) = changes.recv().await {
        let pod = change.object();
        let api: Api<Pod> = Api::namespaced(client.clone(), pod.metadata.namespace.as_deref().unwrap());
        let name = pod.metadata.name.as_deref().unwrap();
        if matches!(change, k8s_learn::informer::Change::Deleted(_))
            || pod.spec.as_ref().unwrap().node_name.is_none()
        {
            continue;
        }
        if pod.metadata.deletion_timestamp.is_some() {
            let _ = api.delete(name, &DeleteParams::default().grace_period(0)).await;
        } else if pod.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Running") {
            next += 1;
            let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(clock.now());
            let ip = format!("10.244.0.{next}");
            let patch = json!({"status": {
                "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
            }});
            let _ = api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await;
        }
    }
}

fn deployment(name: &str, replicas: i32, cpu: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}]},
            },
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_deployment_becomes_available_at_once() {
    let plane = Plane::start(2).await;
    let before = plane.clock.now();
    plane.create::<Deployment>(deployment("web", 3, "10m")).await;
    plane.deployed("web", 3).await;
    assert!(plane.clock.now().duration_since(before).as_millis() < 100, "nothing waits for a timer");
    plane
        .until(5, || async {
            if plane.events("Deployment").await.is_empty() { Err("no event".into()) } else { Ok(()) }
        })
        .await;
    let set = plane.api::<ReplicaSet>().list(&ListParams::default()).await.unwrap().items.remove(0);
    let name = set.metadata.name.clone().unwrap();
    assert_eq!(
        plane.events("Deployment").await,
        [format!("ScalingReplicaSet: Scaled up replica set {name} from 0 to 3")]
    );
    let pods = plane.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let nodes: std::collections::BTreeSet<_> =
        pods.iter().map(|pod| pod.spec.as_ref().unwrap().node_name.clone()).collect();
    assert_eq!(nodes.len(), 2, "pods of a Deployment are spread over the nodes");
    let deployment = plane.api::<Deployment>().get("web").await.unwrap();
    assert_eq!(deployment.metadata.annotations.unwrap()["deployment.kubernetes.io/revision"], "1");
    let decision =
        plane.scheduler.decisions().of("default", pods[0].metadata.name.as_deref().unwrap()).unwrap();
    assert_eq!(
        (decision.feasible.len(), decision.chosen),
        (2, pods[0].spec.as_ref().unwrap().node_name.clone())
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollout_and_a_scale_go_through_the_api() {
    let plane = Plane::start(1).await;
    plane.create::<Deployment>(deployment("web", 4, "10m")).await;
    plane.deployed("web", 4).await;
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}});
    let api = plane.api::<Deployment>();
    api.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    plane.deployed("web", 4).await;
    api.patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 30}})))
        .await
        .unwrap();
    plane.deployed("web", 30).await;
    api.patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 2}}))).await.unwrap();
    plane.deployed("web", 2).await;
    let sets = plane.api::<ReplicaSet>().list(&ListParams::default()).await.unwrap().items;
    let mut sizes: Vec<i32> = sets.iter().map(|set| set.spec.as_ref().unwrap().replicas.unwrap()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_is_told_and_gets_its_place_when_there_is_one() {
    let plane = Plane::start(1).await;
    plane.create::<Deployment>(deployment("big", 2, "3")).await;
    let waiting = || async {
        let pods = plane.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
        let told = pods.iter().find_map(|pod| {
            let conditions = pod.status.as_ref()?.conditions.as_ref()?;
            conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?.message.clone()
        });
        told.ok_or_else(|| format!("{pods:#?}"))
    };
    plane.until(5, || async { waiting().await.map(drop) }).await;
    assert_eq!(
        waiting().await.unwrap(),
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: \
         1 No preemption victims found for incoming pod."
    );
    plane.add_node("n2").await;
    plane.deployed("big", 2).await;
}

#[tokio::test(start_paused = true)]
async fn namespaces_get_their_things_and_lose_them() {
    let plane = Plane::start(1).await;
    let namespaces: Api<Namespace> = Api::all(plane.client.clone());
    let shop = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    namespaces.create(&PostParams::default(), &shop).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client.clone(), "shop");
    let maps: Api<ConfigMap> = Api::namespaced(plane.client.clone(), "shop");
    plane
        .until(5, || async {
            accounts.get("default").await.map_err(|error| error.to_string())?;
            maps.get("kube-root-ca.crt").await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    let deployments: Api<Deployment> = Api::namespaced(plane.client.clone(), "shop");
    let web = serde_json::from_value(deployment("web", 2, "10m")).unwrap();
    deployments.create(&PostParams::default(), &web).await.unwrap();
    namespaces.delete("shop", &DeleteParams::default()).await.unwrap();
    plane
        .until(60, || async {
            match namespaces.get_opt("shop").await.unwrap() {
                None => Ok(()),
                Some(namespace) => Err(format!("{namespace:#?}")),
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn dependents_go_with_their_owner_or_stay_as_orphans() {
    let plane = Plane::start(1).await;
    for name in ["gone", "orphaned", "waited"] {
        plane.create::<Deployment>(deployment(name, 2, "10m")).await;
        plane.deployed(name, 2).await;
    }
    let api = plane.api::<Deployment>();
    api.delete("gone", &DeleteParams::background()).await.unwrap();
    api.delete("orphaned", &DeleteParams::orphan()).await.unwrap();
    api.delete("waited", &DeleteParams::foreground()).await.unwrap();
    let left = |name: &'static str| {
        let pods = plane.api::<Pod>();
        async move { pods.list(&ListParams::default().labels(&format!("app={name}"))).await.unwrap().items.len() }
    };
    plane
        .until(30, || async {
            let found = (
                left("gone").await,
                left("orphaned").await,
                left("waited").await,
                api.list(&ListParams::default()).await.unwrap().items.len(),
            );
            if found == (0, 2, 0, 0) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    let sets = plane.api::<ReplicaSet>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(sets.len(), 1);
    assert!(sets[0].metadata.owner_references.as_ref().is_none_or(Vec::is_empty), "{:?}", sets[0].metadata);
}

#[tokio::test(start_paused = true)]
async fn a_service_knows_its_pods() {
    let plane = Plane::start(1).await;
    plane.create::<Service>(json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})).await;
    plane.create::<Deployment>(deployment("web", 2, "10m")).await;
    plane.deployed("web", 2).await;
    plane
        .until(5, || async {
            let endpoints = plane.api::<Endpoints>().get("web").await.map_err(|error| error.to_string())?;
            let count = endpoints.subsets.iter().flatten().flat_map(|s| s.addresses.iter().flatten()).count();
            let slices = plane.api::<EndpointSlice>().list(&ListParams::default()).await.unwrap().items;
            let ready = slices.iter().flat_map(|s| s.endpoints.iter().flatten());
            let ready = ready.filter(|e| e.conditions.as_ref().unwrap().ready == Some(true)).count();
            if (count, ready, slices.len()) == (2, 2, 1) {
                Ok(())
            } else {
                Err(format!("{slices:#?} {endpoints:#?}"))
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_loses_its_pods_after_their_tolerations_end() {
    let plane = Plane::start(2).await;
    plane.create::<Deployment>(deployment("web", 2, "10m")).await;
    plane.deployed("web", 2).await;
    let nodes: Api<Node> = Api::all(plane.client.clone());
    let beat = |name: &'static str| {
        let (nodes, now) =
            (nodes.clone(), k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(plane.clock.now()));
        async move {
            let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": now}]}});
            nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
        }
    };
    // Only n1 keeps saying that it is there.
    for _ in 0..12 {
        beat("n1").await;
        plane.clock.sleep(Duration::from_secs(10)).await;
    }
    let silent = nodes.get("n2").await.unwrap();
    let taints: Vec<String> =
        silent.spec.unwrap().taints.unwrap().iter().map(|t| format!("{}:{}", t.key, t.effect)).collect();
    assert_eq!(
        taints,
        ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]
    );
    for _ in 0..40 {
        beat("n1").await;
        plane.clock.sleep(Duration::from_secs(10)).await;
    }
    let pods = plane.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let here: Vec<_> =
        pods.iter().filter(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some("n2")).collect();
    assert!(here.is_empty(), "{here:#?}");
    let told = plane.events("Node").await;
    for expected in [
        "RegisteredNode: Node n2 event: Registered Node n2 in Controller",
        "NodeNotReady: Node n2 status is now: NodeNotReady",
    ] {
        assert!(told.iter().any(|event| event == expected), "{told:#?}");
    }
}
