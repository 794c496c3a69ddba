//! The cluster heals itself: deleted pods come back, a lost node's pods move, crashing containers back off on schedule.

use std::time::Duration;

use k8s_learn::cluster::{Cluster, ClusterConfig, Time, scenarios};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

async fn cluster(nodes: usize) -> Cluster {
    let config = ClusterConfig { nodes, seed: Some(1), time: Time::Virtual, ..ClusterConfig::default() };
    let cluster = Cluster::start(config).await.expect("a cluster starts");
    cluster.ready().await;
    cluster
}

fn pods(cluster: &Cluster) -> Api<Pod> {
    Api::namespaced(cluster.admin(), "default")
}

/// Looks once a second, in the cluster's time, until `done`.
async fn eventually(cluster: &Cluster, what: &str, limit: Duration, done: impl AsyncFn() -> bool) {
    let deadline = cluster.clock().after(limit);
    while !done().await {
        assert!(cluster.clock().now() < deadline, "not within {limit:?}: {what}");
        cluster.clock().sleep(Duration::from_secs(1)).await;
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_replaced() {
    let cluster = cluster(1).await;
    scenarios::create_deployment(&cluster, "web", 2).await.unwrap();
    let before = pods(&cluster).list(&ListParams::default()).await.unwrap();
    let gone = before.items[0].metadata.name.clone().unwrap();
    pods(&cluster).delete(&gone, &DeleteParams::default()).await.unwrap();
    eventually(
        &cluster,
        "two ready pods, the deleted one not among them",
        Duration::from_secs(60),
        async || {
            let now = pods(&cluster).list(&ListParams::default()).await.unwrap();
            now.items.len() == 2
                && now.iter().all(|pod| is_ready(pod) && pod.metadata.name.as_ref() != Some(&gone))
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_pods_of_a_lost_node_move_when_their_tolerations_end() {
    let mut cluster = cluster(2).await;
    scenarios::create_deployment(&cluster, "web", 4).await.unwrap();
    let on =
        |pod: &Pod, node: &str| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
    let all = pods(&cluster).list(&ListParams::default()).await.unwrap();
    assert!(all.iter().any(|pod| on(pod, "minikube-m02")), "the pods are spread");
    assert!(cluster.stop_kubelet("minikube-m02").await);
    let lost = cluster.clock().now();
    eventually(&cluster, "four ready pods on the node that is left", Duration::from_secs(900), async || {
        let now = pods(&cluster).list(&ListParams::default()).await.unwrap();
        now.iter().filter(|pod| is_ready(pod) && on(pod, "minikube")).count() == 4
    })
    .await;
    let took = cluster.clock().now().duration_since(lost).as_secs();
    // The lease runs out (40 s to 50 s), then the pods tolerate the taint for 300 s.
    assert!((330..400).contains(&took), "it took {took} s");
}

#[tokio::test(start_paused = true)]
async fn a_crashing_container_backs_off_on_schedule() {
    let cluster = cluster(1).await;
    let spec = json!({"containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", "exit 1"]}]});
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "crash"}, "spec": spec})).unwrap();
    pods(&cluster).create(&PostParams::default(), &pod).await.unwrap();
    let start = cluster.clock().now();
    let restarts = async || {
        let pod = pods(&cluster).get("crash").await.unwrap();
        pod.status
            .and_then(|status| status.container_statuses)
            .map_or(0, |statuses| statuses[0].restart_count)
    };
    let mut times = vec![];
    for number in 1..=7 {
        eventually(&cluster, "one more restart", Duration::from_secs(400), async || {
            restarts().await >= number
        })
        .await;
        times.push(cluster.clock().now().duration_since(start).as_secs());
    }
    let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The first restart is at once; then 10 s, doubling up to 5 minutes. The back-off is a floor: the kubelet takes up a
    // failed pod again 10 to 15 s after each try, so a restart comes with the first try after the back-off has run out.
    for (gap, expected) in gaps.iter().zip([10, 20, 40, 80, 160, 300]) {
        assert!((expected - 1..=expected + 25).contains(gap), "restarts came after {gaps:?} s");
    }
}
