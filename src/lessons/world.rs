//! What goals look at: the cluster's objects at any revision, its logs and answers, its components, and what was run.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use serde_json::Value;

use crate::api::kind::KindInfo;
use crate::api::registry::{KindRef, Registry};
use crate::clock::Clock;
use crate::cluster::{Cluster, Component, ComponentStatus, Components};
use crate::net::Dial;
use crate::network::NetHost;
use crate::shell::CommandLog;
use crate::store::{KeyRange, RangeRequest, Revision, Store, Watch, WatchRequest};
use crate::watch;

/// How long an answer is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of a log or an answer is looked at.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What goals look at. Cheap to clone.
#[derive(Clone)]
pub struct World {
    store: Store,
    registry: Registry,
    client: kube::Client,
    learner: NetHost,
    clock: Clock,
    components: Components,
    /// What the learner ran.
    pub commands: CommandLog,
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body, up to a bound.
    pub body: String,
}

impl World {
    /// The world of a cluster and of the shell that tells `commands`.
    pub fn new(cluster: &Cluster, commands: CommandLog) -> Self {
        Self {
            store: cluster.store().clone(),
            registry: cluster.registry().clone(),
            client: cluster.admin(),
            learner: cluster.learner().clone(),
            clock: cluster.clock().clone(),
            components: cluster.components(),
            commands,
        }
    }

    /// The store's newest revision.
    pub fn revision(&self) -> Revision {
        self.store.revision()
    }

    /// Every write from now on.
    pub fn writes(&self) -> Watch {
        self.store
            .watch(WatchRequest::new(KeyRange::prefix(""), 0))
            .expect("a watch of what comes next can always begin")
    }

    /// The cluster's time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn kind(&self, word: &str) -> Option<KindRef> {
        let word = word.to_lowercase();
        let (word, group) =
            word.split_once('.').map_or((word.as_str(), None), |(word, group)| (word, Some(group)));
        let named = |info: &KindInfo| {
            info.plural == word
                || info.singular == word
                || info.kind.to_lowercase() == word
                || info.short_names.iter().any(|name| name == word)
        };
        // The core group comes first in the registry, as it does for kubectl.
        self.registry.all().into_iter().find(|kind| {
            let info = kind.info();
            named(info) && group.is_none_or(|group| info.group == group)
        })
    }

    /// Whether the cluster has such a kind.
    pub fn has_kind(&self, word: &str) -> bool {
        self.kind(word).is_some()
    }

    /// The kind as objects name it, like `Deployment` for `deploy`.
    pub fn kind_name(&self, word: &str) -> Option<String> {
        Some(self.kind(word)?.info().kind.clone())
    }

    /// The plural of a kind's name, like `deployments` for `deploy`.
    pub fn plural(&self, word: &str) -> Option<String> {
        Some(self.kind(word)?.info().plural.clone())
    }

    /// The objects of a kind at a revision (0 for the newest), by their keys; those of all namespaces for `*`.
    pub fn objects(&self, kind: &str, namespace: &str, name: Option<&str>, revision: Revision) -> Vec<Value> {
        let Some(kind) = self.kind(kind) else { return vec![] };
        let info = kind.info();
        let range = match (name, namespace) {
            (Some(name), namespace) if !info.namespaced || namespace != "*" => {
                KeyRange::key(info.storage_key(namespace, name))
            }
            (_, "*") => KeyRange::prefix(info.storage_prefix()),
            (None, namespace) if info.namespaced => KeyRange::prefix(info.storage_key(namespace, "")),
            _ => KeyRange::prefix(info.storage_prefix()),
        };
        let request = RangeRequest { revision, ..RangeRequest::new(range) };
        // A revision that was compacted has nothing left to look at.
        let Ok(found) = self.store.range(&request) else { return vec![] };
        let objects = found.kvs.iter().filter_map(|kv| serde_json::from_slice::<Value>(&kv.value).ok());
        objects.filter(|object| name.is_none_or(|name| object["metadata"]["name"] == name)).collect()
    }

    /// What a pod's container, or its only one, has printed.
    pub async fn log(&self, pod: &Value, container: Option<&str>) -> Option<String> {
        let (namespace, name) = (pod["metadata"]["namespace"].as_str()?, pod["metadata"]["name"].as_str()?);
        let params = LogParams {
            container: container.map(str::to_owned),
            limit_bytes: Some(MAX_ANSWER_BYTES as i64),
            ..LogParams::default()
        };
        let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
        self.clock.timeout(ANSWER_TIMEOUT, pods.logs(name, &params)).await.ok()?.ok()
    }

    /// What an address of the cluster's network answers to a GET.
    pub async fn http(&self, url: &str) -> Option<HttpAnswer> {
        self.clock.timeout(ANSWER_TIMEOUT, self.ask(url)).await.ok()?
    }

    async fn ask(&self, url: &str) -> Option<HttpAnswer> {
        let uri: http::Uri = url.parse().ok()?;
        let (host, port) = (uri.host()?.to_owned(), uri.port_u16().unwrap_or(80));
        let ip = match host.parse() {
            Ok(ip) => ip,
            Err(_) => self.learner.fabric().resolve(&host).await.into_iter().next()?,
        };
        let stream = self.learner.dial(SocketAddr::new(ip, port)).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let request = http::Request::get(path).header("Host", &host).header("User-Agent", "k8s-learn");
        let answering = async {
            let answer = sender.send_request(request.body(Empty::<Bytes>::new()).ok()?).await.ok()?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await.ok()?.to_bytes();
            Some(HttpAnswer { status, body: String::from_utf8_lossy(&body).into_owned() })
        };
        tokio::pin!(connection, answering);
        tokio::select! { biased;
            answer = &mut answering => answer,
            _ = &mut connection => answering.await,
        }
    }

    /// Whether a component runs, once a node that has it.
    pub fn component(&self, name: &str, node: Option<&str>) -> Vec<bool> {
        let Ok(wanted) = name.parse::<Component>() else { return vec![] };
        let states = self.components.status().into_iter().filter(|state| {
            state.component == wanted && node.is_none_or(|node| state.node.as_deref() == Some(node))
        });
        states.map(|state| state.running).collect()
    }

    /// Changes with every component that is stopped or started.
    pub fn components(&self) -> watch::Receiver<Vec<ComponentStatus>> {
        self.components.watch()
    }
}
