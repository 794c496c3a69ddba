//! A bash in memory, behind our own trait: the shell inside the simulation's containers and the learner's own.
//!
//! [`Program`] is what a command is: it has arguments, an environment, files and byte streams, and ends with a code.
//! [`Bash`] runs scripts that call programs. The language itself and the usual small commands (grep, sed, sort...) are the
//! crate `bashkit`, pinned, and seen by this room only.

mod files;
mod host_files;
mod host_stdio;
mod interactive;
mod kernel_processes;
mod kit;
mod memory_files;
mod memory_tree;
mod mount_files;
mod process;
mod program;
mod shell;
mod sleep;
mod streams;
mod terminal;
mod tty;
mod tty_input;
mod typed;

pub use files::{Files, FilesError, Metadata, resolve, split};
pub use host_files::HostFiles;
pub use host_stdio::{host_stdio, host_terminal};
pub use interactive::interactive;
pub use kit::scan::{Completeness, completeness, is_plain_command};
pub use memory_files::MemoryFiles;
pub use mount_files::{MountFiles, MountPoint};
pub use process::{Process, ProcessInfo, Processes, Signals, signal};
pub use program::{Dialect, Program, ProgramContext, Stdio, System, User};
pub use shell::{Bash, BashConfig, Interrupt, Programs};
pub use sleep::{Sleep, interval_seconds};
pub use streams::{SharedReader, SharedWriter, pipe};
pub use terminal::{RawMode, Terminal, TerminalMode};
pub use tty::{Foreground, queue_tty, tty};
pub use tty_input::TtyInput;
pub use typed::Typed;
