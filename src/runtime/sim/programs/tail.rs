//! `tail`, which follows files, and which runs out of memory on `/dev/zero` as the real one does.

use std::time::Duration;

use async_trait::async_trait;

use super::super::launcher::read_all;
use super::Machine;
use crate::bash::{Program, ProgramContext};

/// How fast `/dev/zero` fills the memory.
const ZERO_BYTES: u64 = 16 << 20;
const ZERO_PAUSE: Duration = Duration::from_millis(10);
/// What is read of standard input at most.
const MAX_STDIN_BYTES: u64 = 64 << 20;

/// `tail [-n N] [-c N] [-f|-F] [-q|-v] [FILE ...]`.
pub(super) struct Tail {
    machine: Machine,
}

impl Tail {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine }
    }
}

/// How much of the end is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Lines(usize),
    FromLine(usize),
    Bytes(usize),
    FromByte(usize),
}

impl Amount {
    fn of(self, content: &[u8]) -> &[u8] {
        match self {
            Self::Bytes(count) => &content[content.len().saturating_sub(count)..],
            Self::FromByte(first) => content.get(first.saturating_sub(1)..).unwrap_or_default(),
            Self::FromLine(first) => {
                let skipped: usize = content
                    .split_inclusive(|b| *b == b'\n')
                    .take(first.saturating_sub(1))
                    .map(<[u8]>::len)
                    .sum();
                &content[skipped..]
            }
            Self::Lines(count) => {
                let total = content.split_inclusive(|b| *b == b'\n').count();
                Self::FromLine(total.saturating_sub(count) + 1).of(content)
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Call {
    amount: Amount,
    follow: bool,
    headers: Option<bool>,
    files: Vec<String>,
}

fn parse(words: &[String]) -> Result<Call, String> {
    let mut call = Call { amount: Amount::Lines(10), follow: false, headers: None, files: vec![] };
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        let amount = |text: &str, bytes: bool| -> Result<Amount, String> {
            let wrong = || format!("invalid number of {}: '{text}'", if bytes { "bytes" } else { "lines" });
            let from = text.starts_with('+');
            let number = text.trim_start_matches(['+', '-']).parse().map_err(|_| wrong())?;
            Ok(match (bytes, from) {
                (false, false) => Amount::Lines(number),
                (false, true) => Amount::FromLine(number),
                (true, false) => Amount::Bytes(number),
                (true, true) => Amount::FromByte(number),
            })
        };
        match word.as_str() {
            "-f" | "-F" | "--follow" => call.follow = true,
            "-q" => call.headers = Some(false),
            "-v" => call.headers = Some(true),
            "-n" | "-c" => call.amount = amount(words.next().map_or("", String::as_str), word == "-c")?,
            word if word.starts_with("--lines=") => call.amount = amount(&word[8..], false)?,
            word if word.starts_with("--bytes=") => call.amount = amount(&word[8..], true)?,
            word if word.len() > 1 && word.starts_with('-') => {
                let letters = &word[1..];
                call.follow |= letters.contains(['f', 'F']);
                let rest = letters.trim_start_matches(['f', 'F']);
                if let Some(number) = rest.strip_prefix('n') {
                    let own =
                        if number.is_empty() { words.next().map_or("", String::as_str) } else { number };
                    call.amount = amount(own, false)?;
                } else if let Some(number) = rest.strip_prefix('c') {
                    call.amount = amount(number, true)?;
                } else if !rest.is_empty() {
                    call.amount = amount(rest, false).map_err(|_| {
                        format!(
                            "invalid option -- '{}'",
                            &rest[..rest.chars().next().map_or(0, char::len_utf8)]
                        )
                    })?;
                }
            }
            word => call.files.push(word.to_owned()),
        }
    }
    Ok(call)
}

#[async_trait]
impl Program for Tail {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let call = match parse(&context.args) {
            Ok(call) => call,
            Err(why) => {
                context.stdio.err(format!("tail: {why}\n")).await;
                return 1;
            }
        };
        if call.files.is_empty() || call.files == ["-"] {
            let content = read_all(&mut *context.stdio.stdin, MAX_STDIN_BYTES).await;
            context.stdio.out(call.amount.of(&content)).await;
            return 0;
        }
        let headers = call.headers.unwrap_or(call.files.len() > 1);
        let (mut code, mut seen) = (0, vec![]);
        for (number, name) in call.files.iter().enumerate() {
            let path = context.path(name);
            if path == "/dev/zero" {
                return self.fill(context.system.clock.clone()).await;
            }
            match context.files.read(&path).await {
                Ok(content) => {
                    if headers {
                        let gap = if number > 0 { "\n" } else { "" };
                        context.stdio.out(format!("{gap}==> {name} <==\n")).await;
                    }
                    context.stdio.out(call.amount.of(&content)).await;
                    seen.push((path, content.len()));
                }
                Err(error) => {
                    context
                        .stdio
                        .err(format!("tail: cannot open '{name}' for reading: {}\n", error.strerror()))
                        .await;
                    code = 1;
                }
            }
        }
        if call.follow && !seen.is_empty() { follow(&mut context, seen).await } else { code }
    }
}

impl Tail {
    async fn fill(&self, clock: crate::clock::Clock) -> i32 {
        let mut held = vec![];
        loop {
            held.push(self.machine.cgroup.allocate(ZERO_BYTES).await);
            clock.sleep(ZERO_PAUSE).await;
        }
    }
}

/// Writes what is added to the files, until it is ended.
async fn follow(context: &mut ProgramContext, mut seen: Vec<(String, usize)>) -> i32 {
    let mut watches: Vec<_> = seen.iter().filter_map(|(path, _)| context.files.watch(path)).collect();
    if watches.is_empty() {
        // A device never grows.
        return std::future::pending().await;
    }
    loop {
        for (path, length) in &mut seen {
            let content = context.files.read(path).await.unwrap_or_default();
            // A file that was written anew is shown from its beginning.
            let start = if content.len() < *length { 0 } else { *length };
            *length = content.len();
            if content.len() > start && !context.stdio.out(&content[start..]).await {
                return 141;
            }
        }
        let changes = watches.iter_mut().map(|watch| Box::pin(watch.changed()));
        if futures::future::select_all(changes).await.0.is_err() {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_cut_by_lines_or_bytes() {
        let parse = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let text = b"a\nb\nc\n";
        for (line, expected) in [
            ("tail -n 2 f", "b\nc\n"),
            ("tail -1 f", "c\n"),
            ("tail -n +2 f", "b\nc\n"),
            ("tail -c 2 f", "c\n"),
            ("tail -fn1 f", "c\n"),
        ] {
            assert_eq!(parse(line).unwrap().amount.of(text), expected.as_bytes(), "{line}");
        }
        assert!(parse("tail -f f").unwrap().follow);
        assert_eq!(parse("tail -n x").unwrap_err(), "invalid number of lines: 'x'");
    }

    proptest::proptest! {
        #[test]
        fn no_words_break_it(words: Vec<String>, text: Vec<u8>) {
            if let Ok(call) = parse(&words) {
                let _ = call.amount.of(&text);
            }
        }
    }
}
