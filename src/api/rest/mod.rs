//! The verbs, each written once over `dyn DynKind` and the store.
//!
//! `server` hands in a [`Call`] (who does what to which resource) and gets a [`Reply`], which `present` turns into the
//! bytes that the client asked for. All writes go through one pipeline: decode, default, record the managers, admit, let
//! the kind prepare, validate, encode once, and a transaction that compares what was read.
// Models k8s.io/apiserver/pkg/registry/generic/registry (Store) and .../pkg/endpoints/handlers.

mod call;
mod create;
mod delete;
mod delete_collection;
#[cfg(test)]
mod every_kind;
mod facts;
mod get;
mod leases;
mod list;
mod metadata;
mod patch;
mod present;
#[cfg(test)]
mod tests;
mod update;
mod watch;

pub use call::{Call, Content, Page, Reply, Rest};
pub use create::Review;
pub use patch::PatchType;
pub use present::{Presenter, add_warnings, refused, written};
pub use update::Change;
