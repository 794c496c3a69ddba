//! What a write of the store changed, and the chain of writes that led to it: told from the store's records.
//!
//! Used by `why` and by the TUI's views. Pure functions over records; nothing is reconstructed, since every record says
//! who wrote it, with which request, and which revision it answers to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::store::{Event, EventKind, Record, Revision};

/// The longest chain that is followed.
const MAX_CHAIN: usize = 64;
/// The longest value that is shown.
const MAX_VALUE: usize = 48;
/// Fields that say nothing to a reader: bookkeeping and times.
const NOISE: &[&str] = &[
    "managedFields",
    "resourceVersion",
    "generation",
    "observedGeneration",
    "lastTransitionTime",
    "lastUpdateTime",
    "lastProbeTime",
    "lastHeartbeatTime",
    "lastScheduleTime",
    "creationTimestamp",
    "startTime",
    "startedAt",
    "finishedAt",
];

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is new.
    Created,
    /// It has another value.
    Changed,
    /// It is gone.
    Deleted,
}

impl Verb {
    /// What an event did.
    pub fn of(event: &Event) -> Self {
        match (event.kind, &event.prev) {
            (EventKind::Delete, _) => Self::Deleted,
            (EventKind::Put, None) => Self::Created,
            (EventKind::Put, Some(_)) => Self::Changed,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// One field that has another value than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The path, like `spec.replicas` or `status.conditions[Ready].status`.
    pub path: String,
    /// The value before, if there was one.
    pub before: Option<String>,
    /// The value now, if there is one.
    pub after: Option<String>,
}

impl std::fmt::Display for FieldChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{}: {before} → {after}", self.path),
            (None, Some(after)) => write!(f, "{}: {after}", self.path),
            (Some(before), None) => write!(f, "{}: {before} → (none)", self.path),
            (None, None) => write!(f, "{}", self.path),
        }
    }
}

/// The fields that an event changed, those first that tell most.
pub fn changes(event: &Event) -> Vec<FieldChange> {
    let Some(previous) = &event.prev else { return vec![] };
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let mut found = vec![];
    compare(&mut String::new(), &parse(&previous.value), &parse(&event.kv.value), &mut found);
    found.sort_by_key(|change| rank(&change.path));
    found
}

/// The changes as one line of at most so many of them.
pub fn summary(event: &Event, at_most: usize) -> String {
    let all = changes(event);
    let mut words: Vec<String> = all.iter().take(at_most).map(ToString::to_string).collect();
    if all.len() > at_most {
        words.push(format!("+{}", all.len() - at_most));
    }
    words.join(", ")
}

fn rank(path: &str) -> u8 {
    match path {
        "metadata.deletionTimestamp" => 0,
        "status.phase" => 1,
        path if path.starts_with("spec.") => 2,
        path if path.starts_with("metadata.labels") => 3,
        path if path.starts_with("data") || path.starts_with("endpoints") || path.starts_with("subsets") => 3,
        path if path.starts_with("status.containerStatuses") && path.contains(".state") => 4,
        path if path.starts_with("status.") && path.to_ascii_lowercase().ends_with("replicas") => 4,
        path if path.ends_with(".status") => 5,
        path if path.starts_with("status.") => 6,
        path if path.starts_with("metadata.finalizers") => 7,
        _ => 8,
    }
}

fn compare(path: &mut String, before: &Value, after: &Value, found: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(_), Value::Object(_)) => compare_fields(path, fields(before), fields(after), found),
        (Value::Array(old), Value::Array(new)) if named(old) && named(new) => {
            compare_fields(path, items(old), items(new), found);
        }
        _ => found.push(FieldChange { path: path.clone(), before: short(before), after: short(after) }),
    }
}

fn compare_fields(
    path: &mut String,
    before: BTreeMap<String, &Value>,
    after: BTreeMap<String, &Value>,
    found: &mut Vec<FieldChange>,
) {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        if NOISE.contains(&name.as_str()) {
            continue;
        }
        let length = path.len();
        if !path.is_empty() && !name.starts_with('[') {
            path.push('.');
        }
        path.push_str(name);
        let of =
            |side: &BTreeMap<String, &Value>| side.get(name).map_or(Value::Null, |value| (*value).clone());
        compare(path, &of(&before), &of(&after), found);
        path.truncate(length);
    }
}

fn fields(value: &Value) -> BTreeMap<String, &Value> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value)).collect()
}

/// Whether every element is an object that says what it is called.
fn named(list: &[Value]) -> bool {
    list.iter().all(|item| name_of(item).is_some())
}

fn name_of(item: &Value) -> Option<&str> {
    ["name", "type", "ip"].iter().find_map(|field| item.get(field)?.as_str())
}

fn items(list: &[Value]) -> BTreeMap<String, &Value> {
    list.iter().filter_map(|item| Some((format!("[{}]", name_of(item)?), item))).collect()
}

/// A value in a few characters.
fn short(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        // A condition is what its status says; of anything else that is new as a whole, its name says enough.
        Value::Object(fields) => match fields.get("status").and_then(Value::as_str) {
            Some(status) if fields.contains_key("type") => status.to_owned(),
            _ if fields.is_empty() => "{}".to_owned(),
            _ => "{…}".to_owned(),
        },
        Value::Array(items) => format!("[{}]", items.len()),
        other => other.to_string(),
    };
    if text.chars().count() <= MAX_VALUE {
        return Some(text);
    }
    Some(text.chars().take(MAX_VALUE - 1).chain(['…']).collect())
}

/// The writes that led to `revision`, the first cause first, `revision` itself last. `record` looks a revision up; a chain
/// ends where a write answers to nothing or to what is no longer kept.
pub fn chain(revision: Revision, record: impl Fn(Revision) -> Option<Arc<Record>>) -> Vec<Arc<Record>> {
    let mut links = vec![];
    let mut next = Some(revision);
    while let Some(found) = next.and_then(&record)
        && links.len() < MAX_CHAIN
    {
        // A cause lies before what it causes; anything else would go round in circles.
        next = found.author.cause.filter(|cause| *cause < found.revision);
        links.push(found);
    }
    links.reverse();
    links
}

/// What a key is about, like `pods/default/web` of `/registry/pods/default/web`, in kubectl's words for the resources.
pub fn about(key: &str) -> String {
    let Some(rest) = key.strip_prefix("/registry/") else { return key.to_owned() };
    for (stored, shown) in [
        ("minions/", "nodes/"),
        ("services/specs/", "services/"),
        ("services/endpoints/", "endpoints/"),
        ("controllers/", "replicationcontrollers/"),
    ] {
        if let Some(rest) = rest.strip_prefix(stored) {
            return format!("{shown}{rest}");
        }
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::store::{Author, KeyValue};

    fn event(before: Option<Value>, after: Value) -> Event {
        let kv = |value: Value| {
            Arc::new(KeyValue {
                key: "/registry/pods/default/web".into(),
                value: Bytes::from(value.to_string()),
                create_revision: 1,
                mod_revision: 1,
                version: 1,
                lease: 0,
            })
        };
        Event { kind: EventKind::Put, kv: kv(after), prev: before.map(kv) }
    }

    #[test]
    fn what_changed_is_told_with_what_matters_first() {
        let cases = [
            (json!({"spec": {"replicas": 1}}), json!({"spec": {"replicas": 3}}), "spec.replicas: 1 → 3"),
            (
                json!({"metadata": {"resourceVersion": "1"}}),
                json!({"metadata": {"resourceVersion": "2"}}),
                "",
            ),
            (
                json!({"status": {"conditions": [{"type": "Ready", "status": "False"}], "phase": "Pending"}}),
                json!({"status": {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}}),
                "status.phase: Pending → Running, status.conditions[Ready].status: False → True",
            ),
            (json!({"spec": {}}), json!({"spec": {"nodeName": "n1"}}), "spec.nodeName: n1"),
            (json!({"a": 1, "b": 1, "c": 1}), json!({}), "a: 1 → (none), b: 1 → (none), +1"),
        ];
        for (before, after, expected) in cases {
            assert_eq!(summary(&event(Some(before), after), 2), expected);
        }
        assert_eq!(Verb::of(&event(None, json!({}))), Verb::Created);
    }

    #[test]
    fn a_chain_leads_back_to_the_first_cause_and_never_in_circles() {
        let record = |revision, cause| {
            let author = Author { cause, ..Author::default() };
            let time = crate::clock::VIRTUAL_START;
            (revision, Arc::new(Record { revision, time, author, events: vec![] }))
        };
        let kept: BTreeMap<_, _> =
            [record(2, None), record(3, Some(2)), record(7, Some(3)), record(8, Some(8)), record(9, Some(1))]
                .into();
        let revisions =
            |of| chain(of, |r| kept.get(&r).cloned()).iter().map(|r| r.revision).collect::<Vec<_>>();
        assert_eq!(revisions(7), [2, 3, 7]);
        assert_eq!(revisions(8), [8]);
        assert_eq!(revisions(9), [9]);
        assert!(revisions(99).is_empty());
    }

    #[test]
    fn keys_are_told_in_kubectls_words() {
        assert_eq!(about("/registry/minions/n1"), "nodes/n1");
        assert_eq!(about("/registry/services/specs/default/web"), "services/default/web");
        assert_eq!(about("/registry/pods/default/web"), "pods/default/web");
        assert_eq!(about("foo"), "foo");
    }
}
