//! What a controller has done and not yet seen: until it has, it must not count, lest it create or delete twice.
//!
//! Kept by the ReplicaSet controller (and those like it) in memory. A note that is not fulfilled within five minutes is
//! dropped, so that a lost event never stops a controller for good.
// Models pkg/controller/controller_utils.go (UIDTrackingControllerExpectations).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::informer::ObjectKey;

/// How long a note stands.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(300);

/// The notes of a controller, one an owner.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    notes: Mutex<BTreeMap<ObjectKey, Note>>,
}

#[derive(Debug)]
struct Note {
    creations: usize,
    deletions: BTreeSet<ObjectKey>,
    since: Timestamp,
}

impl Expectations {
    /// `count` objects of `owner` are about to be created.
    pub(crate) fn expect_creations(&self, owner: &ObjectKey, count: usize, now: Timestamp) {
        self.lock().insert(owner.clone(), Note { creations: count, deletions: BTreeSet::new(), since: now });
    }

    /// These objects of `owner` are about to be deleted.
    pub(crate) fn expect_deletions(&self, owner: &ObjectKey, objects: BTreeSet<ObjectKey>, now: Timestamp) {
        self.lock().insert(owner.clone(), Note { creations: 0, deletions: objects, since: now });
    }

    /// One creation was seen, or failed.
    pub(crate) fn creation_observed(&self, owner: &ObjectKey) {
        if let Some(note) = self.lock().get_mut(owner) {
            note.creations = note.creations.saturating_sub(1);
        }
    }

    /// The deletion of an object was seen, or failed.
    pub(crate) fn deletion_observed(&self, owner: &ObjectKey, object: &ObjectKey) {
        if let Some(note) = self.lock().get_mut(owner) {
            note.deletions.remove(object);
        }
    }

    /// Whether everything that was done to `owner`'s objects has been seen.
    pub(crate) fn satisfied(&self, owner: &ObjectKey, now: Timestamp) -> bool {
        self.lock().get(owner).is_none_or(|note| {
            (note.creations == 0 && note.deletions.is_empty()) || now.duration_since(note.since) > TIMEOUT
        })
    }

    /// The owner is gone.
    pub(crate) fn forget(&self, owner: &ObjectKey) {
        self.lock().remove(owner);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;

    #[test]
    fn an_owner_rests_until_everything_was_seen() {
        let (expectations, owner) = (Expectations::default(), ("default".to_owned(), "web".to_owned()));
        let pod = ("default".to_owned(), "web-1".to_owned());
        assert!(expectations.satisfied(&owner, VIRTUAL_START));
        expectations.expect_creations(&owner, 2, VIRTUAL_START);
        expectations.creation_observed(&owner);
        assert!(!expectations.satisfied(&owner, VIRTUAL_START));
        expectations.creation_observed(&owner);
        assert!(expectations.satisfied(&owner, VIRTUAL_START));
        expectations.expect_deletions(&owner, BTreeSet::from([pod.clone()]), VIRTUAL_START);
        assert!(!expectations.satisfied(&owner, VIRTUAL_START));
        let later = VIRTUAL_START + SignedDuration::from_secs(301);
        assert!(expectations.satisfied(&owner, later), "a lost event does not stop the controller for good");
        expectations.deletion_observed(&owner, &pod);
        assert!(expectations.satisfied(&owner, VIRTUAL_START));
    }
}
