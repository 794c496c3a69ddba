//! The standard streams of this process, and its terminal if it has one.

use std::io::IsTerminal;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::program::Stdio;
use super::terminal::{Terminal, TerminalMode};
use crate::watch;

/// The streams of this process. Needs a tokio runtime.
pub fn host_stdio() -> Stdio {
    Stdio {
        stdin: Box::new(tokio::io::stdin()),
        stdout: Box::new(tokio::io::stdout()),
        stderr: Box::new(tokio::io::stderr()),
        terminal: host_terminal(),
        stdin_is_terminal: std::io::stdin().is_terminal(),
        stdin_is_own: true,
    }
}

/// The terminal that standard output is on. Its size is followed for as long as somebody looks.
pub fn host_terminal() -> Option<Terminal> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let (sender, receiver) = watch::channel(size);
    if let Ok(mut changes) = signal(SignalKind::window_change()) {
        tokio::spawn(async move {
            loop {
                tokio::select! { biased;
                    () = sender.closed() => return,
                    changed = changes.recv() => if changed.is_none() { return },
                }
                if let Ok(size) = crossterm::terminal::size() {
                    sender.send_replace(size);
                }
            }
        });
    }
    Some(Terminal::new(receiver, Arc::new(HostTerminal)))
}

struct HostTerminal;

impl TerminalMode for HostTerminal {
    fn set_raw(&self, raw: bool) {
        // A terminal that does not take the mode works on in the one that it has.
        let _ = if raw {
            crossterm::terminal::enable_raw_mode()
        } else {
            crossterm::terminal::disable_raw_mode()
        };
    }
}
