//! The kubelet's server: logs, exec, attach and port-forward for the API server, and what the kubelet says of itself.

mod auth;
mod logs;
mod router;
mod stats;
mod streams;

pub(super) use router::{serve, serve_health};
