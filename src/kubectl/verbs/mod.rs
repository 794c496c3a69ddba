//! The verbs, one file each, and their table.

mod api_resources;
pub mod attach;
mod config;
pub mod create;
mod delete;
mod deletion;
mod describe;
mod exec;
mod expose;
mod get;
mod label;
mod logs;
mod options;
mod overrides;
mod patch;
mod patching;
mod port_forward;
mod proxy;
mod replace;
mod rollout;
mod scale;
mod targets;
mod version;
mod watching;
pub mod writing;

use super::command::{Group, Verb};

#[rustfmt::skip]
const BEGINNER: &[&dyn Verb] = &[
    &create::Create,
    &expose::Expose,
];
#[rustfmt::skip]
const INTERMEDIATE: &[&dyn Verb] = &[
    &get::Get,
    &delete::Delete,
];
#[rustfmt::skip]
const DEPLOY: &[&dyn Verb] = &[
    &rollout::Rollout,
    &scale::Scale,
];
#[rustfmt::skip]
const CLUSTER: &[&dyn Verb] = &[
];
#[rustfmt::skip]
const TROUBLESHOOTING: &[&dyn Verb] = &[
    &describe::Describe,
    &logs::Logs,
    &attach::Attach,
    &exec::Exec,
    &port_forward::PortForward,
    &proxy::Proxy,
];
#[rustfmt::skip]
const ADVANCED: &[&dyn Verb] = &[
    &patch::PatchVerb,
    &replace::Replace,
];
#[rustfmt::skip]
const SETTINGS: &[&dyn Verb] = &[
    &label::Label::Labels,
    &label::Label::Annotations,
];
#[rustfmt::skip]
const OTHER: &[&dyn Verb] = &[
    &api_resources::ApiResources,
    &api_resources::ApiVersions,
    &config::Config,
    &version::Version,
    &options::Options,
];

/// Every verb, in the groups and the order in which `kubectl` lists them.
pub static GROUPS: &[Group] = &[
    Group { title: "Basic Commands (Beginner):", verbs: BEGINNER },
    Group { title: "Basic Commands (Intermediate):", verbs: INTERMEDIATE },
    Group { title: "Deploy Commands:", verbs: DEPLOY },
    Group { title: "Cluster Management Commands:", verbs: CLUSTER },
    Group { title: "Troubleshooting and Debugging Commands:", verbs: TROUBLESHOOTING },
    Group { title: "Advanced Commands:", verbs: ADVANCED },
    Group { title: "Settings Commands:", verbs: SETTINGS },
    Group { title: "Subcommands provided by plugins:", verbs: &[] },
    Group { title: "Other Commands:", verbs: OTHER },
];
