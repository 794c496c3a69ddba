//! Patches: JSON patch, JSON merge patch and strategic merge patch, applied by the server, and the two- and three-way
//! diffs that kubectl's apply, edit and others send.
//!
//! `rest` calls [`apply()`]; kubectl calls [`create_three_way_merge_patch`], [`create_two_way_merge_patch`] and, for custom
//! resources, the JSON merge variants. Server-side apply is in `managed_fields`.

mod apply;
mod diff;
mod error;
mod go_print;
mod json_patch;
mod lists;
mod merge;
mod meta;
mod strategic;
#[cfg(test)]
mod tests;

pub use apply::{PatchType, apply};
pub use diff::{create_three_way_merge_patch, create_two_way_merge_patch};
pub use error::PatchError;
pub use go_print::go_print;
pub use merge::{create_merge_patch, create_three_way_json_merge_patch, merge_patch};
pub use strategic::strategic_merge;
