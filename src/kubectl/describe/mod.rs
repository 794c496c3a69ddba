//! `kubectl describe`: what each kind looks like in words.
//!
//! [`describe`] finds the describer of a kind in the table [`DESCRIBERS`] and gives it [`Related`], through which it asks
//! for the object and for what belongs to it. The verb itself, with its flags, is `verbs/describe.rs`.

mod config_map;
mod container;
pub mod deployment;
mod describer;
mod endpoint_slice;
mod endpoints;
mod environment;
mod events;
pub mod fields;
mod generic;
mod limit_range;
mod metadata;
mod namespace;
mod network_policy;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod pod;
mod pod_resources;
mod quota;
mod related;
mod replica_set;
mod replication_controller;
mod secret;
mod service;
mod service_account;
mod storage_class;
pub mod template;
mod volume;
pub mod writer;

#[cfg(test)]
mod samples;

pub use describer::{DESCRIBERS, Describer, Settings, TypeName, describe};
pub use related::{Failure, Fixed, Related, Resource, Wanted};
