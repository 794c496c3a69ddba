//! kubectl's dialect of JSONPath: texts with `{expressions}`, ranges, filters, unions, slices, recursive descent.
//!
//! [`JsonPath`] is a parsed template; sorting, custom columns and `kubectl wait` use it as well as `-o jsonpath`.

mod eval;
mod parser;
mod printer;

pub use eval::JsonPath;
pub use printer::{JsonPathPrinter, relaxed};
