//! Every kind of the registry through every verb: its sample object survives create, get, update, patch, watch and delete.

use futures::StreamExt;
use serde_json::{Value, json};

use crate::api::Probes;
use crate::api::codec::{self, MediaType};
use crate::api::kind::KindInfo;
use crate::api::testing::Door;

/// The sample object of a kind: `fixtures/kinds/<plural>.yaml`, with the group if two kinds share a plural.
fn sample(info: &KindInfo) -> Value {
    let qualified = format!("fixtures/kinds/{}.{}.yaml", info.plural, info.group);
    let path = if std::path::Path::new(&qualified).exists() {
        qualified
    } else {
        format!("fixtures/kinds/{}.yaml", info.plural)
    };
    let text =
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: every kind has a sample: {error}"));
    codec::parse(&text, MediaType::Yaml).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn base(info: &KindInfo, namespace: &str) -> String {
    let group = if info.group.is_empty() {
        "/api/v1".to_owned()
    } else {
        format!("/apis/{}/{}", info.group, info.version)
    };
    if info.namespaced {
        format!("{group}/namespaces/{namespace}/{}", info.plural)
    } else {
        format!("{group}/{}", info.plural)
    }
}

async fn live(info: &KindInfo) {
    let what = format!("{}.{}", info.plural, info.group);
    let door = Door::open();
    let mut object = sample(info);
    // What a pod needs to be let in.
    if let Some(account) = object.pointer("/spec/serviceAccountName").filter(|name| name.is_string()) {
        let account = json!({"metadata": {"name": account}});
        door.send("POST /api/v1/namespaces/default/serviceaccounts", &account).await;
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
    let name = object["metadata"]["name"].as_str().expect("a sample has a name").to_owned();
    let (list, one) = (base(info, &namespace), format!("{}/{name}", base(info, &namespace)));
    let from = door.server.rest().store().revision();
    let watch = format!("GET {list}?watch=1&resourceVersion={from}&fieldSelector=metadata.name={name}");
    let mut events = door.raw(&watch, &[], "").await.into_body().into_data_stream();

    object["metadata"]["finalizers"] = Value::Null;
    let made = door.send(&format!("POST {list}?fieldValidation=Strict"), &object).await;
    assert_eq!(made.code, 201, "create {what}: {}", made.text);
    let got = door.get(&one).await;
    assert_eq!(got.text, made.text, "get {what}");

    let mut changed = got.json();
    changed["metadata"]["annotations"]["example.com/changed"] = "yes".into();
    let updated = door.send(&format!("PUT {one}?fieldValidation=Strict"), &changed).await;
    assert_eq!(updated.code, 200, "update {what}: {}", updated.text);
    assert_eq!(updated.json()["metadata"]["annotations"]["example.com/changed"], "yes", "update {what}");
    let patch = r#"{"metadata":{"labels":{"example.com/patched":"yes"}}}"#;
    for media in ["application/merge-patch+json", "application/strategic-merge-patch+json"] {
        let patched = door.ask(&format!("PATCH {one}"), &[("content-type", media)], patch).await;
        assert_eq!(patched.code, 200, "patch {what}: {}", patched.text);
        assert_eq!(patched.json()["metadata"]["labels"]["example.com/patched"], "yes", "patch {what}");
    }
    let mut spec = (updated.json(), door.get(&one).await.json());
    spec.0["metadata"].take();
    spec.1["metadata"].take();
    assert_eq!(spec.0, spec.1, "nothing but metadata was patched: {what}");

    // Some kinds count changes of labels or annotations, none those of owners.
    let before = door.get(&one).await.json()["metadata"]["generation"].clone();
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "1"});
    let patch = json!({"metadata": {"ownerReferences": [owner]}}).to_string();
    let media = [("content-type", "application/merge-patch+json")];
    let owned = door.ask(&format!("PATCH {one}"), &media, &patch).await;
    assert_eq!(
        owned.json()["metadata"]["generation"],
        before,
        "an owner is no new spec: {what}: {}",
        owned.text
    );

    let listed = door.get(&list).await.json();
    let items = listed["items"].as_array().expect("a list has items");
    assert!(items.iter().any(|item| item["metadata"]["name"] == name.as_str()), "list {what}");
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = door.ask(&format!("GET {one}"), &accept, "").await.json();
    let (columns, cells) = (&table["columnDefinitions"], &table["rows"][0]["cells"]);
    assert_eq!(columns.as_array().map(Vec::len), cells.as_array().map(Vec::len), "table of {what}: {table}");

    let gone = door
        .send(&format!("DELETE {one}"), &json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"}))
        .await;
    assert_eq!(gone.code, 200, "delete {what}: {}", gone.text);
    let left = door.get(&one).await;
    if left.code == 200 && left.json()["metadata"]["finalizers"].is_array() {
        // What admission protects stays until a controller lets it go.
        let mut object = left.json();
        object["metadata"]["finalizers"] = json!([]);
        door.send(&format!("PUT {one}"), &object).await;
    } else if left.code == 200 {
        let mut object = left.json();
        assert!(object["spec"]["finalizers"].is_array(), "delete {what} leaves {}", left.text);
        object["spec"]["finalizers"] = json!([]);
        door.send(&format!("PUT {one}/finalize"), &object).await;
    }
    assert_eq!(door.get(&one).await.code, 404, "delete {what}");

    let mut seen = vec![];
    while seen.last().is_none_or(|kind| kind != "DELETED") {
        let line = events.next().await.expect("the watch goes on").unwrap();
        let event: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(event["object"]["kind"], info.kind.as_str(), "watch {what}");
        seen.push(event["type"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(seen[..3], ["ADDED", "MODIFIED", "MODIFIED"], "watch {what}");
}

#[tokio::test(start_paused = true)]
async fn every_kind_survives_every_verb() {
    for kind in Door::open().server.rest().registry().all() {
        if kind.computed(&Probes::default()).is_none()
            && kind.info().verbs.iter().any(|verb| verb == "create")
        {
            live(kind.info()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_computed_can_be_read() {
    let door = Door::open();
    for kind in
        door.server.rest().registry().all().iter().filter(|kind| kind.computed(&Probes::default()).is_some())
    {
        let list = door.get(&base(kind.info(), "")).await.json();
        let items = list["items"].as_array().expect("a list, even if it is empty");
        assert_eq!(
            items.len(),
            kind.computed(&Probes::default()).unwrap_or_default().len(),
            "{}",
            kind.info().plural
        );
        for item in items {
            let name = item["metadata"]["name"].as_str().expect("what is computed has a name");
            assert_eq!(door.get(&format!("{}/{name}", base(kind.info(), ""))).await.code, 200);
        }
        assert_eq!(door.get(&format!("{}/nosuch", base(kind.info(), ""))).await.code, 404);
    }
}
