//! The commands of the tutorials, against what a real 1.36.2 cluster answered.
//!
//! `lists/` has the commands, `expected/` what they printed on one node with containerd 2.1.9 (kubectl 1.36.2). Both are
//! made alike (`compare`) before they are compared. What still differs stands in `differences.txt` with its reason, by the
//! place in the recording: a command that is not named there must answer alike, and one that is named must not, so that
//! the list only shrinks. `not-served.txt` is the same for commands that need a kind which is not served yet.
//!
//! `K8S_LEARN_TRANSCRIPTS=FOLDER` keeps what was printed here (`.txt`), and both sides as they are compared (`.want`,
//! `.got`), in the recorder's format.

mod chance;
pub mod compare;
mod host;
mod list;
mod replay;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::PathBuf;

use compare::Entry;

/// A place in a recording: how often the command was typed by then, counted from 1, and the command.
type Place = (usize, String);

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(name)
}

fn text(name: &str) -> String {
    read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The places of one topic that a list names: topic, time, command and reason with tabs between them.
fn places(name: &str, topic: &str) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for line in text(name).lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let [of, time, command, _why] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{name}: topic, time, command and reason with tabs between them, but: {line}");
        };
        if topic.starts_with(of) {
            places.insert((time.parse().expect("a command's time is a number"), command.to_owned()));
        }
    }
    places
}

/// Keeps what was printed here, and both sides as they are compared, if somebody wants to look.
fn keep(topic: &str, expected: &[Entry], actual: &[Entry]) {
    let Ok(folder) = std::env::var("K8S_LEARN_TRANSCRIPTS") else { return };
    let settled = |entries: &[Entry]| -> Vec<Entry> {
        let settle = |entry: &Entry| Entry { output: compare::settled(entry) + "\n", ..entry.clone() };
        entries.iter().map(settle).collect()
    };
    let files = [
        ("txt", compare::write(actual)),
        ("want", compare::write(&settled(expected))),
        ("got", compare::write(&settled(actual))),
    ];
    for (end, text) in files {
        let path = PathBuf::from(&folder).join(format!("{topic}.{end}"));
        std::fs::write(path, text).expect("the folder for recordings can be written");
    }
}

async fn check(topic: &str) {
    let actual = replay::replay(&list::parse(&text(&format!("lists/{topic}.cmds")))).await;
    let expected = text(&format!("expected/{topic}.txt"));
    let expected = compare::read(&host::without_leftovers(topic, &expected));
    keep(topic, &expected, &actual);
    let (mut known, mut skipped) = (places("differences.txt", topic), places("not-served.txt", topic));
    let mut typed: BTreeMap<String, usize> = BTreeMap::new();
    let (mut wrong, mut alike, mut left) = (vec![], 0, 0);
    for (index, want) in expected.iter().enumerate() {
        let difference = match actual.get(index) {
            Some(got) if compare::normal(&got.command) == compare::normal(&want.command) => {
                compare::difference(want, got)
            }
            Some(got) => format!("  ran {:?} in its place", got.command),
            None => "  was not run".to_owned(),
        };
        let name = compare::normal(&want.command).replace('\n', " ");
        let time = typed.entry(name.clone()).or_default();
        *time += 1;
        let place = (*time, name);
        if difference.is_empty() {
            alike += 1;
        } else if skipped.remove(&place) {
            left += 1;
        } else if !known.remove(&place) {
            wrong.push(format!("$ {} ({})\n{difference}", place.1, place.0));
        }
    }
    eprintln!(
        "{topic}: {alike} of {} alike, {left} more need kinds that are not served",
        expected.len() - left
    );
    assert!(
        wrong.is_empty(),
        "{topic}: {} commands answer otherwise than a real cluster:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(known.is_empty(), "these answer alike now, take them off differences.txt: {known:?}");
    assert!(skipped.is_empty(), "these answer alike now, take them off not-served.txt: {skipped:?}");
}

#[tokio::test(start_paused = true)]
async fn basics() {
    check("01-basics").await;
}

#[tokio::test(start_paused = true)]
async fn scale_update_rollback() {
    check("02-scale-update-rollback").await;
}

#[tokio::test(start_paused = true)]
async fn pods_and_troubleshooting() {
    check("03-pods-and-troubleshooting").await;
}

#[tokio::test(start_paused = true)]
async fn config() {
    check("04-config").await;
}

#[tokio::test(start_paused = true)]
async fn services_networking() {
    check("05-services-networking").await;
}

#[tokio::test(start_paused = true)]
async fn storage() {
    check("08-storage").await;
}
