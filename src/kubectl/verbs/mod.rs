//! The verbs, one file each, and their table.

mod absent;
mod api_resources;
mod apply;
pub mod attach;
mod auth;
mod autoscale;
mod cluster_info;
mod completion;
mod config;
mod cp;
pub mod create;
mod delete;
mod deletion;
mod describe;
mod diff;
mod drain;
mod drain_filters;
mod edit;
mod events;
mod exec;
mod explain;
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
mod recording;
mod replace;
mod rollout;
mod run;
mod run_attached;
mod scale;
mod set;
mod taint;
mod targets;
#[cfg(test)]
mod testing;
mod top;
mod version;
mod wait;
mod watching;
pub mod writing;

pub(super) use recording::change_cause;

use super::command::{Group, Verb};

#[rustfmt::skip]
const BEGINNER: &[&dyn Verb] = &[
    &create::Create,
    &expose::Expose,
    &run::Run,
    &set::Set,
];
#[rustfmt::skip]
const INTERMEDIATE: &[&dyn Verb] = &[
    &explain::Explain,
    &get::Get,
    &edit::Edit,
    &delete::Delete,
];
#[rustfmt::skip]
const DEPLOY: &[&dyn Verb] = &[
    &rollout::Rollout,
    &scale::Scale,
    &autoscale::Autoscale,
];
#[rustfmt::skip]
const CLUSTER: &[&dyn Verb] = &[
    &cluster_info::ClusterInfo,
    &top::Top,
    &drain::NodeVerb::Cordon,
    &drain::NodeVerb::Uncordon,
    &drain::NodeVerb::Drain,
    &taint::Taint,
];
#[rustfmt::skip]
const TROUBLESHOOTING: &[&dyn Verb] = &[
    &describe::Describe,
    &logs::Logs,
    &attach::Attach,
    &exec::Exec,
    &port_forward::PortForward,
    &proxy::Proxy,
    &cp::Cp,
    &auth::Auth,
    &events::Events,
];
#[rustfmt::skip]
const ADVANCED: &[&dyn Verb] = &[
    &diff::Diff,
    &apply::Apply,
    &patch::PatchVerb,
    &replace::Replace,
    &wait::Wait,
    &absent::KUSTOMIZE,
];
#[rustfmt::skip]
const SETTINGS: &[&dyn Verb] = &[
    &label::Label::Labels,
    &label::Label::Annotations,
    &completion::Completion,
];
#[rustfmt::skip]
const OTHER: &[&dyn Verb] = &[
    &api_resources::ApiResources,
    &api_resources::ApiVersions,
    &config::Config,
    &absent::KUBERC,
    &absent::PLUGIN,
    &version::Version,
    &options::Options,
    &completion::Complete,
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
