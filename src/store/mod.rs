//! The etcd-like store: multi-version, in memory, one revision counter.
//!
//! [`Store`] is the door: ranges at a revision, transactions that compare revisions, watches from a revision, leases and
//! compaction, with etcd's semantics. On top of etcd, each revision carries an [`Author`]: the component that wrote it,
//! its request and the revision that it reacted to. The API server is the only writer; the shell's `etcdctl`, live views
//! and `why` read.
//!
//! It knows keys and bytes, nothing of Kubernetes' objects.

mod history;
mod lease;
mod types;
mod watch;

pub use history::Store;
pub use types::{
    Author, Compare, Event, EventKind, KeyRange, KeyValue, Op, Payload, RangeRequest, RangeResponse, Record,
    Revision, StoreError, Txn, TxnResponse,
};
pub use watch::{Watch, WatchMessage, WatchRequest};
