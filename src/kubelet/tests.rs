//! The kubelet as a whole, on a real API server with a runtime that pretends: what a learner would see of its pods.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::testing::TestNode;
use crate::net::Dial;
use crate::streams::client::{ClientStreams, command};
use crate::streams::{Outcome, websocket};
use kube::api::{Api, DeleteParams};

fn one(extra: Value) -> Value {
    let mut container = json!({"name": "web", "image": "nginx:1.25"});
    container.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({"containers": [container]})
}

fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

fn waits(reason: &'static str) -> impl Fn(&Value) -> bool {
    move |pod| state(pod)["waiting"]["reason"] == reason
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let all = pod["status"]["conditions"].as_array().unwrap();
    all.iter()
        .find(|condition| condition["type"] == kind)
        .map_or(&Value::Null, |condition| &condition["status"])
}

#[tokio::test(start_paused = true)]
async fn a_pod_comes_up_and_goes_away() {
    let node = TestNode::start().await;
    node.create("web", one(json!({"resources": {"requests": {"cpu": "50m"}}}))).await;
    let pod = node.until("web", "ready", |pod| condition(pod, "Ready") == "True").await;
    let status = &pod["status"];
    assert_eq!((&status["phase"], &status["hostIP"]), (&json!("Running"), &json!("192.0.2.2")), "{status:#}");
    let kinds: Vec<&Value> = status["conditions"].as_array().unwrap().iter().map(|c| &c["type"]).collect();
    assert_eq!(
        kinds,
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
    );
    let container = &status["containerStatuses"][0];
    assert_eq!(container["containerID"].as_str().unwrap().len(), "containerd://".len() + 64);
    assert_eq!(
        (&container["started"], &container["ready"], &container["restartCount"], &container["lastState"]),
        (&json!(true), &json!(true), &json!(0), &json!({}))
    );
    assert_eq!(container["user"], json!({"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}}));
    assert_eq!(container["allocatedResources"], json!({"cpu": "50m"}));
    assert_eq!(status["resources"], json!({"requests": {"cpu": "50m"}}));
    assert_eq!(
        node.events("web").await,
        [
            "Pulling: Pulling image \"nginx:1.25\"",
            "Pulled: Successfully pulled image \"nginx:1.25\" in 1.201s (1.201s including waiting). Image size: 1000 bytes.",
            "Created: Container created",
            "Started: Container started",
        ]
    );
    node.pods().delete("web", &DeleteParams::default()).await.unwrap();
    node.until_gone("web").await;
    assert_eq!(node.events("web").await.last().unwrap(), "Killing: Stopping container web");
    node.clock.sleep(Duration::from_secs(1)).await;
    assert!(node.runtime.names().is_empty(), "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn a_crashing_container_backs_off_ten_seconds_doubling() {
    let node = TestNode::start().await;
    node.create("crasher", one(json!({"command": ["exit", "1", "1"]}))).await;
    let mut starts = vec![];
    for restarts in 1..6 {
        let pod = node
            .until("crasher", "restarted", |pod| {
                pod["status"]["containerStatuses"][0]["restartCount"] == restarts
                    && !state(pod)["running"].is_null()
            })
            .await;
        starts
            .push(state(&pod)["running"]["startedAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
    }
    let gaps: Vec<i64> = starts.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    for (gap, wait) in gaps.iter().zip([10, 20, 40, 80]) {
        assert!(
            (wait..=wait * 3 / 2 + 3).contains(gap),
            "{gaps:?} should be about 10, 20, 40 and 80 seconds"
        );
    }
    // A short back-off is shown only as it ends: one longer than a minute is seen.
    let pod = node.until("crasher", "backing off", waits("CrashLoopBackOff")).await;
    assert_eq!(pod["status"]["phase"], "Running");
    let events = node.events("crasher").await;
    assert!(
        events
            .iter()
            .any(|e| e
                .starts_with("BackOff: Back-off restarting failed container web in pod crasher_default("))
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_there_is_told_of_at_once_and_then_backs_off() {
    for node in [TestNode::start().await, TestNode::without_events().await] {
        node.create("badimage", one(json!({"image": "missing:1"}))).await;
        node.until("badimage", "ErrImagePull", waits("ErrImagePull")).await;
        let events = node.events("badimage").await;
        assert!(events.iter().any(|event| event == "Failed: Error: ImagePullBackOff"), "{events:#?}");
        node.until("badimage", "ImagePullBackOff", waits("ImagePullBackOff")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_says_why() {
    let node = TestNode::start().await;
    let cases = [
        ("badimage", one(json!({"image": "missing:1"})), "ImagePullBackOff"),
        ("never", one(json!({"image": "other:1", "imagePullPolicy": "Never"})), "ErrImageNeverPull"),
        ("noexe", one(json!({"command": ["nosuch"]})), "RunContainerError"),
        (
            "nocm",
            one(json!({"envFrom": [{"configMapRef": {"name": "not-there"}}]})),
            "CreateContainerConfigError",
        ),
    ];
    for (name, spec, _) in &cases {
        node.create(name, spec.clone()).await;
    }
    for (name, _, reason) in cases {
        let pod = node.until(name, reason, waits(reason)).await;
        assert_eq!(pod["status"]["phase"], if name == "noexe" { "Running" } else { "Pending" }, "{name}");
    }
    let events = node.events("badimage").await;
    for expected in [
        "Failed: Failed to pull image \"missing:1\": missing:1: not found",
        "Failed: Error: ErrImagePull",
        "BackOff: Back-off pulling image \"missing:1\"",
        "Failed: Error: ImagePullBackOff",
    ] {
        assert!(events.iter().any(|event| event == expected), "{expected} is not in {events:#?}");
    }
    assert!(
        node.events("nocm").await.contains(&"Failed: Error: configmap \"not-there\" not found".to_owned())
    );
    // What was missing comes, and the pod goes on at once.
    node.set_config_map("not-there", json!({"a": "1"})).await;
    node.until("nocm", "running", |pod| pod["status"]["phase"] == "Running").await;
}

#[tokio::test(start_paused = true)]
async fn a_short_back_off_still_shows_what_failed() {
    let node = TestNode::start().await;
    node.create("noexe", one(json!({"command": ["nosuch"]}))).await;
    node.clock.sleep(Duration::from_secs(6)).await;
    let pod = node.until("noexe", "there", |_| true).await;
    let status = &pod["status"]["containerStatuses"][0];
    // The first failure is tried again at once; a sync too many would show the back-off that began after that.
    assert_eq!(
        (&status["state"]["waiting"]["reason"], &status["restartCount"]),
        (&json!("RunContainerError"), &json!(1)),
        "{status:#}"
    );
    assert!(pod["status"]["podIP"].is_string(), "{pod:#}");
}

#[tokio::test(start_paused = true)]
async fn volumes_wait_for_their_sources_and_follow_them() {
    let node = TestNode::start().await;
    let mut spec = one(json!({"volumeMounts": [{"name": "v", "mountPath": "/etc/v"}]}));
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "nowhere"}}]);
    let pod = node.create("mounts", spec).await;
    let events = node.events("mounts").await;
    assert_eq!(
        events[0],
        "FailedMount: MountVolume.SetUp failed for volume \"v\" : configmap \"nowhere\" not found"
    );
    node.set_config_map("nowhere", json!({"color": "red"})).await;
    node.until("mounts", "running", |pod| pod["status"]["phase"] == "Running").await;
    let volume = format!("{}/v", pod.metadata.uid.unwrap());
    assert_eq!(node.runtime.files(&volume)["color"], "red");
    node.set_config_map("nowhere", json!({"color": "blue"})).await;
    node.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(node.runtime.files(&volume)["color"], "blue");
}

#[tokio::test(start_paused = true)]
async fn probes_decide_on_readiness_and_life() {
    let node = TestNode::start().await;
    let probe = |more: Value| {
        let mut probe = json!({"exec": {"command": ["check"]}, "periodSeconds": 2, "failureThreshold": 2});
        probe.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        probe
    };
    node.create(
        "lively",
        one(json!({"livenessProbe": probe(json!({})), "readinessProbe": probe(json!({}))})),
    )
    .await;
    node.until("lively", "ready", |pod| condition(pod, "Ready") == "True").await;
    node.runtime.set_healthy(false);
    node.until("lively", "unready", |pod| condition(pod, "Ready") == "False").await;
    node.until("lively", "restarted", |pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1).await;
    node.runtime.set_healthy(true);
    node.until("lively", "ready again", |pod| condition(pod, "Ready") == "True").await;
    let events = node.events("lively").await;
    for expected in [
        "Unhealthy: Readiness probe failed: not well",
        "Unhealthy: Liveness probe failed: not well",
        "Killing: Container web failed liveness probe, will be restarted",
    ] {
        assert!(events.iter().any(|event| event == expected), "{expected} is not in {events:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_before_the_others_and_pods_end() {
    let node = TestNode::start().await;
    let mut spec = one(json!({"command": ["exit", "0", "1"]}));
    spec["restartPolicy"] = "Never".into();
    spec["initContainers"] = json!([{"name": "first", "image": "busybox:1", "command": ["exit", "0", "2"]}]);
    node.create("job", spec).await;
    let pod =
        node.until("job", "initializing", |pod| condition(pod, "PodReadyToStartContainers") == "True").await;
    assert_eq!(state(&pod)["waiting"]["reason"], "PodInitializing");
    let pod = node.until("job", "over", |pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
    assert_eq!(condition(&pod, "Ready"), "False");
    assert_eq!(condition(&pod, "PodReadyToStartContainers"), "False");
    let mut failing = one(json!({}));
    failing["activeDeadlineSeconds"] = 5.into();
    node.create("late", failing).await;
    let pod = node.until("late", "over", |pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
}

#[tokio::test(start_paused = true)]
async fn pods_that_do_not_fit_are_rejected() {
    let node = TestNode::start().await;
    node.clock.sleep(Duration::from_secs(1)).await;
    node.create("greedy", one(json!({"resources": {"requests": {"cpu": "64"}}}))).await;
    let pod = node.until("greedy", "rejected", |pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "OutOfcpu");
    assert_eq!(
        pod["status"]["message"],
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 64000, used: 0, capacity: 2000"
    );
    node.pods().delete("greedy", &DeleteParams::default()).await.unwrap();
    node.until_gone("greedy").await;
}

#[tokio::test(start_paused = true)]
async fn the_next_kubelet_adopts_what_runs() {
    let mut node = TestNode::start().await;
    node.create("stays", one(json!({}))).await;
    let ready = |pod: &Value| condition(pod, "Ready") == "True";
    let before = node.until("stays", "ready", ready).await;
    node.kubelet.take().unwrap().stop().await;
    assert_eq!(node.runtime.names(), ["web"], "containers outlive their kubelet");
    node.start_kubelet().await;
    node.clock.sleep(Duration::from_secs(5)).await;
    let after = node.until("stays", "ready", ready).await;
    assert_eq!(before["status"], after["status"], "nothing has changed");
    assert_eq!(node.runtime.names(), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn the_node_registers_and_renews_its_lease() {
    use k8s_openapi::api::coordination::v1::Lease;
    use k8s_openapi::api::core::v1::Node;
    let node = TestNode::start().await;
    node.clock.sleep(Duration::from_secs(1)).await;
    let object: Node = Api::all(node.client.clone()).get("m").await.unwrap();
    let value = serde_json::to_value(&object).unwrap();
    assert_eq!(value["status"]["nodeInfo"]["containerRuntimeVersion"], "containerd://2.1.9");
    assert_eq!(value["status"]["conditions"][3]["message"], "kubelet is posting ready status");
    assert_eq!(value["metadata"]["labels"]["disk"], "ssd");
    let leases: Api<Lease> = Api::namespaced(node.client.clone(), "kube-node-lease");
    let first = leases.get("m").await.unwrap().spec.unwrap().renew_time.unwrap();
    node.clock.sleep(Duration::from_secs(10)).await;
    let second = leases.get("m").await.unwrap().spec.unwrap().renew_time.unwrap();
    assert_eq!(second.0.duration_since(first.0).as_secs(), 10);
    let before = Api::<Node>::all(node.client.clone()).get("m").await.unwrap().metadata.resource_version;
    node.clock.sleep(Duration::from_secs(100)).await;
    let after = Api::<Node>::all(node.client.clone()).get("m").await.unwrap().metadata.resource_version;
    assert_eq!(before, after, "a node that does not change is not written");
    assert_eq!(
        node.events("m").await,
        [
            "Starting: Starting kubelet.",
            "NodeHasSufficientMemory: Node m status is now: NodeHasSufficientMemory",
            "NodeHasNoDiskPressure: Node m status is now: NodeHasNoDiskPressure",
            "NodeHasSufficientPID: Node m status is now: NodeHasSufficientPID",
            "NodeAllocatableEnforced: Updated Node Allocatable limit across pods",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_server_gives_logs_and_runs_commands() {
    let node = TestNode::start().await;
    node.create("web", one(json!({}))).await;
    node.until("web", "ready", |pod| condition(pod, "Ready") == "True").await;
    let ask = async |path: &str| {
        let mut io = node.host.dial("192.0.2.2:10250".parse().unwrap()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        let code = answer.split(' ').nth(1).unwrap().to_owned();
        format!("{code} {}", answer.split("\r\n\r\n").nth(1).unwrap_or_default())
    };
    assert!(ask("/containerLogs/default/web/web").await.contains("life 0\n"));
    assert_eq!(
        ask("/containerLogs/default/web/web?previous=true").await,
        "400 previous terminated container \"web\" in pod \"web\" not found"
    );
    assert_eq!(
        ask("/containerLogs/default/web/nope").await,
        "404 container \"nope\" not found in pod \"web\""
    );
    assert_eq!(ask("/exec/default/web/nope?command=ls&output=1").await, "500 container not found (\"nope\")");
    assert_eq!(ask("/exec/default/none/web?command=ls&output=1").await, "404 pod does not exist");
    assert_eq!(ask("/healthz").await, "200 ok");
    assert!(ask("/pods").await.contains("\"PodList\""));

    let io = node.host.dial("192.0.2.2:10250".parse().unwrap()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(io)).await.unwrap();
    let connection = tokio::spawn(connection.with_upgrades());
    let path = "/exec/default/web/web?command=say&command=hi&input=1&output=1&error=1";
    let mut request = websocket::request(path, "dGhlIHNhbXBsZSBub25jZQ==", &["v5.channel.k8s.io"]).unwrap();
    request.headers_mut().insert("host", "m".parse().unwrap());
    let request = request.map(|()| http_body_util::Empty::<bytes::Bytes>::new());
    let response = sender.send_request(request).await.unwrap();
    let io = crate::streams::client::upgraded(response).await.unwrap();
    let (near, mut far) = tokio::io::duplex(1000);
    let streams = ClientStreams {
        stdin: Some(Box::new(&b"there"[..])),
        stdout: Some(Box::new(near)),
        ..ClientStreams::default()
    };
    assert_eq!(command(io, streams).await.unwrap(), Outcome::ExitCode(7));
    let mut output = String::new();
    far.read_to_string(&mut output).await.unwrap();
    assert_eq!(output, "say hi there");
    connection.await.unwrap().unwrap();
}
