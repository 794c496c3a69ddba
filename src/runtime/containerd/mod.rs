//! Pods as real containers, on the machine's own containerd, through the CRI.
//!
//! One [`ContainerdRuntime`] a node; several share one containerd, and each knows its own by a label. The course's images
//! are made from this very binary ([`Course`]); everything else comes from registries.

mod client;
mod config;
mod container;
mod course;
mod doctor;
mod events;
mod images;
mod logs;
mod machine;
mod network;
mod ownership;
mod proto;
mod rotation;
mod runtime;
mod sandbox;
mod service;
mod streams;
mod tmpfs;
mod volumes;

pub use client::Client;
pub use config::{ContainerdConfig, ContainerdError, DEFAULT_SOCKET, DEFAULT_STATE, NodeConfig};
pub use course::Course;
pub use doctor::{Finding, examine};
pub use machine::Containerd;
pub use runtime::ContainerdRuntime;
