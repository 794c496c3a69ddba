//! The documents in the shape that kubectl reads.

use http::{StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::OpenApi;
use crate::api::registry::Registry;

async fn get(open_api: &OpenApi, path: &str, hash: Option<&str>) -> Value {
    let response =
        open_api.handle(path, hash, "application/json", "").unwrap_or_else(|| panic!("{path} is there"));
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn the_index_leads_to_documents() {
    let open_api = OpenApi::new(Registry::built_in());
    let index = get(&open_api, "/openapi/v3", None).await;
    let url = index["paths"]["api/v1"]["serverRelativeURL"].as_str().unwrap();
    let (path, hash) = url.split_once("?hash=").unwrap();
    let document = get(&open_api, path, Some(hash)).await;
    let item = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"];
    assert_eq!(item["patch"]["x-kubernetes-action"], "patch");
    assert_eq!(
        item["patch"]["x-kubernetes-group-version-kind"],
        json!({"group": "", "version": "v1", "kind": "ConfigMap"})
    );
    assert_eq!(item["patch"]["operationId"], "patchCoreV1NamespacedConfigMap");
    assert!(item["patch"]["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
    assert!(
        item["patch"]["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["name"] == "fieldValidation" && p["in"] == "query")
    );
    let moved = open_api.handle(path, Some("other"), "application/json", "").unwrap();
    assert_eq!(moved.headers()[header::LOCATION], url);
    assert!(open_api.handle("/openapi/v3/apis/nosuch/v1", None, "", "").is_none());
}

#[tokio::test]
async fn schemas_carry_descriptions_and_the_tables_facts() {
    let open_api = OpenApi::new(Registry::built_in());
    let document = get(&open_api, "/openapi/v3/api/v1", None).await;
    let schemas = &document["components"]["schemas"];
    let config_map = &schemas["io.k8s.api.core.v1.ConfigMap"];
    assert_eq!(
        config_map["x-kubernetes-group-version-kind"],
        json!([{"group": "", "version": "v1", "kind": "ConfigMap"}])
    );
    let metadata = &config_map["properties"]["metadata"];
    assert_eq!(
        metadata["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    assert_eq!(metadata["default"], json!({}));
    assert!(metadata["description"].is_string());
    let references =
        &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"]["ownerReferences"];
    assert_eq!(references["x-kubernetes-patch-merge-key"], "uid");
    assert_eq!(references["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(references["x-kubernetes-list-map-keys"], json!(["uid"]));
    assert_eq!(
        schemas["io.k8s.api.core.v1.ConfigMapList"]["properties"]["items"]["items"]["$ref"],
        "#/components/schemas/io.k8s.api.core.v1.ConfigMap"
    );
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn check(value: &Value, schemas: &Value, wrong: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    let name = target.rsplit('/').next().unwrap();
                    if schemas.get(name).is_none() {
                        wrong.push(target.clone());
                    }
                }
                map.values().for_each(|value| check(value, schemas, wrong));
            }
            Value::Array(items) => items.iter().for_each(|value| check(value, schemas, wrong)),
            _ => {}
        }
    }
    let open_api = OpenApi::new(Registry::built_in());
    let index = get(&open_api, "/openapi/v3", None).await;
    for name in index["paths"].as_object().unwrap().keys() {
        let document = get(&open_api, &format!("/openapi/v3/{name}"), None).await;
        let mut wrong = vec![];
        check(&document, &document["components"]["schemas"], &mut wrong);
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
    let document = get(&open_api, "/openapi/v2", None).await;
    let mut wrong = vec![];
    check(&document, &document["definitions"], &mut wrong);
    assert!(wrong.is_empty(), "v2: {wrong:?}");
}

#[tokio::test]
async fn the_v2_document_comes_in_protobuf_too() {
    let open_api = OpenApi::new(Registry::built_in());
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let response = open_api.handle("/openapi/v2", None, accept, "").unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    let etag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"\x0a\x032.0\x12"), "swagger is field 1, info is field 2");
    assert_eq!(
        open_api.handle("/openapi/v2", None, accept, &etag).unwrap().status(),
        StatusCode::NOT_MODIFIED
    );
    assert_eq!(
        open_api.handle("/openapi/v2", None, "text/html", "").unwrap().status(),
        StatusCode::NOT_ACCEPTABLE
    );
}

#[tokio::test]
async fn a_changed_registry_changes_the_documents() {
    let registry = Registry::built_in();
    let open_api = OpenApi::new(registry.clone());
    let before = get(&open_api, "/openapi/v3", None).await;
    let row = registry.resource("", "v1", "configmaps").unwrap();
    registry.remove("", "v1", "configmaps");
    let document = open_api.handle("/openapi/v3/api/v1", None, "", "");
    let gone = match document {
        None => true,
        Some(response) => {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            !String::from_utf8_lossy(&body).contains("namespaces/{namespace}/configmaps")
        }
    };
    assert!(gone, "the document no longer names the resource");
    registry.add(row);
    assert_eq!(get(&open_api, "/openapi/v3", None).await, before);
}
