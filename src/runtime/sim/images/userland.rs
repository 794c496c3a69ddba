//! Userlands: which programs an image's distribution brings, as files that can be found, listed and copied.
//!
//! A program's file begins with [`ELF`] and says which program it is; a container runs what the file says.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::bash::{Dialect, MemoryFiles};

/// How the file of a program begins; the program's name follows, then a newline.
pub(crate) const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0";

const TEXT: &str = include_str!("../../../../fixtures/images/userlands.yaml");

/// One userland of `userlands.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Userland {
    /// `gnu`, `dash` or `busybox`.
    dialect: String,
    /// The userland that this one begins with.
    #[serde(default)]
    base: Option<String>,
    /// Directories with the programs in them, separated by spaces.
    #[serde(default)]
    programs: BTreeMap<String, String>,
    #[serde(default)]
    directories: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    links: BTreeMap<String, String>,
}

fn userlands() -> &'static BTreeMap<String, Userland> {
    static READ: OnceLock<BTreeMap<String, Userland>> = OnceLock::new();
    READ.get_or_init(|| match serde_saphyr::from_str(TEXT) {
        Ok(userlands) => userlands,
        // The data is compiled in and tested: it cannot be wrong in a binary that passed its tests.
        Err(error) => unreachable!("userlands.yaml: {error}"),
    })
}

/// Whose words programs use there.
pub(super) fn dialect(name: &str) -> Dialect {
    match userlands().get(name).map_or("", |userland| userland.dialect.as_str()) {
        "busybox" => Dialect::Busybox,
        "dash" => Dialect::Dash,
        _ => Dialect::Gnu,
    }
}

/// Every program that any userland has.
pub(crate) fn all_programs() -> impl Iterator<Item = &'static str> {
    userlands()
        .values()
        .flat_map(|userland| userland.programs.values())
        .flat_map(|names| names.split_whitespace())
}

/// The programs of a userland.
pub(super) fn names(name: &str) -> Vec<&'static str> {
    let Some(userland) = userlands().get(name) else { return vec![] };
    let mut names = userland.base.as_deref().map(names).unwrap_or_default();
    names.extend(userland.programs.values().flat_map(|programs| programs.split_whitespace()));
    names
}

/// Puts a userland's directories, files and programs into `files`.
pub(super) fn put(files: &MemoryFiles, name: &str) {
    let Some(userland) = userlands().get(name) else { return };
    if let Some(base) = &userland.base {
        put(files, base);
    }
    for path in &userland.directories {
        files.put_directory(path, if path == "/tmp" || path == "/var/tmp" { 0o1777 } else { 0o755 });
    }
    for (directory, names) in &userland.programs {
        for name in names.split_whitespace() {
            put_program(files, &format!("{directory}/{name}"));
        }
    }
    for (path, text) in &userland.files {
        files.put(path, text.as_bytes(), 0o644);
    }
    for (path, target) in &userland.links {
        files.put_link(path, target);
    }
}

/// Puts a program's file.
pub(super) fn put_program(files: &MemoryFiles, path: &str) {
    let name = path.rsplit('/').next().unwrap_or(path);
    files.put(path, &[ELF, name.as_bytes(), b"\n"].concat(), 0o755);
}
