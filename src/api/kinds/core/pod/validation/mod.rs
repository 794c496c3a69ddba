//! What a pod's spec must be.

mod claims;
mod containers;
mod disks;
mod env;
mod handlers;
mod mounts;
mod network;
mod paths;
mod resources;
mod scheduling;
mod security;
mod spec;
mod volumes;
mod whole;

pub(crate) use resources::validate_resource_value;
pub(crate) use whole::{validate_controlled, validate_new_pod, validate_pod, validate_template};
