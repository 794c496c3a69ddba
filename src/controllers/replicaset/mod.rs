//! The ReplicaSet controller, and the ReplicationController's, which is the same over another type.
//!
//! * [`owner`]: what both kinds have in common.
//! * [`plan`]: pure: which pods belong, which must go, what the status is.
//! * [`controller`]: the reconcile around it.

pub(crate) mod controller;
pub(crate) mod owner;
pub(crate) mod plan;
