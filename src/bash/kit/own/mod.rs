//! The commands that bashkit leaves us: those that need the cluster's time, the real standard input or the job table.

mod cat;
mod date;
mod job_control;
mod ls;
mod read;
mod timeout;
mod whole_stdin;

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
pub(in crate::bash) use whole_stdin::wants_whole_stdin;

/// The commands that every shell has inside: they are no processes.
pub(in crate::bash) const BUILTINS: &[&str] = &["fg", "jobs", "kill", "wait"];

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
