//! The garbage collector: deletes what nobody owns any more.
//!
//! * [`graph`]: pure: who owns whom, and what a change of it calls for.
//! * [`monitor`]: watches the metadata of every kind and keeps the graph.
//! * [`controller`]: deletes and orphans.

pub(crate) mod controller;
mod graph;
mod monitor;
