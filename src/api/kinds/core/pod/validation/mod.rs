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

pub(crate) use claims::{validate_access_modes, validate_claim_spec};
pub(crate) use disks::{validate as validate_disk_sources, validate_csi_driver};
pub(crate) use paths::no_backsteps;
pub(crate) use resources::validate_resource_value;
pub(crate) use scheduling::validate_node_selector;
pub(crate) use volumes::validate_host_path;
pub(crate) use whole::{validate_controlled, validate_new_pod, validate_pod, validate_template};
