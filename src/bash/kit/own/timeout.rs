//! `timeout`, on the cluster's clock: a command in a shell of its own, which gets a signal when its time is over.
// Models coreutils' and busybox's timeout.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use crate::bash::process::{Signals, signal};
use crate::bash::program::{Dialect, Program, ProgramContext, Stdio, System};
use crate::bash::shell::{Bash, BashConfig, Programs};
use crate::bash::sleep::interval_seconds;
use crate::bash::streams::SharedWriter;

/// The command was still running when its time was over.
const TIMED_OUT: i32 = 124;
/// `timeout` itself was called wrongly.
const MISUSED: i32 = 125;
const NOT_FOUND: i32 = 127;

/// `timeout 5 COMMAND ARGUMENTS...`, with these programs to choose from.
pub(super) struct Timeout(pub(super) Programs);

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Order {
    /// `None`: for ever.
    limit: Option<Duration>,
    signal: i32,
    kill_after: Option<Duration>,
    preserve_status: bool,
    verbose: bool,
    command: Vec<String>,
}

/// A time as `timeout` takes it: 0 and what no duration holds are for ever.
fn limit(text: &str) -> Result<Option<Duration>, String> {
    let seconds = interval_seconds(text).ok_or_else(|| format!("invalid time interval '{text}'"))?;
    Ok(Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero()))
}

fn parse(words: &[String]) -> Result<Order, String> {
    let mut order = Order {
        limit: None,
        signal: signal::TERM,
        kill_after: None,
        preserve_status: false,
        verbose: false,
        command: vec![],
    };
    let mut words = words.iter().map(String::as_str);
    let duration = loop {
        let word = words.next().ok_or("missing operand")?;
        let (name, given) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name, Some(value)),
            _ if word.starts_with("-k") || word.starts_with("-s") => {
                (&word[..2], Some(&word[2..]).filter(|value| !value.is_empty()))
            }
            _ => (word, None),
        };
        let mut value = || {
            let missing = || format!("option requires an argument -- '{}'", name.trim_start_matches('-'));
            given.or_else(|| words.next()).ok_or_else(missing)
        };
        match name {
            "-s" | "--signal" => {
                let text = value()?;
                order.signal = signal::number(text).ok_or_else(|| format!("{text}: invalid signal"))?;
            }
            "-k" | "--kill-after" => order.kill_after = limit(value()?)?,
            "-f" | "--foreground" => {}
            "-p" | "--preserve-status" => order.preserve_status = true,
            "-v" | "--verbose" => order.verbose = true,
            "--" => break words.next().ok_or("missing operand")?,
            _ if word.starts_with("--") => return Err(format!("unrecognized option '{word}'")),
            _ if word.starts_with('-') && word.len() > 1 => {
                return Err(format!("invalid option -- '{}'", &word[1..2]));
            }
            _ => break word,
        }
    };
    order.limit = limit(duration)?;
    order.command = words.map(str::to_owned).collect();
    if order.command.is_empty() { Err("missing operand".to_owned()) } else { Ok(order) }
}

/// Words as a script in which each is one word and nothing else.
fn script(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    let quote = |word: &String| match !word.is_empty() && word.chars().all(plain) && !word.contains('=') {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl Program for Timeout {
    async fn run(&self, context: ProgramContext) -> i32 {
        let ProgramContext { args, env, cwd, files, mut stdio, system } = context;
        let order = match parse(&args[1..]) {
            Ok(order) => order,
            Err(error) => {
                let hint = "Try 'timeout --help' for more information.";
                stdio.err(format!("timeout: {error}\n{hint}\n")).await;
                return MISUSED;
            }
        };
        let name = &order.command[0];
        let process = system.processes.start(0, &system.user.name, order.command.clone(), system.clock.now());
        let child = System { signals: process.signals.clone(), ..system.clone() };
        let mut bash = Bash::new(BashConfig { files, system: child, env, cwd, programs: self.0.clone() });
        if bash.execute(&script(&["command".into(), "-v".into(), name.clone()]), Stdio::null()).await != 0 {
            stdio
                .err(match system.dialect {
                    Dialect::Busybox => {
                        format!("timeout: can't execute '{name}': No such file or directory\n")
                    }
                    _ => format!("timeout: failed to run command '{name}': No such file or directory\n"),
                })
                .await;
            return NOT_FOUND;
        }
        let script = script(&order.command);
        let mut stderr = SharedWriter::new(stdio.stderr);
        let stdio = Stdio { stderr: Box::new(stderr.clone()), ..stdio };
        let mut running = std::pin::pin!(bash.execute(&script, stdio));
        let mut ended = std::pin::pin!(async {
            tokio::select! { biased;
                code = &mut running => code,
                number = process.signals.fatal() => 128 + number,
            }
        });
        let Some(limit) = order.limit else { return ended.await };
        if let Ok(code) = system.clock.timeout(limit, &mut ended).await {
            return code;
        }
        if order.verbose {
            let signal = signal::name(order.signal).map_or(order.signal.to_string(), str::to_owned);
            let text = format!("timeout: sending signal {signal} to command '{name}'\n");
            // A complaint that nobody reads is lost.
            let _ = stderr.write_all(text.as_bytes()).await;
            let _ = stderr.flush().await;
        }
        let code = end(&order, &system, &process.signals, ended).await;
        match system.dialect {
            // KILL cannot be told from a command that was killed.
            _ if order.preserve_status || order.signal == signal::KILL || code == 128 + signal::KILL => code,
            Dialect::Busybox => code,
            _ => TIMED_OUT,
        }
    }
}

/// Ends a command whose time is over; gives its code.
async fn end(
    order: &Order,
    system: &System,
    signals: &Signals,
    mut ended: impl Future<Output = i32> + Unpin,
) -> i32 {
    signals.send(order.signal);
    let Some(patience) = order.kill_after else { return ended.await };
    match system.clock.timeout(patience, &mut ended).await {
        Ok(code) => code,
        Err(_) => {
            signals.send(signal::KILL);
            ended.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn an_order_is_read() {
        let order = parse(&words("-k 5 --signal=int -v 1.5m kubectl get -w")).unwrap();
        assert_eq!(
            (order.limit, order.signal, order.kill_after),
            (Some(Duration::from_secs(90)), signal::INT, Some(Duration::from_secs(5)))
        );
        assert!(order.verbose && !order.preserve_status);
        assert_eq!(order.command, ["kubectl", "get", "-w"]);
        assert_eq!(parse(&words("0 sleep")).unwrap().limit, None);
        for (text, error) in [
            ("5", "missing operand"),
            ("x sleep 1", "invalid time interval 'x'"),
            ("-s NONE 1 sleep", "NONE: invalid signal"),
            ("-z 1 sleep", "invalid option -- 'z'"),
            ("--nope 1 sleep", "unrecognized option '--nope'"),
            ("-k", "option requires an argument -- 'k'"),
        ] {
            assert_eq!(parse(&words(text)), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_word_stays_one_word() {
        let words = ["echo", "", "a b", "it's", "$x", "A=1", "x.y/z"].map(str::to_owned);
        assert_eq!(script(&words), r"echo '' 'a b' 'it'\''s' '$x' 'A=1' x.y/z");
    }
}
