//! The store as the views see it: every object as it is now, and the newest records.
//!
//! Fed with the store's records by the event loop, in order; it reads nothing by itself. Memory is bounded: objects are
//! those that exist (their bytes are the store's own), records are the newest few thousand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde_json::Value;

use crate::api::registry::Registry;
use crate::store::{EventKind, KeyRange, KeyValue, RangeRequest, Record, Revision, Store};

/// How many records are kept.
const RECORDS: usize = 4000;
/// Namespaces of the cluster's own.
const SYSTEM: &[&str] = &["kube-system", "kube-public", "kube-node-lease"];

/// What is known of the cluster.
pub struct World {
    objects: BTreeMap<Arc<str>, Object>,
    records: VecDeque<Arc<Record>>,
    revision: Revision,
    now: Timestamp,
    registry: Registry,
    /// The object that views agree to talk about.
    pub subject: Option<Arc<str>>,
}

/// An object as it is now.
pub struct Object {
    /// Its bytes and revisions.
    pub kv: Arc<KeyValue>,
    /// When it was written last.
    pub time: Timestamp,
    facts: OnceLock<Facts>,
}

/// What views show of an object, read from its bytes when first asked for.
#[derive(Debug, Default)]
pub struct Facts {
    /// The kind, like `Pod`; empty for what is no object.
    pub kind: String,
    /// The namespace; empty for what has none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The UID.
    pub uid: String,
    /// The UIDs of its owners.
    pub owners: Vec<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// How it stands, from the kind's own table: like `1/1 Running`.
    pub status: String,
    /// The object.
    pub value: Value,
}

impl Facts {
    fn read(kv: &KeyValue, registry: &Registry, now: Timestamp) -> Self {
        let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(&kv.value) else {
            return Self { name: kv.key.to_string(), ..Self::default() };
        };
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let owners = value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let owners =
            owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str()).map(str::to_owned);
        Self {
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            owners: owners.collect(),
            deleting: value.pointer("/metadata/deletionTimestamp").is_some(),
            status: status(&value, registry, now).unwrap_or_default(),
            value,
        }
    }

    /// Whether it belongs to the cluster itself and not to the learner.
    pub fn is_system(&self) -> bool {
        SYSTEM.contains(&self.namespace.as_str())
            || matches!((self.kind.as_str(), self.name.as_str()), ("Namespace", name) if SYSTEM.contains(&name))
            || matches!((self.kind.as_str(), self.name.as_str()), (_, "kubernetes") if self.namespace == "default")
            || matches!(
                (self.kind.as_str(), self.name.as_str()),
                ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default")
            )
    }

    /// A text inside the object.
    pub fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The cells of the kind's table that say how an object stands.
fn status(value: &Value, registry: &Registry, now: Timestamp) -> Option<String> {
    let api_version = value["apiVersion"].as_str()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = registry.kind(group, version, value["kind"].as_str()?)?;
    let object = kind.decode(value.clone()).ok()?;
    let columns = kind.columns();
    let cells = kind.row(&*object, now);
    let shown = columns.iter().zip(&cells).filter(|(column, _)| {
        column.priority == 0 && column.format != "name" && !matches!(column.name, "Age" | "Version" | "Roles")
    });
    let words = shown.filter_map(|(column, cell)| {
        let text = match cell {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let empty = text.is_empty() || text == "<none>" || text == "<unset>";
        let plain =
            matches!(column.name, "Ready" | "Status" | "Type" | "Cluster-IP" | "Port(s)" | "Endpoints");
        let zero_restarts = column.name == "Restarts" && text == "0";
        (!empty && !zero_restarts)
            .then(|| if plain { text } else { format!("{} {text}", column.name.to_lowercase()) })
    });
    Some(words.collect::<Vec<_>>().join("  "))
}

impl Object {
    fn new(kv: Arc<KeyValue>, time: Timestamp) -> Self {
        Self { kv, time, facts: OnceLock::new() }
    }
}

impl World {
    /// A world without anything, which knows `registry`'s kinds.
    pub fn new(registry: Registry) -> Self {
        Self {
            objects: BTreeMap::new(),
            records: VecDeque::new(),
            revision: 0,
            now: Timestamp::UNIX_EPOCH,
            registry,
            subject: None,
        }
    }

    /// Starts anew from what the store holds. Returns the revision up to which it is known.
    pub fn load(&mut self, store: &Store) -> Revision {
        let read = store.range(&RangeRequest::new(KeyRange::prefix(""))).unwrap_or_default();
        let from = read.revision.saturating_sub(RECORDS as Revision);
        self.records = store.history(from, read.revision).into();
        self.now = self.records.back().map_or(self.now, |record| record.time);
        let times: BTreeMap<Revision, Timestamp> =
            self.records.iter().map(|record| (record.revision, record.time)).collect();
        let time = |kv: &KeyValue| times.get(&kv.mod_revision).copied().unwrap_or(self.now);
        self.objects =
            read.kvs.into_iter().map(|kv| (kv.key.clone(), Object::new(kv.clone(), time(&kv)))).collect();
        self.revision = read.revision;
        self.revision
    }

    /// Takes in a record. Records that are known already are passed over.
    pub fn apply(&mut self, record: Arc<Record>) {
        if record.revision <= self.revision {
            return;
        }
        self.revision = record.revision;
        self.now = record.time;
        for event in &record.events {
            match event.kind {
                EventKind::Put => {
                    self.objects.insert(event.kv.key.clone(), Object::new(event.kv.clone(), record.time));
                }
                EventKind::Delete => {
                    self.objects.remove(&event.kv.key);
                }
            }
        }
        if self.records.len() == RECORDS {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    /// The newest revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The newest records, oldest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Arc<Record>> + ExactSizeIterator {
        self.records.iter()
    }

    /// A record, if it is still kept.
    pub fn record(&self, revision: Revision) -> Option<&Arc<Record>> {
        let index = self.records.partition_point(|record| record.revision < revision);
        self.records.get(index).filter(|record| record.revision == revision)
    }

    /// The objects whose keys begin so, by key.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Arc<str>, &'a Object)> {
        let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        self.objects.range::<str, _>(from).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// An object.
    pub fn object(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)
    }

    /// What is known of an object.
    pub fn facts<'a>(&self, object: &'a Object) -> &'a Facts {
        object.facts.get_or_init(|| Facts::read(&object.kv, &self.registry, self.now))
    }
}

/// A time of day, as views show it.
pub fn clock_time(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// A time of day with milliseconds.
pub fn exact_time(time: Timestamp) -> String {
    time.strftime("%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::{Author, Op, Payload, Txn};

    fn put(store: &Store, key: &str, value: &str) {
        let op = Op::Put { key: key.into(), value: Payload::Plain(value.to_owned().into()), lease: 0 };
        store.txn(Txn { success: vec![op], ..Txn::default() }, Author::default()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_world_that_follows_is_the_world_that_is_loaded() {
        let store = Store::new(Clock::virtual_time());
        let mut followed = World::new(Registry::built_in());
        put(
            &store,
            "/registry/pods/default/a",
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}"#,
        );
        put(&store, "/registry/pods/default/b", "{}");
        put(&store, "foo", "not json");
        let delete = Op::Delete(KeyRange::key("/registry/pods/default/b"));
        store.txn(Txn { success: vec![delete], ..Txn::default() }, Author::default()).unwrap();
        for record in store.history(0, 99) {
            followed.apply(record.clone());
            followed.apply(record);
        }
        let mut loaded = World::new(Registry::built_in());
        assert_eq!(loaded.load(&store), 5);
        for world in [&followed, &loaded] {
            let keys: Vec<&str> = world.with_prefix("").map(|(key, _)| &**key).collect();
            assert_eq!(keys, ["/registry/pods/default/a", "foo"]);
            assert_eq!(world.records().len(), 4);
            let pod = world.object("/registry/pods/default/a").unwrap();
            assert_eq!(world.facts(pod).kind, "Pod");
            assert_eq!(world.facts(world.object("foo").unwrap()).name, "foo");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut world = World::new(Registry::built_in());
        for revision in 1..=(RECORDS as u64 + 10) {
            let record =
                Record { revision, time: Timestamp::UNIX_EPOCH, author: Author::default(), events: vec![] };
            world.apply(Arc::new(record));
        }
        assert_eq!(world.records().len(), RECORDS);
        assert!(world.record(3).is_none());
        assert_eq!(world.record(500).map(|record| record.revision), Some(500));
    }
}
