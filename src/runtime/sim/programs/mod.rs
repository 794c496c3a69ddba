//! The programs of containers: servers, clients and small tools, each a [`crate::bash::Program`].
//!
//! Servers listen on the container's place in the network with real bytes. The clients [`Curl`], [`Wget`], [`Nslookup`],
//! [`Ping`] and [`Nc`] serve the learner's own shell too.

mod agnhost;
mod bootcamp;
mod clock_text;
mod curl;
mod env;
mod hostname;
mod http;
mod machine;
mod missing;
mod resolver;
mod shell;
mod sleep;
mod tls;

pub use curl::Curl;
pub use machine::Machine;
pub(super) use machine::install;
