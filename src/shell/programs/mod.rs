//! The commands of the sandbox shell that are not bash's and not kubectl: one file a command.

mod etcdctl;
mod minikube;

pub use etcdctl::Etcdctl;
pub use minikube::Minikube;
