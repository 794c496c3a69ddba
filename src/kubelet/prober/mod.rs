//! Probes: whether a container has started, is ready, is alive.

mod probe;
mod results;
mod worker;

pub(super) use probe::{HttpError, Target, http_get};
pub(super) use results::{ProbeKind, Results};
pub(super) use worker::Probes;
