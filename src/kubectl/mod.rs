//! kubectl, written anew: the same code in the sandbox shell, in containers and on the host.
//!
//! [`Kubectl`] is the program. A command line goes through `command` (which verb), `flags` (what it was told), `factory`
//! (which cluster), then the verb of `verbs/` works with `resources` (which objects), `client` (requests) and `output`
//! (how they are printed). [`Connect`] and [`Network`] are what the place that it runs in must give.

pub mod client;
pub mod command;
pub mod connect;
pub mod describe;
pub mod diff_program;
pub mod editor;
pub mod error;
pub mod factory;
pub mod flags;
pub mod host;
pub mod klog;
pub mod kubeconfig;
pub mod mapper;
pub mod network;
pub mod output;
pub mod pods;
pub mod program;
pub mod remote;
pub mod resources;
pub mod session;
pub mod verbs;
pub mod version;
mod writer;

pub use connect::{ClusterConfig, Connect, HostConnect};
pub use diff_program::{DiffProgram, HostDiffProgram, NoDiffProgram};
pub use editor::{EditRequest, EditTerminal, Editor, NoEditor};
pub use host::{HostEditor, HostNetwork};
pub use network::Network;
pub use program::Kubectl;
