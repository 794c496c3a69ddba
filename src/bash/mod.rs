//! A bash in memory, behind our own trait: the shell inside the simulation's containers and the learner's own.
//!
//! [`Program`] is what a command is: it has arguments, an environment, files and byte streams, and ends with a code.
//! [`Bash`] runs scripts that call programs. The language itself is the crate `bashkit`, pinned, and seen by this room
//! only.

mod files;
mod program;
mod terminal;

pub use files::{Files, FilesError, Metadata};
pub use program::{Program, ProgramContext, Stdio};
pub use terminal::{RawMode, Terminal, TerminalMode};
