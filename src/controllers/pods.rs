//! What controllers ask of pods: are they alive, ready, available, whose are they; and an index that answers by owner.
//!
//! Pure functions and one data structure; nothing here talks to the API.
// Models pkg/api/v1/pod and pkg/controller/controller_utils.go (FilterPodsByOwner).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition};

use crate::informer::{Change, ObjectKey, key_of};
use crate::meta::owner::controller_of;

/// The phase; empty if none has been set.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Whether it has come to its end.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether it is running or will be, and nobody has deleted it.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Whether it is on its way out.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_some()
}

/// A condition of the pod.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Whether it is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Since when it has been ready.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition(pod, "Ready")
        .filter(|condition| condition.status == "True")?
        .last_transition_time
        .as_ref()
        .map(|time| time.0)
}

/// Whether it has been ready for at least so many seconds.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    is_ready(pod)
        && (min_ready_seconds == 0
            || ready_since(pod).is_some_and(|since| {
                now.duration_since(since) >= SignedDuration::from_secs(i64::from(min_ready_seconds))
            }))
}

/// How long until a ready pod of these becomes available, if one is waiting.
pub(crate) fn next_availability<'a>(
    pods: impl IntoIterator<Item = &'a Arc<Pod>>,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Option<Duration> {
    let wait = SignedDuration::from_secs(i64::from(min_ready_seconds));
    pods.into_iter()
        .filter_map(|pod| ready_since(pod))
        .map(|since| wait - now.duration_since(since))
        .filter(|left| left.is_positive())
        .min()
        .and_then(|left| Duration::try_from(left).ok())
}

/// Pods by the UID of their controller; under `orphans of <namespace>` those that have none.
#[derive(Debug, Default)]
pub(crate) struct PodIndex {
    pods: Mutex<BTreeMap<String, BTreeMap<ObjectKey, Arc<Pod>>>>,
}

impl PodIndex {
    /// Takes a change in.
    pub(crate) fn apply(&self, change: &Change<Pod>) {
        match change {
            Change::Added(pod) => self.insert(pod),
            Change::Modified(old, new) => {
                self.remove(old);
                self.insert(new);
            }
            Change::Deleted(pod) => self.remove(pod),
        }
    }

    /// The pods whose controller has that UID, by name.
    pub(crate) fn owned_by(&self, uid: &str) -> Vec<Arc<Pod>> {
        self.lock().get(uid).map(|pods| pods.values().cloned().collect()).unwrap_or_default()
    }

    /// The pods of a namespace that nobody controls, by name.
    pub(crate) fn orphans_in(&self, namespace: &str) -> Vec<Arc<Pod>> {
        self.lock().get(&orphans(namespace)).map(|pods| pods.values().cloned().collect()).unwrap_or_default()
    }

    fn insert(&self, pod: &Arc<Pod>) {
        self.lock().entry(bucket(pod)).or_default().insert(key_of(&pod.metadata), pod.clone());
    }

    fn remove(&self, pod: &Arc<Pod>) {
        let (bucket, mut pods) = (bucket(pod), self.lock());
        if let Some(owned) = pods.get_mut(&bucket) {
            owned.remove(&key_of(&pod.metadata));
            if owned.is_empty() {
                pods.remove(&bucket);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<ObjectKey, Arc<Pod>>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bucket(pod: &Pod) -> String {
    match controller_of(&pod.metadata) {
        Some(reference) => reference.uid.clone(),
        None => orphans(pod.metadata.namespace.as_deref().unwrap_or_default()),
    }
}

fn orphans(namespace: &str) -> String {
    format!("orphans of {namespace}")
}
