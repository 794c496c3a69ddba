//! A work queue: keys that want looking at, each at most once, with back-off for those that failed.
//!
//! Every controller owns one. It remembers with each key the newest revision that asked for it, so that what the reconcile
//! writes is on record as an answer to that revision. It does not know what the keys mean.
// Models k8s.io/client-go/util/workqueue (Type, delayingType, ItemExponentialFailureRateLimiter).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::store::Revision;

/// The delay after a first failure; each further one doubles it.
const BASE_DELAY: Duration = Duration::from_millis(5);
/// The longest delay between two tries.
const MAX_DELAY: Duration = Duration::from_secs(1000);

/// A queue of keys. Cheap to clone; clones share the keys.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

#[derive(Debug)]
struct Shared<K> {
    clock: Clock,
    state: Mutex<State<K>>,
    /// Rung when a key is ready or the next timer has changed.
    bell: Notify,
}

#[derive(Debug)]
struct State<K> {
    ready: VecDeque<K>,
    /// Keys that are ready, or will be when their processing ends, with what asked for them.
    dirty: BTreeMap<K, Option<Revision>>,
    processing: BTreeSet<K>,
    /// Keys that become ready later; the number keeps two of one instant apart and in order.
    delayed: BTreeMap<(Timestamp, u64), K>,
    counter: u64,
    failures: BTreeMap<K, u32>,
}

impl<K: Ord + Clone> Queue<K> {
    /// An empty queue whose delays run on `clock`.
    pub(crate) fn new(clock: Clock) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: BTreeMap::new(),
            processing: BTreeSet::new(),
            delayed: BTreeMap::new(),
            counter: 0,
            failures: BTreeMap::new(),
        };
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(state), bell: Notify::new() }) }
    }

    /// Wants `key` looked at, because of `revision`. A key that is being looked at is looked at again afterwards.
    pub(crate) fn add(&self, key: K, revision: Option<Revision>) {
        self.lock().add(key, revision);
        self.shared.bell.notify_one();
    }

    /// Wants `key` looked at when `delay` has passed.
    pub(crate) fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key, None);
        }
        let deadline = self.shared.clock.after(delay);
        let mut state = self.lock();
        state.counter += 1;
        let number = state.counter;
        // An earlier timer of the same key would only look once more in vain, a later one is not needed either.
        let earlier = state.delayed.iter().find(|(_, other)| **other == key).map(|(when, _)| *when);
        match earlier {
            Some((when, _)) if when <= deadline => return,
            Some(entry) => drop(state.delayed.remove(&entry)),
            None => {}
        }
        state.delayed.insert((deadline, number), key);
        drop(state);
        self.shared.bell.notify_one();
    }

    /// Wants `key` looked at again after a failure: the more failures, the later.
    pub(crate) fn add_rate_limited(&self, key: K) {
        let delay = {
            let mut state = self.lock();
            let failures = state.failures.entry(key.clone()).or_insert(0);
            let delay = BASE_DELAY.saturating_mul(1_u32.checked_shl(*failures).unwrap_or(u32::MAX));
            *failures = failures.saturating_add(1);
            delay.min(MAX_DELAY)
        };
        self.add_after(key, delay);
    }

    /// Forgets the failures of `key`.
    pub(crate) fn forget(&self, key: &K) {
        self.lock().failures.remove(key);
    }

    /// Waits for a key. The caller must say [`Queue::done`] afterwards.
    pub(crate) async fn next(&self) -> (K, Option<Revision>) {
        loop {
            let rung = self.shared.bell.notified();
            let timer = {
                let mut state = self.lock();
                state.wake(self.shared.clock.now());
                if let Some(found) = state.take() {
                    if !state.ready.is_empty() {
                        self.shared.bell.notify_one();
                    }
                    return found;
                }
                state.delayed.keys().next().map(|(when, _)| *when)
            };
            match timer {
                Some(deadline) => tokio::select! { biased;
                    () = rung => {}
                    () = self.shared.clock.sleep_until(deadline) => {}
                },
                None => rung.await,
            }
        }
    }

    /// The key has been looked at.
    pub(crate) fn done(&self, key: &K) {
        let mut state = self.lock();
        state.processing.remove(key);
        if state.dirty.contains_key(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.shared.bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> State<K> {
    fn add(&mut self, key: K, revision: Option<Revision>) {
        let known = self.dirty.get(&key).copied();
        self.dirty.insert(key.clone(), known.flatten().max(revision));
        if known.is_none() && !self.processing.contains(&key) {
            self.ready.push_back(key);
        }
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let key = entry.remove();
            self.add(key, None);
        }
    }

    fn take(&mut self) -> Option<(K, Option<Revision>)> {
        let key = self.ready.pop_front()?;
        let revision = self.dirty.remove(&key).flatten();
        self.processing.insert(key.clone());
        Some((key, revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_once_and_keeps_its_newest_revision() {
        let queue = Queue::new(Clock::virtual_time());
        queue.add("a", Some(3));
        queue.add("b", None);
        queue.add("a", Some(7));
        queue.add("a", None);
        assert_eq!(queue.next().await, ("a", Some(7)));
        assert_eq!(queue.next().await, ("b", None));
        assert!(queue.lock().ready.is_empty(), "each key was added once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_added_while_in_work_comes_again_afterwards() {
        let queue = Queue::new(Clock::virtual_time());
        queue.add("a", Some(1));
        let (key, _) = queue.next().await;
        queue.add("a", Some(2));
        assert!(queue.lock().ready.is_empty(), "nobody else may have it now");
        queue.done(&key);
        assert_eq!(queue.next().await, ("a", Some(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_double_the_delay_until_forgotten() {
        let clock = Clock::virtual_time();
        let queue = Queue::new(clock.clone());
        for delay in [5, 10, 20, 40] {
            let before = clock.now();
            queue.add_rate_limited("a");
            let (key, _) = queue.next().await;
            queue.done(&key);
            let waited = clock.now().duration_since(before).as_millis();
            // tokio's timers tick in milliseconds.
            assert!((delay..=delay + 1).contains(&waited), "{waited} ms instead of {delay}");
        }
        queue.forget(&"a");
        assert!(queue.lock().failures.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_of_two_timers_of_a_key_stands() {
        let clock = Clock::virtual_time();
        let queue = Queue::new(clock.clone());
        let before = clock.now();
        queue.add_after("a", Duration::from_secs(10));
        queue.add_after("a", Duration::from_secs(2));
        queue.add_after("a", Duration::from_secs(5));
        queue.next().await;
        assert_eq!(clock.now().duration_since(before).as_secs(), 2);
        assert!(queue.lock().delayed.is_empty());
    }
}
