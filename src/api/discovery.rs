//! What the server serves: `/api`, `/apis`, the lists of resources, and all of it in one document (aggregated discovery).
//!
//! `endpoints` calls [`handle`]; everything is made from the registry's rows and the table of sub-resources.
// Models k8s.io/apiserver/pkg/endpoints/discovery (with aggregated) and pkg/controlplane/apiserver/aggregator.go.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Body;
use base64::Engine;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::codec::encode_plain;
use super::kind::KindInfo;
use super::registry::{KindRef, Registry};

/// Groups, the most important first; the others follow by name.
const GROUPS: &[&str] = &[
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "storagemigration.k8s.io",
];

/// Where the types of the answers are in the table.
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// A sub-resource of a built-in kind.
#[derive(Debug)]
pub(super) struct SubResource {
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    /// The name, like `scale`.
    pub name: &'static str,
    /// The kind that it speaks, like `Scale`.
    pub kind: &'static str,
    /// The group and version of that kind; `None` if they are the resource's.
    pub kind_version: Option<(&'static str, &'static str)>,
    /// The verbs, sorted.
    pub verbs: Vec<&'static str>,
}

static SUB_RESOURCES: LazyLock<Vec<SubResource>> = LazyLock::new(|| {
    let rows =
        include_str!("../../fixtures/schema/subresources.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let columns: Vec<&'static str> = row.split('\t').collect();
        let [group, version, resource, name, kind, kind_version, verbs] = columns[..] else {
            panic!("fixtures/schema/subresources.tsv: seven columns a row, but: {row}");
        };
        let kind_version =
            (!kind_version.is_empty()).then(|| kind_version.split_once('/').unwrap_or(("", kind_version)));
        SubResource { group, version, resource, name, kind, kind_version, verbs: verbs.split(' ').collect() }
    })
    .collect()
});

/// A sub-resource as discovery tells of it.
#[derive(Clone, Debug)]
pub(super) struct Sub {
    /// The name, like `scale`.
    pub name: String,
    /// The kind that it speaks.
    pub kind: String,
    /// The group and version of that kind; `None` if they are the resource's.
    pub kind_version: Option<(String, String)>,
    /// The verbs, sorted.
    pub verbs: Vec<String>,
}

/// The sub-resources of a kind, sorted.
pub(super) fn sub_resources(info: &KindInfo) -> Vec<Sub> {
    let get_update = || ["get", "patch", "update"].map(str::to_owned).to_vec();
    if info.schema_type.is_none() {
        let mut subs = vec![];
        if info.traits.scale {
            let kind_version = Some(("autoscaling".to_owned(), "v1".to_owned()));
            subs.push(Sub {
                name: "scale".to_owned(),
                kind: "Scale".to_owned(),
                kind_version,
                verbs: get_update(),
            });
        }
        if info.traits.status {
            subs.push(Sub {
                name: "status".to_owned(),
                kind: info.kind.clone(),
                kind_version: None,
                verbs: get_update(),
            });
        }
        return subs;
    }
    let own = |sub: &&SubResource| {
        sub.group == info.group && sub.version == info.version && sub.resource == info.plural
    };
    let subs = SUB_RESOURCES.iter().filter(own).map(|sub| Sub {
        name: sub.name.to_owned(),
        kind: sub.kind.to_owned(),
        kind_version: sub.kind_version.map(|(group, version)| (group.to_owned(), version.to_owned())),
        verbs: sub.verbs.iter().map(|&verb| verb.to_owned()).collect(),
    });
    subs.collect()
}

/// A request for discovery.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The path.
    pub path: &'a str,
    /// The Accept header.
    pub accept: &'a str,
    /// The server's address, which `/api` tells.
    pub address: &'a str,
    /// Whether to break lines.
    pub pretty: bool,
}

/// Answers `/api`, `/apis` and what is below them if it is discovery; `None` for all other paths.
pub fn handle(registry: &Registry, asked: &Asked<'_>) -> Option<Response<Body>> {
    let Asked { path, accept, address, pretty } = *asked;
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let groups = Groups::of(registry);
    let (value, r#type) = match parts[..] {
        ["api"] | ["apis"] => {
            if let Some(version) = aggregated_version(accept) {
                return Some(aggregated(&groups, parts[0] == "api", version));
            }
            if parts[0] == "api" {
                (legacy_versions(address), "APIVersions")
            } else {
                (groups.list(), "APIGroupList")
            }
        }
        ["api", "v1"] => (groups.resources("", "v1")?, "APIResourceList"),
        ["apis", group] => (groups.group(group, true)?, "APIGroup"),
        ["apis", group, version] => (groups.resources(group, version)?, "APIResourceList"),
        _ => return None,
    };
    let body = encode_plain(&format!("{META}.{type}"), &value);
    // Only an encoder that streams ends with a newline.
    let body = if pretty { super::codec::pretty(&body) } else { ended(&body) };
    Some(response(body, "application/json"))
}

/// A body with a newline behind it.
fn ended(body: &[u8]) -> Bytes {
    [body, b"\n"].concat().into()
}

fn response(body: Bytes, media: &'static str) -> Response<Body> {
    let etag = format!("\"{}\"", hex(&Sha256::digest(&body)));
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.extend(HeaderValue::from_str(&etag).ok().map(|etag| (header::ETAG, etag)));
    response
}

/// Upper-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Which version of aggregated discovery the client wants before plain JSON, if any.
fn aggregated_version(accept: &str) -> Option<&'static str> {
    for media in accept.split(',') {
        let mut parts = media.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters: BTreeMap<&str, &str> =
            parts.filter_map(|parameter| parameter.split_once('=')).collect();
        let is = |key: &str, value: &str| parameters.get(key) == Some(&value);
        if media != "application/json" && media != "*/*" && media != "application/*" {
            continue;
        }
        if is("g", "apidiscovery.k8s.io") && is("as", "APIGroupDiscoveryList") {
            match parameters.get("v") {
                Some(&"v2") => return Some("v2"),
                Some(&"v2beta1") => return Some("v2beta1"),
                _ => continue,
            }
        }
        if !parameters.contains_key("as") {
            return None;
        }
    }
    None
}

/// A version of a group, with its kinds.
type Version = (String, Vec<KindRef>);

/// The registry's rows by group and version, in the order in which the server lists them.
struct Groups {
    groups: Vec<(String, Vec<Version>)>,
}

impl Groups {
    fn of(registry: &Registry) -> Self {
        let mut by_group: BTreeMap<String, BTreeMap<String, Vec<KindRef>>> = BTreeMap::new();
        for row in registry.all() {
            let (group, version) = (row.info().group.clone(), row.info().version.clone());
            by_group.entry(group).or_default().entry(version).or_default().push(row);
        }
        let rank = |group: &str| GROUPS.iter().position(|known| *known == group).unwrap_or(GROUPS.len());
        let mut groups: Vec<(String, Vec<Version>)> = by_group
            .into_iter()
            .map(|(group, versions)| {
                let mut versions: Vec<_> = versions.into_iter().collect();
                versions.sort_by_key(|(version, _)| Reverse(version_rank(version)));
                (group, versions)
            })
            .collect();
        groups.sort_by(|(one, _), (other, _)| (rank(one), one).cmp(&(rank(other), other)));
        Self { groups }
    }

    /// `/apis`
    fn list(&self) -> Value {
        let named = self.groups.iter().filter(|(group, _)| !group.is_empty());
        let groups: Vec<Value> = named.filter_map(|(group, _)| self.group(group, false)).collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }

    /// `/apis/<group>`, or one of the groups of `/apis`.
    fn group(&self, group: &str, alone: bool) -> Option<Value> {
        let (name, versions) = self.groups.iter().find(|(name, _)| name == group && !name.is_empty())?;
        let versions: Vec<Value> = versions
            .iter()
            .map(|(version, _)| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
            .collect();
        let mut value = json!({"name": name, "preferredVersion": versions.first(), "versions": versions});
        if alone {
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
        }
        Some(value)
    }

    /// `/api/v1`, or `/apis/<group>/<version>`.
    fn resources(&self, group: &str, version: &str) -> Option<Value> {
        let (_, versions) = self.groups.iter().find(|(name, _)| name == group)?;
        let (_, rows) = versions.iter().find(|(name, _)| name == version)?;
        let mut resources = vec![];
        for row in rows {
            let info = row.info();
            resources.push(resource(info));
            resources.extend(sub_resources(info).iter().map(|sub| sub_resource(info, sub)));
        }
        let group_version = rows.first().map(|row| row.info().api_version());
        let mut value =
            json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
        if !group.is_empty() {
            value["apiVersion"] = "v1".into();
        }
        Some(value)
    }
}

/// How new a version is: stable before beta before alpha, then by number.
// Models apimachinery/pkg/version (CompareKubeAwareVersionStrings).
pub(super) fn version_rank(version: &str) -> (bool, u8, u64, u64, Reverse<String>) {
    let other = || (false, 0, 0, 0, Reverse(version.to_owned()));
    let Some(rest) = version.strip_prefix('v') else {
        return other();
    };
    let (major, stage) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let (kind, minor) = match stage {
        "" => (3, "0"),
        stage => match (stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor),
            (_, Some(minor)) => (1, minor),
            _ => return other(),
        },
    };
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => (true, kind, major, minor, Reverse(String::new())),
        _ => other(),
    }
}

fn legacy_versions(address: &str) -> Value {
    let addresses = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]);
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses})
}

fn resource(info: &KindInfo) -> Value {
    json!({
        "name": info.plural, "singularName": info.singular, "namespaced": info.namespaced, "kind": info.kind,
        "verbs": info.verbs, "shortNames": info.short_names, "categories": info.categories,
        "storageVersionHash": storage_version_hash(info),
    })
}

fn sub_resource(info: &KindInfo, sub: &Sub) -> Value {
    let (group, version) = sub.kind_version.clone().unzip();
    json!({
        "name": format!("{}/{}", info.plural, sub.name), "singularName": "", "namespaced": info.namespaced,
        "group": group, "version": version, "kind": sub.kind, "verbs": sub.verbs,
    })
}

/// Tells clients that two versions of a kind are stored as one. Kinds that are not stored have none.
// Models k8s.io/apiserver/pkg/endpoints/discovery/storageversionhash.go.
fn storage_version_hash(info: &KindInfo) -> Option<String> {
    if !info.verbs.iter().any(|verb| verb == "watch") {
        return None;
    }
    let (group, version) = info
        .stored_as
        .map_or((info.group.as_str(), info.version.as_str()), |as_| (as_.storage.0, as_.storage.1));
    let digest = Sha256::digest(format!("{group}/{version}/{}", info.kind));
    Some(base64::engine::general_purpose::STANDARD.encode(&digest[..8]))
}

/// Everything of `/api`, or everything of `/apis`, in one document.
fn aggregated(groups: &Groups, legacy: bool, version: &str) -> Response<Body> {
    let mut items = vec![];
    for (group, versions) in groups.groups.iter().filter(|(group, _)| group.is_empty() == legacy) {
        let versions: Vec<Value> = versions
            .iter()
            .map(|(version, rows)| {
                let resources: Vec<Value> = rows.iter().map(|row| discovered(row.info())).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items});
    let media = if version == "v2" {
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    } else {
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    };
    response(ended(&encode_plain("", &list)), media)
}

fn discovered(info: &KindInfo) -> Value {
    let kind = |version: Option<&(String, String)>, kind: &str| {
        let (group, version) = version.map_or(("", ""), |(group, version)| (group, version));
        json!({"group": group, "version": version, "kind": kind})
    };
    let mut value = Map::new();
    let mut set = |key: &str, item: Value| value.insert(key.to_owned(), item);
    set("resource", info.plural.as_str().into());
    set("responseKind", kind(None, &info.kind));
    set("scope", if info.namespaced { "Namespaced" } else { "Cluster" }.into());
    set("singularResource", info.singular.as_str().into());
    set("verbs", info.verbs.clone().into());
    if !info.short_names.is_empty() {
        set("shortNames", info.short_names.clone().into());
    }
    if !info.categories.is_empty() {
        set("categories", info.categories.clone().into());
    }
    let subs: Vec<Value> = sub_resources(info)
        .iter()
        .map(|sub| json!({"subresource": sub.name, "responseKind": kind(sub.kind_version.as_ref(), &sub.kind), "verbs": sub.verbs}))
        .collect();
    if !subs.is_empty() {
        set("subresources", subs.into());
    }
    Value::Object(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn get(path: &str, accept: &str) -> (String, String) {
        let asked = Asked { path, accept, address: "127.0.0.1:6443", pretty: false };
        let response = handle(&Registry::built_in(), &asked).unwrap_or_else(|| panic!("{path} is discovery"));
        let media = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), media)
    }

    #[tokio::test]
    async fn a_resource_is_listed_as_a_real_server_lists_it() {
        let (body, _) = get("/api/v1", "*/*").await;
        let expected = r#"{"name":"configmaps","singularName":"configmap","namespaced":true,"kind":"ConfigMap","verbs":["create","delete","deletecollection","get","list","patch","update","watch"],"shortNames":["cm"],"storageVersionHash":"qFsyl6wFWjQ="}"#;
        assert!(body.starts_with(r#"{"kind":"APIResourceList","groupVersion":"v1","resources":["#), "{body}");
        assert!(body.contains(expected), "{body}");
        for path in ["/apis/nosuch/v1", "/api/v1/pods"] {
            let asked = Asked { path, accept: "*/*", address: "", pretty: false };
            assert!(handle(&Registry::built_in(), &asked).is_none(), "{path}");
        }
    }

    #[tokio::test]
    async fn the_client_chooses_aggregated_discovery() {
        let kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let (body, media) = get("/api", kubectl).await;
        assert_eq!(media, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
        let list: Value = serde_json::from_str(&body).unwrap();
        let resources = list["items"][0]["versions"][0]["resources"].as_array().unwrap();
        let found = resources.iter().find(|resource| resource["resource"] == "configmaps").unwrap();
        assert_eq!(found["scope"], "Namespaced");
        assert_eq!(
            get("/api", "application/json").await.0.trim_end(),
            r#"{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"127.0.0.1:6443"}]}"#
        );
    }

    #[test]
    fn newer_and_stabler_versions_come_first() {
        let mut versions = ["v1beta1", "v1", "v1alpha3", "v2", "foo", "v1beta2", "v10"];
        versions.sort_by_key(|version| Reverse(version_rank(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha3", "foo"]);
    }
}
