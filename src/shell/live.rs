//! Completion's source in a running session: kubectl's own verbs and flags, the cluster's kinds and names.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Request;
use kube::client::Body;
use serde_json::Value;
use tokio::runtime::Handle;

use super::completion::Source;
use super::programs::EDITORS;
use super::session::HOME;
use crate::bash::{Files, resolve};
use crate::kubectl::command::Verb;
use crate::kubectl::verbs::GROUPS;

/// Commands that are offered besides kubectl.
const COMMANDS: &[&str] = &[
    "kubectl", "k", "curl", "wget", "cluster", "minikube", "etcdctl", "why", "ls", "cat", "cd", "echo",
    "export", "grep", "head", "tail", "less", "jobs", "kill", "sleep", "date", "exit", "for", "while", "if",
    "sed", "awk", "sort", "wc", "mkdir", "rm", "cp", "mv",
];

/// Asks the cluster as the learner does. Used from the prompt's own thread, which may wait.
pub struct LiveSource {
    client: kube::Client,
    runtime: Handle,
    /// Resource names, with the path of their list: `pods`, `po`, `pod` to `/api/v1/pods`.
    resources: BTreeMap<String, Resource>,
    files: Option<Arc<dyn Files>>,
}

#[derive(Clone)]
struct Resource {
    group_path: String,
    plural: String,
    namespaced: bool,
}

impl LiveSource {
    /// A source that has looked up the cluster's kinds.
    pub async fn new(client: kube::Client) -> Self {
        let resources = resources(&client).await;
        Self { client, runtime: Handle::current(), resources, files: None }
    }

    /// Completes paths of these files, from the learner's home on.
    pub fn look_in(&mut self, files: Arc<dyn Files>) {
        self.files = Some(files);
    }

    fn verb(path: &[&str]) -> Option<&'static dyn Verb> {
        let (first, rest) = path.split_first()?;
        let named =
            |verb: &&'static dyn Verb, word: &str| verb.name() == word || verb.aliases().contains(&word);
        let mut verb =
            GROUPS.iter().flat_map(|group| group.verbs.iter().copied()).find(|verb| named(verb, first))?;
        for word in rest {
            verb = verb.verbs().iter().copied().find(|verb| named(verb, word))?;
        }
        Some(verb)
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.runtime.block_on(get(&self.client, path))
    }
}

async fn get(client: &kube::Client, path: &str) -> Option<Value> {
    let request = Request::get(path).body(Body::empty()).ok()?;
    let text = client.request_text(request.map(|_| vec![])).await.ok()?;
    serde_json::from_str(&text).ok()
}

async fn resources(client: &kube::Client) -> BTreeMap<String, Resource> {
    let mut found = BTreeMap::new();
    let mut paths = vec!["/api/v1".to_owned()];
    let groups = get(client, "/apis").await.unwrap_or_default();
    for group in groups["groups"].as_array().into_iter().flatten() {
        paths.extend(
            group["preferredVersion"]["groupVersion"].as_str().map(|version| format!("/apis/{version}")),
        );
    }
    for group_path in paths {
        let list = get(client, &group_path).await.unwrap_or_default();
        for resource in list["resources"].as_array().into_iter().flatten() {
            let Some(plural) = resource["name"].as_str().filter(|name| !name.contains('/')) else { continue };
            let short = resource["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let row = Resource {
                group_path: group_path.clone(),
                plural: plural.to_owned(),
                namespaced: resource["namespaced"].as_bool() == Some(true),
            };
            let singular = resource["singularName"].as_str().filter(|name| !name.is_empty());
            for name in std::iter::once(plural).chain(singular).chain(short) {
                found.entry(name.to_owned()).or_insert_with(|| row.clone());
            }
        }
    }
    found
}

impl Source for LiveSource {
    fn commands(&self) -> Vec<String> {
        COMMANDS.iter().chain(EDITORS).map(|name| (*name).to_owned()).collect()
    }

    fn verbs(&self, path: &[&str]) -> Vec<String> {
        let shown = |verb: &dyn Verb| (!verb.hidden()).then(|| verb.name().to_owned());
        match path {
            [] => {
                GROUPS.iter().flat_map(|group| group.verbs.iter()).filter_map(|verb| shown(*verb)).collect()
            }
            path => Self::verb(path)
                .map(|verb| verb.verbs().iter().filter_map(|verb| shown(*verb)).collect())
                .unwrap_or_default(),
        }
    }

    fn flags(&self, path: &[&str]) -> Vec<(String, bool)> {
        let mut flags = crate::kubectl::factory::global_flags("~");
        flags.extend(Self::verb(path).map(|verb| verb.flags()).unwrap_or_default());
        let named = |flag: &crate::kubectl::flags::Flag| {
            let takes_value = flag.no_value.is_none();
            let short = flag.short.map(|letter| (format!("-{letter}"), takes_value));
            std::iter::once((format!("--{}", flag.name), takes_value)).chain(short)
        };
        flags.iter().filter(|flag| !flag.hidden).flat_map(named).collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.resources.keys().cloned().collect()
    }

    fn names(&self, kind: &str, namespace: Option<&str>) -> Vec<String> {
        let Some(resource) = self.resources.get(kind) else { return vec![] };
        let Resource { group_path, plural, namespaced } = resource;
        let path = if *namespaced {
            format!("{group_path}/namespaces/{}/{plural}", namespace.unwrap_or("default"))
        } else {
            format!("{group_path}/{plural}")
        };
        let list = self.get(&path).unwrap_or_default();
        let items = list["items"].as_array().into_iter().flatten();
        items.filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect()
    }

    fn containers(&self, pod: &str, namespace: Option<&str>) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}", namespace.unwrap_or("default"));
        let pod = self.get(&path).unwrap_or_default();
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        containers.filter_map(|container| container["name"].as_str().map(str::to_owned)).collect()
    }

    fn paths(&self, prefix: &str) -> Vec<String> {
        let Some(files) = &self.files else { return vec![] };
        let (shown, _) = prefix.rsplit_once('/').map_or(("", prefix), |(directory, name)| (directory, name));
        let begin = if prefix.contains('/') { format!("{shown}/") } else { String::new() };
        let place =
            begin.strip_prefix("~/").map_or_else(|| resolve(HOME, &begin), |rest| resolve(HOME, rest));
        let list = async {
            let mut found = vec![];
            for name in files.list(&place).await.unwrap_or_default() {
                let inside = format!("{}/{name}", place.trim_end_matches('/'));
                let directory = files.metadata(&inside).await.is_ok_and(|metadata| metadata.directory);
                found.push(format!("{begin}{name}{}", if directory { "/" } else { "" }));
            }
            found
        };
        self.runtime.block_on(list)
    }
}
