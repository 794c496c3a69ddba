//! The prompt on a real terminal: history, completion from the live cluster, lines that go on.
//!
//! rustyline reads in a thread of its own, since it waits for keys; commands run on the async runtime. While a command
//! runs, keys go to it and Ctrl-C stops it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::mpsc as threads;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::completion::{Source, complete};
use super::session::Session;
use crate::bash::{Completeness, Stdio, TtyInput, completeness, host_terminal};

/// What came from the prompt.
enum Input {
    Line(String),
    /// Ctrl-C: the line is dropped.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    End,
}

/// Runs a session on this process's terminal until it ends, and returns the code to exit with.
pub async fn run(
    session: &mut Session,
    source: Box<dyn Source + Send>,
    history: Option<PathBuf>,
) -> std::io::Result<i32> {
    let (ask, asked) = threads::channel::<String>();
    let (tell, mut told) = mpsc::channel::<Input>(1);
    std::thread::Builder::new()
        .name("prompt".to_owned())
        .spawn(move || prompt(&asked, &tell, source, history))?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut last = 0;
    loop {
        for notice in session.job_notices() {
            println!("{notice}");
        }
        if ask.send(session.prompt()).is_err() {
            return Ok(last);
        }
        let line = match told.recv().await {
            Some(Input::Line(line)) => line,
            Some(Input::Interrupted) => continue,
            Some(Input::End) | None => {
                println!("exit");
                return Ok(last);
            }
        };
        if line.trim().is_empty() {
            continue;
        }
        last = foreground(session, &line, &mut interrupts).await?;
        if let Some(code) = session.exited() {
            return Ok(code);
        }
    }
}

/// Runs one command with the terminal's keys; Ctrl-C stops it.
async fn foreground(
    session: &mut Session,
    line: &str,
    interrupts: &mut tokio::signal::unix::Signal,
) -> std::io::Result<i32> {
    let stdio = Stdio {
        stdin: Box::new(TtyInput::open()?),
        stdout: Box::new(tokio::io::stdout()),
        stderr: Box::new(tokio::io::stderr()),
        terminal: host_terminal(),
        stdin_is_terminal: true,
        stdin_is_own: false,
    };
    let interrupter = session.interrupter();
    let mut running = std::pin::pin!(session.run(line, stdio));
    loop {
        tokio::select! { biased;
            code = &mut running => return Ok(code),
            _ = interrupts.recv() => {
                println!();
                interrupter.interrupt();
            }
        }
    }
}

/// The thread that waits for keys.
fn prompt(
    asked: &threads::Receiver<String>,
    tell: &mpsc::Sender<Input>,
    source: Box<dyn Source + Send>,
    history: Option<PathBuf>,
) {
    let config = rustyline::Config::builder().auto_add_history(true).history_ignore_space(true).build();
    let Ok(mut editor) = Editor::<Line, FileHistory>::with_config(config) else { return };
    editor.set_helper(Some(Line { source, hinter: HistoryHinter::new() }));
    if let Some(path) = &history {
        // No history yet is an empty one.
        let _ = editor.load_history(path);
    }
    while let Ok(prompt) = asked.recv() {
        let input = match editor.readline(&prompt) {
            Ok(line) => Input::Line(line),
            Err(ReadlineError::Interrupted) => Input::Interrupted,
            Err(_) => Input::End,
        };
        if let Some(path) = &history {
            // A history that cannot be kept is no reason to stop.
            let _ = editor.append_history(path);
        }
        let over = matches!(input, Input::End);
        if tell.blocking_send(input).is_err() || over {
            return;
        }
    }
}

/// The line that is being typed.
struct Line {
    source: Box<dyn Source + Send>,
    hinter: HistoryHinter,
}

impl Helper for Line {}

impl Completer for Line {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let completion = complete(line, position, &*self.source);
        let mut candidates = completion.candidates;
        // One word that is whole is followed by another; a flag's value or the rest of a path is not.
        if let [only] = &mut candidates[..]
            && !only.ends_with(['/', '=', ':'])
        {
            only.push(' ');
        }
        Ok((completion.start, candidates))
    }
}

impl Hinter for Line {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<String> {
        self.hinter.hint(line, position, context)
    }
}

impl Highlighter for Line {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if std::env::var_os("NO_COLOR").is_some() {
            Cow::Borrowed(hint)
        } else {
            Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
        }
    }
}

impl Validator for Line {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match completeness(context.input()) {
            Completeness::Complete => ValidationResult::Valid(None),
            Completeness::NeedsMore => ValidationResult::Incomplete,
        })
    }
}
