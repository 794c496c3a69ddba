//! The scheduler: gives every pod a node.
//!
//! * `queue`: the pods that wait, and when to try them.
//! * `cache`, `info`, `resource`: what the scheduler knows of nodes and pods.
//! * `framework`, `plugins`: who has a say, the default profile of 1.36.
//! * `cycle`: one attempt for one pod, a pure function; `message`: what is said when it fails.
//! * `assumed`, `binding`: what has to be written for a pod, and its writing.
//! * `decision`: what was decided and why, for views.
//! * `controller`: the task around it: events in, bindings out.

mod assumed;
mod binding;
mod cache;
mod controller;
mod cycle;
mod decision;
mod framework;
mod info;
mod listers;
mod message;
mod plugins;
mod queue;
mod resource;

pub use controller::{Scheduler, start};
pub use decision::{Decision, Decisions};
