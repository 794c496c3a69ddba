//! A shell for a person: prompts, one command after the other, Ctrl-C back to the prompt.
//!
//! Used for `bash` and `sh` on a terminal inside a container. The learner's own prompt is `shell::repl`.

use super::kit::scan::{Completeness, completeness};
use super::process::signal;
use super::program::{Dialect, Stdio, System};
use super::shell::Bash;
use super::streams::{SharedReader, SharedWriter};

/// Runs commands from the terminal until `exit` or its end, and returns the last code.
pub async fn interactive(bash: &mut Bash, system: &System, stdio: Stdio) -> i32 {
    let Stdio { stdin, stdout, stderr, terminal, stdin_is_terminal, .. } = stdio;
    let mut stdin = SharedReader::new(stdin);
    let (stdout, stderr) = (SharedWriter::new(stdout), SharedWriter::new(stderr));
    system.signals.handle(signal::INT);
    // A shell at a terminal is not ended by what ends others.
    system.signals.handle(signal::TERM);
    system.signals.handle(signal::QUIT);
    let (mut script, mut last) = (String::new(), 0);
    loop {
        let prompt = if script.is_empty() { prompt(bash, system) } else { "> ".to_owned() };
        if stderr.put(prompt.as_bytes()).await.is_err() {
            return last;
        }
        let line = tokio::select! { biased;
            line = stdin.read_until(b'\n') => line.unwrap_or_default(),
            _ = system.signals.next() => {
                script.clear();
                let _ = stderr.put(b"\n").await;
                continue;
            }
        };
        if line.is_empty() {
            say_exit(system, &stderr).await;
            return last;
        }
        script.push_str(&String::from_utf8_lossy(&line));
        if completeness(&script) == Completeness::NeedsMore {
            continue;
        }
        let command = std::mem::take(&mut script);
        if command.trim().is_empty() {
            continue;
        }
        if matches!(command.split_whitespace().next(), Some("exit" | "logout")) {
            say_exit(system, &stderr).await;
        }
        let stdio = Stdio {
            stdin: Box::new(stdin.clone()),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
            terminal: terminal.clone(),
            stdin_is_terminal,
            stdin_is_own: false,
        };
        last = foreground(bash, system, &command, last, stdio).await;
        if let Some(code) = bash.exited() {
            return code;
        }
    }
}

/// Runs one command; Ctrl-C stops it.
async fn foreground(bash: &mut Bash, system: &System, command: &str, last: i32, stdio: Stdio) -> i32 {
    // `exit` alone ends with the code of the command before it.
    let command = if command.trim() == "exit" { format!("exit {last}") } else { command.to_owned() };
    let interrupt = bash.interrupter();
    let mut running = std::pin::pin!(bash.execute(&command, stdio));
    loop {
        tokio::select! { biased;
            code = &mut running => return code,
            number = system.signals.next() => if number == signal::INT { interrupt.interrupt() },
        }
    }
}

/// bash says that it goes; other shells do not.
async fn say_exit(system: &System, stderr: &SharedWriter) {
    if system.dialect == Dialect::Gnu {
        let _ = stderr.put(b"exit\n").await;
    }
}

fn prompt(bash: &Bash, system: &System) -> String {
    let mark = if system.user.uid == 0 { '#' } else { '$' };
    let cwd = bash.cwd();
    let home = bash.variable("HOME").filter(|home| home != "/");
    let shown = home.and_then(|home| cwd.strip_prefix(&home).map(|rest| format!("~{rest}"))).unwrap_or(cwd);
    match system.dialect {
        Dialect::Gnu => format!("{}@{}:{shown}{mark} ", system.user.name, system.hostname),
        Dialect::Dash => format!("{mark} "),
        Dialect::Busybox => format!("{shown} {mark} "),
    }
}
