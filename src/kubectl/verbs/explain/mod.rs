//! `kubectl explain`: what the fields of a resource are, from the server's OpenAPI.

mod plaintext;
mod plaintext_v2;
mod schema;
mod verb;

pub use verb::Explain;
