//! The verbs, one file each, and their table.

mod absent;
mod api_resources;
mod auth;
mod cluster_info;
mod completion;
mod config;
mod events;
mod explain;
mod get;
mod options;
mod version;

use super::command::{Group, Verb};

const BEGINNER: &[&dyn Verb] = &[];
const INTERMEDIATE: &[&dyn Verb] = &[&explain::Explain, &get::Get];
const DEPLOY: &[&dyn Verb] = &[];
const CLUSTER: &[&dyn Verb] = &[&cluster_info::ClusterInfo];
const TROUBLESHOOTING: &[&dyn Verb] = &[&auth::Auth, &events::Events];
const ADVANCED: &[&dyn Verb] = &[&absent::KUSTOMIZE];
const SETTINGS: &[&dyn Verb] = &[&completion::Completion];
const OTHER: &[&dyn Verb] = &[
    &api_resources::ApiResources,
    &api_resources::ApiVersions,
    &config::Config,
    &absent::KUBERC,
    &absent::PLUGIN,
    &completion::Complete,
    &options::Options,
    &version::Version,
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
