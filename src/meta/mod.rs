//! Small things that every floor uses: quantities, selectors, names, ages, object references.
//!
//! Pure functions over Kubernetes' value types; nothing here knows the API server or a component.

pub mod age;
pub mod cidr;
pub mod names;
pub mod node_affinity;
pub mod number;
pub mod owner;
pub mod quantity;
pub mod selector;
pub mod storage;
pub mod storage_match;
pub mod taint;
