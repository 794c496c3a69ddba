//! `pgrep`, `pkill`, `killall` and `pidof`: processes by their names.

use async_trait::async_trait;
use regex::Regex;

use crate::bash::{Dialect, ProcessInfo, Program, ProgramContext, signal};

/// The four of them.
pub(super) struct ByName;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    signal: i32,
    /// `-f`: the pattern is of the whole command line.
    whole: bool,
    /// `-x`: the name is the pattern's, not only a part of it.
    exact: bool,
    /// `-l`: names are shown with the numbers.
    names: bool,
    /// `-n`: only the newest; `-o`: only the oldest.
    only: Option<char>,
    /// `-q`: nothing is said.
    quiet: bool,
    patterns: Vec<String>,
}

/// Reads the words. The error is the option that there is not.
fn parse(words: &[String], sends: bool) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        signal: signal::TERM,
        whole: false,
        exact: false,
        names: false,
        only: None,
        quiet: false,
        patterns: vec![],
    };
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            wanted.patterns.push(word.clone());
            continue;
        };
        if sends && letters == "s" {
            let name = words.next().map_or("", String::as_str);
            wanted.signal = signal::number(name).ok_or_else(|| name.to_owned())?;
            continue;
        }
        if let Some(number) = signal::number(letters).filter(|_| sends) {
            wanted.signal = number;
            continue;
        }
        for letter in letters.chars() {
            match letter {
                'f' => wanted.whole = true,
                'x' => wanted.exact = true,
                'l' | 'a' => wanted.names = true,
                'n' | 'o' => wanted.only = Some(letter),
                'q' | 's' => wanted.quiet = true,
                other => return Err(other.to_string()),
            }
        }
    }
    Ok(wanted)
}

/// The name of a process: what it was called as, without directories.
fn name(process: &ProcessInfo) -> &str {
    let first = process.command.first().map_or("", String::as_str);
    first.rsplit('/').next().unwrap_or(first)
}

/// The processes that are meant, the oldest first. The error is a pattern that is none.
fn find<'a>(processes: &'a [ProcessInfo], wanted: &Wanted) -> Result<Vec<&'a ProcessInfo>, String> {
    let mut patterns = vec![];
    for pattern in &wanted.patterns {
        let whole = if wanted.exact { format!("^(?:{pattern})$") } else { pattern.clone() };
        patterns.push(Regex::new(&whole).map_err(|_| pattern.clone())?);
    }
    let meant = |process: &&ProcessInfo| {
        let line = if wanted.whole { process.command.join(" ") } else { name(process).to_owned() };
        patterns.iter().any(|pattern| pattern.is_match(&line))
    };
    let mut found: Vec<&ProcessInfo> = processes.iter().filter(meant).collect();
    match wanted.only {
        Some('n') => drop(found.drain(..found.len().saturating_sub(1))),
        Some(_) => found.truncate(1),
        None => {}
    }
    Ok(found)
}

#[async_trait]
impl Program for ByName {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let called = context.name().to_owned();
        let sends = matches!(called.as_str(), "pkill" | "killall");
        let mut wanted = match parse(&context.args, sends) {
            Ok(wanted) if !wanted.patterns.is_empty() => wanted,
            Ok(_) if called == "pidof" => return 1,
            Ok(_) => {
                context.stdio.err(format!("{called}: no pattern was given\n")).await;
                return 2;
            }
            Err(option) => {
                context.stdio.err(format!("{called}: invalid option -- '{option}'\n")).await;
                return 2;
            }
        };
        let by_name = matches!(called.as_str(), "killall" | "pidof");
        if by_name {
            wanted.exact = true;
            wanted.patterns = wanted.patterns.iter().map(|name| regex::escape(name)).collect();
        }
        let own = context.system.pid.unwrap_or_else(std::process::id);
        let mut processes = context.system.processes.list();
        processes.retain(|process| process.pid != own);
        let found = match find(&processes, &wanted) {
            Ok(found) => found,
            Err(pattern) => {
                context.stdio.err(format!("{called}: bad regular expression '{pattern}'\n")).await;
                return 2;
            }
        };
        if sends {
            for process in &found {
                // It may have ended meanwhile.
                context.system.processes.kill(process.pid, wanted.signal);
            }
            if found.is_empty() && called == "killall" && !wanted.quiet {
                let why = if context.system.dialect == Dialect::Busybox { "killed" } else { "found" };
                let names = context.args[1..].iter().filter(|word| !word.starts_with('-'));
                let text: String = names.map(|name| format!("killall: {name}: no process {why}\n")).collect();
                let text = if why == "found" { text.replace("killall: ", "") } else { text };
                context.stdio.err(text).await;
            }
        } else {
            let text: String = match called.as_str() {
                "pidof" => {
                    // The newest first.
                    let numbers: Vec<String> = found.iter().rev().map(|one| one.pid.to_string()).collect();
                    if numbers.is_empty() { String::new() } else { numbers.join(" ") + "\n" }
                }
                _ if wanted.quiet => String::new(),
                _ if wanted.names && wanted.whole => {
                    found.iter().map(|one| format!("{} {}\n", one.pid, one.command.join(" "))).collect()
                }
                _ if wanted.names => found.iter().map(|one| format!("{} {}\n", one.pid, name(one))).collect(),
                _ => found.iter().map(|one| format!("{}\n", one.pid)).collect(),
            };
            context.stdio.out(text).await;
        }
        i32::from(found.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn processes() -> Vec<ProcessInfo> {
        let one = |(pid, line): (u32, &str)| ProcessInfo {
            pid,
            parent: 0,
            user: "root".to_owned(),
            command: words(line),
            started: VIRTUAL_START,
        };
        [(1, "sh -c sleep"), (2, "sleep 1000"), (3, "/bin/sleep 5"), (4, "nginx -g daemon")].map(one).into()
    }

    #[test]
    fn processes_are_found_by_name_and_by_command_line() {
        for (line, expected) in [
            ("pgrep sleep", &[2, 3][..]),
            ("pgrep -f sleep", &[1, 2, 3]),
            ("pgrep -n sleep", &[3]),
            ("pgrep -o sleep", &[2]),
            ("pgrep -x sl", &[]),
            ("pgrep ^n", &[4]),
        ] {
            let found = processes();
            let found = find(&found, &parse(&words(line), false).unwrap()).unwrap();
            assert_eq!(found.iter().map(|one| one.pid).collect::<Vec<_>>(), expected, "{line}");
        }
        assert_eq!(find(&processes(), &parse(&words("pgrep ("), false).unwrap()).unwrap_err(), "(");
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (line, number) in
            [("pkill -9 x", 9), ("pkill -HUP x", 1), ("killall -s INT x", 2), ("pkill x", 15)]
        {
            assert_eq!(parse(&words(line), true).unwrap().signal, number, "{line}");
        }
        assert_eq!(parse(&words("pgrep -Z x"), false), Err("Z".to_owned()));
    }
}
