//! Watches: the changes of a range, in order, without gaps, from a revision on.
//!
//! A watcher that does not read falls behind: when its queue is full it is dropped and told so, and starts anew from a
//! list, as with a real API server. Nothing else waits for it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc;

use super::types::{Event, KeyRange, Record, Revision};

/// How many records a watcher may lie behind before it is dropped.
const QUEUE: usize = 16_384;

/// What to watch.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// Which keys.
    pub range: KeyRange,
    /// The first revision to tell of; 0 for whatever comes next.
    pub start_revision: Revision,
    /// How many records may wait unread before the watch is dropped.
    pub queue: usize,
}

impl WatchRequest {
    /// A watch of `range` from `start_revision` on.
    pub fn new(range: KeyRange, start_revision: Revision) -> Self {
        Self { range, start_revision, queue: QUEUE }
    }
}

/// One message of a watch: the events of one revision that lie in its range.
#[derive(Clone, Debug)]
pub struct WatchMessage {
    /// The whole record, with its author. Events of other ranges are in it too.
    pub record: Arc<Record>,
    /// The indices of `record.events` that lie in the range.
    matching: Vec<u32>,
}

impl WatchMessage {
    /// The revision that the message tells of.
    pub fn revision(&self) -> Revision {
        self.record.revision
    }

    /// The events that lie in the watch's range.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.matching.iter().map(|index| &self.record.events[*index as usize])
    }
}

/// A running watch: a stream of messages that ends when the watcher fell behind.
///
/// Dropping it ends the watch; nothing is left behind.
#[derive(Debug)]
pub struct Watch {
    receiver: mpsc::Receiver<WatchMessage>,
    /// The store's revision when the watch began: everything up to it is queued already, so a reader that has seen an
    /// empty queue is at least this far along.
    pub created_revision: Revision,
}

impl Watch {
    /// The next message if one is waiting.
    pub fn try_next(&mut self) -> Option<WatchMessage> {
        self.receiver.try_recv().ok()
    }
}

impl Stream for Watch {
    type Item = WatchMessage;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchMessage>> {
        self.receiver.poll_recv(context)
    }
}

#[derive(Debug, Default)]
pub(super) struct Watchers {
    watchers: BTreeMap<u64, Watcher>,
    last_id: u64,
}

#[derive(Debug)]
struct Watcher {
    range: KeyRange,
    sender: mpsc::Sender<WatchMessage>,
}

impl Watcher {
    /// Whether the watcher is still there and keeps up.
    fn offer(&self, record: &Arc<Record>) -> bool {
        let matches =
            |(index, event): (usize, &Event)| self.range.contains(&event.kv.key).then_some(index as u32);
        let matching: Vec<u32> = record.events.iter().enumerate().filter_map(matches).collect();
        if matching.is_empty() {
            return !self.sender.is_closed();
        }
        self.sender.try_send(WatchMessage { record: record.clone(), matching }).is_ok()
    }
}

impl Watchers {
    /// Adds a watcher whose queue begins with what matches in `backlog`.
    pub(super) fn add<'a>(
        &mut self,
        request: WatchRequest,
        revision: Revision,
        backlog: impl ExactSizeIterator<Item = &'a Arc<Record>>,
    ) -> Watch {
        let (sender, receiver) = mpsc::channel(request.queue.max(1) + backlog.len());
        let watcher = Watcher { range: request.range, sender };
        for record in backlog {
            watcher.offer(record);
        }
        self.last_id += 1;
        self.watchers.insert(self.last_id, watcher);
        Watch { receiver, created_revision: revision }
    }

    /// Hands a record to every watcher and forgets those that are gone or too slow.
    pub(super) fn publish(&mut self, record: &Arc<Record>) {
        self.watchers.retain(|_, watcher| watcher.offer(record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::{Author, Op, Payload, Store, Txn};
    use bytes::Bytes;
    use futures::StreamExt;

    fn write(store: &Store, key: &str) {
        let put = Op::Put { key: key.into(), value: Payload::Plain(Bytes::new()), lease: 0 };
        store.txn(Txn { success: vec![put], ..Txn::default() }, Author::default()).unwrap();
    }

    #[tokio::test]
    async fn a_watch_from_the_past_tells_all_since_then_and_goes_on() {
        let store = Store::new(Clock::real());
        write(&store, "/a/1");
        write(&store, "/b/1");
        write(&store, "/a/2");
        let mut watch = store.watch(WatchRequest::new(KeyRange::prefix("/a/"), 2)).unwrap();
        write(&store, "/a/3");
        let mut seen = vec![];
        for _ in 0..3 {
            let message = watch.next().await.unwrap();
            seen.extend(message.events().map(|event| (event.kv.key.to_string(), message.revision())));
        }
        assert_eq!(seen, [("/a/1".into(), 2), ("/a/2".into(), 4), ("/a/3".into(), 5)]);
        assert!(watch.try_next().is_none());
    }

    #[tokio::test]
    async fn a_watcher_that_falls_behind_is_dropped_and_nobody_waits_for_it() {
        let store = Store::new(Clock::real());
        let request = WatchRequest { queue: 2, ..WatchRequest::new(KeyRange::prefix("/"), 0) };
        let watch = store.watch(request).unwrap();
        for _ in 0..5 {
            write(&store, "/a");
        }
        assert_eq!(watch.count().await, 2, "what fitted is told, then the stream ends");
    }
}
