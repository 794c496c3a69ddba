//! `kubectl config`: showing and changing kubeconfig files.
// Models k8s.io/kubectl/pkg/cmd/config.

mod contexts;
mod credentials;
mod entries;
mod group;
mod property;
mod view;
mod write;

pub use group::Config;
