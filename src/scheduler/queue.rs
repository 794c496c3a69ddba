//! The pods that wait for a node: those to try now, those to try after a pause, those that wait for something to happen.
//!
//! Owned by the scheduler's one task; nothing here is shared or waits.
// Models pkg/scheduler/backend/queue (PriorityQueue).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::framework::{ClusterEvent, Framework};
use super::info::PodInfo;
use crate::store::Revision;

/// The pause after a first failure; each further one doubles it.
const INITIAL_BACKOFF: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause.
const MAX_BACKOFF: SignedDuration = SignedDuration::from_secs(10);
/// How long a pod waits for something to happen before it is tried all the same.
const MAX_UNSCHEDULABLE: SignedDuration = SignedDuration::from_secs(300);

/// A pod that waits.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// The pod.
    pub(crate) pod: Arc<PodInfo>,
    /// The revision that last made it worth a try.
    pub(crate) cause: Option<Revision>,
    /// When it was queued.
    since: Timestamp,
    /// How often it found no place.
    failures: u32,
    /// How often in a row something else went wrong.
    errors: u32,
    /// When it last failed.
    failed: Timestamp,
    /// Who refused it.
    rejectors: BTreeSet<&'static str>,
    /// It is kept out until it changes.
    gated: bool,
}

impl Queued {
    fn ready_at(&self) -> Timestamp {
        let count = if self.errors > 0 { self.errors } else { self.failures };
        if count == 0 {
            return Timestamp::MIN;
        }
        let backoff = INITIAL_BACKOFF
            .saturating_mul(1_i32.checked_shl(count - 1).filter(|f| *f > 0).unwrap_or(i32::MAX));
        self.failed.saturating_add(backoff.min(MAX_BACKOFF)).unwrap_or(Timestamp::MAX)
    }
}

/// The order in which pods are tried: the more important first, then the older.
type Rank = (Reverse<i32>, Timestamp, u64);

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct SchedulingQueue {
    /// Every waiting pod, by UID.
    pods: BTreeMap<String, Queued>,
    /// To try now.
    active: BTreeMap<Rank, String>,
    /// The place of each pod in `active`.
    ranks: BTreeMap<String, Rank>,
    /// To try when their pause is over.
    backoff: BTreeSet<String>,
    counter: u64,
}

impl SchedulingQueue {
    /// A pod without a node came, or changed.
    pub(crate) fn add(
        &mut self,
        framework: &Framework,
        pod: Arc<Pod>,
        cause: Option<Revision>,
        now: Timestamp,
    ) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let gated = framework.pre_enqueue(&pod).is_some();
        let info = Arc::new(PodInfo::new(pod));
        let Some(known) = self.pods.get_mut(&uid) else {
            let queued = Queued {
                pod: info,
                cause,
                since: now,
                failures: 0,
                errors: 0,
                failed: now,
                rejectors: BTreeSet::new(),
                gated,
            };
            self.pods.insert(uid.clone(), queued);
            return self.activate(&uid, now);
        };
        let spec_changed =
            known.pod.pod.spec != info.pod.spec || known.pod.pod.metadata.labels != info.pod.metadata.labels;
        let opened = known.gated && !gated;
        known.pod = info;
        known.gated = gated;
        if (spec_changed || opened) && self.is_waiting(&uid) {
            if let Some(known) = self.pods.get_mut(&uid) {
                known.cause = known.cause.max(cause);
            }
            self.activate(&uid, now);
        }
    }

    /// A pod has gone, or has a node.
    pub(crate) fn remove(&mut self, uid: &str) {
        self.pods.remove(uid);
        self.backoff.remove(uid);
        self.deactivate(uid);
    }

    /// The next pod to try. With nothing else to do, one whose pause is not over is tried as well, unless something went
    /// wrong with it.
    // Models PopFromBackoffQ.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Queued> {
        self.flush(now);
        let uid = match self.active.pop_first() {
            Some((_, uid)) => {
                self.ranks.remove(&uid);
                uid
            }
            None => {
                let idle =
                    self.backoff.iter().filter(|uid| self.pods.get(*uid).is_some_and(|q| q.errors == 0));
                let uid = idle.min_by_key(|uid| self.pods.get(*uid).map(Queued::ready_at))?.clone();
                self.backoff.remove(&uid);
                uid
            }
        };
        self.pods.remove(&uid)
    }

    /// The pod found no place; it waits for something that its rejectors take for a reason to try again.
    pub(crate) fn add_unschedulable(
        &mut self,
        mut queued: Queued,
        rejectors: BTreeSet<&'static str>,
        now: Timestamp,
    ) {
        queued.failures += 1;
        queued.errors = 0;
        queued.failed = now;
        queued.rejectors = rejectors;
        self.pods.insert(queued.pod.uid().to_owned(), queued);
    }

    /// Something went wrong with the pod; it is tried again after a pause.
    pub(crate) fn add_failed(&mut self, mut queued: Queued, now: Timestamp) {
        queued.errors += 1;
        queued.failed = now;
        let uid = queued.pod.uid().to_owned();
        self.pods.insert(uid.clone(), queued);
        self.backoff.insert(uid);
    }

    /// Something happened: pods that it may help are tried again.
    pub(crate) fn react(
        &mut self,
        framework: &Framework,
        event: &ClusterEvent,
        cause: Option<Revision>,
        now: Timestamp,
    ) {
        let waiting = self.pods.iter().filter(|(uid, queued)| self.is_waiting(uid) && !queued.gated);
        let helped: Vec<String> = waiting
            .filter(|(_, q)| q.rejectors.is_empty() || framework.requeues(&q.rejectors, &q.pod.pod, event))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in helped {
            if let Some(queued) = self.pods.get_mut(&uid) {
                queued.cause = queued.cause.max(cause);
            }
            self.activate(&uid, now);
        }
    }

    /// When to look at the queue again though nothing happens.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let late =
            |queued: &Queued| queued.failed.saturating_add(MAX_UNSCHEDULABLE).unwrap_or(Timestamp::MAX);
        let pauses = self.backoff.iter().filter_map(|uid| self.pods.get(uid)).map(Queued::ready_at);
        let waits =
            self.pods.iter().filter(|(uid, q)| self.is_waiting(uid) && !q.gated).map(|(_, q)| late(q));
        pauses.chain(waits).min()
    }

    /// Whether the pod is neither active nor in a pause.
    fn is_waiting(&self, uid: &str) -> bool {
        !self.backoff.contains(uid) && !self.ranks.contains_key(uid)
    }

    fn deactivate(&mut self, uid: &str) {
        if let Some(rank) = self.ranks.remove(uid) {
            self.active.remove(&rank);
        }
    }

    fn activate(&mut self, uid: &str, now: Timestamp) {
        let Some(queued) = self.pods.get(uid).filter(|queued| !queued.gated) else { return };
        if queued.ready_at() > now {
            self.backoff.insert(uid.to_owned());
            return;
        }
        self.backoff.remove(uid);
        self.counter += 1;
        let rank = (Reverse(queued.pod.priority()), queued.since, self.counter);
        self.deactivate(uid);
        self.active.insert(rank, uid.to_owned());
        self.ranks.insert(uid.to_owned(), rank);
    }

    /// Activates what has paused or waited long enough.
    fn flush(&mut self, now: Timestamp) {
        let rested =
            self.backoff.iter().filter(|uid| self.pods.get(*uid).is_some_and(|q| q.ready_at() <= now));
        let forgotten = self.pods.iter().filter(|(uid, queued)| {
            self.is_waiting(uid) && !queued.gated && now.duration_since(queued.failed) >= MAX_UNSCHEDULABLE
        });
        let ready: Vec<String> = rested.cloned().chain(forgotten.map(|(uid, _)| uid.clone())).collect();
        ready.iter().for_each(|uid| self.activate(uid, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use crate::scheduler::plugins::default_profile;
    use serde_json::{Value, json};

    fn pod(name: &str, spec: Value) -> Arc<Pod> {
        Arc::new(
            serde_json::from_value(json!({"metadata": {"name": name, "uid": name}, "spec": spec})).unwrap(),
        )
    }

    fn plain(name: &str) -> Arc<Pod> {
        pod(name, json!({"containers": []}))
    }

    fn seconds(count: i64) -> Timestamp {
        VIRTUAL_START + SignedDuration::from_secs(count)
    }

    fn names(queue: &mut SchedulingQueue, now: Timestamp) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(now)).map(|queued| queued.pod.name().to_owned()).collect()
    }

    #[test]
    fn the_important_come_first_then_the_old() {
        let (framework, mut queue) = (Framework::new(default_profile()), SchedulingQueue::default());
        queue.add(&framework, plain("old"), None, seconds(0));
        queue.add(&framework, plain("young"), None, seconds(1));
        queue.add(&framework, pod("boss", json!({"priority": 10, "containers": []})), None, seconds(2));
        assert_eq!(names(&mut queue, seconds(3)), ["boss", "old", "young"]);
    }

    #[test]
    fn a_gated_pod_is_kept_out_until_the_gate_goes() {
        let (framework, mut queue) = (Framework::new(default_profile()), SchedulingQueue::default());
        let gated = pod("a", json!({"schedulingGates": [{"name": "wait"}], "containers": []}));
        queue.add(&framework, gated, None, seconds(0));
        assert!(queue.pop(seconds(0)).is_none());
        assert_eq!(queue.next_wake(), None);
        queue.add(&framework, plain("a"), None, seconds(1));
        assert_eq!(names(&mut queue, seconds(1)), ["a"]);
    }

    #[test]
    fn a_refused_pod_waits_for_what_its_rejectors_take_for_help() {
        let (framework, mut queue) = (Framework::new(default_profile()), SchedulingQueue::default());
        queue.add(&framework, plain("a"), None, seconds(0));
        let queued = queue.pop(seconds(0)).unwrap();
        queue.add_unschedulable(queued, BTreeSet::from(["NodeResourcesFit"]), seconds(0));
        queue.react(&framework, &ClusterEvent::PodAssigned(plain("b")), None, seconds(5));
        assert!(queue.pop(seconds(5)).is_none(), "another pod on a node is no help");
        queue.react(&framework, &ClusterEvent::PodDeleted(plain("b")), Some(9), seconds(5));
        assert_eq!(queue.pop(seconds(5)).unwrap().cause, Some(9));
    }

    #[test]
    fn a_pod_that_waits_in_vain_is_tried_after_five_minutes() {
        let (framework, mut queue) = (Framework::new(default_profile()), SchedulingQueue::default());
        queue.add(&framework, plain("a"), None, seconds(0));
        let queued = queue.pop(seconds(0)).unwrap();
        queue.add_unschedulable(queued, BTreeSet::from(["NodeAffinity"]), seconds(0));
        assert_eq!(queue.next_wake(), Some(seconds(300)));
        assert!(queue.pop(seconds(299)).is_none());
        assert!(queue.pop(seconds(300)).is_some());
    }

    #[test]
    fn errors_pause_longer_each_time() {
        let (framework, mut queue) = (Framework::new(default_profile()), SchedulingQueue::default());
        queue.add(&framework, plain("a"), None, seconds(0));
        let mut now = 0;
        for pause in [1, 2, 4, 8, 10, 10] {
            let queued = queue.pop(seconds(now)).unwrap();
            queue.add_failed(queued, seconds(now));
            assert!(queue.pop(seconds(now + pause - 1)).is_none(), "must pause for {pause} s");
            now += pause;
        }
    }
}
