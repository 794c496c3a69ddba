//! What a cluster's API has, and how the words of a command line find it: `deploy`, `deployments.v1.apps`, `Pod`, `all`.
//!
//! [`Mapper::discover`] reads it from the server once a call of kubectl; the resource builder and `api-resources` use it.
// Models k8s.io/client-go/restmapper (discovery.go, shortcut.go, category_expansion.go), apimachinery/pkg/api/meta.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::client::{Client, Request};
use super::error::{KubectlError, Result};

/// A resource of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural, like `deployments`.
    pub resource: String,
    /// The singular, like `deployment`.
    pub singular: String,
    /// The kind, like `Deployment`.
    pub kind: String,
    /// Whether objects are in namespaces.
    pub namespaced: bool,
    /// What may be done: `get`, `list`, ...
    pub verbs: Vec<String>,
    /// Short names.
    pub short_names: Vec<String>,
    /// Groups of resources that it is in, like `all`.
    pub categories: Vec<String>,
    /// Sub-resources, like `status`.
    pub subresources: Vec<String>,
}

impl Mapping {
    /// `apps/v1`, or `v1` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, or `pods` in the core group.
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() {
            self.resource.clone()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// `deployment.apps`, or `pod` in the core group: how objects are named in answers.
    pub fn singular_name(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }

    /// The path of the resource, of an object (`name` not empty), of a sub-resource (not empty).
    pub fn path(&self, namespace: &str, name: &str, subresource: &str) -> String {
        let mut path = group_version_path(&self.group, &self.version);
        if self.namespaced && !namespace.is_empty() {
            path += &format!("/namespaces/{namespace}");
        }
        path += &format!("/{}", self.resource);
        for part in [name, subresource].into_iter().filter(|part| !part.is_empty()) {
            path += &format!("/{part}");
        }
        path
    }

    /// Whether the resource has a verb.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// `/api/v1` or `/apis/apps/v1`.
pub fn group_version_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// A group with its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The group; empty for the core group.
    pub name: String,
    /// The versions, the preferred one first.
    pub versions: Vec<String>,
}

/// Everything that the API has.
#[derive(Clone, Debug, Default)]
pub struct Mapper {
    /// The groups in the server's order.
    pub groups: Vec<Group>,
    /// The resources of all versions, in the server's order.
    pub resources: Vec<Arc<Mapping>>,
}

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

impl Mapper {
    /// Asks the server what it has.
    pub async fn discover(client: &Client) -> Result<Self> {
        let mut mapper = Self::default();
        for root in ["/api", "/apis"] {
            let answer = match client.json(Request::get(root).accept(AGGREGATED)).await {
                Ok(answer) => answer,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            if answer["kind"] == "APIGroupDiscoveryList" {
                mapper.add_aggregated(&answer);
            } else {
                mapper.add_plain(client, &answer).await?;
            }
        }
        Ok(mapper)
    }

    /// Adds an APIGroupDiscoveryList.
    pub fn add_aggregated(&mut self, list: &Value) {
        for group in items(&list["items"]) {
            let name = text(&group["metadata"]["name"]);
            let versions = items(&group["versions"]);
            self.groups.push(Group {
                name: name.clone(),
                versions: versions.iter().map(|v| text(&v["version"])).collect(),
            });
            for version in versions {
                for resource in items(&version["resources"]) {
                    let subresources = items(&resource["subresources"]);
                    self.resources.push(Arc::new(Mapping {
                        group: name.clone(),
                        version: text(&version["version"]),
                        resource: text(&resource["resource"]),
                        singular: text(&resource["singularResource"]),
                        kind: text(&resource["responseKind"]["kind"]),
                        namespaced: resource["scope"] == "Namespaced",
                        verbs: texts(&resource["verbs"]),
                        short_names: texts(&resource["shortNames"]),
                        categories: texts(&resource["categories"]),
                        subresources: subresources.iter().map(|sub| text(&sub["subresource"])).collect(),
                    }));
                }
            }
        }
    }

    /// Adds what an APIVersions or APIGroupList names, asking for each version.
    async fn add_plain(&mut self, client: &Client, answer: &Value) -> Result<()> {
        let groups: Vec<Group> = if answer["kind"] == "APIVersions" {
            vec![Group { name: String::new(), versions: texts(&answer["versions"]) }]
        } else {
            items(&answer["groups"]).iter().map(plain_group).collect()
        };
        for group in groups {
            for version in &group.versions {
                match client.json(Request::get(group_version_path(&group.name, version))).await {
                    Ok(list) => self.add_resource_list(&group.name, version, &list),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            self.groups.push(group);
        }
        Ok(())
    }

    /// Adds an APIResourceList of a version.
    pub fn add_resource_list(&mut self, group: &str, version: &str, list: &Value) {
        let all = items(&list["resources"]);
        for resource in all.iter().filter(|resource| !text(&resource["name"]).contains('/')) {
            let name = text(&resource["name"]);
            let prefix = format!("{name}/");
            let subresources =
                all.iter().filter_map(|r| r["name"].as_str()?.strip_prefix(&prefix).map(str::to_owned));
            self.resources.push(Arc::new(Mapping {
                group: group.to_owned(),
                version: version.to_owned(),
                singular: text(&resource["singularName"]),
                kind: text(&resource["kind"]),
                namespaced: resource["namespaced"] == true,
                verbs: texts(&resource["verbs"]),
                short_names: texts(&resource["shortNames"]),
                categories: texts(&resource["categories"]),
                subresources: subresources.collect(),
                resource: name,
            }));
        }
    }

    fn preference(&self, mapping: &Mapping) -> (usize, usize) {
        let group = self.groups.iter().position(|group| group.name == mapping.group).unwrap_or(usize::MAX);
        let versions = self.groups.get(group).map(|group| &group.versions);
        let version = versions
            .and_then(|v| v.iter().position(|version| *version == mapping.version))
            .unwrap_or(usize::MAX);
        (group, version)
    }

    /// The most preferred of what `wanted` picks.
    fn best(&self, wanted: impl Fn(&Mapping) -> bool) -> Option<Arc<Mapping>> {
        let found = self.resources.iter().filter(|mapping| wanted(mapping));
        found.min_by_key(|mapping| self.preference(mapping)).cloned()
    }

    /// The resource that a word means: plural, singular, short name or kind, with `.group` or `.version.group` behind it.
    // Models resource.Builder.mappingFor.
    pub fn find(&self, word: &str) -> Result<Arc<Mapping>> {
        let lower = word.to_lowercase();
        let parts: Vec<&str> = lower.splitn(3, '.').collect();
        if let [resource, version, group] = parts[..]
            && let Some(found) = self.resource_for(resource, Some(version), group)
        {
            return Ok(found);
        }
        let (resource, group) = lower.split_once('.').unwrap_or((&lower, ""));
        if let Some(found) = self.resource_for(resource, None, group) {
            return Ok(found);
        }
        let resource = word.split('.').next().unwrap_or_default();
        let resource = if word.split('.').count() > 2 {
            resource
        } else {
            word.split_once('.').map_or(word, |(r, _)| r)
        };
        Err(KubectlError::message(format!("the server doesn't have a resource type {resource:?}")))
    }

    fn resource_for(&self, resource: &str, version: Option<&str>, group: &str) -> Option<Arc<Mapping>> {
        let named = |m: &Mapping| {
            m.resource == resource || m.singular == resource || m.kind.to_lowercase() == resource
        };
        let short = |m: &Mapping| m.short_names.iter().any(|name| name == resource);
        let of_version = |m: &Mapping| version.is_none_or(|version| m.version == version);
        let exactly = |m: &Mapping| group.is_empty() || m.group == group;
        let roughly = |m: &Mapping| m.group.starts_with(group);
        self.best(|m| named(m) && of_version(m) && exactly(m))
            .or_else(|| self.best(|m| short(m) && of_version(m) && exactly(m)))
            .or_else(|| self.best(|m| (named(m) || short(m)) && of_version(m) && roughly(m)))
    }

    /// The resource of a kind, which may be in lower case; without a version, the preferred one.
    // Models client-go/restmapper (NewDiscoveryRESTMapper), which adds each kind in lower case, too.
    pub fn for_kind(&self, group: &str, version: Option<&str>, kind: &str) -> Option<Arc<Mapping>> {
        self.best(|m| {
            (m.kind == kind || m.kind.to_lowercase() == kind)
                && m.group == group
                && version.is_none_or(|version| m.version == version)
        })
    }

    /// The resource of an object's `apiVersion` and `kind`.
    pub fn for_object(&self, api_version: &str, kind: &str) -> Option<Arc<Mapping>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.for_kind(group, Some(version), kind)
    }

    /// The resources of a category, like `all`, as words for [`find`](Self::find).
    pub fn expand(&self, category: &str) -> Option<Vec<String>> {
        let members = self.resources.iter().filter(|m| m.categories.iter().any(|name| name == category));
        let mut words: Vec<String> = vec![];
        for word in members.map(|m| m.group_resource()) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        (!words.is_empty()).then_some(words)
    }

    /// One version of each resource, the preferred one, in the server's order.
    // Models discovery.ServerPreferredResources.
    pub fn preferred(&self) -> Vec<Arc<Mapping>> {
        let mut best: BTreeMap<(&str, &str), &Arc<Mapping>> = BTreeMap::new();
        for mapping in &self.resources {
            let key = (mapping.group.as_str(), mapping.resource.as_str());
            let better = best.get(&key).is_none_or(|known| self.preference(mapping) < self.preference(known));
            if better {
                best.insert(key, mapping);
            }
        }
        let chosen = |m: &&Arc<Mapping>| {
            best.get(&(m.group.as_str(), m.resource.as_str())).is_some_and(|b| Arc::ptr_eq(b, m))
        };
        self.resources.iter().filter(chosen).cloned().collect()
    }
}

fn plain_group(group: &Value) -> Group {
    let preferred = text(&group["preferredVersion"]["version"]);
    let mut versions: Vec<String> =
        items(&group["versions"]).iter().map(|version| text(&version["version"])).collect();
    versions.sort_by_key(|version| *version != preferred);
    Group { name: text(&group["name"]), versions }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mapper() -> Mapper {
        let mut mapper = Mapper::default();
        let resource = |name: &str, kind: &str, short: &[&str], categories: &[&str]| {
            json!({"name": name, "singularName": kind.to_lowercase(), "kind": kind, "namespaced": true, "verbs": ["get", "list"],
                "shortNames": short, "categories": categories})
        };
        mapper.groups = vec![
            Group { name: String::new(), versions: vec!["v1".into()] },
            Group { name: "apps".into(), versions: vec!["v1".into(), "v1beta1".into()] },
            Group { name: "events.k8s.io".into(), versions: vec!["v1".into()] },
        ];
        let core = json!({"resources": [resource("pods", "Pod", &["po"], &["all"]), resource("events", "Event", &["ev"], &[]),
            {"name": "pods/log", "kind": "Pod"}]});
        mapper.add_resource_list("", "v1", &core);
        for version in ["v1beta1", "v1"] {
            let list = json!({"resources": [resource("deployments", "Deployment", &["deploy"], &["all"])]});
            mapper.add_resource_list("apps", version, &list);
        }
        mapper.add_resource_list(
            "events.k8s.io",
            "v1",
            &json!({"resources": [resource("events", "Event", &["ev"], &[])]}),
        );
        mapper
    }

    #[test]
    fn words_find_resources() {
        let mapper = mapper();
        let cases = [
            ("po", "v1/pods"),
            ("pods", "v1/pods"),
            ("Pod", "v1/pods"),
            ("deploy", "apps/v1/deployments"),
            ("deployments.apps", "apps/v1/deployments"),
            ("deploy.v1beta1.apps", "apps/v1beta1/deployments"),
            ("deployments.app", "apps/v1/deployments"),
            ("Deployment.v1.apps", "apps/v1/deployments"),
            ("ev", "v1/events"),
            ("events.events.k8s.io", "events.k8s.io/v1/events"),
            ("deploy.apps", "apps/v1/deployments"),
        ];
        for (word, expected) in cases {
            let found = mapper.find(word).unwrap();
            assert_eq!(format!("{}/{}", found.api_version(), found.resource), expected, "{word}");
        }
        for (word, expected) in [("nope", "nope"), ("pods.v2", "pods"), ("Foo.bar", "Foo")] {
            let text = mapper.find(word).unwrap_err().report().0;
            assert_eq!(text, format!("error: the server doesn't have a resource type \"{expected}\"\n"));
        }
        assert_eq!(mapper.expand("all").unwrap(), ["pods", "deployments.apps"]);
        assert_eq!(mapper.resources[0].subresources, ["log"]);
        assert_eq!(mapper.preferred().len(), 4);
    }
}
