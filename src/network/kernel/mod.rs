//! The pod network on real containers: addresses on this machine, packet rules of our own, and name servers on sockets.
//!
//! What the fabric does in memory for simulated pods, the kernel does here, told by [`PacketRules`]; CNI gives pods their
//! addresses. Everything has our name, so that it can be taken away whoever left it there.

mod command;
mod dns_server;
mod forwarding;
mod links;
mod packet_rules;
mod policies;
mod probe;
mod services;
mod table;

pub(crate) use command::run;
pub use dns_server::DnsServer;
pub use forwarding::Forwarding;
pub use links::Links;
pub use packet_rules::PacketRules;
pub use probe::{check, missing};

/// The network that pods get their addresses from.
pub const POD_NETWORK: &str = "10.244.0.0/16";
/// The network of Services.
pub const SERVICE_NETWORK: &str = "10.96.0.0/12";
/// The network of nodes.
pub const NODE_NETWORK: &str = "192.168.49.0/24";
