//! How objects are printed: tables, names, YAML, JSON, templates.
//!
//! [`printer`] gives the [`ResourcePrinter`] that the `-o` flag asks for; verbs that make tables themselves use
//! [`TabWriter`]. Printers write to a `String`, verbs write that to the session's output.

pub mod columns;
pub mod gofmt;
pub mod json;
pub mod jsonpath;
pub mod kyaml;
pub mod name;
pub mod print_flags;
pub mod sort;
pub mod table;
pub mod tabwriter;
pub mod template;

pub use print_flags::{Operation, ResourcePrinter, print_flags, printer};
pub use tabwriter::TabWriter;
