//! `kubectl get`: objects as tables, or in any other form; once, or as they change.

mod list;
mod verb;
mod watch;

pub use verb::Get;
