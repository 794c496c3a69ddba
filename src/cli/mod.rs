//! The command line: what `k8s-learn` can be asked, and which runtime each answer needs.

mod bench;
mod command_line;
mod doctor;
mod images;
mod kubectl;
mod lesson;
mod shell;
mod tui;
mod up;

pub use command_line::main;
