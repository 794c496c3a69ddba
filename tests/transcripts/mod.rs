//! The commands of the tutorials, against what a real 1.36.2 cluster answered.
//!
//! `lists/` has the commands, `expected/` what they printed on one node with containerd 2.1.9 (kubectl 1.36.2). Both are
//! made alike (`compare`) before they are compared. What still differs stands in `differences.txt` with its reason, by the
//! place in the recording: a command that is not named there must answer alike, and one that is named must not, so that
//! the list only shrinks.

mod compare;
mod list;
mod replay;

use std::collections::{BTreeMap, BTreeSet};

/// The commands of one topic that may differ: how often each was typed by then, counted from 1, and the command.
fn known(topic: &str) -> BTreeSet<(usize, String)> {
    let mut known = BTreeSet::new();
    for line in
        include_str!("differences.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let [of, time, command, _why] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("differences.txt: topic, time, command and reason with tabs between them, but: {line}");
        };
        if of == topic {
            let time = time.parse().expect("a command's time is a number");
            known.insert((time, command.to_owned()));
        }
    }
    known
}

async fn check(topic: &str, list: &str, expected: &str) {
    let actual = replay::replay(&list::parse(list)).await;
    let expected = compare::read(expected);
    let mut known = known(topic);
    let mut typed: BTreeMap<String, usize> = BTreeMap::new();
    let (mut wrong, mut alike) = (vec![], 0);
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
        if difference.is_empty() {
            alike += 1;
        } else if !known.remove(&(*time, name.clone())) {
            wrong.push(format!("$ {name} ({time})\n{difference}"));
        }
    }
    eprintln!("{topic}: {alike} of {} alike", expected.len());
    assert!(
        wrong.is_empty(),
        "{} commands answer otherwise than a real cluster:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(known.is_empty(), "these answer alike now, take them off differences.txt: {known:?}");
}

#[tokio::test(start_paused = true)]
async fn basics() {
    check("01", include_str!("lists/01-basics.cmds"), include_str!("expected/01-basics.txt")).await;
}

#[tokio::test(start_paused = true)]
async fn scale_update_rollback() {
    let list = include_str!("lists/02-scale-update-rollback.cmds");
    check("02", list, include_str!("expected/02-scale-update-rollback.txt")).await;
}
