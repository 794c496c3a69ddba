//! `kubectl diff`: what `apply` would change, as a unified diff of the objects in YAML.

mod masker;
mod unified;
mod verb;

pub use verb::Diff;
