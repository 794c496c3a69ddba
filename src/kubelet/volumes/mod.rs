//! A pod's volumes: what is in them, keeping that up to date, and how much they may hold.

mod claims;
mod content;
mod host;
mod limits;
mod manager;
#[cfg(test)]
mod tests;

pub(super) use limits::{has_limits, over_limit};
pub(super) use manager::{Claimed, Setup, Volumes, volume_id};
