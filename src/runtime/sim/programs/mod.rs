//! The programs of containers: servers, clients and small tools, each a [`crate::bash::Program`].
//!
//! Servers listen on the container's place in the network with real bytes. The clients [`Curl`], [`Wget`], [`Nslookup`],
//! [`Ping`] and [`Nc`] serve the learner's own shell and the nodes' too.

mod agnhost;
mod bootcamp;
mod clock_text;
mod curl;
mod datagrams;
mod dns_tools;
mod entrypoint;
mod env;
mod hostname;
mod http;
mod httpd;
mod machine;
mod missing;
mod net_tools;
mod nginx;
mod pause;
mod pgrep;
mod ps;
mod redis;
mod resolver;
mod shell;
mod stress;
mod tail;
mod tar;
mod tls;
mod traps;
mod wget;

#[cfg(test)]
mod tests;

pub use curl::Curl;
pub use dns_tools::Nslookup;
pub use hostname::Hostname;
pub use machine::Machine;
pub(super) use machine::install;
pub use net_tools::{Interfaces, Nc, Ping};
pub use ps::process_table;
pub(super) use resolver::name_servers;
pub use wget::Wget;
