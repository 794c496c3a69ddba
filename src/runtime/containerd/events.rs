//! What happens to a node's containers: told by this runtime for what it does itself, by containerd for ends, and looked up
//! from time to time for what nobody told.
//!
//! The CRI of containerd 1.6 has no events, but containerd's own event service has the ends of tasks.
// Models pkg/kubelet/pleg (generic and evented).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use prost::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::proto::events::{Envelope, OfContainer, SubscribeRequest};
use super::runtime::Shared;
use crate::runtime::api::{ContainerEvent, ContainerEventKind};

/// How often is looked for what nobody told.
const RELIST: Duration = Duration::from_secs(10);
/// How soon a broken subscription is made anew.
const AGAIN: Duration = Duration::from_secs(1);
/// How soon the CRI is asked again whether it has noticed an end.
const SETTLE: Duration = Duration::from_millis(5);
/// How often it is asked.
const SETTLE_TRIES: usize = 400;

/// What is known of a container or a sandbox.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) pod_uid: String,
    /// Whether it ran when it was last looked at.
    pub(super) running: bool,
    pub(super) is_sandbox: bool,
    /// Cancelled when it has ended.
    pub(super) ended: CancellationToken,
}

/// Who listens, and what there is. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Events {
    listeners: Arc<Mutex<Vec<mpsc::UnboundedSender<ContainerEvent>>>>,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

impl Events {
    /// Everything from now on.
    pub(super) fn listen(&self) -> BoxStream<'static, ContainerEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Box::pin(futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|event| (event, receiver))
        }))
    }

    /// What is known, by id.
    pub(super) fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, pod_uid: &str, id: &str, kind: ContainerEventKind) {
        let event = ContainerEvent { pod_uid: pod_uid.to_owned(), container_id: id.to_owned(), kind };
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.send(event.clone()).is_ok());
    }

    /// There is a new one.
    pub(super) fn created(&self, id: &str, pod_uid: &str, is_sandbox: bool) {
        let known = Known {
            pod_uid: pod_uid.to_owned(),
            running: is_sandbox,
            is_sandbox,
            ended: CancellationToken::new(),
        };
        self.known().insert(id.to_owned(), known);
        self.tell(pod_uid, id, ContainerEventKind::Created);
    }

    /// One has begun to run.
    pub(super) fn started(&self, id: &str) {
        self.seen(id, true);
    }

    /// One has ended.
    pub(super) fn stopped(&self, id: &str) {
        self.seen(id, false);
    }

    /// Whether it runs; told if that is news.
    fn seen(&self, id: &str, running: bool) {
        let news = {
            let mut known = self.known();
            let Some(one) = known.get_mut(id) else { return };
            let news = one.running != running;
            one.running = running;
            if !running {
                one.ended.cancel();
            }
            news.then(|| one.pod_uid.clone())
        };
        if let Some(pod) = news {
            let kind = if running { ContainerEventKind::Started } else { ContainerEventKind::Stopped };
            self.tell(&pod, id, kind);
        }
    }

    /// One is gone.
    pub(super) fn removed(&self, id: &str) {
        let known = self.known().remove(id);
        if let Some(known) = known {
            known.ended.cancel();
            self.tell(&known.pod_uid, id, ContainerEventKind::Deleted);
        }
    }

    /// What there is, as a look at everything found it: id, pod, whether it runs, whether it is a sandbox.
    fn all(&self, found: Vec<(String, String, bool, bool)>) {
        let ids: Vec<String> = self.known().keys().cloned().collect();
        for id in ids.iter().filter(|id| !found.iter().any(|(there, ..)| there == *id)) {
            self.removed(id);
        }
        for (id, pod_uid, running, is_sandbox) in found {
            if !self.known().contains_key(&id) {
                self.created(&id, &pod_uid, is_sandbox);
            }
            // A container that was made but not started has not ended.
            let waits = !running && self.known().get(&id).is_some_and(|known| !known.running);
            if !waits {
                self.seen(&id, running);
            }
        }
    }
}

/// Follows containerd for as long as the runtime lives.
pub(super) async fn follow(shared: Arc<Shared>) {
    loop {
        let request = SubscribeRequest { filters: vec!["topic==\"/tasks/exit\"".to_owned()] };
        let subscribed = shared.client.events().subscribe(request).await;
        look(&shared).await;
        if let Ok(stream) = subscribed {
            listen(&shared, stream.into_inner()).await;
        }
        shared.config.clock.sleep(AGAIN).await;
    }
}

/// Until the subscription breaks.
async fn listen(shared: &Shared, mut stream: tonic::Streaming<Envelope>) {
    loop {
        let envelope = tokio::select! { biased;
            envelope = stream.message() => envelope,
            () = shared.config.clock.sleep(RELIST) => {
                look(shared).await;
                continue;
            }
        };
        let Ok(Some(envelope)) = envelope else { return };
        let Some(of) = envelope.event.and_then(|event| OfContainer::decode(event.value).ok()) else {
            continue;
        };
        // Commands that were run beside the container's own process end, too.
        if of.id == of.container_id && shared.events.known().contains_key(&of.id) {
            settle(shared, &of.id).await;
        }
    }
}

/// The CRI hears of an end in its own time: it is told when what it answers says so.
async fn settle(shared: &Shared, id: &str) {
    let is_sandbox = shared.events.known().get(id).is_some_and(|known| known.is_sandbox);
    for _ in 0..SETTLE_TRIES {
        let running =
            if is_sandbox { shared.sandbox_runs(id).await } else { shared.container_runs(id).await };
        if !running {
            return shared.events.stopped(id);
        }
        shared.config.clock.sleep(SETTLE).await;
    }
}

/// Looks at everything that the node has.
async fn look(shared: &Shared) {
    let (Ok(sandboxes), Ok(containers)) = (shared.list_sandboxes().await, shared.list(None).await) else {
        return;
    };
    let mut found = vec![];
    for sandbox in &sandboxes {
        let uid = sandbox.metadata.as_ref().map(|metadata| metadata.uid.clone()).unwrap_or_default();
        let ready = sandbox.state == i32::from(super::proto::cri::PodSandboxState::SandboxReady);
        for container in containers.iter().filter(|container| container.pod_sandbox_id == sandbox.id) {
            let running =
                super::container::state(container.state) == crate::runtime::api::ContainerState::Running;
            found.push((container.id.clone(), uid.clone(), running, false));
        }
        found.push((sandbox.id.clone(), uid, ready, true));
    }
    shared.events.all(found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt};

    #[tokio::test]
    async fn a_look_tells_what_nobody_told() {
        let events = Events::default();
        let mut heard = events.listen();
        events.created("a", "pod", false);
        events.started("a");
        events.started("a");
        let ended = events.known()["a"].ended.clone();
        events.all(vec![("a".to_owned(), "pod".to_owned(), false, false)]);
        assert!(ended.is_cancelled());
        events.all(vec![]);
        let mut kinds = vec![];
        while let Some(Some(event)) = heard.next().now_or_never() {
            kinds.push(event.kind);
        }
        use ContainerEventKind::*;
        assert_eq!(kinds, [Created, Started, Stopped, Deleted]);
    }
}
