//! kubectl, ours.

pub mod describe;
