//! The cluster heals itself: deleted pods come back, a lost node's pods move, crashing containers back off on schedule.

use std::net::SocketAddr;
use std::time::Duration;

use k8s_learn::cluster::{Cluster, ClusterConfig, Component, Time, scenarios};
use k8s_learn::net::Dial;
use k8s_openapi::api::core::v1::{ComponentStatus, Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, LogParams, PostParams};
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
    let cluster = cluster(2).await;
    scenarios::create_deployment(&cluster, "web", 4).await.unwrap();
    let on =
        |pod: &Pod, node: &str| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
    let all = pods(&cluster).list(&ListParams::default()).await.unwrap();
    assert!(all.iter().any(|pod| on(pod, "minikube-m02")), "the pods are spread");
    let stopped = cluster.components().stop(Component::Kubelet, Some("minikube-m02")).await.unwrap();
    assert!(stopped.changed);
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

#[tokio::test(start_paused = true)]
async fn who_asks_for_components_is_told_which_do_not_answer() {
    let cluster = cluster(1).await;
    let components = cluster.components();
    let answers = async || {
        let list = Api::<ComponentStatus>::all(cluster.admin()).list(&ListParams::default()).await.unwrap();
        let answer = |status: ComponentStatus| {
            let condition = status.conditions.unwrap().remove(0);
            format!("{} {} {}", status.metadata.name.unwrap(), condition.status, condition.message.unwrap())
        };
        list.items.into_iter().map(answer).collect::<Vec<_>>()
    };
    let well = ["scheduler True ok", "controller-manager True ok", "etcd-0 True ok"];
    assert_eq!(answers().await, well);
    components.stop(Component::Scheduler, None).await.unwrap();
    components.stop(Component::ControllerManager, None).await.unwrap();
    let refused = |port: u16| {
        format!(
            "Get \"https://127.0.0.1:{port}/healthz\": dial tcp 127.0.0.1:{port}: connect: connection refused"
        )
    };
    let ill = [
        format!("scheduler False {}", refused(10259)),
        format!("controller-manager False {}", refused(10257)),
        "etcd-0 True ok".to_owned(),
    ];
    assert_eq!(answers().await, ill);
    components.start(Component::Scheduler, None).await.unwrap();
    components.start(Component::ControllerManager, None).await.unwrap();
    assert_eq!(answers().await, well);
}

#[tokio::test(start_paused = true)]
async fn without_its_kubelet_a_node_is_lost_and_its_containers_go_on() {
    let cluster = cluster(1).await;
    scenarios::create_deployment(&cluster, "web", 1).await.unwrap();
    let pod = pods(&cluster).list(&ListParams::default()).await.unwrap().items.remove(0);
    let (name, status) = (pod.metadata.name.unwrap(), pod.status.unwrap());
    let components = cluster.components();
    components.stop(Component::Kubelet, None).await.unwrap();
    let served: SocketAddr = format!("{}:80", status.pod_ip.unwrap()).parse().unwrap();
    assert!(cluster.learner().dial(served).await.is_ok(), "the container still listens");
    let refused = "dial tcp 192.168.49.2:10250: connect: connection refused";
    let error = pods(&cluster).logs(&name, &LogParams::default()).await.unwrap_err().to_string();
    let logs = format!("Get \"https://192.168.49.2:10250/containerLogs/default/{name}/nginx?");
    assert!(error.contains(&logs) && error.contains(refused), "{error}");
    let ready = async || {
        let node = Api::<Node>::all(cluster.admin()).get("minikube").await.unwrap();
        let conditions = node.status.unwrap().conditions.unwrap();
        conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap().status
    };
    let stopped = cluster.clock().now();
    eventually(&cluster, "an unknown node", Duration::from_secs(120), async || ready().await == "Unknown")
        .await;
    let took = cluster.clock().now().duration_since(stopped).as_secs();
    assert!((35..=60).contains(&took), "it took {took} s");
    components.start(Component::Kubelet, None).await.unwrap();
    eventually(&cluster, "a ready node", Duration::from_secs(30), async || ready().await == "True").await;
    assert!(pods(&cluster).logs(&name, &LogParams::default()).await.is_ok());
}
