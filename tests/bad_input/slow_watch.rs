//! A watch that falls behind: its reader is dropped, nothing is kept for it, nobody waits for it, and it can go on.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use k8s_learn::api::server::{ApiServer, Config};
use k8s_learn::clock::Clock;
use k8s_learn::seed::Seed;
use k8s_learn::store::Store;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::fixture::{Address, kubectl, memory_bytes, metric};
use crate::parity::server::Server;

const WRITES: usize = 1500;
const BYTES: usize = 40_000;
const READERS: usize = 6;
const PATH: &str = "/api/v1/namespaces/default/configmaps";

/// Writes one object `WRITES` times over one connection.
async fn write(address: &Address) {
    let io = TokioIo::new(address.connect("http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    for count in 0..WRITES {
        let data = serde_json::json!({"count": count.to_string(), "fill": "x".repeat(BYTES)});
        let object = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "busy"}, "data": data});
        let (method, path) =
            if count == 0 { ("POST", PATH.to_owned()) } else { ("PUT", format!("{PATH}/busy")) };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &address.host)
            .header("content-type", "application/json")
            .body(Full::new(bytes::Bytes::from(object.to_string())))
            .unwrap();
        sender.ready().await.unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert!(answer.status().is_success(), "write {count}: {}", answer.status());
        answer.into_body().collect().await.unwrap();
    }
    connection.abort();
}

/// The counts in the objects of a watch's lines; the lines must be whole.
fn counts(body: &str) -> Vec<usize> {
    let events = body.lines().filter(|line| line.starts_with("{\"type\""));
    let events = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter_map(|event| event["object"]["data"]["count"].as_str()?.parse().ok()).collect()
}

fn watch(from: &str) -> String {
    format!("GET {PATH}?watch=1&fieldSelector=metadata.name%3Dbusy&resourceVersion={from} HTTP/1.0")
}

#[test]
fn a_watch_that_falls_behind() {
    let server = Server::start();
    let address = Arc::new(Address::of(&server));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let list: Value = serde_json::from_str(&kubectl(&server, &["get", "--raw", PATH])).unwrap();
    let from = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let (watchers, memory) =
        (metric(&server, "etcd_debugging_mvcc_watcher_total", ""), memory_bytes(&server));
    runtime.block_on(async {
        let mut asleep = vec![];
        for _ in 0..READERS {
            asleep.push(address.send(&watch(&from), b"").await);
        }
        let reads = tokio::spawn({
            let (address, head) = (address.clone(), watch(&from));
            async move {
                let (mut stream, mut seen, mut read) =
                    (address.send(&head, b"").await, vec![], vec![0; 1 << 16]);
                let last = format!("\"count\":\"{}\"", WRITES - 1);
                let mut tail = vec![];
                while !String::from_utf8_lossy(&tail).contains(&last) {
                    let count = stream.read(&mut read).await.unwrap();
                    assert!(count > 0, "a reader that keeps up is not dropped");
                    seen.extend_from_slice(&read[..count]);
                    tail = seen[seen.len().saturating_sub(BYTES * 2)..].to_vec();
                }
                counts(&format!("{}\n", String::from_utf8_lossy(&seen)))
            }
        });
        write(&address).await;
        // Its last line need not be whole yet.
        let seen = reads.await.unwrap();
        assert!(seen.len() >= WRITES - 1, "{} events", seen.len());
        assert!(seen.iter().enumerate().all(|(index, count)| index == *count), "in order, without gaps");
        let terminated = metric(&server, "apiserver_terminated_watchers_total", "");
        assert_eq!(terminated, READERS as f64, "those that do not read are dropped");
        let left = metric(&server, "etcd_debugging_mvcc_watcher_total", "") - watchers;
        assert!(left <= 1.0, "{left} watches are left");
        // The history holds each write once; what the sleepers hold is their connections' buffers.
        let (grown, written) = (memory_bytes(&server).saturating_sub(memory), WRITES * BYTES);
        assert!(grown < written * 3, "{grown} bytes more for {written} bytes written");
        // Who wakes up gets what was on its way, then the end, and goes on where that ended.
        for mut stream in asleep {
            let body = super::fixture::read_all(&mut stream).await;
            let seen = counts(&body);
            assert!(!seen.is_empty() && seen.len() < WRITES, "{} events", seen.len());
            assert!(seen.iter().enumerate().all(|(index, count)| index == *count), "in order, without gaps");
            assert!(!body.contains("\"ERROR\""), "the stream just ends");
        }
    });
    let object: Value =
        serde_json::from_str(&kubectl(&server, &["get", "--raw", &format!("{PATH}/busy")])).unwrap();
    assert_eq!(object["data"]["count"], (WRITES - 1).to_string());
}

/// What is older than the history is 410 for watches and lists, in the words that clients look for.
#[tokio::test(start_paused = true)]
async fn a_watch_from_before_the_history() {
    let clock = Clock::virtual_time();
    let store = Store::new(clock.clone());
    let server = ApiServer::new(Config::new(store.clone(), clock, Seed::new(1)));
    server.bootstrap(None).unwrap();
    let mut service = server.service();
    let mut ask = async |query: &str| {
        let mut request =
            http::Request::get(format!("{PATH}?{query}")).body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(k8s_learn::api::auth::UserInfo::admin());
        let response = tower::Service::call(&mut service, request).await.unwrap();
        let body = k8s_learn::clock::Clock::real()
            .timeout(Duration::from_secs(1), response.into_body().collect())
            .await;
        String::from_utf8_lossy(&body.expect("the watch ends").unwrap().to_bytes()).into_owned()
    };
    let old = store.revision();
    for _ in 0..3 {
        store
            .txn(
                k8s_learn::store::Txn {
                    success: vec![k8s_learn::store::Op::Put {
                        key: "/other".into(),
                        value: k8s_learn::store::Payload::Plain(bytes::Bytes::new()),
                        lease: 0,
                    }],
                    ..Default::default()
                },
                k8s_learn::store::Author::default(),
            )
            .unwrap();
    }
    store.compact(store.revision()).unwrap();
    let compacted = store.compacted();
    assert_eq!(
        ask(&format!("watch=1&resourceVersion={old}")).await.trim_end(),
        format!(
            "{{\"type\":\"ERROR\",\"object\":{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\
             \"message\":\"too old resource version: {old} ({compacted})\",\"reason\":\"Expired\",\"code\":410}}}}"
        )
    );
    let list = ask(&format!("resourceVersion={old}&resourceVersionMatch=Exact")).await;
    assert!(list.contains("\"reason\":\"Expired\",\"code\":410"), "{list}");
}
