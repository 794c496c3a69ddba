//! A pod's volumes: what is in them, and keeping that up to date.

mod content;
mod manager;

pub(super) use manager::{Setup, Volumes, volume_id};
