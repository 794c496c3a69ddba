//! The commands that bashkit leaves us: those that need the cluster's time, the real standard input or the job table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bashkit::{Builtin, BuiltinContext, ExecResult, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::io::AsyncReadExt;

use super::command::{LIVE_STDIN, Streams};
use super::jobs::{Jobs, state};
use crate::bash::files::FilesError;
use crate::bash::process::signal;
use crate::bash::program::{Dialect, Program, ProgramContext};

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

/// The programs by name.
pub(in crate::bash) fn programs(jobs: &Jobs) -> BTreeMap<String, Arc<dyn Program>> {
    let mut programs: BTreeMap<String, Arc<dyn Program>> = BTreeMap::new();
    let mut add = |name: &str, program: Arc<dyn Program>| programs.insert(name.to_owned(), program);
    add("sleep", Arc::new(Sleep));
    add("date", Arc::new(Date));
    add("cat", Arc::new(Cat));
    add("jobs", Arc::new(JobsList(jobs.clone())));
    add("kill", Arc::new(Kill(jobs.clone())));
    add("wait", Arc::new(Wait(jobs.clone())));
    add("fg", Arc::new(Foreground(jobs.clone())));
    programs
}

/// `sleep 1.5`, `sleep 2m 3s`, on the cluster's clock.
struct Sleep;

fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = match text.chars().last()? {
        's' => (&text[..text.len() - 1], 1.0),
        'm' => (&text[..text.len() - 1], 60.0),
        'h' => (&text[..text.len() - 1], 3600.0),
        'd' => (&text[..text.len() - 1], 86_400.0),
        _ => (text, 1.0),
    };
    if number == "infinity" || number == "inf" {
        return Some(f64::INFINITY);
    }
    number.parse::<f64>().ok().filter(|number| *number >= 0.0).map(|number| number * unit)
}

#[async_trait]
impl Program for Sleep {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let words = &context.args[1..];
        if words.is_empty() {
            stdio.err("sleep: missing operand\nTry 'sleep --help' for more information.\n").await;
            return 1;
        }
        let mut total = 0.0;
        for word in words {
            let Some(part) = seconds(word) else {
                stdio
                    .err(format!(
                        "sleep: invalid time interval '{word}'\nTry 'sleep --help' for more information.\n"
                    ))
                    .await;
                return 1;
            };
            total += part;
        }
        // Beyond what a duration holds is forever.
        match Duration::try_from_secs_f64(total) {
            Ok(duration) => context.system.clock.sleep(duration).await,
            Err(_) => std::future::pending().await,
        }
        0
    }
}

/// `date`, of the cluster's time.
struct Date;

#[async_trait]
impl Program for Date {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let mut time = context.system.clock.now();
        let mut format = "%a %b %e %H:%M:%S UTC %Y".to_owned();
        let mut words = context.args.iter().skip(1).map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "-u" | "--utc" | "--universal" => {}
                "-R" | "--rfc-email" => format = "%a, %d %b %Y %H:%M:%S +0000".to_owned(),
                "-I" | "--iso-8601" | "-Idate" => format = "%Y-%m-%d".to_owned(),
                "-Is" | "-Iseconds" | "--iso-8601=seconds" => format = "%Y-%m-%dT%H:%M:%S+00:00".to_owned(),
                word if word.starts_with('+') => format = word[1..].to_owned(),
                word if word == "-d" || word.starts_with("--date=") => {
                    let text = word.strip_prefix("--date=").or_else(|| words.next()).unwrap_or_default();
                    let Some(wanted) = point(text, time) else {
                        stdio.err(format!("date: invalid date '{text}'\n")).await;
                        return 1;
                    };
                    time = wanted;
                }
                word => {
                    stdio.err(format!("date: invalid option or operand '{word}'\n")).await;
                    return 1;
                }
            }
        }
        match jiff::fmt::strtime::format(&format, &time.to_zoned(TimeZone::UTC)) {
            Ok(text) => {
                stdio.out(format!("{text}\n")).await;
                0
            }
            Err(error) => {
                stdio.err(format!("date: invalid format '{format}': {error}\n")).await;
                1
            }
        }
    }
}

/// `now`, `@1700000000`, a time in RFC 3339, `5 minutes ago`.
fn point(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text == "now" {
        return Some(now);
    }
    if let Some(seconds) = text.strip_prefix('@') {
        return Timestamp::from_second(seconds.parse().ok()?).ok();
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (number, unit, ago) = match words[..] {
        [number, unit] => (number, unit, false),
        [number, unit, "ago"] => (number, unit, true),
        _ => return text.parse().ok(),
    };
    let unit = match unit.trim_end_matches('s') {
        "second" | "sec" => 1,
        "minute" | "min" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 604_800,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    now.checked_add(jiff::SignedDuration::from_secs(if ago { -seconds } else { seconds })).ok()
}

/// `cat`, which hands on what it reads as it comes.
struct Cat;

#[derive(Default)]
struct CatOptions {
    number: bool,
    number_nonblank: bool,
    squeeze: bool,
    ends: bool,
    tabs: bool,
    line: usize,
    blank_before: bool,
}

impl CatOptions {
    fn is_plain(&self) -> bool {
        !(self.number || self.number_nonblank || self.squeeze || self.ends || self.tabs)
    }

    fn shown(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let blank = line == b"\n";
            if self.squeeze && blank && std::mem::replace(&mut self.blank_before, true) {
                continue;
            }
            self.blank_before = blank;
            if (self.number && !self.number_nonblank) || (self.number_nonblank && !blank) {
                self.line += 1;
                out.extend(format!("{:>6}\t", self.line).into_bytes());
            }
            for byte in line {
                match byte {
                    b'\n' if self.ends => out.extend(b"$\n"),
                    b'\t' if self.tabs => out.extend(b"^I"),
                    byte => out.push(*byte),
                }
            }
        }
        out
    }
}

#[async_trait]
impl Program for Cat {
    async fn run(&self, context: ProgramContext) -> i32 {
        let (mut options, mut names, mut code) = (CatOptions::default(), vec![], 0);
        for word in &context.args[1..] {
            match word.as_str() {
                "--" => {}
                "-" => names.push("-"),
                word if word.starts_with('-') && word[1..].chars().all(|c| "nbsETAuevt".contains(c)) => {
                    options.number |= word.contains('n');
                    options.number_nonblank |= word.contains('b');
                    options.squeeze |= word.contains('s');
                    options.ends |= word.contains(['E', 'A', 'e']);
                    options.tabs |= word.contains(['T', 'A', 't']);
                }
                word => names.push(word),
            }
        }
        if names.is_empty() {
            names.push("-");
        }
        let paths: Vec<String> = names.iter().map(|name| context.path(name)).collect();
        let dialect = context.system.dialect;
        let mut stdio = context.stdio;
        for (name, path) in names.iter().zip(paths) {
            if *name == "-" {
                let mut buffer = vec![0; 16 * 1024];
                // A stream that breaks is one that ends.
                while let Ok(count @ 1..) = stdio.stdin.read(&mut buffer).await {
                    let chunk = if options.is_plain() {
                        buffer[..count].to_vec()
                    } else {
                        options.shown(&buffer[..count])
                    };
                    if !stdio.out(chunk).await {
                        return 141;
                    }
                }
                continue;
            }
            match context.files.read(&path).await {
                Ok(content) => {
                    let content = if options.is_plain() { content.to_vec() } else { options.shown(&content) };
                    if !stdio.out(content).await {
                        return 141;
                    }
                }
                Err(error) => {
                    let why = error.strerror();
                    stdio
                        .err(match dialect {
                            Dialect::Busybox if error == FilesError::IsDirectory => {
                                format!("cat: read error: {why}\n")
                            }
                            Dialect::Busybox => format!("cat: can't open '{name}': {why}\n"),
                            Dialect::Gnu | Dialect::Dash => format!("cat: {name}: {why}\n"),
                        })
                        .await;
                    code = 1;
                }
            }
        }
        code
    }
}

/// `jobs`
struct JobsList(Jobs);

#[async_trait]
impl Program for JobsList {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let jobs = self.0.list();
        let newest = jobs.last().map(|job| job.number);
        for job in jobs {
            let mark = if Some(job.number) == newest { '+' } else { '-' };
            let ampersand = if job.ended.is_none() { " &" } else { "" };
            stdio
                .out(format!("[{}]{mark}  {:<24}{}{ampersand}\n", job.number, state(job.ended), job.command))
                .await;
        }
        0
    }
}

/// `kill [-SIGNAL] PID | %JOB ...`
struct Kill(Jobs);

#[async_trait]
impl Program for Kill {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let (mut number, mut targets) = (signal::TERM, vec![]);
        let mut words = context.args.iter().skip(1);
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some("l") => {
                    stdio.out(" 1) HUP  2) INT  3) QUIT  9) KILL 15) TERM\n").await;
                    return 0;
                }
                Some(name) if targets.is_empty() => {
                    let name = if name == "s" || name == "n" {
                        words.next().map_or("", String::as_str)
                    } else {
                        name
                    };
                    let Some(known) = signal::number(name) else {
                        stdio.err(format!("bash: kill: {name}: invalid signal specification\n")).await;
                        return 1;
                    };
                    number = known;
                }
                _ => targets.push(word),
            }
        }
        if targets.is_empty() {
            stdio.err("kill: usage: kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]\n").await;
            return 2;
        }
        let mut code = 0;
        for target in targets {
            if let Some(job) = self.0.find(target) {
                self.0.signal(job, number);
                continue;
            }
            let pid = target.parse::<u32>();
            if !pid.as_ref().is_ok_and(|pid| context.system.processes.kill(*pid, number)) {
                let why = match pid {
                    Ok(pid) => format!("({pid}) - No such process"),
                    Err(_) if target.starts_with('%') => format!("{target}: no such job"),
                    Err(_) => format!("{target}: arguments must be process or job IDs"),
                };
                stdio.err(format!("bash: kill: {why}\n")).await;
                code = 1;
            }
        }
        code
    }
}

/// `wait [PID | %JOB ...]`
struct Wait(Jobs);

#[async_trait]
impl Program for Wait {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let targets = &context.args[1..];
        if targets.is_empty() {
            for job in self.0.list() {
                self.0.wait(job.number).await;
            }
            return 0;
        }
        let mut code = 0;
        for target in targets {
            code = match self.0.find(target) {
                Some(job) => self.0.wait(job).await.unwrap_or(127),
                None => {
                    let why =
                        if target.starts_with('%') { "no such job" } else { "is not a child of this shell" };
                    stdio.err(format!("bash: wait: {target}: {why}\n")).await;
                    127
                }
            };
        }
        code
    }
}

/// `fg [%JOB]`: waits for a job in the foreground. It goes on without the terminal's input.
struct Foreground(Jobs);

#[async_trait]
impl Program for Foreground {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let target = context.args.get(1).map_or("%%", String::as_str);
        let Some(number) = self.0.find(target) else {
            let shown = if target == "%%" { "current" } else { target };
            stdio.err(format!("bash: fg: {shown}: no such job\n")).await;
            return 1;
        };
        if let Some(job) = self.0.list().into_iter().find(|job| job.number == number) {
            stdio.out(format!("{}\n", job.command)).await;
        }
        self.0.wait(number).await.unwrap_or(1)
    }
}

/// `read`, which takes one line off the shell's real input.
pub(in crate::bash) struct Read;

struct ReadOptions {
    raw: bool,
    prompt: String,
    names: Vec<String>,
    characters: Option<usize>,
    delimiter: u8,
}

fn read_options(args: &[String]) -> std::result::Result<ReadOptions, String> {
    let mut options =
        ReadOptions { raw: false, prompt: String::new(), names: vec![], characters: None, delimiter: b'\n' };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            options.names.push(word.clone());
            continue;
        };
        for letter in letters.chars() {
            let mut value =
                || words.next().cloned().ok_or_else(|| format!("-{letter}: option requires an argument"));
            match letter {
                'r' => options.raw = true,
                's' | 'e' => {}
                'p' => options.prompt = value()?,
                't' | 'u' => drop(value()?),
                'n' | 'N' => options.characters = value()?.parse().ok(),
                'd' => options.delimiter = value()?.bytes().next().unwrap_or(0),
                other => return Err(format!("-{other}: invalid option")),
            }
        }
    }
    if options.names.is_empty() {
        options.names.push("REPLY".to_owned());
    }
    Ok(options)
}

#[async_trait]
impl Builtin for Read {
    async fn execute(&self, context: BuiltinContext<'_>) -> Result<ExecResult> {
        let options = match read_options(context.args) {
            Ok(options) => options,
            Err(why) => return Ok(ExecResult::err(format!("bash: read: {why}\n"), 2)),
        };
        let streams = context.execution_extension::<Streams>().and_then(|s| s.try_with(Streams::clone).ok());
        let live = context
            .stdin
            .is_none_or(|given| given.as_bytes().starts_with(&LIVE_STDIN[..LIVE_STDIN.len() - 1]));
        let line = match (live, streams) {
            (true, Some(mut streams)) => match options.characters {
                Some(count) => {
                    let mut bytes = vec![];
                    let _ = (&mut streams.stdin).take(count as u64).read_to_end(&mut bytes).await;
                    bytes
                }
                // A stream that breaks is one that ends.
                None => streams.stdin.read_until(options.delimiter).await.unwrap_or_default(),
            },
            _ => {
                let given = context.stdin.map(|given| given.as_bytes().to_vec()).unwrap_or_default();
                given
                    .split_inclusive(|byte| *byte == options.delimiter)
                    .next()
                    .map(<[u8]>::to_vec)
                    .unwrap_or_default()
            }
        };
        let complete = options.characters.is_some() || line.last() == Some(&options.delimiter);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(char::from(options.delimiter));
        let text = if options.raw { text.to_owned() } else { text.replace('\\', "") };
        let separators = context.variables.get("IFS").cloned().unwrap_or_else(|| " \t\n".to_owned());
        assign(&options.names, &text, &separators, context.variables);
        let code = i32::from(line.is_empty() || !complete);
        let mut result = ExecResult::err(options.prompt, code);
        result.exit_code = code;
        Ok(result)
    }
}

/// Puts the fields of a line into variables; the last one gets the rest.
fn assign(
    names: &[String],
    text: &str,
    separators: &str,
    variables: &mut std::collections::HashMap<String, String>,
) {
    let is_separator = |c: char| separators.contains(c);
    let mut rest = text.trim_matches(|c: char| is_separator(c) && c.is_whitespace());
    for (index, name) in names.iter().enumerate() {
        if index + 1 == names.len() {
            variables.insert(name.clone(), rest.to_owned());
            break;
        }
        let end = rest.find(is_separator).unwrap_or(rest.len());
        variables.insert(name.clone(), rest[..end].to_owned());
        rest = rest[end..].trim_start_matches(is_separator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_sleep_are_read() {
        for (text, expected) in [
            ("1.5", Some(1.5)),
            ("2m", Some(120.0)),
            ("1h", Some(3600.0)),
            ("x", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn the_last_variable_gets_the_rest() {
        let mut variables = std::collections::HashMap::new();
        assign(&["a".into(), "b".into()], " one  two three ", " \t\n", &mut variables);
        assert_eq!((variables["a"].as_str(), variables["b"].as_str()), ("one", "two three"));
    }

    #[test]
    fn points_in_time_are_read() {
        let now = crate::clock::VIRTUAL_START;
        assert_eq!(point("5 minutes ago", now).unwrap(), now - jiff::SignedDuration::from_secs(300));
        assert_eq!(point("@0", now).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(point("whenever", now), None);
    }
}
