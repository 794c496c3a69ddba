//! The node: its object, its status, its lease.

mod lease;
mod registration;
mod status;

pub(super) use registration::run;
