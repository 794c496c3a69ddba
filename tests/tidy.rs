//! The house rules that can be checked by reading: floors, file heads, file sizes.
//!
//! `src/` is a tower (see `src/lib.rs`): a file uses its own floor and lower ones. A single package has no compiler
//! barrier, so this test is it.
#![allow(clippy::unwrap_used)] // A test that cannot go on says so by panicking.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each room. A room that is not named here fails the test: decide where it belongs.
const FLOORS: &[(&str, u8)] = &[
    ("clock", 0),
    ("seed", 0),
    ("watch", 0),
    ("yaml", 0),
    ("net", 0),
    ("meta", 0),
    ("store", 1),
    ("bash", 1),
    ("streams", 1),
    ("api", 2),
    ("client", 3),
    ("informer", 3),
    ("events", 3),
    ("network", 3),
    ("runtime", 3),
    ("controllers", 3),
    ("scheduler", 3),
    ("kubelet", 3),
    ("cluster", 4),
    ("kubectl", 5),
    ("shell", 5),
    ("lessons", 6),
    ("tui", 7),
    ("cli", 9),
    ("lib", 9),
    ("main", 9),
];

/// Rooms of floor 3 that meet at the API only, and never use each other.
const STRANGERS: &[&str] = &["controllers", "scheduler", "kubelet"];

/// The longest a file may be, in lines. Split by noun before that.
const MAX_LINES: usize = 600;

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn source() -> Vec<(PathBuf, String)> {
    rust_files(Path::new("src"))
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The room that a file is in: the first part of its path under `src`.
fn room(path: &Path) -> String {
    let first = path.components().nth(1).expect("a file under src has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn no_file_uses_a_higher_floor() {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let mut wrong = vec![];
    for (path, text) in source() {
        let here = room(&path);
        let Some(floor) = floors.get(here.as_str()) else {
            wrong.push(format!("{}: the room `{here}` has no floor in tests/tidy.rs", path.display()));
            continue;
        };
        // What a test at the bottom of a file uses does not count: it may look at the whole.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (number, line) in
            code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for used in line.split("crate::").skip(1) {
                let names: Vec<String> = match used.strip_prefix('{') {
                    Some(group) => group.split(',').map(|name| name.trim().to_owned()).collect(),
                    None => vec![used.to_owned()],
                };
                for name in names {
                    let name: String =
                        name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let upward = floors.get(name.as_str()).is_some_and(|other| other > floor);
                    let stranger = here != name
                        && STRANGERS.contains(&here.as_str())
                        && STRANGERS.contains(&name.as_str());
                    if upward || stranger {
                        wrong.push(format!(
                            "{}:{}: `{here}` must not use `{name}`",
                            path.display(),
                            number + 1
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> =
        source().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "files without a `//!` at the top: {silent:?}");
}

#[test]
fn no_file_is_larger_than_a_room_needs() {
    let long: Vec<_> = source()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, n)| *n > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "files over {MAX_LINES} lines, split them by noun: {long:?}");
}

#[test]
fn doors_hold_no_logic() {
    let mut wrong = vec![];
    for (path, text) in source().into_iter().filter(|(path, _)| path.ends_with("mod.rs")) {
        let syntax = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let impls = syntax.items.iter().filter(|item| matches!(item, syn::Item::Impl(_))).count();
        if impls > 0 {
            wrong.push(path);
        }
    }
    assert!(
        wrong.is_empty(),
        "a mod.rs is a door (docs, mod, pub use, a table), but these have impls: {wrong:?}"
    );
}
