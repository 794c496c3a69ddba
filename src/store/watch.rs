//! Watches: the changes of a range, in order, without gaps, from a revision on.
//!
//! A watcher that does not read falls behind: when its queue is full it is dropped with all that waited for it, as the
//! real API server terminates a blocked watcher, and goes on from the last revision that it saw, or from a list. Nothing
//! else waits for it, and what it holds meanwhile is nothing.
// Models k8s.io/apiserver/pkg/storage/cacher (cacheWatcher.add, forgetWatcher).

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures::Stream;
use tokio::task::coop;

use super::types::{Event, KeyRange, Record, Revision};

/// How many records a watcher may lie behind before it is dropped.
const QUEUE: usize = 16_384;
/// How many bytes of objects may wait for a watcher before it is dropped.
const QUEUE_BYTES: usize = 32 << 20;

/// What to watch.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// Which keys.
    pub range: KeyRange,
    /// The first revision to tell of; 0 for whatever comes next.
    pub start_revision: Revision,
    /// How many records may wait unread before the watch is dropped.
    pub queue: usize,
    /// How many bytes of objects may wait unread before the watch is dropped.
    pub queue_bytes: usize,
}

impl WatchRequest {
    /// A watch of `range` from `start_revision` on.
    pub fn new(range: KeyRange, start_revision: Revision) -> Self {
        Self { range, start_revision, queue: QUEUE, queue_bytes: QUEUE_BYTES }
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

    /// How much of the queue's bytes the message takes.
    fn bytes(&self) -> usize {
        let size = |kv: &super::types::KeyValue| kv.value.len();
        self.events().map(|event| size(&event.kv) + event.prev.as_deref().map_or(0, size)).sum()
    }
}

/// What waits between the store and one reader.
#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<WatchMessage>,
    bytes: usize,
    /// No more will come: the reader fell behind or went, or the store did.
    closed: bool,
    reader: Option<Waker>,
}

impl Queue {
    /// Adds a message whatever the limits say.
    fn add(&mut self, message: WatchMessage) {
        self.bytes += message.bytes();
        self.messages.push_back(message);
    }

    fn take(&mut self) -> Option<WatchMessage> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.bytes();
        Some(message)
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A queue that the store and a reader share.
type SharedQueue = Arc<Mutex<Queue>>;

fn lock(queue: &SharedQueue) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running watch: a stream of messages that ends when the watcher fell behind.
///
/// Dropping it ends the watch; nothing is left behind.
#[derive(Debug)]
pub struct Watch {
    queue: SharedQueue,
    /// The store's revision when the watch began: everything up to it is queued already, so a reader that has seen an
    /// empty queue is at least this far along.
    pub created_revision: Revision,
}

impl Watch {
    /// The next message if one is waiting.
    pub fn try_next(&mut self) -> Option<WatchMessage> {
        lock(&self.queue).take()
    }
}

impl Stream for Watch {
    type Item = WatchMessage;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchMessage>> {
        let turn = ready!(coop::poll_proceed(context));
        let mut queue = lock(&self.queue);
        match queue.take() {
            Some(message) => {
                turn.made_progress();
                Poll::Ready(Some(message))
            }
            None if queue.closed => Poll::Ready(None),
            None => {
                queue.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *lock(&self.queue) = Queue { closed: true, ..Queue::default() };
    }
}

#[derive(Debug, Default)]
pub(super) struct Watchers {
    watchers: BTreeMap<u64, Watcher>,
    last_id: u64,
    /// How many fell behind, ever.
    dropped: u64,
}

/// What becomes of a watcher after a record.
enum Offer {
    Kept,
    Gone,
    FellBehind,
}

/// The store's end of a watch; dropping it ends the stream.
#[derive(Debug)]
struct Watcher {
    range: KeyRange,
    queue: SharedQueue,
    limit: usize,
    limit_bytes: usize,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        queue.wake();
    }
}

impl Watcher {
    fn message(&self, record: &Arc<Record>) -> Option<WatchMessage> {
        let matches =
            |(index, event): (usize, &Event)| self.range.contains(&event.kv.key).then_some(index as u32);
        let matching: Vec<u32> = record.events.iter().enumerate().filter_map(matches).collect();
        (!matching.is_empty()).then(|| WatchMessage { record: record.clone(), matching })
    }

    /// Hands over what matches, if the watcher is still there and keeps up.
    fn offer(&self, record: &Arc<Record>) -> Offer {
        let message = self.message(record);
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Offer::Gone;
        }
        let Some(message) = message else { return Offer::Kept };
        // One message of any size fits into an empty queue.
        let full = queue.messages.len() >= self.limit || queue.bytes + message.bytes() > self.limit_bytes;
        if full && !queue.messages.is_empty() {
            (queue.messages, queue.bytes) = (VecDeque::new(), 0);
            return Offer::FellBehind;
        }
        queue.add(message);
        queue.wake();
        Offer::Kept
    }
}

impl Watchers {
    /// Adds a watcher whose queue begins with what matches in `backlog`, for which there is always room.
    pub(super) fn add<'a>(
        &mut self,
        request: WatchRequest,
        revision: Revision,
        backlog: impl Iterator<Item = &'a Arc<Record>>,
    ) -> Watch {
        let WatchRequest { range, queue: limit, queue_bytes: limit_bytes, .. } = request;
        let mut watcher = Watcher { range, queue: SharedQueue::default(), limit, limit_bytes };
        let queue = watcher.queue.clone();
        for message in backlog.filter_map(|record| watcher.message(record)) {
            lock(&queue).add(message);
        }
        watcher.limit += lock(&queue).messages.len();
        watcher.limit_bytes += lock(&queue).bytes;
        self.last_id += 1;
        self.watchers.insert(self.last_id, watcher);
        Watch { queue, created_revision: revision }
    }

    /// Hands a record to every watcher and forgets those that are gone or too slow.
    pub(super) fn publish(&mut self, record: &Arc<Record>) {
        let dropped = &mut self.dropped;
        self.watchers.retain(|_, watcher| match watcher.offer(record) {
            Offer::Kept => true,
            Offer::Gone => false,
            Offer::FellBehind => {
                *dropped += 1;
                false
            }
        });
    }

    /// How many watches are open, and how many fell behind, ever.
    pub(super) fn count(&mut self) -> (usize, u64) {
        self.watchers.retain(|_, watcher| !lock(&watcher.queue).closed);
        (self.watchers.len(), self.dropped)
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
    async fn a_watcher_that_falls_behind_is_dropped_with_all_it_held_and_nobody_waits_for_it() {
        let store = Store::new(Clock::real());
        let range = KeyRange::prefix("/");
        let few = WatchRequest { queue: 2, ..WatchRequest::new(range.clone(), 0) };
        let small = WatchRequest { queue_bytes: 10, ..WatchRequest::new(range.clone(), 0) };
        let (few, small) = (store.watch(few).unwrap(), store.watch(small).unwrap());
        let mut other = store.watch(WatchRequest::new(range, 0)).unwrap();
        assert_eq!(store.watchers(), (3, 0));
        for _ in 0..5 {
            let op =
                Op::Put { key: "/a".into(), value: Payload::Plain(Bytes::from_static(b"seven b")), lease: 0 };
            store.txn(Txn { success: vec![op], ..Txn::default() }, Author::default()).unwrap();
        }
        assert_eq!(store.watchers(), (1, 2), "the others were told and are forgotten");
        assert_eq!((few.count().await, small.count().await), (0, 0), "nothing is kept for who does not read");
        for _ in 0..5 {
            assert!(other.try_next().is_some());
        }
        drop(other);
        assert_eq!(store.watchers(), (0, 2), "who leaves is forgotten at once");
    }

    #[tokio::test]
    async fn what_lies_behind_a_watch_when_it_begins_always_fits() {
        let store = Store::new(Clock::real());
        (0..5).for_each(|_| write(&store, "/a"));
        let mut watch =
            store.watch(WatchRequest { queue: 1, ..WatchRequest::new(KeyRange::prefix("/"), 2) }).unwrap();
        write(&store, "/a");
        for _ in 0..6 {
            assert!(watch.try_next().is_some());
        }
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken_and_the_end_of_the_store_ends_it() {
        let store = Store::new(Clock::real());
        let mut watch = store.watch(WatchRequest::new(KeyRange::prefix("/"), 0)).unwrap();
        let reader =
            tokio::spawn(async move { (watch.next().await.is_some(), watch.next().await.is_none()) });
        tokio::task::yield_now().await;
        write(&store, "/a");
        tokio::task::yield_now().await;
        drop(store);
        assert_eq!(reader.await.unwrap(), (true, true));
    }
}
