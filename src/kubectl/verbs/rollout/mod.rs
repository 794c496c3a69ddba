//! `kubectl rollout`: how a deployment comes to a new template, and back.

mod group;
mod history;
mod pause;
mod revisions;
mod status;
mod undo;

pub use group::Rollout;
