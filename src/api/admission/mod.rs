//! Admission: what is changed or refused in a write after its user was let in and before it is validated.
//!
//! One plugin a file, and [`Chain`], which holds them in Kubernetes' order. The write pipeline calls [`Chain::admit`]
//! on the defaulted object, validates the object by its kind, then calls [`Chain::validate`] on what will be stored.
//! Deletions and connections (exec, attach, proxy) pass through both too. Plugins read the store and never write it.

mod chain;
mod default_storage_class;
mod default_toleration_seconds;
mod namespace_lifecycle;
mod persistent_volume_claim_resize;
mod priority;
mod service_account;
mod storage_object_in_use_protection;
mod taint_nodes_by_condition;

pub use chain::{AdmissionContext, AdmissionRequest, Chain, Operation, Plugin};
pub use default_storage_class::DefaultStorageClass;
pub use default_toleration_seconds::DefaultTolerationSeconds;
pub use namespace_lifecycle::NamespaceLifecycle;
pub use persistent_volume_claim_resize::PersistentVolumeClaimResize;
pub use priority::Priority;
pub use service_account::ServiceAccountPlugin;
pub use storage_object_in_use_protection::StorageObjectInUseProtection;
pub use taint_nodes_by_condition::TaintNodesByCondition;
