//! The Deployment controller.
//!
//! * [`sets`]: pure: a Deployment's ReplicaSets: which is the new one, names, annotations, numbers.
//! * [`status`]: pure: conditions and the status.
//! * [`rollout`]: pure: what a reconcile does, as a [`rollout::Plan`].
//! * [`controller`]: the reconcile, which carries plans out.

pub(crate) mod controller;
pub(crate) mod rollout;
pub(crate) mod sets;
pub(crate) mod status;
