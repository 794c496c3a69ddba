//! The Deployment controller.
//!
//! * [`sets`]: pure: a Deployment's ReplicaSets: which is the new one, names, annotations, numbers.
//! * [`status`]: pure: conditions and the status.
//! * [`rollout`], [`draft`]: pure: what a reconcile does, as a [`rollout::Plan`], step by step.
//! * [`controller`]: the reconcile, which carries plans out.

pub(crate) mod controller;
mod draft;
pub(crate) mod rollout;
pub(crate) mod sets;
pub(crate) mod status;
