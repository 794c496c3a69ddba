//! Containers in this process: a runtime that needs no root, no registry and no kernel, for every cluster by default.
//!
//! Images are data (`fixtures/images`), processes are futures, files and networks are in memory. What a container runs is
//! a [`crate::bash::Program`] of [`programs`] or a command of the shell. Several runtimes live in one process and never
//! meet but on their fabric.

mod cgroup;
mod config;
mod console;
mod container;
mod disk;
mod exec;
mod launcher;
mod life;
mod log;
mod root_files;
mod runtime;
mod sandbox;
mod service;
mod spawned;
mod volumes;

pub mod contained;
pub(in crate::runtime) mod images;
pub mod programs;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use cgroup::{Allocation, Burn, Cgroup};
pub use config::{Pace, SimConfig};
pub use disk::NodeDisk;
pub use runtime::SimRuntime;

/// Where programs are looked for when nobody says.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
