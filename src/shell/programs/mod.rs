//! The commands of the sandbox shell that are not bash's and not kubectl: one file a command.

mod cluster;
mod editor;
mod etcdctl;
mod minikube;
mod why;

pub use cluster::ClusterCommand;
pub use editor::{EDITORS, EditFile, edit_on_host, is_editor};
pub use etcdctl::Etcdctl;
pub use minikube::Minikube;
pub use why::Why;
