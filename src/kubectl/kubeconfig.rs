//! Kubeconfig files: reading, merging and writing them as client-go does.
//!
//! `factory.rs` reads them to find the cluster; `verbs/config` shows and changes them. The structs keep the order in which
//! kubectl prints JSON.
// Models k8s.io/client-go/tools/clientcmd (loader.go, api/v1/types.go, config.go).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{KubectlError, Result};
use super::session::absolute;
use crate::bash::{Files, FilesError};
use crate::yaml;

/// A kubeconfig as clients see it: everything by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kubeconfig {
    pub clusters: BTreeMap<String, Cluster>,
    pub users: BTreeMap<String, User>,
    pub contexts: BTreeMap<String, Context>,
    pub current_context: String,
    pub preferences: Option<Value>,
    pub extensions: Vec<Value>,
}

/// Where an API server is and how to trust it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Cluster {
    pub server: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tls_server_name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verify: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate_authority: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub certificate_authority_data: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub proxy_url: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disable_compression: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Value>,
}

/// Who one is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct User {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_certificate: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_certificate_data: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_key_data: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    #[serde(rename = "tokenFile", skip_serializing_if = "String::is_empty")]
    pub token_file: String,
    #[serde(rename = "as", skip_serializing_if = "String::is_empty")]
    pub impersonate: String,
    #[serde(rename = "as-uid", skip_serializing_if = "String::is_empty")]
    pub impersonate_uid: String,
    #[serde(rename = "as-groups", skip_serializing_if = "Vec::is_empty")]
    pub impersonate_groups: Vec<String>,
    #[serde(rename = "as-user-extra", skip_serializing_if = "BTreeMap::is_empty")]
    pub impersonate_extra: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_provider: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Value>,
}

/// A program that gives credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exec {
    pub command: String,
    pub args: Option<Vec<String>>,
    pub env: Option<Vec<Variable>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub install_hint: String,
    pub provide_cluster_info: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub interactive_mode: String,
}

/// A variable of a program that gives credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

/// A cluster, a user and a namespace that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Context {
    pub cluster: String,
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Value>,
}

/// The file's form: lists with names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Document {
    kind: String,
    #[serde(rename = "apiVersion")]
    api_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferences: Option<Value>,
    clusters: Option<Vec<NamedCluster>>,
    users: Option<Vec<NamedUser>>,
    contexts: Option<Vec<NamedContext>>,
    current_context: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extensions: Vec<Value>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct NamedCluster {
    name: String,
    cluster: Option<Cluster>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct NamedUser {
    name: String,
    user: Option<User>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct NamedContext {
    name: String,
    context: Option<Context>,
}

impl Kubeconfig {
    /// Reads a file's content. `Err` is the reason as clientcmd gives it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = yaml::to_json(text)?;
        if value.is_null() {
            return Ok(Self::default());
        }
        let document: Document = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let clusters = document.clusters.unwrap_or_default().into_iter();
        let users = document.users.unwrap_or_default().into_iter();
        let contexts = document.contexts.unwrap_or_default().into_iter();
        Ok(Self {
            clusters: clusters.map(|named| (named.name, named.cluster.unwrap_or_default())).collect(),
            users: users.map(|named| (named.name, named.user.unwrap_or_default())).collect(),
            contexts: contexts.map(|named| (named.name, named.context.unwrap_or_default())).collect(),
            current_context: document.current_context,
            preferences: document
                .preferences
                .filter(|value| value.as_object().is_some_and(|map| !map.is_empty())),
            extensions: document.extensions,
        })
    }

    /// The file's form, for printing: serialise it to JSON in order, or to YAML through [`serde_json::to_value`].
    pub fn document(&self) -> impl Serialize + use<> {
        let some = |list: usize| (list > 0).then_some(());
        Document {
            kind: "Config".to_owned(),
            api_version: "v1".to_owned(),
            preferences: self.preferences.clone(),
            clusters: some(self.clusters.len()).map(|()| {
                let named = self.clusters.iter().map(|(name, cluster)| (name.clone(), Some(cluster.clone())));
                named.map(|(name, cluster)| NamedCluster { name, cluster }).collect()
            }),
            users: some(self.users.len()).map(|()| {
                let named = self.users.iter().map(|(name, user)| (name.clone(), Some(user.clone())));
                named.map(|(name, user)| NamedUser { name, user }).collect()
            }),
            contexts: some(self.contexts.len()).map(|()| {
                let named = self.contexts.iter().map(|(name, context)| (name.clone(), Some(context.clone())));
                named.map(|(name, context)| NamedContext { name, context }).collect()
            }),
            current_context: self.current_context.clone(),
            extensions: self.extensions.clone(),
        }
    }

    /// The file's content.
    pub fn to_yaml(&self) -> String {
        yaml::to_string(&serde_json::to_value(self.document()).unwrap_or_default())
    }

    /// Adds what `other` has and this has not.
    pub fn merge(&mut self, other: Self) {
        fn add<T>(mine: &mut BTreeMap<String, T>, other: BTreeMap<String, T>) {
            for (name, entry) in other {
                mine.entry(name).or_insert(entry);
            }
        }
        add(&mut self.clusters, other.clusters);
        add(&mut self.users, other.users);
        add(&mut self.contexts, other.contexts);
        if self.current_context.is_empty() {
            self.current_context = other.current_context;
        }
        if self.preferences.is_none() {
            self.preferences = other.preferences;
        }
    }

    /// Makes the paths of files in it absolute: they are seen from the directory of the kubeconfig.
    fn resolve_paths(&mut self, directory: &str) {
        let resolve = |path: &mut String| {
            if !path.is_empty() {
                *path = absolute(directory, path);
            }
        };
        self.clusters.values_mut().for_each(|cluster| resolve(&mut cluster.certificate_authority));
        for user in self.users.values_mut() {
            [&mut user.client_certificate, &mut user.client_key, &mut user.token_file]
                .into_iter()
                .for_each(resolve);
        }
    }
}

/// Where kubeconfigs are read from and written to.
#[derive(Clone, Debug, Default)]
pub struct LoadingRules {
    /// `--kubeconfig`: this file only, and it must be there.
    pub explicit: Option<String>,
    /// Else these, the first with an entry wins.
    pub precedence: Vec<String>,
    /// The working directory.
    pub cwd: String,
}

/// One file as it was read.
#[derive(Clone, Debug)]
pub struct LoadedFile {
    /// Its path as typed.
    pub path: String,
    /// Its content; `None` if it is not there.
    pub config: Option<Kubeconfig>,
}

impl LoadingRules {
    /// The rules for the `--kubeconfig` flag, `KUBECONFIG` and the home directory.
    pub fn new(explicit: &str, env: &BTreeMap<String, String>, cwd: &str) -> Self {
        let variable = env.get("KUBECONFIG").map(String::as_str).unwrap_or_default();
        let home = env.get("HOME").map(String::as_str).unwrap_or_default();
        let mut precedence: Vec<String> = vec![];
        for path in variable.split(':').filter(|path| !path.is_empty()) {
            if !precedence.iter().any(|known| known == path) {
                precedence.push(path.to_owned());
            }
        }
        if precedence.is_empty() {
            precedence.push(format!("{}/.kube/config", home.trim_end_matches('/')));
        }
        Self {
            explicit: (!explicit.is_empty()).then(|| explicit.to_owned()),
            precedence,
            cwd: cwd.to_owned(),
        }
    }

    /// The files in order of precedence.
    pub fn paths(&self) -> Vec<String> {
        self.explicit.clone().map_or_else(|| self.precedence.clone(), |path| vec![path])
    }

    /// Reads every file that is there, with paths in it left as they are.
    pub async fn read(&self, files: &dyn Files) -> Result<Vec<LoadedFile>> {
        let mut loaded = vec![];
        for path in self.paths() {
            let config = match files.read(&absolute(&self.cwd, &path)).await {
                Ok(content) => {
                    let parsed = Kubeconfig::parse(&String::from_utf8_lossy(&content));
                    Some(parsed.map_err(|why| {
                        KubectlError::message(format!("error loading config file {path:?}: {why}"))
                    })?)
                }
                Err(FilesError::NotFound | FilesError::NotDirectory) => None,
                Err(error) => {
                    return Err(KubectlError::message(format!(
                        "error loading config file {path:?}: open {path}: {error}"
                    )));
                }
            };
            loaded.push(LoadedFile { path, config });
        }
        Ok(loaded)
    }

    /// All files merged, with paths in them absolute. A `--kubeconfig` that is not there is an error.
    pub async fn load(&self, files: &dyn Files) -> Result<Kubeconfig> {
        self.merged(files, true).await
    }

    /// All files merged, with paths in them as written.
    pub async fn load_raw(&self, files: &dyn Files) -> Result<Kubeconfig> {
        self.merged(files, false).await
    }

    async fn merged(&self, files: &dyn Files, resolve: bool) -> Result<Kubeconfig> {
        let mut merged = Kubeconfig::default();
        for LoadedFile { path, config } in self.read(files).await? {
            let Some(mut config) = config else {
                if self.explicit.is_some() {
                    return Err(KubectlError::message(format!("stat {path}: no such file or directory")));
                }
                continue;
            };
            if resolve {
                let path = absolute(&self.cwd, &path);
                config.resolve_paths(path.rsplit_once('/').map_or("/", |(directory, _)| directory));
            }
            merged.merge(config);
        }
        Ok(merged)
    }

    /// The file that new entries go into: the first that is there, else the last.
    pub fn default_path(&self, loaded: &[LoadedFile]) -> String {
        let there = loaded.iter().find(|file| file.config.is_some());
        there.or(loaded.last()).map(|file| file.path.clone()).unwrap_or_default()
    }

    /// Writes a file, making its directory.
    pub async fn write(&self, files: &dyn Files, path: &str, config: &Kubeconfig) -> Result<()> {
        let absolute = absolute(&self.cwd, path);
        let failed = |error: FilesError| KubectlError::message(format!("open {path}: {error}"));
        if let Some((directory, _)) = absolute.rsplit_once('/').filter(|(directory, _)| !directory.is_empty())
        {
            files.make_directory(directory).await.map_err(failed)?;
        }
        let new = files.metadata(&absolute).await.is_err();
        files.write(&absolute, config.to_yaml().as_bytes()).await.map_err(failed)?;
        if new {
            files.set_mode(&absolute, 0o600).await.map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "apiVersion: v1\nclusters:\n- cluster:\n    server: https://1.2.3.4:6443\n  name: a\ncontexts:\n- context:\n    cluster: a\n    namespace: foo\n    user: u\n  name: c\ncurrent-context: c\nkind: Config\nusers:\n- name: u\n  user:\n    token: abc\n";

    #[test]
    fn a_file_is_written_as_it_was_read() {
        assert_eq!(Kubeconfig::parse(FILE).unwrap().to_yaml(), FILE);
        let empty = "apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n";
        assert_eq!(Kubeconfig::default().to_yaml(), empty);
    }

    #[test]
    fn the_first_file_wins() {
        let mut first = Kubeconfig::parse("clusters: [{name: a, cluster: {server: one}}]").unwrap();
        first.merge(
            Kubeconfig::parse("clusters: [{name: a, cluster: {server: two}}, {name: b}]\ncurrent-context: x")
                .unwrap(),
        );
        assert_eq!(
            (first.clusters["a"].server.as_str(), first.clusters.len(), first.current_context.as_str()),
            ("one", 2, "x")
        );
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_or_refused(content in "((clusters|users|contexts): ?(\\[|\\{|-|\n|[a-z])?[\\[\\]{}a-z:, -]{0,12}\n){0,4}|\\PC{0,60}") {
            let _ = Kubeconfig::parse(&content);
        }
    }
}
