//! The API's own description: OpenAPI v3, a document a group and version, and OpenAPI v2, one document as JSON or as protobuf.
//!
//! `endpoints` holds one [`OpenApi`] and asks it with [`OpenApi::handle`]. kubectl explains, applies and validates by it.
//! Documents are made when they are first asked for and kept until the registry changes.

mod components;
mod gnostic;
mod paths;
mod serve;
#[cfg(test)]
mod tests;
mod v2;

pub use serve::OpenApi;
