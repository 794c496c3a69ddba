//! The runtime as a kubelet sees it: containers that live, end, are killed, and what they leave behind.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::io::AsyncReadExt;

use super::testing::Node;
use crate::runtime::ContainerRuntime;
use crate::runtime::api::*;

#[tokio::test(start_paused = true)]
async fn a_container_runs_to_its_end_and_leaves_its_log() {
    let node = Node::new().await;
    let id = node
        .start("busybox:1.36", &["sh", "-c", "echo hi; sleep 5; echo bye > /dev/termination-log; exit 3"])
        .await;
    let started = node.clock.now();
    let status = node.ended(&id).await;
    assert_eq!(
        (status.state, status.exit_code, status.reason.as_str()),
        (ContainerState::Exited, 3, "Error")
    );
    assert_eq!(status.finished_at.unwrap().duration_since(started).as_secs(), 5);
    assert_eq!(status.termination_message, "bye\n");
    assert_eq!(node.logs(&id).await, "hi\n");
    assert!(status.image_id.starts_with("docker.io/library/busybox@sha256:"), "{}", status.image_id);
}

#[tokio::test(start_paused = true)]
async fn the_first_process_ends_when_asked_only_if_it_listens() {
    let node = Node::new().await;
    for (image, command, seconds, code) in [
        ("busybox", &["sleep", "3600"][..], 30, 137),
        ("busybox", &["sh", "-c", "sleep 3600"], 30, 137),
        ("busybox", &["sh", "-c", "trap 'exit 5' TERM; while true; do sleep 1; done"], 1, 5),
        ("registry.k8s.io/pause:3.10", &[], 0, 0),
        ("registry.k8s.io/e2e-test-images/agnhost:2.63.0", &[], 0, 0),
        ("gcr.io/google-samples/kubernetes-bootcamp:v1", &[], 30, 137),
    ] {
        let id = node.start(image, command).await;
        node.clock.sleep(Duration::from_millis(100)).await;
        let asked = node.clock.now();
        node.runtime.stop_container(&id, Duration::from_secs(30)).await.unwrap();
        let status = node.status(&id).await;
        let took = status.finished_at.unwrap().duration_since(asked).as_secs();
        assert!(took == seconds || took + 1 == seconds, "{image} {command:?} took {took} s");
        assert_eq!((status.state, status.exit_code), (ContainerState::Exited, code), "{image} {command:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_is_told_in_runcs_words() {
    let node = Node::new().await;
    for (command, why) in [
        (
            "/bin/run-the-shop",
            "exec: \"/bin/run-the-shop\": stat /bin/run-the-shop: no such file or directory",
        ),
        ("nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
    ] {
        let config = node.config("busybox", &[command]).await;
        let id = node.runtime.create_container(&node.sandbox, config).await.unwrap();
        let error = node.runtime.start_container(&id).await.unwrap_err();
        let expected = format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: {why}"
        );
        assert_eq!(error, RuntimeError::Start(expected.clone()));
        let status = node.status(&id).await;
        assert_eq!((status.exit_code, status.reason.as_str(), status.message), (128, "StartError", expected));
        assert_eq!(status.started_at, None);
    }
    let id = node.start("busybox", &["sleep", "60"]).await;
    let error = node
        .runtime
        .exec_sync(&id, &["nosuch".to_owned()], Duration::from_secs(1))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("failed to exec in container: failed to start exec \""), "{error}");
    assert!(error.ends_with("OCI runtime exec failed: exec failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn commands_run_beside_the_first_process_and_end_with_it() {
    let node = Node::new().await;
    let id = node.start("gcr.io/google-samples/kubernetes-bootcamp:v1", &[]).await;
    assert_eq!(node.out(&id, &["hostname"]).await, "web\n");
    assert_eq!(
        node.out(&id, &["ls", "/"]).await,
        "bin\nboot\ndev\netc\nhome\nlib\nlib64\nmedia\nmnt\nopt\nproc\nroot\nrun\nsbin\nserver.js\nsrv\nsys\ntmp\nusr\nvar\n"
    );
    assert_eq!(
        node.exec(&id, &["cat", "/nope"]).await,
        (1, String::new(), "cat: /nope: No such file or directory\n".to_owned())
    );
    assert_eq!(node.exec(&id, &["sh", "-c", "exit 7"]).await.0, 7);
    assert_eq!(node.out(&id, &["date", "-u", "+%Y"]).await, "2026\n");
    assert_eq!(
        node.out(&id, &["curl", "-s", "localhost:8080"]).await,
        "Hello Kubernetes bootcamp! | Running on: web | v=1\n"
    );
    let env = node.out(&id, &["env"]).await;
    assert_eq!(
        env,
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOSTNAME=web\nNPM_CONFIG_LOGLEVEL=info\nNODE_VERSION=6.3.1\nHOME=/root\n"
    );
    let late = node.runtime.exec_sync(&id, &["sleep".into(), "60".into()], Duration::from_secs(2)).await;
    assert!(matches!(late, Err(RuntimeError::DeadlineExceeded(_))), "{late:?}");
    let runtime = node.runtime.clone();
    let container = id.clone();
    let sleeping = tokio::spawn(async move {
        runtime.exec_sync(&container, &["sleep".into(), "60".into()], Duration::from_secs(100)).await
    });
    node.clock.sleep(Duration::from_secs(1)).await;
    node.runtime.stop_container(&id, Duration::from_secs(5)).await.unwrap();
    assert_eq!(sleeping.await.unwrap().unwrap().exit_code, 137);
    let logs = node.logs(&id).await;
    assert_eq!(
        logs,
        "Kubernetes Bootcamp App Started At: 2026-01-01T00:00:00.000Z | Running On:  web \n\nRunning On: web | Total Requests: 1 | App Uptime: 0 seconds | Log Time: 2026-01-01T00:00:00.000Z\n"
    );
}

#[tokio::test(start_paused = true)]
async fn pods_reach_each_other_and_leave_no_address_behind() {
    let node = Node::new().await;
    let server = node.start("registry.k8s.io/e2e-test-images/agnhost:2.63.0", &["/agnhost", "netexec"]).await;
    let ip = node.runtime.list_pod_sandboxes().await.unwrap()[0].ips[0];
    let other = node.pod("client").await;
    let config = node.config("registry.k8s.io/e2e-test-images/agnhost:2.63.0", &["sleep", "3600"]).await;
    let client = node.runtime.create_container(&other, config).await.unwrap();
    node.runtime.start_container(&client).await.unwrap();
    node.clock.sleep(Duration::from_millis(1)).await;
    assert_eq!(node.out(&client, &["curl", "-s", &format!("http://{ip}:8080/hostname")]).await, "web");
    assert_eq!(node.out(&client, &["curl", "-s", &format!("http://{ip}:8080/echo?msg=tea")]).await, "tea");
    let shell = node.out(&client, &["curl", "-s", &format!("http://{ip}:8080/shell?cmd=hostname")]).await;
    assert_eq!(shell, "{\"output\":\"web\\n\"}");
    let (code, _, err) = node.exec(&client, &["curl", "-sS", &format!("http://{ip}:81/")]).await;
    assert_eq!(
        (code, err),
        (7, format!("curl: (7) Failed to connect to {ip} port 81 after 0 ms: Couldn't connect to server\n"))
    );
    let (code, _, err) = node.exec(&client, &["curl", "-sS", "http://nosuch/"]).await;
    assert_eq!((code, err.as_str()), (6, "curl: (6) Could not resolve host: nosuch\n"));
    let mut forwarded = node.runtime.port_forward(&node.sandbox, 8080).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut forwarded, b"GET /hostname HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    forwarded.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nweb"), "{answer}");
    assert!(node.runtime.port_forward(&node.sandbox, 9999).await.is_err());
    node.runtime.stop_pod_sandbox(&node.sandbox).await.unwrap();
    assert_eq!(node.status(&server).await.exit_code, 137);
    assert!(node.fabric.join(ip, "minikube").is_ok(), "the address is free");
}

#[tokio::test(start_paused = true)]
async fn a_container_over_its_memory_is_killed() {
    let node = Node::new().await;
    let mut config = node
        .config(
            "registry.k8s.io/e2e-test-images/agnhost:2.63.0",
            &["/agnhost", "stress", "--mem-total=100Mi", "--mem-alloc-size=10Mi"],
        )
        .await;
    config.resources.memory_limit_bytes = 50 << 20;
    let id = node.start_with(config).await;
    let status = node.ended(&id).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
}

#[tokio::test(start_paused = true)]
async fn events_say_what_happened_in_order() {
    let node = Node::new().await;
    let mut events = node.runtime.events().unwrap();
    let id = node.start("busybox", &["true"]).await;
    node.ended(&id).await;
    node.runtime.remove_container(&id).await.unwrap();
    for kind in [
        ContainerEventKind::Created,
        ContainerEventKind::Started,
        ContainerEventKind::Stopped,
        ContainerEventKind::Deleted,
    ] {
        let event = events.next().await.unwrap();
        assert_eq!(
            (event.kind, event.container_id.as_str(), event.pod_uid.as_str()),
            (kind, id.as_str(), "uid-web")
        );
    }
    assert!(events.next().now_or_never().is_none());
    assert!(node.runtime.container_status(&id).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_sandboxes_too_and_of_each_end_once() {
    let node = Node::new().await;
    let mut events = node.runtime.events().unwrap();
    let id = node.pod("second").await;
    node.runtime.stop_pod_sandbox(&id).await.unwrap();
    node.runtime.stop_pod_sandbox(&id).await.unwrap();
    node.runtime.remove_pod_sandbox(&id).await.unwrap();
    for kind in [ContainerEventKind::Started, ContainerEventKind::Stopped, ContainerEventKind::Deleted] {
        let event = events.next().await.unwrap();
        let told = (event.kind, event.container_id.as_str(), event.pod_uid.as_str());
        assert_eq!(told, (kind, id.as_str(), "uid-second"));
    }
    assert!(events.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn attached_clients_read_and_write() {
    let node = Node::new().await;
    let mut config = node.config("busybox", &["cat"]).await;
    (config.stdin, config.stdin_once) = (true, true);
    let id = node.start_with(config).await;
    let (near, mut far) = tokio::io::duplex(1024);
    let streams = Streams {
        stdin: Some(Box::new(&b"hello\n"[..])),
        stdout: Some(Box::new(near)),
        stderr: None,
        tty: false,
        resize: None,
    };
    node.runtime.attach(&id, streams).await.unwrap();
    let mut text = String::new();
    far.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello\n");
    assert_eq!((node.ended(&id).await.exit_code, node.logs(&id).await), (0, "hello\n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_runtime_ends_everything() {
    let node = Node::new().await;
    let id = node.start("registry.k8s.io/e2e-test-images/agnhost:2.63.0", &["/agnhost", "netexec"]).await;
    let container = node.runtime.container(&id).unwrap();
    drop(node.runtime);
    container.ended().await;
    assert_eq!(container.status().exit_code, 137);
}
