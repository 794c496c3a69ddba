//! The store itself: every version of every key, and the log of revisions. Watches and leases hang on it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lease::Leases;
use super::types::*;
use super::watch::{Watch, WatchRequest, Watchers};
use crate::clock::Clock;

/// How many revisions stay readable at least. When there are twice as many, the older half is compacted, so that a cluster
/// that runs for days keeps its size; a real API server compacts what is older than five minutes.
const KEPT: usize = 20_000;

/// A store. Cheap to clone; clones share the data.
///
/// One lock guards everything: writes are short, readers take `Arc`s out and let go.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest revision.
    revision: Revision,
    /// Revisions below this can no longer be read.
    compacted: Revision,
    /// The versions of each key, oldest first.
    keys: BTreeMap<Arc<str>, Vec<Version>>,
    /// The log, oldest first, without gaps.
    log: VecDeque<Arc<Record>>,
    watchers: Watchers,
    leases: Leases,
}

/// A key at a revision: `/a` put at 5, changed at 7, deleted at 9 and put again at 12 reads
/// `[5 value, 7 value, 9 tombstone, 12 value]`; at revision 10 it does not exist, at 8 it is what 7 wrote.
#[derive(Clone, Debug)]
struct Version {
    revision: Revision,
    /// `None` is a tombstone.
    kv: Option<Arc<KeyValue>>,
}

impl State {
    fn newest(&self, key: &str) -> Option<&Arc<KeyValue>> {
        self.keys.get(key)?.last()?.kv.as_ref()
    }

    fn keys_in<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = (&'a Arc<str>, &'a Vec<Version>)> {
        let end = match &range.end {
            None => Bound::Included(range.start.as_str()),
            Some(end) if end.is_empty() => Bound::Unbounded,
            Some(end) => Bound::Excluded(end.as_str()),
        };
        // An interval that ends before it starts holds nothing; BTreeMap would panic.
        let empty = matches!(&range.end, Some(end) if !end.is_empty() && *end <= range.start);
        let bounds = (
            Bound::Included(range.start.as_str()),
            if empty { Bound::Included(range.start.as_str()) } else { end },
        );
        self.keys.range::<str, _>(bounds).filter(move |_| !empty)
    }

    fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let at = if request.revision == 0 { self.revision } else { request.revision };
        self.readable(at)?;
        let mut response = RangeResponse { revision: self.revision, ..RangeResponse::default() };
        let live = self.keys_in(&request.range).filter_map(|(_, versions)| version_at(versions, at));
        for kv in live {
            response.count += 1;
            if request.count_only {
                continue;
            }
            if request.limit > 0 && response.kvs.len() == request.limit {
                response.more = true;
            } else {
                response.kvs.push(kv.clone());
            }
        }
        Ok(response)
    }

    fn readable(&self, at: Revision) -> Result<(), StoreError> {
        if at > self.revision {
            return Err(StoreError::Future { current: self.revision });
        }
        if at < self.compacted {
            return Err(StoreError::Compacted { compacted: self.compacted });
        }
        Ok(())
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::ModRevision(key, revision) => {
                self.newest(key).map_or(0, |kv| kv.mod_revision) == *revision
            }
            Compare::Exists(key) => self.newest(key).is_some(),
        }
    }

    fn put(&mut self, key: &str, value: &Payload, lease: i64, revision: Revision) -> Event {
        let prev = self.newest(key).cloned();
        let kv = Arc::new(KeyValue {
            key: prev.as_ref().map_or_else(|| Arc::from(key), |kv| kv.key.clone()),
            value: value.at(revision),
            create_revision: prev.as_ref().map_or(revision, |kv| kv.create_revision),
            mod_revision: revision,
            version: prev.as_ref().map_or(1, |kv| kv.version + 1),
            lease,
        });
        self.leases.attach(&kv.key, prev.as_ref().map_or(0, |kv| kv.lease), lease);
        self.keys.entry(kv.key.clone()).or_default().push(Version { revision, kv: Some(kv.clone()) });
        Event { kind: EventKind::Put, kv, prev }
    }

    fn delete(&mut self, key: &str, tombstone: Option<&Payload>, revision: Revision) -> Option<Event> {
        let prev = self.newest(key)?.clone();
        self.leases.attach(&prev.key, prev.lease, 0);
        self.keys.entry(prev.key.clone()).or_default().push(Version { revision, kv: None });
        let kv = Arc::new(KeyValue {
            value: tombstone.map(|payload| payload.at(revision)).unwrap_or_default(),
            mod_revision: revision,
            ..KeyValue::clone(&prev)
        });
        Some(Event { kind: EventKind::Delete, kv, prev: Some(prev) })
    }

    fn commit(&mut self, record: Record) {
        self.revision = record.revision;
        let record = Arc::new(record);
        self.watchers.publish(&record);
        self.log.push_back(record);
        if self.log.len() >= 2 * KEPT {
            let oldest = self.log[self.log.len() - KEPT].revision;
            self.compact(oldest);
        }
    }

    fn compact(&mut self, revision: Revision) {
        self.compacted = revision;
        self.keys.retain(|_, versions| {
            let in_force = versions.partition_point(|version| version.revision <= revision).saturating_sub(1);
            versions.drain(..in_force);
            versions.len() > 1 || versions.last().is_some_and(|version| version.kv.is_some())
        });
        let kept = self.log.partition_point(|record| record.revision <= revision);
        self.log.drain(..kept);
    }
}

/// The version of a key that was in force at a revision.
fn version_at(versions: &[Version], at: Revision) -> Option<&Arc<KeyValue>> {
    let behind = versions.partition_point(|version| version.revision <= at);
    versions[..behind].last()?.kv.as_ref()
}

impl Store {
    /// An empty store at revision 1.
    pub fn new(clock: Clock) -> Self {
        let state = State { revision: 1, ..State::default() };
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(state) }) }
    }

    /// The newest revision.
    pub fn revision(&self) -> Revision {
        self.lock().revision
    }

    /// The oldest revision that can still be read; 0 if nothing was compacted.
    pub fn compacted(&self) -> Revision {
        self.lock().compacted
    }

    /// The newest version of one key.
    pub fn get(&self, key: &str) -> Option<Arc<KeyValue>> {
        self.lock().newest(key).cloned()
    }

    /// Reads a range at a revision.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        self.lock().range(request)
    }

    /// Carries out a transaction. It makes at most one revision, and none if it writes nothing.
    pub fn txn(&self, txn: Txn, author: Author) -> Result<TxnResponse, StoreError> {
        let mut state = self.lock();
        let succeeded = txn.compares.iter().all(|compare| state.holds(compare));
        let ops = if succeeded { txn.success } else { txn.failure };
        let revision = state.revision + 1;
        let mut response = TxnResponse {
            succeeded,
            revision: state.revision,
            puts: vec![],
            deleted: vec![],
            ranges: vec![],
        };
        for op in &ops {
            match op {
                Op::Range(request) => {
                    state.readable(if request.revision == 0 { state.revision } else { request.revision })?
                }
                Op::Put { lease, .. } if *lease != 0 && !state.leases.exists(*lease) => {
                    return Err(StoreError::LeaseNotFound);
                }
                Op::Put { .. } | Op::Delete(_) | Op::Bury { .. } => {}
            }
        }
        let mut events = vec![];
        for op in ops {
            match op {
                Op::Put { key, value, lease } => {
                    let event = state.put(&key, &value, lease, revision);
                    response.puts.push(event.kv.clone());
                    events.push(event);
                }
                Op::Delete(range) => {
                    let keys: Vec<Arc<str>> = state.keys_in(&range).map(|(key, _)| key.clone()).collect();
                    events.extend(keys.iter().filter_map(|key| state.delete(key, None, revision)));
                }
                Op::Bury { key, tombstone } => events.extend(state.delete(&key, Some(&tombstone), revision)),
                Op::Range(request) => response.ranges.push(state.range(&request)?),
            }
        }
        if !events.is_empty() {
            response.deleted = events
                .iter()
                .filter(|e| e.kind == EventKind::Delete)
                .filter_map(|e| e.prev.clone())
                .collect();
            response.revision = revision;
            state.commit(Record { revision, time: self.shared.clock.now(), author, events });
        }
        Ok(response)
    }

    /// Follows the changes of a range from a revision on. See [`Watch`].
    pub fn watch(&self, request: WatchRequest) -> Result<Watch, StoreError> {
        let mut state = self.lock();
        let from = if request.start_revision == 0 { state.revision + 1 } else { request.start_revision };
        if from <= state.compacted {
            return Err(StoreError::Compacted { compacted: state.compacted });
        }
        let revision = state.revision;
        let State { log, watchers, .. } = &mut *state;
        let backlog = log.iter().skip(log.partition_point(|record| record.revision < from));
        Ok(watchers.add(request, revision, backlog))
    }

    /// How many watches are open, and how many fell behind and were dropped, ever.
    pub fn watchers(&self) -> (usize, u64) {
        self.lock().watchers.count()
    }

    /// The records of `from..=to`, oldest first; what was compacted is missing.
    pub fn history(&self, from: Revision, to: Revision) -> Vec<Arc<Record>> {
        let state = self.lock();
        let start = state.log.partition_point(|record| record.revision < from);
        state.log.iter().skip(start).take_while(|record| record.revision <= to).cloned().collect()
    }

    /// Forgets what was overwritten or deleted before `revision`. Reading behind it fails from now on.
    pub fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.readable(revision)?;
        state.compact(revision);
        Ok(())
    }

    /// Makes a lease that lasts `ttl_seconds` unless it is kept alive. `id` 0 picks a number.
    pub fn grant_lease(&self, id: i64, ttl_seconds: u64) -> Result<i64, StoreError> {
        let now = self.shared.clock.now();
        self.lock().leases.grant(id, ttl_seconds, now)
    }

    /// Starts a lease's time anew.
    pub fn keep_lease_alive(&self, id: i64) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        self.lock().leases.keep_alive(id, now)
    }

    /// Ends a lease and deletes the keys that live on it, in one revision.
    pub fn revoke_lease(&self, id: i64, author: Author) -> Result<(), StoreError> {
        let mut state = self.lock();
        let keys = state.leases.revoke(id)?;
        self.delete_keys(&mut state, &keys, author);
        Ok(())
    }

    /// Deletes the keys of every lease whose time is over and tells when the next one ends.
    ///
    /// The API server's keeper calls this and sleeps until then: nobody polls.
    pub fn expire_leases(&self, author: &Author) -> Option<jiff::Timestamp> {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        for id in state.leases.expired(now) {
            if let Ok(keys) = state.leases.revoke(id) {
                self.delete_keys(&mut state, &keys, author.clone());
            }
        }
        state.leases.next_expiry()
    }

    fn delete_keys(&self, state: &mut State, keys: &[Arc<str>], author: Author) {
        let revision = state.revision + 1;
        let events: Vec<Event> = keys.iter().filter_map(|key| state.delete(key, None, revision)).collect();
        if !events.is_empty() {
            state.commit(Record { revision, time: self.shared.clock.now(), author, events });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn put(key: &str, value: &str) -> Txn {
        Txn {
            success: vec![Op::Put {
                key: key.into(),
                value: Payload::Plain(Bytes::from(value.to_owned())),
                lease: 0,
            }],
            ..Txn::default()
        }
    }

    fn store() -> Store {
        Store::new(Clock::real())
    }

    fn write(store: &Store, key: &str, value: &str) -> Revision {
        store.txn(put(key, value), Author::default()).unwrap().revision
    }

    fn read(store: &Store, prefix: &str, revision: Revision) -> Result<Vec<String>, StoreError> {
        let request = RangeRequest { revision, ..RangeRequest::new(KeyRange::prefix(prefix)) };
        let text = |kv: &Arc<KeyValue>| format!("{}={}", kv.key, String::from_utf8_lossy(&kv.value));
        Ok(store.range(&request)?.kvs.iter().map(text).collect())
    }

    #[tokio::test]
    async fn history_can_be_read_at_every_revision() {
        let store = store();
        let first = write(&store, "/a", "1");
        assert_eq!(first, 2, "the first write makes revision 2, as in etcd");
        let second = write(&store, "/a", "2");
        write(&store, "/b", "3");
        let gone = store
            .txn(Txn { success: vec![Op::Delete(KeyRange::key("/a"))], ..Txn::default() }, Author::default())
            .unwrap();
        assert_eq!(gone.deleted[0].version, 2);
        assert_eq!(read(&store, "/", first).unwrap(), ["/a=1"]);
        assert_eq!(read(&store, "/", second).unwrap(), ["/a=2"]);
        assert_eq!(read(&store, "/", 0).unwrap(), ["/b=3"]);
        let again = store.get("/a");
        assert!(again.is_none());
        write(&store, "/a", "4");
        assert_eq!(store.get("/a").unwrap().version, 1, "a key that comes back starts at version 1");
    }

    #[tokio::test]
    async fn a_transaction_whose_compare_fails_writes_nothing() {
        let store = store();
        write(&store, "/a", "1");
        let mut txn = put("/a", "2");
        txn.compares.push(Compare::ModRevision("/a".into(), 0));
        txn.failure.push(Op::Range(RangeRequest::new(KeyRange::key("/a"))));
        let answer = store.txn(txn, Author::default()).unwrap();
        assert!(!answer.succeeded);
        assert_eq!(answer.ranges[0].kvs[0].value, "1");
        assert_eq!(store.revision(), 2);
    }

    #[tokio::test]
    async fn behind_a_compaction_nothing_can_be_read_and_before_it_everything_can() {
        let store = store();
        write(&store, "/a", "1");
        write(&store, "/a", "2");
        let third = write(&store, "/b", "3");
        store.compact(third).unwrap();
        assert_eq!(read(&store, "/", third).unwrap(), ["/a=2", "/b=3"]);
        assert_eq!(read(&store, "/", 2), Err(StoreError::Compacted { compacted: third }));
        assert_eq!(read(&store, "/", 99), Err(StoreError::Future { current: third }));
        assert!(store.watch(WatchRequest::new(KeyRange::prefix("/"), third)).is_err());
    }

    #[tokio::test]
    async fn history_does_not_grow_without_end() {
        let store = store();
        let first = write(&store, "/first", "1");
        for number in 0..2 * KEPT {
            write(&store, "/a", &number.to_string());
        }
        assert!(store.compacted() > first, "nothing was compacted by itself");
        assert_eq!(read(&store, "/first", 0).unwrap(), ["/first=1"], "what is not overwritten stays");
        let kept = store.history(0, store.revision()).len();
        assert!((KEPT - 1..2 * KEPT).contains(&kept), "{kept} revisions are kept");
    }

    #[tokio::test]
    async fn a_limit_says_that_there_is_more() {
        let store = store();
        for key in ["/a", "/b", "/c"] {
            write(&store, key, "x");
        }
        let answer =
            store.range(&RangeRequest { limit: 2, ..RangeRequest::new(KeyRange::prefix("/")) }).unwrap();
        assert_eq!((answer.kvs.len(), answer.count, answer.more), (2, 3, true));
    }

    #[tokio::test]
    async fn an_interval_that_ends_before_it_starts_is_empty() {
        let store = store();
        write(&store, "/b", "x");
        let range = KeyRange { start: "/c".into(), end: Some("/a".into()) };
        assert_eq!(store.range(&RangeRequest::new(range)).unwrap().count, 0);
    }

    #[tokio::test]
    async fn history_says_who_wrote_and_why() {
        let store = store();
        let author = Author { component: "kubectl".into(), request: "POST /x".into(), cause: Some(7) };
        let revision = store.txn(put("/a", "1"), author.clone()).unwrap().revision;
        assert_eq!(store.history(revision, revision)[0].author, author);
    }
}
