//! The sandbox shell: the learner's bash on a machine beside the cluster, with kubectl and friends in it.
//!
//! [`Session`] is the shell itself; [`repl`] is its front on a terminal.

pub mod causes;
pub mod completion;
mod live;
mod node;
mod place;
pub mod programs;
mod ran;
pub mod repl;
mod session;
pub mod slips;

pub use live::LiveSource;
pub use node::NodeShell;
pub use ran::{CommandLog, Ran};
pub use session::{HOME, HOST_DIRECTORY, Session, SessionConfig, commands};
