//! Volumes of claims and of the node, and their limits, through a whole kubelet on a runtime that pretends.

use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::super::testing::TestNode;
use crate::runtime::ContainerRuntime;
use crate::runtime::api::HostFile;

/// A pod's spec with that volume at `/data`.
fn with(volume: Value) -> Value {
    let mut named = json!({"name": "data"});
    named.as_object_mut().unwrap().extend(volume.as_object().unwrap().clone());
    json!({"volumes": [named], "containers": [
        {"name": "web", "image": "nginx:1.25", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]})
}

fn runs(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running"
}

async fn warned(node: &TestNode, pod: &str, expected: &str) {
    node.clock.sleep(Duration::from_secs(2)).await;
    let events = node.events(pod).await;
    assert!(events.iter().any(|event| event == expected), "{expected:?} is not among {events:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_path_of_the_node_is_checked_and_made_if_it_may_be() {
    let node = TestNode::start().await;
    node.create("strict", with(json!({"hostPath": {"path": "/a", "type": "File"}}))).await;
    let why = "hostPath type check failed: /a is not a file";
    warned(&node, "strict", &format!("FailedMount: MountVolume.SetUp failed for volume \"data\" : {why}"))
        .await;
    node.runtime.make_host_file("/a", HostFile::File).await.unwrap();
    node.until("strict", "running", runs).await;
    node.create("making", with(json!({"hostPath": {"path": "/b", "type": "DirectoryOrCreate"}}))).await;
    node.until("making", "running", runs).await;
    assert_eq!(node.runtime.host_file("/b").await.unwrap(), Some(HostFile::Directory));
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_mounted_when_it_is_bound() {
    let node = TestNode::start().await;
    let claim = json!({"metadata": {"name": "books"}, "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "shelf",
        "resources": {"requests": {"storage": "1Gi"}}}});
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(node.client.clone(), "default");
    let params = PostParams::default();
    let mut claim: PersistentVolumeClaim =
        claims.create(&params, &serde_json::from_value(claim).unwrap()).await.unwrap();
    node.create("reader", with(json!({"persistentVolumeClaim": {"claimName": "books", "readOnly": true}})))
        .await;
    let failed = |why: &str| {
        format!(
            "FailedMount: Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process \
             volumes=[data]: error processing PVC default/books: {why}"
        )
    };
    warned(&node, "reader", &failed("PVC is not bound")).await;
    claim.status.as_mut().unwrap().phase = Some("Bound".to_owned());
    let claim = claims.replace_status("books", &params, &claim).await.unwrap();
    node.clock.sleep(Duration::from_secs(5)).await;
    let missing = "failed to fetch PV shelf from API server: persistentvolumes \"shelf\" not found";
    warned(&node, "reader", &failed(missing)).await;
    let volume = json!({"metadata": {"name": "shelf"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
        "claimRef": {"namespace": "default", "name": "books", "uid": claim.metadata.uid},
        "hostPath": {"path": "/mnt/shelf", "type": "DirectoryOrCreate"}}});
    let volumes: Api<PersistentVolume> = Api::all(node.client.clone());
    volumes.create(&params, &serde_json::from_value(volume).unwrap()).await.unwrap();
    node.until("reader", "running", runs).await;
    let made = node.runtime.config("web").unwrap();
    let mount = made.mounts.iter().find(|mount| mount.container_path == "/data").unwrap();
    assert_eq!((mount.source.volume.as_str(), mount.readonly), ("hostpath/m/mnt/shelf", true));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_keeps_more_than_it_may_has_to_go() {
    let node = TestNode::start().await;
    let pod = node.create("greedy", with(json!({"emptyDir": {"sizeLimit": "10Mi"}}))).await;
    node.until("greedy", "running", runs).await;
    let volume = format!("{}/data", pod.metadata.uid.unwrap());
    node.runtime.set_usage(&volume, 10 << 20);
    node.clock.sleep(Duration::from_secs(30)).await;
    assert!(runs(&node.until("greedy", "looked at", |_| true).await), "as much as it may is not too much");
    node.runtime.set_usage(&volume, (10 << 20) + 1);
    let gone = node.until("greedy", "evicted", |pod| pod["status"]["phase"] == "Failed").await;
    let message = "Usage of EmptyDir volume \"data\" exceeds the limit \"10Mi\". ";
    assert_eq!((&gone["status"]["reason"], &gone["status"]["message"]), (&json!("Evicted"), &json!(message)));
    warned(&node, "greedy", &format!("Evicted: {message}")).await;
}
