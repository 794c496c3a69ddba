//! Shared informers: one watch and one decoded copy a kind for a whole cluster.
//!
//! [`Informers`] starts an [`Informer`] for a kind when the first component asks. Objects are `Arc`s in the order of their
//! names, so that every iteration is the same in every run. Components read the cache and get events; they write through
//! their own clients.
// Models k8s.io/client-go/tools/cache (SharedInformer, Reflector).

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::store::Revision;
use crate::watch;

/// Namespace and name; the namespace is empty for what has none.
pub type ObjectKey = (String, String);

/// What an informer can hold.
pub trait Cached:
    kube::Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
}
impl<K: kube::Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static> Cached
    for K
{
}

/// The key of an object.
pub fn key_of(meta: &ObjectMeta) -> ObjectKey {
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// The revision that an object was written at.
pub fn revision_of(meta: &ObjectMeta) -> Option<Revision> {
    meta.resource_version.as_ref()?.parse().ok()
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// It is new, or was there when the informer started.
    Added(Arc<K>),
    /// It changed: before, after.
    Modified(Arc<K>, Arc<K>),
    /// It went; this is its last state.
    Deleted(Arc<K>),
}

impl<K> Change<K> {
    /// The object as it is now, or was last.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Added(object) | Self::Modified(_, object) | Self::Deleted(object) => object,
        }
    }
}

/// The informers of a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Informers {
    client: kube::Client,
    clock: Clock,
    running: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>>,
}

impl Debug for Informers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Informers").finish_non_exhaustive()
    }
}

/// The cache of one kind. Cheap to clone; the watch ends with the last clone and the [`Informers`].
#[derive(Debug)]
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    synced: watch::Sender<bool>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

#[derive(Debug)]
struct State<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    subscribers: Vec<mpsc::UnboundedSender<Change<K>>>,
}

impl<K> Drop for Shared<K> {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Informers {
    /// Informers that list and watch with `client`.
    pub fn new(client: kube::Client, clock: Clock) -> Self {
        Self { client, clock, running: Arc::default() }
    }

    /// The informer of a kind, started if it is the first to be asked for.
    pub fn of<K: Cached>(&self) -> Informer<K> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = running.entry(TypeId::of::<K>()).or_insert_with(|| Box::new(self.start::<K>()));
        entry.downcast_ref::<Informer<K>>().expect("the map's key is the informer's type").clone()
    }

    fn start<K: Cached>(&self) -> Informer<K> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State { objects: BTreeMap::new(), subscribers: vec![] }),
            synced: watch::Sender::new(false),
            task: Mutex::new(None),
        });
        let task = tokio::spawn(run(
            Arc::downgrade(&shared),
            Api::<K>::all(self.client.clone()),
            self.clock.clone(),
        ));
        *shared.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Informer { shared }
    }
}

impl<K: Cached> Informer<K> {
    /// Waits until the first list is in the cache.
    pub async fn synced(&self) {
        let mut synced = self.shared.synced.subscribe();
        // The sender lives in `self`.
        let _ = synced.wait_for(|synced| *synced).await;
    }

    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.lock().objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Every object, by namespace and name.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.lock().objects.values().cloned().collect()
    }

    /// The objects of a namespace, by name.
    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let start = (namespace.to_owned(), String::new());
        let state = self.lock();
        state
            .objects
            .range(start..)
            .take_while(|((ns, _), _)| ns == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Everything that is in the cache as `Added`, then what happens, in order and without gaps.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Change<K>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.lock();
        for object in state.objects.values() {
            let _ = sender.send(Change::Added(object.clone()));
        }
        state.subscribers.push(sender);
        receiver
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Cached> Shared<K> {
    fn apply(&self, event: Event<K>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Set(object) => state.set(Arc::new(object)),
            Event::Gone(object) => state.remove(&key_of(object.meta()), Some(Arc::new(object))),
            Event::Replace(list) => {
                let fresh: BTreeMap<ObjectKey, K> =
                    list.into_iter().map(|object| (key_of(object.meta()), object)).collect();
                let gone: Vec<ObjectKey> =
                    state.objects.keys().filter(|key| !fresh.contains_key(*key)).cloned().collect();
                for key in gone {
                    state.remove(&key, None);
                }
                for object in fresh.into_values() {
                    state.set(Arc::new(object));
                }
                drop(state);
                self.synced.send_replace(true);
            }
        }
    }
}

impl<K: Cached> State<K> {
    fn set(&mut self, object: Arc<K>) {
        let key = key_of(object.meta());
        let before = self.objects.insert(key, object.clone());
        match before {
            Some(before) if before.meta().resource_version == object.meta().resource_version => {}
            // The same name with another UID is another object: the first one's deletion was missed.
            Some(before) if before.meta().uid != object.meta().uid => {
                self.tell(&Change::Deleted(before));
                self.tell(&Change::Added(object));
            }
            Some(before) => self.tell(&Change::Modified(before, object)),
            None => self.tell(&Change::Added(object)),
        }
    }

    fn remove(&mut self, key: &ObjectKey, last: Option<Arc<K>>) {
        if let Some(before) = self.objects.remove(key) {
            self.tell(&Change::Deleted(last.unwrap_or(before)));
        }
    }

    fn tell(&mut self, change: &Change<K>) {
        self.subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
    }
}

enum Event<K> {
    Set(K),
    Gone(K),
    Replace(Vec<K>),
}

/// Lists and watches for as long as somebody holds the informer. A broken watch goes on from where it was; one that is
/// too old starts from a new list.
async fn run<K: Cached>(shared: std::sync::Weak<Shared<K>>, api: Api<K>, clock: Clock) {
    let mut version = None;
    let mut delay = Duration::from_millis(100);
    loop {
        let outcome = match version.take() {
            None => list(&shared, &api).await,
            Some(from) => follow(&shared, &api, from).await,
        };
        if shared.strong_count() == 0 {
            return;
        }
        match outcome {
            Ok(next) => {
                version = next;
                delay = Duration::from_millis(100);
            }
            Err(error) => {
                tracing::debug!(kind = %K::kind(&()), %error, "list or watch failed");
                clock.sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(10));
            }
        }
    }
}

async fn list<K: Cached>(
    shared: &std::sync::Weak<Shared<K>>,
    api: &Api<K>,
) -> Result<Option<String>, kube::Error> {
    let list = api.list(&ListParams::default()).await?;
    if let Some(shared) = shared.upgrade() {
        shared.apply(Event::Replace(list.items));
    }
    Ok(list.metadata.resource_version)
}

/// Follows a watch to its end and returns the version to go on from; `None` asks for a new list.
async fn follow<K: Cached>(
    shared: &std::sync::Weak<Shared<K>>,
    api: &Api<K>,
    mut version: String,
) -> Result<Option<String>, kube::Error> {
    let params = WatchParams::default().timeout(290);
    let mut events = api.watch(&params, &version).await?.boxed();
    while let Some(event) = events.try_next().await? {
        let Some(shared) = shared.upgrade() else { return Ok(None) };
        let event = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => Event::Set(object),
            WatchEvent::Deleted(object) => Event::Gone(object),
            WatchEvent::Bookmark(bookmark) => {
                version = bookmark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(_) => return Ok(None),
        };
        if let Event::Set(object) | Event::Gone(object) = &event {
            version = object.meta().resource_version.clone().unwrap_or(version);
        }
        shared.apply(event);
    }
    Ok(Some(version))
}
