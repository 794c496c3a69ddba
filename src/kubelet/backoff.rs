//! Waiting longer each time: 10 s, doubled up to a limit, forgotten after twice the limit.
//!
//! One for containers that crash and one for images that cannot be pulled.
// Models k8s.io/client-go/util/flowcontrol (Backoff).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The first wait.
const INITIAL: Duration = Duration::from_secs(10);
/// The longest wait.
const MAX: Duration = Duration::from_secs(300);

/// Waits by key.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    entries: Mutex<BTreeMap<String, Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    wait: Duration,
    updated: Timestamp,
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn expired(event: Timestamp, updated: Timestamp) -> bool {
    event.duration_since(updated) > signed(MAX * 2)
}

impl Backoff {
    /// The wait of a key; zero if there is none.
    pub(super) fn get(&self, key: &str) -> Duration {
        self.entry(key).map_or(Duration::ZERO, |entry| entry.wait)
    }

    fn entry(&self, key: &str) -> Option<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Goes on to the next wait of a key.
    pub(super) fn next(&self, key: &str, event: Timestamp, now: Timestamp) {
        let wait = match self.entry(key) {
            Some(entry) if !expired(event, entry.updated) => (entry.wait * 2).min(MAX),
            _ => INITIAL,
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(key.to_owned(), Entry { wait, updated: now });
    }

    /// Whether the wait that began with `event` is not over.
    pub(super) fn waits_since(&self, key: &str, event: Timestamp, now: Timestamp) -> bool {
        let Some(entry) = self.entry(key) else { return false };
        !expired(event, entry.updated) && now.duration_since(event) < signed(entry.wait)
    }

    /// Whether the wait that began with the last [`Backoff::next`] is not over.
    pub(super) fn waits(&self, key: &str, now: Timestamp) -> bool {
        let Some(entry) = self.entry(key) else { return false };
        !expired(now, entry.updated) && now.duration_since(entry.updated) < signed(entry.wait)
    }

    /// Forgets the keys that begin with `prefix`.
    pub(super) fn forget(&self, prefix: &str) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|key, _| !key.starts_with(prefix));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_are_forgotten_after_ten() {
        let backoff = Backoff::default();
        let mut now = crate::clock::VIRTUAL_START;
        let mut waits = vec![];
        for _ in 0..7 {
            backoff.next("a", now, now);
            waits.push(backoff.get("a").as_secs());
            assert!(backoff.waits_since("a", now, now));
            now += signed(backoff.get("a"));
            assert!(!backoff.waits("a", now));
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        now += SignedDuration::from_secs(601);
        backoff.next("a", now, now);
        assert_eq!(backoff.get("a").as_secs(), 10);
    }
}
