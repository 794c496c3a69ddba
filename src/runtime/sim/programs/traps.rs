//! `trap` for the signals that end a container: what a script wants to be run when they come.
//!
//! The shell's own interpreter knows `trap ... EXIT` and its like but no signals. So the script is read for its traps
//! before it runs; when a signal comes, what runs is interrupted and the handler runs in the same shell. A real shell
//! waits for the command in the foreground first, and goes on with the script when the handler does not end it.

use std::collections::BTreeMap;

use crate::bash::{Bash, Signals, Stdio, signal};

/// Handlers by signal.
pub(super) type Traps = BTreeMap<i32, String>;

/// The traps that a script sets anywhere in it.
pub(super) fn traps(script: &str) -> Traps {
    let mut traps = Traps::new();
    let words = words(script);
    for (at, word) in words.iter().enumerate() {
        let starts =
            at == 0 || matches!(words[at - 1].as_str(), ";" | "&" | "|" | "{" | "(" | "do" | "then" | "else");
        if word != "trap" || !starts {
            continue;
        }
        let Some(handler) = words.get(at + 1) else { continue };
        let names =
            words[at + 2..].iter().take_while(|word| !matches!(word.as_str(), ";" | "&" | "|" | "}" | ")"));
        for number in names
            .filter_map(|name| signal::number(name))
            .filter(|number| *number > 0 && *number != signal::KILL)
        {
            match handler.as_str() {
                "-" => drop(traps.remove(&number)),
                handler => drop(traps.insert(number, handler.to_owned())),
            }
        }
    }
    traps
}

/// The script's words, quotes taken off, with the separators as words of their own.
fn words(script: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    let mut word: Option<String> = None;
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                word.get_or_insert_default().extend(letters.by_ref().take_while(|letter| *letter != '\''))
            }
            '"' => {
                let own = word.get_or_insert_default();
                while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
                    own.push(if letter == '\\' { letters.next().unwrap_or('\\') } else { letter });
                }
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            '\n' | ';' | '&' | '|' | '(' | ')' | '{' | '}'
                if letter != '{' || letters.peek().is_none_or(|next| next.is_whitespace()) =>
            {
                words.extend(word.take());
                words.push(if letter == '\n' { ";".to_owned() } else { letter.to_string() });
            }
            letter if letter.is_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// A script with what it is called with.
pub(super) struct Script {
    pub(super) text: String,
    pub(super) arg0: String,
    pub(super) positional: Vec<String>,
}

/// Runs a script; its traps' signals run their handlers.
pub(super) async fn execute(
    bash: &mut Bash,
    script: &Script,
    stdio: Stdio,
    signals: &Signals,
    traps: &Traps,
) -> i32 {
    for number in traps.keys() {
        signals.handle(*number);
    }
    let out = crate::bash::SharedWriter::new(stdio.stdout);
    let err = crate::bash::SharedWriter::new(stdio.stderr);
    let stdio = Stdio { stdout: Box::new(out.clone()), stderr: Box::new(err.clone()), ..stdio };
    let interrupt = bash.interrupter();
    let mut came = None;
    let code = {
        let running = bash.execute_with(&script.text, &script.arg0, &script.positional, stdio);
        tokio::pin!(running);
        loop {
            tokio::select! { biased;
                number = signals.next(), if came.is_none() => {
                    came = Some(number);
                    interrupt.interrupt();
                }
                code = &mut running => break code,
            }
        }
    };
    let Some(handler) = came.and_then(|number| traps.get(&number)) else { return code };
    let stdio = Stdio { stdout: Box::new(out), stderr: Box::new(err), ..Stdio::null() };
    let handled = bash.execute_with(handler, &script.arg0, &script.positional, stdio).await;
    bash.exited().unwrap_or(match handled {
        0 => 128 + came.unwrap_or(signal::TERM),
        code => code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_are_found_wherever_commands_are() {
        let cases: &[(&str, &[(i32, &str)])] = &[
            ("trap 'echo bye; exit 0' TERM; sleep 1", &[(15, "echo bye; exit 0")]),
            ("f() { trap \"exit 5\" SIGTERM INT; }; f", &[(2, "exit 5"), (15, "exit 5")]),
            ("trap cleanup 15\ntrap - TERM", &[]),
            ("echo trap x TERM", &[]),
            ("trap 'rm -f /tmp/x' EXIT", &[]),
            ("trap", &[]),
        ];
        for (script, expected) in cases {
            let expected: Traps =
                expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect();
            assert_eq!(traps(script), expected, "{script}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_script_breaks_it(script: String) {
            let _ = traps(&script);
        }
    }
}
