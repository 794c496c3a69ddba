//! Watches the metadata of every kind that can be deleted, and keeps the graph. A change of the CustomResourceDefinitions
//! makes it ask anew which kinds there are.
// Models pkg/controller/garbagecollector/graph_builder.go (monitors).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::super::discovery::{Kind, kinds};
use super::super::queue::Queue;
use super::graph::{Graph, Identity, Work};
use crate::clock::Clock;
use crate::informer::revision_of;
use crate::store::Revision;
use crate::watch;

/// How long the collector waits at the start for kinds that cannot be listed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What monitors and the collector share.
pub(super) struct Shared {
    pub(super) client: kube::Client,
    pub(super) clock: Clock,
    pub(super) queue: Queue<Work>,
    graph: Mutex<Graph>,
    /// The kinds that are known, by API version and kind.
    kinds: Mutex<BTreeMap<(String, String), Kind>>,
    /// How many kinds are still to be listed; none before they are known.
    unlisted: watch::Sender<Option<usize>>,
    /// Rung when there may be other kinds.
    bell: Notify,
}

impl Shared {
    pub(super) fn new(client: kube::Client, clock: Clock, queue: Queue<Work>) -> Self {
        let unlisted = watch::Sender::new(None);
        Self {
            client,
            clock,
            queue,
            graph: Mutex::default(),
            kinds: Mutex::default(),
            unlisted,
            bell: Notify::new(),
        }
    }

    /// The graph; not to be held across a wait.
    pub(super) fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kind that a reference names.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<Kind> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.get(&(api_version.to_owned(), kind.to_owned())).cloned()
    }

    /// Puts work into the queue.
    pub(super) fn add(&self, work: Vec<Work>, cause: Option<Revision>) {
        work.into_iter().for_each(|item| self.queue.add(item, cause));
    }

    /// Waits until every kind has been listed.
    pub(super) async fn listed(&self) {
        let mut unlisted = self.unlisted.subscribe();
        // The sender lives in `self`.
        let all = async { drop(unlisted.wait_for(|count| *count == Some(0)).await) };
        let _ = self.clock.timeout(PATIENCE, all).await;
    }

    fn one_listed(&self) {
        self.unlisted.send_modify(|count| *count = count.map(|count| count.saturating_sub(1)));
    }

    fn set(&self, kind: &Kind, meta: &ObjectMeta) {
        let work = self.graph().set(identity(kind, meta), meta);
        self.add(work, revision_of(meta));
    }

    fn remove(&self, uid: &str, cause: Option<Revision>) {
        let work = self.graph().remove(uid);
        self.add(work, cause);
    }
}

fn identity(kind: &Kind, meta: &ObjectMeta) -> Identity {
    Identity {
        api_version: kind.resource.api_version.clone(),
        kind: kind.resource.kind.clone(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

/// Runs a monitor for each kind, for as long as the kind exists. Dropping the future stops them all.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut monitors: BTreeMap<(String, String), JoinSet<()>> = BTreeMap::new();
    let mut delay = Duration::from_millis(100);
    loop {
        let found = match kinds(&shared.client).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "the kinds could not be found out");
                shared.clock.sleep(delay).await;
                delay = (delay * 2).min(PATIENCE);
                continue;
            }
        };
        delay = Duration::from_millis(100);
        let is_event = |kind: &Kind| {
            kind.resource.plural == "events" && ["", "events.k8s.io"].contains(&kind.resource.group.as_str())
        };
        let wanted: Vec<Kind> =
            found.into_iter().filter(|k| k.supports(&["delete", "list", "watch"]) && !is_event(k)).collect();
        let key = |kind: &Kind| (kind.resource.api_version.clone(), kind.resource.kind.clone());
        let names: BTreeSet<(String, String)> = wanted.iter().map(key).collect();
        monitors.retain(|name, _| names.contains(name));
        let new: Vec<&Kind> = wanted.iter().filter(|kind| !monitors.contains_key(&key(kind))).collect();
        shared.unlisted.send_modify(|count| *count = Some(count.unwrap_or(0) + new.len()));
        for kind in new {
            let mut monitor = JoinSet::new();
            monitor.spawn(watch_kind(shared.clone(), kind.clone()));
            monitors.insert(key(kind), monitor);
        }
        let table = wanted.into_iter().map(|kind| (key(&kind), kind)).collect();
        *shared.kinds.lock().unwrap_or_else(PoisonError::into_inner) = table;
        shared.bell.notified().await;
    }
}

/// Lists and watches one kind.
async fn watch_kind(shared: Arc<Shared>, kind: Kind) {
    let api: Api<DynamicObject> = Api::all_with(shared.client.clone(), &kind.resource);
    let mut known: BTreeSet<String> = BTreeSet::new();
    let (mut version, mut first) = (None, true);
    let mut delay = Duration::from_millis(100);
    loop {
        let outcome = match version.take() {
            None => list(&shared, &kind, &api, &mut known).await,
            Some(from) => follow(&shared, &kind, &api, from, &mut known).await,
        };
        match outcome {
            Ok(next) => {
                version = next;
                delay = Duration::from_millis(100);
                if std::mem::take(&mut first) {
                    shared.one_listed();
                }
            }
            Err(error) => {
                tracing::debug!(kind = kind.resource.kind, %error, "list or watch failed");
                shared.clock.sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(10));
            }
        }
    }
}

async fn list(
    shared: &Shared,
    kind: &Kind,
    api: &Api<DynamicObject>,
    known: &mut BTreeSet<String>,
) -> Result<Option<String>, kube::Error> {
    let list = api.list_metadata(&ListParams::default()).await?;
    let fresh: BTreeSet<String> =
        list.items.iter().filter_map(|object| object.metadata.uid.clone()).collect();
    for gone in known.difference(&fresh) {
        shared.remove(gone, None);
    }
    list.items.iter().for_each(|object| shared.set(kind, &object.metadata));
    *known = fresh;
    Ok(list.metadata.resource_version)
}

/// Follows a watch to its end and returns the version to go on from; `None` asks for a new list.
async fn follow(
    shared: &Shared,
    kind: &Kind,
    api: &Api<DynamicObject>,
    mut version: String,
    known: &mut BTreeSet<String>,
) -> Result<Option<String>, kube::Error> {
    let is_definition = kind.resource.plural == "customresourcedefinitions";
    let mut events = api.watch_metadata(&WatchParams::default().timeout(290), &version).await?.boxed();
    while let Some(event) = events.try_next().await? {
        let meta = match &event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                known.extend(object.metadata.uid.clone());
                shared.set(kind, &object.metadata);
                &object.metadata
            }
            WatchEvent::Deleted(object) => {
                let uid = object.metadata.uid.as_deref().unwrap_or_default();
                known.remove(uid);
                shared.remove(uid, revision_of(&object.metadata));
                &object.metadata
            }
            WatchEvent::Bookmark(bookmark) => {
                version.clone_from(&bookmark.metadata.resource_version);
                continue;
            }
            WatchEvent::Error(_) => return Ok(None),
        };
        version = meta.resource_version.clone().unwrap_or(version);
        if is_definition {
            shared.bell.notify_one();
        }
    }
    Ok(Some(version))
}
