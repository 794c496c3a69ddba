//! What every controller is made from, and the loop that every controller runs.
//!
//! [`Context`] is given by the cluster. A controller subscribes to informers with [`Workshop::on`], which turns changes
//! into keys, and then works them off with [`Workshop::work`]. The [`Handle`] that comes back stops it when dropped.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::queue::Queue;
use super::volume::VolumeDirectories;
use crate::client;
use crate::clock::Clock;
use crate::events::Recorder;
use crate::informer::{Cached, Change, Informer, Informers, revision_of};
use crate::seed::Seed;

/// Makes the client of the component of that name, like `deployment-controller`.
pub type Clients = Arc<dyn Fn(&str) -> kube::Client + Send + Sync>;

/// What a controller may use. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Clients, one a component.
    pub clients: Clients,
    /// The cluster's caches.
    pub informers: Informers,
    /// The cluster's time.
    pub clock: Clock,
    /// The cluster's source of chance.
    pub seed: Seed,
    /// The certificate of the cluster's authority in PEM, which every namespace gets.
    pub root_ca: Arc<str>,
    /// The disk on which volumes are directories.
    pub directories: Arc<dyn VolumeDirectories>,
}

impl Context {
    /// The client of a component. Kubernetes takes the manager of fields from the User-Agent up to the first `/`, the
    /// store's authorship what is behind it.
    pub(crate) fn client(&self, component: &str) -> kube::Client {
        (self.clients)(&format!("kube-controller-manager/{component}"))
    }

    /// The voice of a component.
    pub(crate) fn recorder(&self, component: &str) -> Recorder {
        Recorder::new(self.client(component), component, "", self.clock.clone())
    }
}

/// A running controller; dropping it stops it.
#[derive(Debug)]
pub struct Handle {
    tasks: JoinSet<()>,
}

impl Handle {
    /// Stops the controller, and returns when nothing of it runs any more.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Why a reconcile did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused or could not be asked.
    #[error("{}", message(.0))]
    Api(#[from] kube::Error),
    /// The objects contradict each other; another look later may help.
    #[error("{0}")]
    Inconsistent(String),
}

/// What the API server said, in its own words.
pub(crate) fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Whether the object is not there.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the object has changed meanwhile.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.reason == "Conflict")
}

/// Whether there is an object of that name.
pub(crate) fn is_already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.reason == "AlreadyExists")
}

/// Whether nothing can be created because the namespace is going.
pub(crate) fn is_namespace_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .any(|cause| cause.reason == "NamespaceTerminating")
}

/// A call that may find nothing: that is fine too.
pub(crate) fn gone_is_fine<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(error) if !is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Where a controller is put together.
pub(crate) struct Workshop {
    tasks: JoinSet<()>,
    ready: Vec<oneshot::Receiver<()>>,
}

impl Workshop {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), ready: vec![] }
    }

    /// Calls `react` with every object of a kind, and then with what happens to them. The work begins only when the
    /// objects that are there have been seen.
    pub(crate) fn on<K: Cached>(
        &mut self,
        informer: &Informer<K>,
        mut react: impl FnMut(&Change<K>) + Send + 'static,
    ) {
        let (seen, ready) = oneshot::channel();
        self.ready.push(ready);
        let informer = informer.clone();
        self.tasks.spawn(async move {
            informer.synced().await;
            let mut changes = informer.subscribe();
            for _ in 0..changes.len() {
                let Some(change) = changes.recv().await else { return };
                react(&change);
            }
            let _ = seen.send(());
            while let Some(change) = changes.recv().await {
                react(&change);
            }
        });
    }

    /// Puts the key that `key` finds in a change on the queue, with the change as the cause.
    pub(crate) fn wake<K: Cached, Q: Ord + Clone + Send + Sync + 'static>(
        &mut self,
        informer: &Informer<K>,
        queue: &Queue<Q>,
        key: impl Fn(&Change<K>) -> Option<Q> + Send + 'static,
    ) {
        let queue = queue.clone();
        self.on(informer, move |change| {
            if let Some(key) = key(change) {
                queue.add(key, revision_of(change.object().meta()));
            }
        });
    }

    /// Runs a task of the controller's own for as long as the controller runs.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Works off the queue, one key after the other: first in, first out, the same in every run.
    pub(crate) fn work<K, F, Fut>(mut self, name: &'static str, queue: Queue<K>, reconcile: F) -> Handle
    where
        K: Ord + Clone + Debug + Send + Sync + 'static,
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Duration>, Error>> + Send,
    {
        let ready = std::mem::take(&mut self.ready);
        self.tasks.spawn(async move {
            for seen in ready {
                if seen.await.is_err() {
                    return;
                }
            }
            loop {
                let (key, revision) = queue.next().await;
                match client::because_of(revision, reconcile(key.clone())).await {
                    Ok(again) => {
                        queue.forget(&key);
                        if let Some(delay) = again {
                            queue.add_after(key.clone(), delay);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(controller = name, ?key, %error, "will try again");
                        queue.add_rate_limited(key.clone());
                    }
                }
                queue.done(&key);
            }
        });
        self.handle()
    }

    /// The controller without a queue of its own.
    pub(crate) fn handle(self) -> Handle {
        Handle { tasks: self.tasks }
    }
}
