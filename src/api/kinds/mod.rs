//! The built-in kinds: one file a kind, one row each in [`built_in`].

pub mod apps;
pub mod core;

use super::kind::{DynKind, Typed};

/// Every built-in kind.
pub fn built_in() -> Vec<Box<dyn DynKind>> {
    vec![Typed::<core::config_map::ConfigMapKind>::boxed()]
}
