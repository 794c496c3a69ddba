//! The commands that bashkit leaves us: those that need the cluster's time, the real standard input or the job table.

mod cat;
mod date;
mod job_control;
mod ls;
mod read;
mod timeout;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::jobs::Jobs;
use crate::bash::program::Program;
use crate::bash::shell::Programs;
use crate::bash::sleep::Sleep;
use cat::Cat;
use date::Date;
use job_control::{Foreground, JobsList, Kill, Wait};
use ls::Ls;
pub(in crate::bash) use read::Read;
use timeout::Timeout;

/// Commands that read all of their input before they answer, and are bashkit's.
const WHOLE_STDIN: &[&str] = &[
    "sort",
    "wc",
    "head",
    "tail",
    "grep",
    "egrep",
    "fgrep",
    "sed",
    "awk",
    "tr",
    "cut",
    "uniq",
    "tee",
    "xargs",
    "md5sum",
    "sha1sum",
    "sha256sum",
    "base64",
    "tac",
    "rev",
    "nl",
    "jq",
    "yq",
    "less",
    "more",
    "od",
    "xxd",
    "hexdump",
    "paste",
    "join",
    "fold",
    "fmt",
    "column",
    "tar",
    "gzip",
    "gunzip",
    "zcat",
    "bash",
    "sh",
];

/// Whether a script is such a command alone, or begins with one: it wants its input whole.
pub(in crate::bash) fn wants_whole_stdin(script: &str) -> bool {
    let mut words = script.split_whitespace();
    let first = words.next().unwrap_or_default();
    let name = first.rsplit('/').next().unwrap_or(first);
    match name {
        // A shell that is given its commands reads none.
        "bash" | "sh" => words.next().is_none_or(|word| word == "-s" || word == "-"),
        "tar" => words.any(|word| word == "-" || word.ends_with('-')),
        name => WHOLE_STDIN.contains(&name),
    }
}

/// bashkit's errors in bash's words.
pub(in crate::bash) fn worded(error: &str) -> String {
    error.trim_start_matches("bash: ").trim_start_matches("parse error: ").to_owned()
}

/// The programs by name, in a shell that has `others`, too.
pub(in crate::bash) fn programs(jobs: &Jobs, others: &Programs) -> BTreeMap<String, Arc<dyn Program>> {
    let mut programs: BTreeMap<String, Arc<dyn Program>> = BTreeMap::new();
    let mut add = |name: &str, program: Arc<dyn Program>| programs.insert(name.to_owned(), program);
    add("sleep", Arc::new(Sleep));
    add("date", Arc::new(Date));
    add("cat", Arc::new(Cat));
    add("ls", Arc::new(Ls));
    add("jobs", Arc::new(JobsList(jobs.clone())));
    add("kill", Arc::new(Kill(jobs.clone())));
    add("wait", Arc::new(Wait(jobs.clone())));
    add("timeout", Arc::new(Timeout(others.clone())));
    add("fg", Arc::new(Foreground(jobs.clone())));
    programs
}
