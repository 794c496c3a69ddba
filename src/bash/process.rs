//! Processes and signals: what `ps`, `kill` and a runtime's stop see of the programs that run.
//!
//! A process is a future; killing one drops it. The first process of a container ignores what it has no handler for, as
//! the kernel has it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::watch;

/// Signal numbers, as on Linux.
pub mod signal {
    pub const HUP: i32 = 1;
    pub const INT: i32 = 2;
    pub const QUIT: i32 = 3;
    pub const KILL: i32 = 9;
    pub const USR1: i32 = 10;
    pub const USR2: i32 = 12;
    pub const PIPE: i32 = 13;
    pub const ALRM: i32 = 14;
    pub const TERM: i32 = 15;
    pub const CHLD: i32 = 17;
    pub const CONT: i32 = 18;
    pub const STOP: i32 = 19;
    pub const WINCH: i32 = 28;

    const NAMES: &[(&str, i32)] = &[
        ("HUP", HUP),
        ("INT", INT),
        ("QUIT", QUIT),
        ("KILL", KILL),
        ("USR1", USR1),
        ("USR2", USR2),
        ("PIPE", PIPE),
        ("ALRM", ALRM),
        ("TERM", TERM),
        ("CHLD", CHLD),
        ("CONT", CONT),
        ("STOP", STOP),
        ("WINCH", WINCH),
    ];

    /// The number of `TERM`, `SIGTERM`, `term` or `15`.
    pub fn number(name: &str) -> Option<i32> {
        if let Ok(number) = name.parse() {
            return (0..=64).contains(&number).then_some(number);
        }
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        NAMES.iter().find(|(known, _)| *known == short).map(|(_, number)| *number)
    }

    /// The name of a number, without `SIG`.
    pub fn name(number: i32) -> Option<&'static str> {
        NAMES.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
    }
}

#[derive(Default)]
struct SignalState {
    init: bool,
    handled: BTreeSet<i32>,
    pending: VecDeque<i32>,
    fatal: Option<i32>,
}

/// The signals of one process: whoever runs in it declares handlers and takes them; others send.
#[derive(Clone)]
pub struct Signals {
    state: Arc<watch::Sender<SignalState>>,
}

impl Default for Signals {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Signals {
    /// No signal yet. `init` is whether the process is a container's first.
    pub fn new(init: bool) -> Self {
        Self { state: Arc::new(watch::Sender::new(SignalState { init, ..SignalState::default() })) }
    }

    /// Says that the process handles a signal itself from now on: [`Signals::next`] gets it.
    pub fn handle(&self, number: i32) {
        self.state.send_if_modified(|state| {
            state.handled.insert(number);
            false
        });
    }

    /// Goes back to what happens without a handler.
    pub fn unhandle(&self, number: i32) {
        self.state.send_if_modified(|state| {
            state.handled.remove(&number);
            false
        });
    }

    /// Sends a signal.
    pub fn send(&self, number: i32) {
        self.state.send_modify(|state| {
            if state.handled.contains(&number) && number != signal::KILL {
                state.pending.push_back(number);
            } else if ends(number) && (!state.init || number == signal::KILL) {
                state.fatal.get_or_insert(number);
            }
        });
    }

    /// Takes a handled signal, if one has come.
    pub fn take(&self) -> Option<i32> {
        let mut taken = None;
        self.state.send_if_modified(|state| {
            taken = state.pending.pop_front();
            false
        });
        taken
    }

    /// Waits for a signal that the process handles.
    pub async fn next(&self) -> i32 {
        let mut changes = self.state.subscribe();
        loop {
            if let Some(number) = self.take() {
                return number;
            }
            // The sender lives in `self`.
            let _ = changes.changed().await;
        }
    }

    /// Waits until a handled signal is there, and leaves it.
    pub async fn waiting(&self) {
        let _ = self.state.subscribe().wait_for(|state| !state.pending.is_empty()).await;
    }

    /// Waits for a signal that ends the process.
    pub async fn fatal(&self) -> i32 {
        let mut changes = self.state.subscribe();
        let fatal = changes.wait_for(|state| state.fatal.is_some()).await.map(|state| state.fatal);
        match fatal {
            Ok(number) => number.unwrap_or(signal::KILL),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Whether a signal without a handler ends a process.
fn ends(number: i32) -> bool {
    !matches!(number, 0 | signal::CHLD | signal::CONT | signal::STOP | signal::WINCH)
}

/// A process as `ps` shows it.
#[derive(Clone, Debug)]
pub struct ProcessInfo {
    /// The process's number.
    pub pid: u32,
    /// The number of the one that started it.
    pub parent: u32,
    /// Whose it is.
    pub user: String,
    /// The command with its arguments.
    pub command: Vec<String>,
    /// When it started.
    pub started: Timestamp,
}

#[derive(Default)]
struct Table {
    last: u32,
    processes: BTreeMap<u32, (ProcessInfo, Signals)>,
}

/// The processes of one container, or of one shell. Cheap to clone.
#[derive(Clone, Default)]
pub struct Processes {
    table: Arc<Mutex<Table>>,
    /// Where this process has one: the kernel's own table besides.
    kernel: bool,
}

impl Processes {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a process; it is gone when the guard is dropped. The first one gets number 1.
    pub fn start(&self, parent: u32, user: &str, command: Vec<String>, started: Timestamp) -> Process {
        let mut table = self.lock();
        table.last += 1;
        let pid = table.last;
        if self.kernel {
            // The first is this process itself; the next ones are none of the kernel's.
            table.last = table.last.max(super::kernel_processes::LAST);
        }
        let signals = Signals::new(pid == 1);
        let info = ProcessInfo { pid, parent, user: user.to_owned(), command, started };
        table.processes.insert(pid, (info, signals.clone()));
        Process { pid, signals, processes: self.clone() }
    }

    /// The processes of this machine or container, as the kernel knows them; this one is `pid`. What runs inside this process
    /// has numbers above those that a kernel gives.
    pub fn of_kernel(pid: u32) -> Self {
        let processes = Self { kernel: true, ..Self::default() };
        processes.skip_to(pid - 1);
        processes
    }

    /// Counts on from `pid`, so that no process is a container's first.
    pub fn skip_to(&self, pid: u32) {
        let mut table = self.lock();
        table.last = table.last.max(pid);
    }

    /// Replaces the command that `ps` shows, as `exec` does.
    pub fn rename(&self, pid: u32, command: Vec<String>) {
        if let Some((info, _)) = self.lock().processes.get_mut(&pid) {
            info.command = command;
        }
    }

    /// The processes by number.
    pub fn list(&self) -> Vec<ProcessInfo> {
        let own = self.lock().processes.values().map(|(info, _)| info.clone()).collect();
        if self.kernel { super::kernel_processes::merged(own) } else { own }
    }

    /// Sends a signal; `false` if there is no such process. Number 0 only asks.
    pub fn kill(&self, pid: u32, number: i32) -> bool {
        let signals = self.lock().processes.get(&pid).map(|(_, signals)| signals.clone());
        let Some(signals) = signals else {
            return self.kernel && super::kernel_processes::kill(pid, number);
        };
        // From inside, a container's first process cannot be killed.
        if number != 0 && !(pid == 1 && number == signal::KILL) {
            signals.send(number);
        }
        true
    }
}

/// A process that runs.
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its signals.
    pub signals: Signals,
    processes: Processes,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.processes.lock().processes.remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use futures::FutureExt;

    #[tokio::test]
    async fn the_first_process_ignores_what_it_has_no_handler_for() {
        let processes = Processes::default();
        let first = processes.start(0, "root", vec!["sleep".into()], VIRTUAL_START);
        let other = processes.start(1, "root", vec!["sleep".into()], VIRTUAL_START);
        assert!(processes.kill(1, signal::TERM) && processes.kill(2, signal::TERM) && !processes.kill(9, 0));
        assert_eq!(first.signals.fatal().now_or_never(), None);
        assert_eq!(other.signals.fatal().now_or_never(), Some(signal::TERM));
        first.signals.handle(signal::TERM);
        processes.kill(1, signal::TERM);
        assert_eq!(first.signals.next().now_or_never(), Some(signal::TERM));
        drop(other);
        assert_eq!(processes.list().len(), 1);
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for name in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(signal::number(name), Some(15), "{name}");
        }
        assert_eq!(signal::number("NOPE"), None);
        assert_eq!(signal::name(9), Some("KILL"));
    }
}
