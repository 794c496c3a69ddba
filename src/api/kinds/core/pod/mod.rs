//! Pod, and what every kind with a pod template shares: defaults, validation, warnings.

mod defaults;
mod images;
mod label_keys;
mod paths;
mod printer;
mod qos;
mod resize;
mod resources;
mod status_update;
mod strategy;
mod update;
mod validation;
mod warnings;

pub(crate) use defaults::{default_claim_spec, default_resource_list, default_template};
pub use strategy::PodKind;
pub(crate) use validation::{
    no_backsteps, validate_access_modes, validate_claim_spec, validate_controlled, validate_csi_driver,
    validate_disk_sources, validate_host_path, validate_node_selector, validate_resource_value,
    validate_template,
};
pub(crate) use warnings::{
    controller_warnings, node_term_warnings, old_node_label, owner_name_warning, template_warnings,
};
