//! The verbs through the door: what a client sees of create, get, list, watch, update, patch and delete.

use axum::body::Body;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::api::testing::Door;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, data: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"data": data}}, "data": {"k": data}})
}

/// The next event of a watch: its type, the object's name, its resourceVersion.
async fn event(
    body: &mut (impl StreamExt<Item = Result<axum::body::Bytes, axum::Error>> + Unpin),
) -> (String, String, u64) {
    let line = body.next().await.expect("the watch goes on").unwrap();
    let event: Value = serde_json::from_slice(&line).unwrap();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let revision = text("/object/metadata/resourceVersion").parse().unwrap_or(0);
    (text("/type"), text("/object/metadata/name"), revision)
}

#[tokio::test(start_paused = true)]
async fn an_object_lives_from_its_creation_to_its_deletion() {
    let door = Door::open();
    let made = door.send(&format!("POST {MAPS}"), &map("a", "1")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let meta = &made.json()["metadata"];
    assert_eq!(meta["creationTimestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(meta["uid"].as_str().unwrap().len(), 36);
    assert_eq!(meta["managedFields"][0]["manager"], "test");
    let got = door.get(&format!("{MAPS}/a")).await;
    assert_eq!(got.text, made.text, "what is created is what is served");
    assert!(
        got.text.starts_with("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\",")
    );

    let again = door.send(&format!("POST {MAPS}"), &map("a", "1")).await;
    assert_eq!((again.code, again.message().as_str()), (409, "configmaps \"a\" already exists"));

    let mut stale = made.json();
    stale["data"]["k"] = "2".into();
    let changed = door.send(&format!("PUT {MAPS}/a"), &stale).await;
    assert_eq!(changed.json()["data"]["k"], "2");
    let conflict = door
        .send(&format!("PUT {MAPS}/a"), &{
            stale["data"]["k"] = "3".into();
            stale.clone()
        })
        .await;
    assert_eq!(
        (conflict.code, conflict.message().as_str()),
        (
            409,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
             the latest version and try again"
        )
    );
    let unconditional = door.send(&format!("PUT {MAPS}/a"), &map("a", "4")).await;
    assert_eq!((unconditional.code, unconditional.json()["data"]["k"].as_str()), (200, Some("4")));
    let same = door.send(&format!("PUT {MAPS}/a"), &map("a", "4")).await;
    assert_eq!(same.text, unconditional.text, "a change of nothing writes nothing");

    let headers = [("content-type", "application/merge-patch+json")];
    let patched = door.ask(&format!("PATCH {MAPS}/a"), &headers, r#"{"data":{"k":null,"l":"5"}}"#).await;
    assert_eq!(patched.json()["data"], json!({"l": "5"}));

    let gone = door.send(&format!("DELETE {MAPS}/a"), &Value::Null).await;
    assert_eq!((gone.code, gone.json()["status"].as_str()), (200, Some("Success")));
    assert_eq!(gone.json()["details"]["kind"], "configmaps");
    let missing = door.get(&format!("{MAPS}/a")).await;
    assert_eq!((missing.code, missing.message().as_str()), (404, "configmaps \"a\" not found"));
}

#[tokio::test(start_paused = true)]
async fn a_server_side_apply_creates_and_then_changes() {
    let door = Door::open();
    let apply = |value: &str, query: &str| {
        let body =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{k: \"{value}\"}}\n");
        let door = &door;
        let line = format!("PATCH {MAPS}/a?{query}");
        async move { door.ask(&line, &[("content-type", "application/apply-patch+yaml")], &body).await }
    };
    let made = apply("1", "fieldManager=me").await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.json()["metadata"]["managedFields"][0]["operation"], "Apply");
    assert_eq!(apply("2", "fieldManager=me").await.json()["data"]["k"], "2");
    let conflict = apply("3", "fieldManager=you").await;
    assert_eq!(conflict.code, 409, "{}", conflict.text);
    assert!(conflict.message().contains("conflict with \"me\""), "{}", conflict.message());
    assert_eq!(apply("3", "fieldManager=you&force=true").await.code, 200);
    assert_eq!(apply("4", "").await.code, 422, "an apply names its manager");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_leaves_no_trace() {
    let door = Door::open();
    let before = door.server.rest().store().revision();
    assert_eq!(door.send(&format!("POST {MAPS}?dryRun=All"), &map("a", "1")).await.code, 201);
    assert_eq!(door.get(&format!("{MAPS}/a")).await.code, 404);
    assert_eq!(door.server.rest().store().revision(), before);
    door.send(&format!("POST {MAPS}"), &map("a", "1")).await;
    let rehearsed = door.send(&format!("PUT {MAPS}/a?dryRun=All"), &map("a", "2")).await;
    assert_eq!(rehearsed.json()["data"]["k"], "2");
    assert_eq!(door.send(&format!("DELETE {MAPS}/a?dryRun=All"), &Value::Null).await.code, 200);
    assert_eq!(door.get(&format!("{MAPS}/a")).await.json()["data"]["k"], "1");
}

#[tokio::test(start_paused = true)]
async fn lists_have_selectors_pages_and_a_revision() {
    let door = Door::open();
    for (name, data) in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "z")] {
        door.send(&format!("POST {MAPS}"), &map(name, data)).await;
    }
    let names = |list: &Value| -> Vec<String> {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let list = door.get(MAPS).await.json();
    assert_eq!(
        (list["kind"].as_str(), names(&list)),
        (Some("ConfigMapList"), ["a", "b", "c", "d"].map(String::from).to_vec())
    );
    assert_eq!(list["metadata"]["resourceVersion"], door.server.rest().store().revision().to_string());
    assert!(list["items"][0]["kind"].is_null(), "items of a list do not repeat their kind");
    assert_eq!(names(&door.get(&format!("{MAPS}?labelSelector=data%3Dx")).await.json()), ["a", "c"]);
    assert_eq!(names(&door.get(&format!("{MAPS}?fieldSelector=metadata.name%3Db")).await.json()), ["b"]);
    assert_eq!(
        names(&door.get("/api/v1/configmaps?fieldSelector=metadata.name!%3Db").await.json()),
        ["a", "c", "d"]
    );
    let unknown = door.get(&format!("{MAPS}?fieldSelector=spec.x%3Db")).await;
    assert_eq!(
        (unknown.code, unknown.message().as_str()),
        (400, "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    );

    let first = door.get(&format!("{MAPS}?limit=3")).await.json();
    assert_eq!((names(&first).len(), first["metadata"]["remainingItemCount"].as_i64()), (3, Some(1)));
    door.send(&format!("DELETE {MAPS}/d"), &Value::Null).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = door.get(&format!("{MAPS}?limit=3&continue={token}")).await.json();
    assert_eq!(names(&second), ["d"], "pages are of one revision");
    let store = door.server.rest().store();
    store.compact(store.revision()).unwrap();
    let expired = door.get(&format!("{MAPS}?limit=3&continue={token}")).await;
    assert_eq!((expired.code, expired.json()["reason"].as_str()), (410, Some("Expired")));
    let inconsistent = expired.json()["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(door.get(&format!("{MAPS}?continue={inconsistent}")).await.code, 200);
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_what_enters_changes_and_leaves_its_selection() {
    let door = Door::open();
    let from = door.server.rest().store().revision();
    let line = format!("GET {MAPS}?watch=1&labelSelector=data%3Dx&resourceVersion={from}");
    let mut events = door.raw(&line, &[], "").await.into_body().into_data_stream();
    door.send(&format!("POST {MAPS}"), &map("a", "x")).await;
    door.send(&format!("POST {MAPS}"), &map("other", "y")).await;
    let mut more = map("a", "x");
    more["data"]["more"] = "1".into();
    door.send(&format!("PUT {MAPS}/a"), &more).await;
    door.send(&format!("PUT {MAPS}/a"), &map("a", "y")).await;
    door.send(&format!("PUT {MAPS}/a"), &map("a", "x")).await;
    door.send(&format!("DELETE {MAPS}/a"), &Value::Null).await;
    let mut seen = vec![];
    for _ in 0..5 {
        seen.push(event(&mut events).await);
    }
    let kinds: Vec<&str> = seen.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]);
    let revisions: Vec<u64> = seen.iter().map(|(.., revision)| *revision).collect();
    assert_eq!(
        revisions,
        [from + 1, from + 3, from + 4, from + 5, from + 6],
        "deletions carry their own revision"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_a_revision_begins_with_what_there_is() {
    let door = Door::open();
    door.send(&format!("POST {MAPS}"), &map("a", "x")).await;
    let line = format!(
        "GET {MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=70"
    );
    let body = door.ask(&line, &[], "").await.text;
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["ADDED", "BOOKMARK", "BOOKMARK", "BOOKMARK"],
        "the list, its end, a minute, the end: {body}"
    );
    assert_eq!(lines[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert!(lines[2]["object"]["metadata"]["annotations"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_before_a_compaction_is_told_to_start_anew() {
    let door = Door::open();
    let store = door.server.rest().store().clone();
    door.send(&format!("POST {MAPS}"), &map("a", "x")).await;
    store.compact(store.revision()).unwrap();
    let body = door.ask(&format!("GET {MAPS}?watch=1&resourceVersion=2"), &[], "").await;
    let event: Value = serde_json::from_str(&body.text).unwrap();
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_i64()), (Some("ERROR"), Some(410)));
    let future = door.get(&format!("{MAPS}?watch=1&resourceVersion=99999")).await;
    assert_eq!(future.code, 504, "{}", future.text);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_watch_leaves_nothing_behind() {
    let door = Door::open();
    let response = door.raw(&format!("GET {MAPS}?watch=1"), &[], "").await;
    let body: Body = response.into_body();
    drop(body);
    assert_eq!(door.send(&format!("POST {MAPS}"), &map("a", "x")).await.code, 201);
}

#[tokio::test(start_paused = true)]
async fn tables_and_metadata_are_made_on_request() {
    let door = Door::open();
    door.send(&format!("POST {MAPS}"), &map("a", "x")).await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = door.ask(&format!("GET {MAPS}"), &[("accept", accept)], "").await.json();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"], json!(["a", 1, "0s"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let bare = door.ask(&format!("GET {MAPS}/a?includeObject=None"), &[("accept", accept)], "").await.json();
    assert!(bare["rows"][0]["object"].is_null());
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = door.ask(&format!("GET {MAPS}"), &[("accept", accept)], "").await.json();
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert!(list["items"][0]["data"].is_null());
    let yaml = door.ask(&format!("GET {MAPS}/a"), &[("accept", "application/yaml")], "").await;
    assert!(yaml.text.contains("kind: ConfigMap"), "{}", yaml.text);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_in_kubernetes_words() {
    let door = Door::open();
    let create = format!("POST {MAPS}");
    let name = door.send(&create, &map("A_b", "1")).await;
    assert_eq!(name.code, 422);
    assert!(name.message().starts_with(
        "ConfigMap \"A_b\" is invalid: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123"
    ));
    let mut other = map("a", "1");
    other["metadata"]["namespace"] = "kube-system".into();
    let message = "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!(door.send(&create, &other).await.message(), message);
    let nowhere = door.send("POST /api/v1/namespaces/nope/configmaps", &map("a", "1")).await;
    assert_eq!((nowhere.code, nowhere.message().as_str()), (404, "namespaces \"nope\" not found"));
    let plain = door.ask(&create, &[("content-type", "text/plain")], "x").await;
    assert_eq!(plain.code, 415);
    let large = door.ask(&create, &[], &"x".repeat(4 * 1024 * 1024)).await;
    assert_eq!((large.code, large.message().as_str()), (413, "Request entity too large: limit is 3145728"));
    assert_eq!(door.get("/api/v1/nonsense").await.text, "404 page not found\n");
    assert_eq!(door.send("POST /api/v1/configmaps", &map("a", "1")).await.code, 405);
}

#[tokio::test(start_paused = true)]
async fn finalizers_hold_an_object_up() {
    let door = Door::open();
    let mut held = map("a", "1");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    door.send(&format!("POST {MAPS}"), &held).await;
    let going = door.send(&format!("DELETE {MAPS}/a"), &Value::Null).await.json();
    assert_eq!(
        (going["kind"].as_str(), going["metadata"]["deletionTimestamp"].is_string()),
        (Some("ConfigMap"), true)
    );
    let again = door.send(&format!("DELETE {MAPS}/a"), &Value::Null).await.json();
    assert_eq!(again, going, "a deletion that changes nothing writes nothing");
    let headers = [("content-type", "application/merge-patch+json")];
    let more = door
        .ask(&format!("PATCH {MAPS}/a"), &headers, r#"{"metadata":{"finalizers":["example.com/x"]}}"#)
        .await;
    assert!(
        more.message().contains("no new finalizers can be added if the object is being deleted"),
        "{}",
        more.text
    );
    let free = door.ask(&format!("PATCH {MAPS}/a"), &headers, r#"{"metadata":{"finalizers":null}}"#).await;
    assert_eq!(free.code, 200);
    assert_eq!(door.get(&format!("{MAPS}/a")).await.code, 404);

    door.send(&format!("POST {MAPS}"), &map("b", "1")).await;
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"});
    let going = door.send(&format!("DELETE {MAPS}/b"), &options).await.json();
    assert_eq!(going["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let wrong = json!({"preconditions": {"uid": "nope"}});
    let refused = door.send(&format!("DELETE {MAPS}/b"), &wrong).await;
    assert!(
        refused.message().contains("the UID in the precondition (nope) does not match the UID in record"),
        "{}",
        refused.text
    );
}

#[tokio::test(start_paused = true)]
async fn names_are_generated_and_collections_deleted() {
    let door = Door::open();
    for _ in 0..3 {
        let body = json!({"metadata": {"generateName": "gen-"}});
        let made = door.send(&format!("POST {MAPS}"), &body).await.json();
        assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 9);
    }
    door.send(&format!("POST {MAPS}"), &map("stays", "x")).await;
    let gone = door.send(&format!("DELETE {MAPS}?labelSelector=!data"), &Value::Null).await.json();
    assert_eq!(gone["items"].as_array().unwrap().len(), 3);
    assert_eq!(door.get(MAPS).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn history_says_who_wrote_and_why() {
    let door = Door::open();
    let headers = [("user-agent", "deployment-controller"), ("x-k8s-learn-cause", "5")];
    door.ask(&format!("POST {MAPS}"), &headers, &map("a", "1").to_string()).await;
    let store = door.server.rest().store();
    let record = store.history(store.revision(), store.revision()).remove(0);
    assert_eq!((&*record.author.component, record.author.cause), ("test", Some(5)));
    assert_eq!(&*record.author.request, "POST /api/v1/namespaces/default/configmaps");
}
