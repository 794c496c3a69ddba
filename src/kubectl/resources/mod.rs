//! Which objects a command line means: `TYPE NAME`, `TYPE/NAME`, files, directories, standard input, selectors.
//!
//! [`Builder`] is told what the arguments and flags say, and [`Builder::visit`] gives [`Info`]s: an object each, or a list
//! each, with the resource that it belongs to.
// Models k8s.io/cli-runtime/pkg/resource.

mod arguments;
mod builder;
mod checks;
mod fetch;
mod files;
mod from_files;
mod info;

pub use arguments::{has_names, resources_and_pairs};
pub use builder::Builder;
pub use files::{FilenameOptions, decode_documents, glob};
pub use info::{Info, Visited, is_list, list_items};
