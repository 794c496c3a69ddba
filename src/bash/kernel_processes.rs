//! The kernel's table of processes, for programs that are real processes in real containers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rustix::process::{Pid, Signal};

use super::process::ProcessInfo;

/// The highest number that a kernel gives to a process.
pub(super) const LAST: u32 = 1 << 22;

/// The kernel's processes and those that run inside this one, by number.
pub(super) fn merged(own: Vec<ProcessInfo>) -> Vec<ProcessInfo> {
    let mut all: BTreeMap<u32, ProcessInfo> = own.into_iter().map(|process| (process.pid, process)).collect();
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        // One that has ended meanwhile has no files any more.
        if let Some(process) = read(pid) {
            all.entry(pid).or_insert(process);
        }
    }
    all.into_values().collect()
}

fn read(pid: u32) -> Option<ProcessInfo> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let mut command: Vec<String> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    if command.is_empty() {
        command.push(format!("[{}]", field("Name")?));
    }
    let started = std::fs::metadata(format!("/proc/{pid}")).ok()?.modified().ok()?;
    Some(ProcessInfo {
        pid,
        parent: field("PPid")?.parse().ok()?,
        user: user_name(&field("Uid")?),
        command,
        started: Timestamp::try_from(started).ok()?,
    })
}

fn user_name(uid: &str) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let name =
        entry.into_iter().find(|entry| entry.get(2) == Some(&uid)).and_then(|entry| entry.first().copied());
    name.unwrap_or_default().to_owned()
}

/// Sends a signal to one of the kernel's processes; `false` if there is none that takes it. Number 0 only asks.
pub(super) fn kill(pid: u32, number: i32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    match number {
        0 => rustix::process::test_kill_process(pid).is_ok(),
        number => Signal::from_named_raw(number)
            .is_some_and(|signal| rustix::process::kill_process(pid, signal).is_ok()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_them() {
        let own = std::process::id();
        let found = merged(vec![]).into_iter().find(|process| process.pid == own).unwrap();
        assert!(!found.command.is_empty());
        assert!(kill(own, 0) && !kill(LAST - 1, 0));
    }
}
