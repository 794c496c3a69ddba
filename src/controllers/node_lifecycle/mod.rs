//! The node lifecycle controller: notices nodes that have fallen silent, says so, taints them.
//!
//! * [`plan`]: pure: conditions and taints of a node.
//! * [`controller`]: the reconcile.
//! * [`eviction`]: the taint eviction controller, which puts pods out of tainted nodes.

pub(crate) mod controller;
pub(crate) mod eviction;
mod plan;
