//! What a resource kind declares, and the object-safe form that the generic machinery works with.
//!
//! A kind implements [`Kind`] over its `k8s-openapi` type, which already says group, version, plural and scope. Every
//! function has a default body, so a plain kind is a few lines. `registry` wraps each in [`Typed`], which is what REST,
//! discovery, tables and the rest see as `dyn DynKind`.

mod declaration;
mod info;
mod machinery;
mod object;
mod rules;
mod typed;

pub use declaration::Kind;
pub use info::KindInfo;
pub use machinery::DynKind;
pub use object::{ApiObject, Object};
pub use rules::{Conversion, Dependents, Rules, Scale, Traits, WriteContext};
pub use typed::Typed;
