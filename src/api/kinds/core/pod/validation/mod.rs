//! What a pod's spec must be.

mod containers;
mod env;
mod handlers;
mod mounts;
mod paths;
mod resources;
mod spec;

pub(crate) use resources::validate_resource_value;
pub(crate) use spec::{validate_controlled, validate_pod, validate_template};
