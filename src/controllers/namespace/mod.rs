//! The namespace controller: empties a namespace that is being deleted, then lets it go.
//!
//! * [`conditions`]: pure: what the namespace is told about it.
//! * [`controller`]: the reconcile.

mod conditions;
pub(crate) mod controller;
