//! The API server: kinds, requests, admission, the write pipeline and what is served.
//!
//! A request comes in through `server` (a tower service, in process or over TLS), becomes a `request::RequestInfo`, is
//! authenticated, and goes to one of the verbs in `rest` or to a sub-resource. Kinds are rows of `registry`; everything
//! that is special to a kind is in its file under `kinds`.
//!
//! It talks to the store below it and to nobody above it: kubelets, pods and Services are reached through `net::Dial`.

pub mod admission;
pub mod allocations;
pub mod auth;
pub mod bootstrap;
pub mod codec;
pub mod discovery;
mod endpoints;
pub mod field;
mod guarded;
mod handler;
mod health;
pub mod kind;
pub mod kinds;
pub mod managed_fields;
mod metrics;
pub mod negotiate;
pub mod openapi;
pub mod options;
pub mod patch;
mod probes;
pub mod registry;
pub mod request;
pub mod rest;
mod reviews;
pub mod schema;
mod serve;
pub mod server;
pub mod status;
mod subresources;
pub mod table;
#[cfg(test)]
pub mod testing;

pub use probes::Probes;
pub use serve::server_config;
pub use server::KUBELET_TOKEN_HEADER;
