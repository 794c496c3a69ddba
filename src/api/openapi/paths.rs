//! The paths of a document: each verb of each resource, with its group, version and kind.
// Models k8s.io/apiserver/pkg/endpoints/installer.go (operation names and actions).

use serde_json::{Map, Value, json};

use super::components::{PATCH, list_name, reference, schema_name};
use crate::api::discovery::{Sub, sub_resources};
use crate::api::kind::KindInfo;
use crate::api::registry::KindRef;

const MEDIA_TYPES: [&str; 2] = ["application/json", "application/yaml"];
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// The paths of these kinds, all of one group and version.
pub(super) fn paths(rows: &[KindRef]) -> Map<String, Value> {
    let mut paths = Map::new();
    for row in rows {
        let info = row.info();
        add_resource(&mut paths, info);
        for sub in sub_resources(info) {
            add_sub_resource(&mut paths, info, &sub);
        }
    }
    paths
}

fn root(info: &KindInfo) -> String {
    let version = &info.version;
    if info.group.is_empty() { format!("/api/{version}") } else { format!("/apis/{}/{version}", info.group) }
}

/// `AppsV1`, `CoreV1`, `RbacAuthorizationV1`: the middle of operation names.
fn group_version(info: &KindInfo) -> String {
    format!("{}{}", capitalised(&group_words(info)), capitalised(&info.version))
}

/// `apps`, `core`, `rbacAuthorization`
fn group_words(info: &KindInfo) -> String {
    let group = info.group.strip_suffix(".k8s.io").unwrap_or(&info.group);
    if group.is_empty() {
        return "core".to_owned();
    }
    let mut words = group.split(['.', '-']);
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capitalised(word))
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + characters.as_str())
        .unwrap_or_default()
}

fn add_resource(paths: &mut Map<String, Value>, info: &KindInfo) {
    let scope = if info.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{}{scope}/{}", root(info), info.plural);
    let has = |verb: &str| info.verbs.iter().any(|own| own == verb);
    let namespaced = if info.namespaced { "Namespaced" } else { "" };
    let name = |verb: &str| format!("{verb}{}{namespaced}{}", group_version(info), info.kind);
    let collection_name =
        |verb: &str| format!("{verb}{}Collection{namespaced}{}", group_version(info), info.kind);
    let (own, list) = (schema_name(info), list_name(info));
    let identity = Identity::of(info);
    let mut item = Map::new();
    let add = |path: &mut Map<String, Value>, verb: &str, method: &str, operation: Operation<'_>| {
        if has(verb) {
            path.insert(method.to_owned(), operation.value(info, &identity));
        }
    };
    let mut whole = parameters(info.namespaced, false, info);
    add(&mut whole, "list", "get", Operation::new(name("list"), "list", &list).query(LIST));
    add(&mut whole, "create", "post", Operation::new(name("create"), "post", &own).body(&own).query(WRITE));
    let delete = Operation::new(collection_name("delete"), "deletecollection", STATUS).body(DELETE_OPTIONS);
    add(&mut whole, "deletecollection", "delete", delete.query(LIST));
    item.append(&mut parameters(info.namespaced, true, info));
    add(&mut item, "get", "get", Operation::new(name("read"), "get", &own));
    add(&mut item, "update", "put", Operation::new(name("replace"), "put", &own).body(&own).query(WRITE));
    add(
        &mut item,
        "patch",
        "patch",
        Operation::new(name("patch"), "patch", &own).body(PATCH).query(PATCHING),
    );
    add(&mut item, "delete", "delete", Operation::new(name("delete"), "delete", STATUS).body(DELETE_OPTIONS));
    if info.namespaced && has("list") {
        let every = format!("list{}{}ForAllNamespaces", group_version(info), info.kind);
        let mut all = parameters(false, false, info);
        add(&mut all, "list", "get", Operation::new(every, "list", &list).query(LIST));
        paths.insert(format!("{}/{}", root(info), info.plural), Value::Object(all));
    }
    if whole.len() > 1 {
        paths.insert(collection.clone(), Value::Object(whole));
    }
    if item.len() > 1 {
        paths.insert(format!("{collection}/{{name}}"), Value::Object(item));
    }
}

fn add_sub_resource(paths: &mut Map<String, Value>, info: &KindInfo, sub: &Sub) {
    let scope = if info.namespaced { "/namespaces/{namespace}" } else { "" };
    let path = format!("{}{scope}/{}/{{name}}/{}", root(info), info.plural, sub.name);
    let namespaced = if info.namespaced { "Namespaced" } else { "" };
    let suffix = format!("{}{namespaced}{}{}", group_version(info), info.kind, capitalised(&sub.name));
    let (group, version) =
        sub.kind_version.clone().unwrap_or_else(|| (info.group.clone(), info.version.clone()));
    let identity = Identity { group, version, kind: sub.kind.clone() };
    let connects = sub.kind.ends_with("Options");
    let own = crate::api::schema::name_of(&identity.group, &identity.version, &identity.kind)
        .map_or_else(|| schema_name(info), str::to_owned);
    let mut operations = parameters(info.namespaced, true, info);
    for verb in &sub.verbs {
        let (method, prefix, action) = match verb.as_str() {
            "create" => ("post", "create", "post"),
            "update" => ("put", "replace", "put"),
            "get" => ("get", "read", "get"),
            "patch" => ("patch", "patch", "patch"),
            _ => ("delete", "delete", "delete"),
        };
        let (prefix, action) = if connects {
            (format!("connect{}", capitalised(method)), "connect")
        } else {
            (prefix.to_owned(), action)
        };
        let operation = Operation::new(format!("{prefix}{suffix}"), action, if connects { "" } else { &own });
        let operation = match method {
            _ if connects => operation,
            "post" | "put" => operation.body(&own).query(WRITE),
            "patch" => operation.body(PATCH).query(PATCHING),
            _ => operation,
        };
        operations.insert(method.to_owned(), operation.value(info, &identity));
    }
    paths.insert(path, Value::Object(operations));
}

/// The group, version and kind of what a path speaks.
struct Identity {
    group: String,
    version: String,
    kind: String,
}

impl Identity {
    fn of(info: &KindInfo) -> Self {
        Self { group: info.group.clone(), version: info.version.clone(), kind: info.kind.clone() }
    }
}

/// Query parameters: name, type, what for.
type Query = &'static [(&'static str, &'static str, &'static str)];

const LIST: Query = &[
    ("labelSelector", "string", "Only objects with such labels."),
    ("fieldSelector", "string", "Only objects with such fields."),
    ("limit", "integer", "At most so many objects."),
    ("continue", "string", "Where a limited list goes on."),
    ("resourceVersion", "string", "How fresh the answer must be."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant."),
    ("sendInitialEvents", "boolean", "A watch begins with the objects that there are."),
    ("allowWatchBookmarks", "boolean", "A watch may send bookmarks."),
    ("timeoutSeconds", "integer", "How long the request may take."),
    ("watch", "boolean", "Go on with changes instead of a list."),
];
const WRITE: Query = &[
    ("dryRun", "string", "All: do everything but store the result."),
    ("fieldManager", "string", "Who is on record as the writer of the fields."),
    ("fieldValidation", "string", "Ignore, Warn or Strict: what becomes of unknown and repeated fields."),
];
const PATCHING: Query =
    &[WRITE[0], WRITE[1], WRITE[2], ("force", "boolean", "An apply patch takes over fields of others.")];

fn parameter(place: &str, name: &str, r#type: &str, description: &str) -> Value {
    let mut parameter = json!({"name": name, "in": place, "description": description, "schema": {"type": r#type, "uniqueItems": true}});
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

/// A path item with the parameters that are in the path.
fn parameters(namespaced: bool, named: bool, info: &KindInfo) -> Map<String, Value> {
    let mut list = vec![];
    if named {
        list.push(parameter("path", "name", "string", &format!("name of the {}", info.kind)));
    }
    if namespaced {
        list.push(parameter("path", "namespace", "string", "The namespace."));
    }
    list.push(parameter("query", "pretty", "string", "true: with line breaks."));
    Map::from_iter([("parameters".to_owned(), Value::Array(list))])
}

/// One verb on one path.
struct Operation<'a> {
    name: String,
    action: &'static str,
    answer: &'a str,
    body: Option<&'a str>,
    query: Query,
}

impl<'a> Operation<'a> {
    fn new(name: String, action: &'static str, answer: &'a str) -> Self {
        Self { name, action, answer, body: None, query: &[] }
    }

    fn body(self, body: &'a str) -> Self {
        Self { body: Some(body), ..self }
    }

    fn query(self, query: Query) -> Self {
        Self { query, ..self }
    }

    fn value(self, info: &KindInfo, identity: &Identity) -> Value {
        let content = |types: &[&str], name: &str| -> Value {
            types
                .iter()
                .map(|media| ((*media).to_owned(), json!({"schema": reference(name)})))
                .collect::<Map<_, _>>()
                .into()
        };
        let mut responses = Map::new();
        let mut codes = vec![("200", "OK")];
        match self.action {
            "post" => codes.extend([("201", "Created"), ("202", "Accepted")]),
            "put" | "patch" => codes.push(("201", "Created")),
            "delete" => codes.push(("202", "Accepted")),
            _ => {}
        }
        for (code, text) in codes {
            let mut response = json!({ "description": text });
            if !self.answer.is_empty() {
                response["content"] = content(&MEDIA_TYPES, self.answer);
            }
            responses.insert(code.to_owned(), response);
        }
        responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
        let mut value = json!({
            "operationId": self.name,
            "tags": [format!("{}_{}", group_words(info), info.version)],
            "responses": responses,
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": {"group": identity.group, "version": identity.version, "kind": identity.kind},
        });
        if !self.query.is_empty() {
            let query = self.query.iter().map(|(name, r#type, what)| parameter("query", name, r#type, what));
            value["parameters"] = query.collect();
        }
        match self.body {
            Some(PATCH) => {
                value["requestBody"] = json!({"required": true, "content": content(patch_types(info), PATCH)})
            }
            Some(DELETE_OPTIONS) => {
                value["requestBody"] = json!({ "content": content(&MEDIA_TYPES, DELETE_OPTIONS) })
            }
            Some(name) => {
                value["requestBody"] = json!({"required": true, "content": content(&MEDIA_TYPES, name)})
            }
            None => {}
        }
        value
    }
}

/// The content types of patches; custom resources take no strategic ones.
fn patch_types(info: &KindInfo) -> &'static [&'static str] {
    const ALL: [&str; 4] = [
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    if info.schema_type.is_some() { &ALL } else { &ALL[..3] }
}
