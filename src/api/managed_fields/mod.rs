//! Who owns which field of an object, and server-side apply.
//!
//! `rest` calls [`update()`] with every write that is not an apply, and [`apply()`] for `PATCH` with an apply patch; both work
//! on values as `codec` decodes them. [`keep_timestamps`] tells a write that changes nothing but the time in an entry.

mod apply;
mod compare;
mod conflict;
mod entries;
mod merge;
mod place;
mod remove;
mod set;
#[cfg(test)]
mod tests;
mod update;
mod validate;

pub use apply::apply;
pub use compare::{Comparison, compare};
pub use entries::{Entry, Managed, Manager, Operation};
pub use place::field_set;
pub use set::{FieldSet, PathElement};
pub use update::{By, keep_timestamps, update};
