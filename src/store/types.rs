//! The store's vocabulary: keys, revisions, transactions and what they answer. Data only.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

/// A point in the store's history. The first write makes revision 2, as in etcd, where 1 is the empty store.
pub type Revision = u64;

/// One version of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key, like `/registry/pods/default/web`.
    pub key: Arc<str>,
    /// The bytes that were put.
    pub value: Bytes,
    /// The revision of the put that brought the key into being.
    pub create_revision: Revision,
    /// The revision of the put that made this version.
    pub mod_revision: Revision,
    /// How many puts the key has had since it was created; 1 for the first.
    pub version: u64,
    /// The lease that the key lives on; 0 for none.
    pub lease: i64,
}

/// A half-open interval of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key.
    pub start: String,
    /// The key behind the last one; `None` means just `start`, an empty string means to the end of the store.
    pub end: Option<String>,
}

impl KeyRange {
    /// Just one key.
    pub fn key(key: impl Into<String>) -> Self {
        Self { start: key.into(), end: None }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        let start = prefix.into();
        let end = Some(successor(&start));
        Self { start, end }
    }

    /// Whether `key` lies in the interval.
    pub fn contains(&self, key: &str) -> bool {
        match &self.end {
            None => key == self.start,
            Some(end) => key >= self.start.as_str() && (end.is_empty() || key < end.as_str()),
        }
    }
}

/// The first string behind everything that begins with `prefix`; empty (no bound) if there is none.
fn successor(prefix: &str) -> String {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // char::from_u32 skips the surrogates, which no string holds.
        if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            chars.push(next);
            return chars.into_iter().collect();
        }
    }
    String::new()
}

/// What to read.
#[derive(Clone, Debug)]
pub struct RangeRequest {
    /// Which keys.
    pub range: KeyRange,
    /// The revision to read at; 0 for the newest.
    pub revision: Revision,
    /// How many keys at the most; 0 for all.
    pub limit: usize,
    /// Whether to count only.
    pub count_only: bool,
}

impl RangeRequest {
    /// All of `range` as it is now.
    pub fn new(range: KeyRange) -> Self {
        Self { range, revision: 0, limit: 0, count_only: false }
    }
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct RangeResponse {
    /// The versions, in the order of their keys.
    pub kvs: Vec<Arc<KeyValue>>,
    /// How many keys lie in the range, whatever the limit.
    pub count: usize,
    /// Whether the limit cut the answer.
    pub more: bool,
    /// The store's newest revision when the range was read.
    pub revision: Revision,
}

/// Who wrote a revision, with which request, and in answer to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// The component, like `deployment-controller` or `kubectl`.
    pub component: Arc<str>,
    /// The request, like `PATCH /apis/apps/v1/namespaces/default/deployments/web`.
    pub request: Arc<str>,
    /// The revision whose event made the component act, if it said.
    pub cause: Option<Revision>,
}

/// A condition of a transaction on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key's newest mod revision is this; 0 means that the key does not exist.
    ModRevision(String, Revision),
    /// The key exists.
    Exists(String),
}

/// The bytes of a put, which may have the revision they are written at inside.
#[derive(Clone, Debug)]
pub enum Payload {
    /// The bytes as they are.
    Plain(Bytes),
    /// The revision, in decimal digits, goes between the two parts.
    Stamped(Bytes, Bytes),
}

impl Payload {
    /// The bytes for a write at `revision`.
    pub fn at(&self, revision: Revision) -> Bytes {
        match self {
            Self::Plain(bytes) => bytes.clone(),
            Self::Stamped(head, tail) => {
                let digits = revision.to_string();
                let mut whole = Vec::with_capacity(head.len() + digits.len() + tail.len());
                whole.extend_from_slice(head);
                whole.extend_from_slice(digits.as_bytes());
                whole.extend_from_slice(tail);
                whole.into()
            }
        }
    }
}

/// One step of a transaction.
#[derive(Clone, Debug)]
pub enum Op {
    /// Writes a key, on a lease unless that is 0.
    Put { key: String, value: Payload, lease: i64 },
    /// Deletes every key of a range.
    Delete(KeyRange),
    /// Deletes one key and leaves `tombstone` as the last value in history and in the delete event, so that a watcher
    /// sees the object as it was when it went, with the revision of its deletion.
    Bury { key: String, tombstone: Payload },
    /// Reads.
    Range(RangeRequest),
}

/// A transaction: if all compares hold, `success` is done, else `failure`. Everything in it has one revision.
#[derive(Clone, Debug, Default)]
pub struct Txn {
    /// The conditions.
    pub compares: Vec<Compare>,
    /// What is done when they hold.
    pub success: Vec<Op>,
    /// What is done when one does not.
    pub failure: Vec<Op>,
}

/// What a transaction did.
#[derive(Clone, Debug)]
pub struct TxnResponse {
    /// Whether the compares held.
    pub succeeded: bool,
    /// The store's revision afterwards; the transaction's own if it wrote.
    pub revision: Revision,
    /// The versions that were put, in the order of the puts.
    pub puts: Vec<Arc<KeyValue>>,
    /// The versions that were deleted, as they were before.
    pub deleted: Vec<Arc<KeyValue>>,
    /// The answers to the ranges, in their order.
    pub ranges: Vec<RangeResponse>,
}

/// Whether a key was written or went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The key was created or changed.
    Put,
    /// The key was deleted, by a request or with its lease.
    Delete,
}

/// What happened to one key at one revision.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The key's version after it. For a delete: its mod revision is the deletion's, its value the tombstone, if one was
    /// left, else empty.
    pub kv: Arc<KeyValue>,
    /// The version before, if there was one.
    pub prev: Option<Arc<KeyValue>>,
}

/// A revision as history keeps it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The revision.
    pub revision: Revision,
    /// When it was written, in the cluster's time.
    pub time: Timestamp,
    /// Who wrote it, and why.
    pub author: Author,
    /// What it changed, in the order of the writes.
    pub events: Vec<Event>,
}

/// Why the store refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The revision asked for is gone.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted {
        /// The oldest revision that can still be read.
        compacted: Revision,
    },
    /// The revision asked for has not been written yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    Future {
        /// The newest revision.
        current: Revision,
    },
    /// There is no lease with that number.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A lease with that number exists already.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_its_keys_and_no_neighbour() {
        let range = KeyRange::prefix("/registry/pods/a/");
        assert!(range.contains("/registry/pods/a/web"));
        assert!(!range.contains("/registry/pods/a"));
        assert!(!range.contains("/registry/pods/b/web"));
        assert!(KeyRange::prefix("").contains("anything"));
        assert!(KeyRange::prefix("\u{10ffff}").contains("\u{10ffff}z"));
    }

    #[test]
    fn a_stamp_carries_the_revision_inside() {
        let payload = Payload::Stamped(Bytes::from("{\"rv\":\""), Bytes::from("\"}"));
        assert_eq!(payload.at(42), "{\"rv\":\"42\"}");
    }
}
