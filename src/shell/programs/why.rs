//! `why OBJECT` for the sandbox shell: the chain of causes that led to an object's state, from the store's records.
//!
//! Every write of the store says who made it and which revision it answers to; this follows them back to the first cause.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;

use crate::api::kind::KindInfo;
use crate::api::registry::Registry;
use crate::bash::{Program, ProgramContext};
use crate::shell::causes::{Verb, about, chain, summary};
use crate::store::{KeyRange, Record, Revision, Store};

/// How many further writes to the object are listed.
const MAX_OTHERS: usize = 12;
/// How many fields a line tells of.
const FIELDS: usize = 3;

/// The command, over one cluster's store.
#[derive(Debug)]
pub struct Why {
    store: Store,
}

impl Why {
    /// `why` for this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[derive(Parser)]
#[command(
    name = "why",
    about = "Tells the chain of causes that led to an object's state",
    after_help = "Examples:\n  why pod/web-5d4f8c7b9-x2x4k\n  why deployment web\n  why node minikube\n  why pod/web -n shop\n  why revision 412",
    disable_version_flag = true
)]
struct CommandLine {
    /// The kind and the name: `pod/web` or `pod web`, or `revision NUMBER`
    #[arg(required = true, num_args = 1..=2)]
    object: Vec<String>,
    /// The object's namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
}

#[async_trait]
impl Program for Why {
    async fn run(&self, context: ProgramContext) -> i32 {
        let ProgramContext { args, mut stdio, .. } = context;
        let line = match CommandLine::try_parse_from(&args) {
            Ok(line) => line,
            Err(error) if error.use_stderr() => {
                stdio.err(error.to_string()).await;
                return error.exit_code();
            }
            Err(help) => {
                stdio.out(help.to_string()).await;
                return 0;
            }
        };
        match self.answer(&line) {
            Ok(text) => {
                stdio.out(text).await;
                0
            }
            Err(why) => {
                stdio.err(format!("why: {why}\n")).await;
                1
            }
        }
    }
}

impl Why {
    fn answer(&self, line: &CommandLine) -> Result<String, String> {
        let (kind, name) = match &line.object[..] {
            [both] => {
                both.split_once('/').ok_or_else(|| format!("which object? Say KIND/NAME, like pod/{both}"))?
            }
            // What `kubectl get -o name` prints has the kind in it, too.
            [kind, name] => (kind.as_str(), name.rsplit('/').next().unwrap_or(name)),
            _ => return Err("which object? Say KIND/NAME".to_owned()),
        };
        if kind == "revision" {
            let revision =
                name.trim_start_matches('#').parse().map_err(|_| format!("{name:?} is not a revision"))?;
            self.record(revision).ok_or_else(|| format!("the store does not keep a revision {revision}"))?;
            return Ok(self.story(revision, None));
        }
        let info = find(kind).ok_or_else(|| format!("the server doesn't have a resource type {kind:?}"))?;
        let key = info.storage_key(&line.namespace, name);
        let writes = self.writes(&key);
        let Some(last) = writes.iter().rev().find(|record| tells(record, &key)).or(writes.last()) else {
            let place =
                if info.namespaced { format!(" in namespace {}", line.namespace) } else { String::new() };
            return Err(format!("there is no {} {name:?}{place}, and there was none", info.plural));
        };
        let mut text = self.story(last.revision, Some(&key));
        self.others(&writes, last.revision, &key, &mut text);
        Ok(text)
    }

    fn record(&self, revision: Revision) -> Option<Arc<Record>> {
        self.store.history(revision, revision).into_iter().next()
    }

    /// Every write to a key, oldest first.
    fn writes(&self, key: &str) -> Vec<Arc<Record>> {
        let range = KeyRange::key(key);
        let all = self.store.history(0, self.store.revision());
        all.into_iter()
            .filter(|record| record.events.iter().any(|event| range.contains(&event.kv.key)))
            .collect()
    }

    /// The chain that ends in `revision`, the first cause first.
    fn story(&self, revision: Revision, key: Option<&str>) -> String {
        let mut text = String::new();
        let links = chain(revision, |revision| self.record(revision));
        for (index, record) in links.iter().enumerate() {
            let last = index + 1 == links.len();
            tell(&mut text, record, key.filter(|_| last));
        }
        text
    }

    /// The object's other writes, in short, with the revision that each answers to.
    fn others(&self, writes: &[Arc<Record>], told: Revision, key: &str, text: &mut String) {
        let others: Vec<_> =
            writes.iter().filter(|record| record.revision != told && tells(record, key)).collect();
        if others.is_empty() {
            return;
        }
        let _ = writeln!(text, "\nEarlier writes to it (why revision NUMBER tells more):");
        for record in others.iter().skip(others.len().saturating_sub(MAX_OTHERS)) {
            tell(text, record, Some(key));
        }
    }
}

/// Whether a write to the key changed something that a reader cares about.
fn tells(record: &Record, key: &str) -> bool {
    record
        .events
        .iter()
        .filter(|event| *event.kv.key == *key)
        .any(|event| Verb::of(event) != Verb::Changed || !summary(event, 1).is_empty())
}

/// One write: when, who, what, because of what, and the fields.
fn tell(text: &mut String, record: &Record, key: Option<&str>) {
    let time = record.time.strftime("%H:%M:%S%.3f");
    let who = if record.author.component.is_empty() { "somebody" } else { &record.author.component };
    let because = record.author.cause.map(|cause| format!(", because of #{cause}")).unwrap_or_default();
    let shown: Vec<_> =
        record.events.iter().filter(|event| key.is_none_or(|key| *event.kv.key == *key)).take(4).collect();
    for event in shown {
        let verb = Verb::of(event);
        let _ = writeln!(
            text,
            "#{} {time}  {who} {} {}{because}",
            record.revision,
            verb.word(),
            about(&event.kv.key)
        );
        let fields = summary(event, FIELDS);
        if verb == Verb::Changed && !fields.is_empty() {
            let _ = writeln!(text, "      {fields}");
        }
    }
    if !record.author.request.is_empty() {
        let _ = writeln!(text, "      {}", record.author.request);
    }
}

/// A kind by any of the names that kubectl takes.
fn find(word: &str) -> Option<KindInfo> {
    let word = word.to_ascii_lowercase();
    let word = word.split('.').next().unwrap_or_default();
    let mut seen = BTreeSet::new();
    let rows = Registry::built_in().all();
    let mut infos = rows.iter().map(|row| row.info()).filter(|info| seen.insert(info.storage_prefix()));
    infos
        .find(|info| {
            info.plural == word || info.singular == word || info.short_names.iter().any(|name| name == word)
        })
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::{Author, Op, Payload, Txn};

    fn write(store: &Store, key: &str, value: &str, component: &str, cause: Option<Revision>) -> Revision {
        let put = Op::Put { key: key.into(), value: Payload::Plain(value.to_owned().into()), lease: 0 };
        let author = Author { component: component.into(), request: "PUT /x".into(), cause };
        store.txn(Txn { success: vec![put], ..Txn::default() }, author).unwrap().revision
    }

    #[tokio::test(start_paused = true)]
    async fn the_chain_begins_with_the_person_who_typed() {
        let store = Store::new(Clock::virtual_time());
        let first = write(&store, "/registry/deployments/default/web", "{}", "kubectl", None);
        let second =
            write(&store, "/registry/replicasets/default/web-1", "{}", "deployment-controller", Some(first));
        let pod = "/registry/pods/default/web-1-a";
        let third =
            write(&store, pod, r#"{"status":{"phase":"Pending"}}"#, "replicaset-controller", Some(second));
        write(&store, pod, r#"{"status":{"phase":"Running"}}"#, "kubelet", Some(third));
        let why = Why::new(store);
        let line =
            |words: &[&str]| CommandLine::try_parse_from(std::iter::once(&"why").chain(words)).unwrap();
        let text = why.answer(&line(&["pod/web-1-a"])).unwrap();
        let who: Vec<&str> = text.lines().filter(|l| l.starts_with('#')).map(|l| &l[17..]).collect();
        assert_eq!(
            who,
            [
                "kubectl created deployments/default/web",
                "deployment-controller created replicasets/default/web-1, because of #2",
                "replicaset-controller created pods/default/web-1-a, because of #3",
                "kubelet changed pods/default/web-1-a, because of #4",
                "replicaset-controller created pods/default/web-1-a, because of #3",
            ],
            "{text}"
        );
        assert!(text.contains("status.phase: Pending → Running"), "{text}");
        assert!(why.answer(&line(&["po", "nosuch"])).unwrap_err().contains("there was none"));
        assert!(why.answer(&line(&["unicorn/x"])).unwrap_err().contains("doesn't have a resource type"));
        assert!(why.answer(&line(&["revision", "3"])).unwrap().contains("replicasets/default/web-1"));
    }
}
