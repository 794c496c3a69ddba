//! The TUI in a real pseudo-terminal: typed at as a person would, and seen through a terminal emulator.

mod interrupts;
mod lesson;
mod pastes;
mod rough;
mod running;
mod session;
mod terminal;
