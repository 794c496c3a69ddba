//! `kubectl set`: small changes to what is there.

mod change;
mod env;
mod group;
mod image;
mod resources;
mod selector;
mod subject;

pub use group::Set;
