//! `kubectl create`: from files, and from arguments by a `generator::Generator` a kind.

mod data;
mod file;
mod generator;
mod ingress;
pub mod plain;
mod rbac;
mod service;
mod sources;
mod token;
mod workload;

pub use file::Create;
