//! The nodes' own shell, as `minikube ssh` opens it: a bash in memory on the node's network, its loopback included.

mod crictl;
mod machine;
mod processes;
mod sudo;
mod systemctl;

pub use machine::NodeShell;
