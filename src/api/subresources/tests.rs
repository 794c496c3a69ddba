//! Sub-resources through the door: pods are bound, scaled by their owners, deleted with grace, evicted, and reached.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api::testing::Door;
use crate::net::{BoxIo, Dial};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 8080}]}]},
    })
}

/// A door with the service account that every pod needs, and a node.
async fn door() -> Door {
    let door = Door::open();
    let account = json!({"metadata": {"name": "default"}});
    assert_eq!(door.send("POST /api/v1/namespaces/default/serviceaccounts", &account).await.code, 201);
    let node = json!({
        "metadata": {"name": "minikube"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.49.2"}]},
    });
    let node = door.send("POST /api/v1/nodes", &node).await;
    assert_eq!(node.json()["status"]["addresses"][0]["type"], "InternalIP", "{}", node.text);
    door
}

async fn bound(door: &Door, name: &str) {
    assert_eq!(door.send(&format!("POST {PODS}"), &pod(name)).await.code, 201);
    let binding = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": "minikube"}});
    let answer = door.send(&format!("POST {PODS}/{name}/binding"), &binding).await;
    assert_eq!((answer.code, answer.json()["status"].as_str()), (201, Some("Success")), "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let door = door().await;
    bound(&door, "a").await;
    let pod = door.get(&format!("{PODS}/a")).await.json();
    assert_eq!(pod["spec"]["nodeName"], "minikube");
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|condition| condition["type"] == "PodScheduled" && condition["status"] == "True")
    );
    let binding = json!({"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "other"}});
    let again = door.send(&format!("POST {PODS}/a/binding"), &binding).await;
    assert_eq!(
        again.message(),
        "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"minikube\""
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_with_grace_and_a_second_deletion_shortens_it() {
    let door = door().await;
    bound(&door, "a").await;
    let line = format!("DELETE {PODS}/a");
    let going = door.send(&line, &Value::Null).await.json();
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30, "{going}");
    assert_eq!(going["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
    let longer = door.send(&line, &json!({"gracePeriodSeconds": 60})).await.json();
    assert_eq!(longer["metadata"]["deletionGracePeriodSeconds"], 30);
    let shorter = door.send(&line, &json!({"gracePeriodSeconds": 5})).await.json();
    assert_eq!(shorter["metadata"]["deletionTimestamp"], "2026-01-01T00:00:05Z");
    let gone = door.send(&line, &json!({"gracePeriodSeconds": 0})).await;
    assert_eq!((gone.code, gone.json()["kind"].as_str()), (200, Some("Pod")));
    assert_eq!(door.get(&format!("{PODS}/a")).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_through_its_sub_resource_alone() {
    let door = door().await;
    bound(&door, "a").await;
    let mut object = door.get(&format!("{PODS}/a")).await.json();
    object["status"]["phase"] = "Running".into();
    object["spec"]["activeDeadlineSeconds"] = 5.into();
    let whole = door.send(&format!("PUT {PODS}/a"), &object).await.json();
    assert_eq!(
        (whole["status"]["phase"].as_str(), whole["spec"]["activeDeadlineSeconds"].as_i64()),
        (Some("Pending"), Some(5))
    );
    assert_eq!(whole["metadata"]["generation"], 2);
    object["metadata"]["resourceVersion"] = whole["metadata"]["resourceVersion"].clone();
    object["spec"]["activeDeadlineSeconds"] = 7.into();
    let status = door.send(&format!("PUT {PODS}/a/status"), &object).await.json();
    assert_eq!(
        (status["status"]["phase"].as_str(), status["spec"]["activeDeadlineSeconds"].as_i64()),
        (Some("Running"), Some(5))
    );
    assert_eq!(status["metadata"]["generation"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_scaled_by_its_scale() {
    let door = door().await;
    let template = json!({"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "template": template},
    });
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let made = door.send(&format!("POST {path}"), &deployment).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let scale = door.get(&format!("{path}/d/scale")).await.json();
    assert_eq!((scale["kind"].as_str(), scale["spec"]["replicas"].as_i64()), (Some("Scale"), Some(1)));
    assert_eq!(scale["status"]["selector"], "app=d");
    let headers = [("content-type", "application/merge-patch+json")];
    let patched = door.ask(&format!("PATCH {path}/d/scale"), &headers, r#"{"spec":{"replicas":4}}"#).await;
    assert_eq!(
        (patched.code, patched.json()["spec"]["replicas"].as_i64()),
        (200, Some(4)),
        "{}",
        patched.text
    );
    let deployment = door.get(&format!("{path}/d")).await.json();
    assert_eq!(
        (deployment["spec"]["replicas"].as_i64(), deployment["metadata"]["generation"].as_i64()),
        (Some(4), Some(2))
    );
    let stale = door.send(&format!("PUT {path}/d/scale"), &scale).await;
    assert_eq!(stale.code, 409, "{}", stale.text);
    let negative = door.ask(&format!("PATCH {path}/d/scale"), &headers, r#"{"spec":{"replicas":-1}}"#).await;
    assert_eq!(
        negative.message(),
        "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_when_its_finalizer_does() {
    let door = door().await;
    door.send("POST /api/v1/namespaces", &json!({"metadata": {"name": "brew"}})).await;
    let going = door.send("DELETE /api/v1/namespaces/brew", &Value::Null).await.json();
    assert_eq!(going["status"]["phase"], "Terminating", "{going}");
    let new = json!({"metadata": {"name": "a"}});
    let refused = door.send("POST /api/v1/namespaces/brew/configmaps", &new).await;
    assert!(
        refused
            .message()
            .contains("unable to create new content in namespace brew because it is being terminated")
    );
    let mut empty = going.clone();
    empty["spec"]["finalizers"] = json!([]);
    let done = door.send("PUT /api/v1/namespaces/brew/finalize", &empty).await;
    assert_eq!(done.code, 200, "{}", done.text);
    assert_eq!(door.get("/api/v1/namespaces/brew").await.code, 404);
    let immortal = door.send("DELETE /api/v1/namespaces/default", &Value::Null).await;
    assert_eq!(immortal.message(), "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

#[tokio::test(start_paused = true)]
async fn a_service_account_gets_a_token_that_is_good() {
    let door = door().await;
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let made = door.send(&format!("POST {path}"), &json!({"spec": {"expirationSeconds": 600}})).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.json()["status"]["expirationTimestamp"], "2026-01-01T00:10:00Z");
    let token = made.json()["status"]["token"].as_str().unwrap().to_owned();
    let review = json!({"spec": {"token": token}});
    let review = door.send("POST /apis/authentication.k8s.io/v1/tokenreviews", &review).await.json();
    assert_eq!(review["status"]["user"]["username"], "system:serviceaccount:default:default", "{review}");
    let short = door.send(&format!("POST {path}"), &json!({"spec": {"expirationSeconds": 60}})).await;
    assert_eq!(
        short.message(),
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a \
         duration less than 10 minutes"
    );
    let whoami = door.send("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await.json();
    assert_eq!(whoami["status"]["userInfo"]["username"], "kubernetes-admin");
    let headers = [
        ("impersonate-user", "mara"),
        ("impersonate-group", "brewers"),
        ("content-type", "application/json"),
    ];
    let whoami =
        door.ask("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", &headers, "{}").await.json();
    assert_eq!(whoami["status"]["userInfo"]["groups"], json!(["brewers", "system:authenticated"]));
}

#[tokio::test(start_paused = true)]
async fn an_eviction_marks_the_pod_and_deletes_it() {
    let door = door().await;
    bound(&door, "a").await;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}});
    let answer = door.send(&format!("POST {PODS}/a/eviction"), &eviction).await;
    assert_eq!(answer.code, 201, "{}", answer.text);
    let pod = door.get(&format!("{PODS}/a")).await.json();
    assert!(pod["metadata"]["deletionTimestamp"].is_string());
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|condition| condition["type"] == "DisruptionTarget"));
}

/// A network on which every address answers with the request that it got, and upgrades whoever asks.
#[derive(Default)]
struct Echo {
    dialed: Mutex<Vec<SocketAddr>>,
}

impl Dial for Echo {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, std::io::Result<BoxIo>> {
        self.dialed.lock().unwrap().push(address);
        let (near, mut far) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let mut head = vec![];
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.unwrap());
            }
            let text = String::from_utf8(head).unwrap();
            let line = text.lines().next().unwrap().to_owned();
            if text.to_lowercase().contains("\r\nupgrade:") {
                far.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n",
                )
                .await
                .unwrap();
                let (mut read, mut write) = tokio::io::split(far);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            } else {
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}", line.len());
                far.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Box::pin(async move { Ok(Box::new(near) as BoxIo) })
    }
}

#[tokio::test(start_paused = true)]
async fn logs_and_proxies_reach_kubelets_and_pods() {
    let door = door().await;
    let unscheduled = door.send(&format!("POST {PODS}"), &pod("early")).await;
    assert_eq!(unscheduled.code, 201);
    assert_eq!(door.get(&format!("{PODS}/early/log")).await.code, 204);
    bound(&door, "a").await;
    let mut object = door.get(&format!("{PODS}/a")).await.json();
    object["status"]["podIP"] = "10.244.0.40".into();
    object["status"]["podIPs"] = json!([{"ip": "10.244.0.40"}]);
    door.send(&format!("PUT {PODS}/a/status"), &object).await;
    let refused = door.get(&format!("{PODS}/a/proxy/")).await;
    assert_eq!((refused.code, refused.json()["reason"].as_str()), (503, Some("ServiceUnavailable")));

    let echo = Arc::new(Echo::default());
    door.server.set_dialer(echo.clone());
    let log = door.get(&format!("{PODS}/a/log?follow=true&tailLines=5")).await;
    assert_eq!(log.text, "GET /containerLogs/default/a/c?follow=true&stream=All&tailLines=5 HTTP/1.1");
    assert_eq!(door.get(&format!("{PODS}/a/proxy/x/y?z=1")).await.text, "GET /x/y?z=1 HTTP/1.1");
    assert_eq!(door.get(&format!("{PODS}/a:9090/proxy/")).await.text, "GET / HTTP/1.1");
    let redirect = door.get(&format!("{PODS}/a/proxy")).await;
    assert_eq!(
        (redirect.code, redirect.headers["location"].to_str().unwrap()),
        (301, "/api/v1/namespaces/default/pods/a/proxy/")
    );
    assert_eq!(door.get("/api/v1/nodes/minikube/proxy/healthz").await.text, "GET /healthz HTTP/1.1");
    let dialed: Vec<String> = echo.dialed.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(dialed, ["192.168.49.2:10250", "10.244.0.40:8080", "10.244.0.40:9090", "192.168.49.2:10250"]);

    let ports = json!([{"port": 80, "targetPort": 8080, "name": "http"}]);
    let service = json!({"metadata": {"name": "s"}, "spec": {"selector": {"app": "a"}, "ports": ports}});
    assert_eq!(door.send("POST /api/v1/namespaces/default/services", &service).await.code, 201);
    let services = "/api/v1/namespaces/default/services";
    let target = json!({"kind": "Pod", "name": "a", "namespace": "default"});
    let subset = json!({"addresses": [{"ip": "10.244.0.40", "targetRef": target}], "ports": [{"name": "http", "port": 8080}]});
    door.send(
        "POST /api/v1/namespaces/default/endpoints",
        &json!({"metadata": {"name": "s"}, "subsets": [subset]}),
    )
    .await;
    for id in ["s:http", "s:80", "http:s:http"] {
        assert_eq!(door.get(&format!("{services}/{id}/proxy/v")).await.text, "GET /v HTTP/1.1", "{id}");
    }
    let none = door.get(&format!("{services}/s:81/proxy/")).await;
    assert_eq!(none.message(), "no service port 81 found for service \"s\"");
    assert_eq!(door.get(&format!("{PODS}/nope/proxy/")).await.message(), "pods \"nope\" not found");
    assert_eq!(door.get(&format!("{PODS}/a/exec?command=ls")).await.message(), "Upgrade request required");
    let wrong = door.get(&format!("{PODS}/a/log?container=x")).await;
    assert_eq!(wrong.message(), "container x is not valid for pod a");
}

#[tokio::test]
async fn an_upgraded_connection_passes_bytes_both_ways() {
    let door = door().await;
    bound(&door, "a").await;
    door.server.set_dialer(Arc::new(Echo::default()));
    let (near, far) = tokio::io::duplex(4096);
    let service = door.server.service();
    let answer = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        use tower::Service;
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(crate::api::auth::UserInfo::admin());
        service.clone().call(request)
    });
    let io = hyper_util::rt::TokioIo::new(far);
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, answer).with_upgrades());
    let mut near = near;
    let head = format!(
        "POST {PODS}/a/exec?command=ls HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n"
    );
    near.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![];
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(near.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    near.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    near.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
}
