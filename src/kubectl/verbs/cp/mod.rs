//! `kubectl cp`: files and directories into containers and out of them, as tar archives through `exec`.

mod archive;
mod from_pod;
mod paths;
mod spec;
mod tar_pipe;
mod tar_reader;
mod verb;

pub use verb::Cp;
