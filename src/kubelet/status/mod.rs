//! A pod's status: worked out from what the runtime says, and written when it has changed.

mod conditions;
mod containers;
mod generate;
mod patch;
mod phase;

pub(super) use containers::RUNTIME_PREFIX;
pub(super) use generate::{Inputs, Reason, Reasons, generate, pod_resources, reject};
pub(super) use patch::{could_not_be_located, is_terminal, merge, patch, reconcile_times};
