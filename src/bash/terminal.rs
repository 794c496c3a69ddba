//! The terminal under a program's streams: how large it is, and whether keys come as they are typed.
//!
//! Whoever owns the terminal (the REPL, a pane of the TUI, the host's kubectl) gives a [`Terminal`] with the streams.
//! Programs that pass keys on (`kubectl exec -it`) hold a [`RawMode`] while they do.

use std::sync::Arc;

use crate::watch;

/// Switches a terminal between handing out whole lines, echoed, and handing out keys.
pub trait TerminalMode: Send + Sync + 'static {
    /// Whether keys are handed out as they are typed, without echo and without Ctrl-C meaning anything.
    fn set_raw(&self, raw: bool);
}

/// A terminal. Cheap to clone.
#[derive(Clone)]
pub struct Terminal {
    size: watch::Receiver<(u16, u16)>,
    mode: Arc<dyn TerminalMode>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("size", &*self.size.borrow()).finish_non_exhaustive()
    }
}

impl Terminal {
    /// A terminal of that size (columns and rows, as they change).
    pub fn new(size: watch::Receiver<(u16, u16)>, mode: Arc<dyn TerminalMode>) -> Self {
        Self { size, mode }
    }

    /// Columns and rows, as they change.
    pub fn size(&self) -> watch::Receiver<(u16, u16)> {
        self.size.clone()
    }

    /// Hands out keys as they are typed until the guard is dropped.
    pub fn raw(&self) -> RawMode {
        self.mode.set_raw(true);
        RawMode { mode: self.mode.clone() }
    }
}

/// Keeps a terminal in raw mode; dropping it brings lines and echo back.
pub struct RawMode {
    mode: Arc<dyn TerminalMode>,
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.mode.set_raw(false);
    }
}
