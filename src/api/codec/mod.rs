//! Objects as bytes: reading what clients send, strictly and in the server's words, and writing what is stored and served.
//!
//! `rest` and the sub-resources decode bodies with [`decode()`] and patched objects with [`from_unstructured`], and write
//! with [`encode()`]. Everything is driven by the table of types in `api::schema`; a kind without a schema passes as it is.

mod decode;
mod encode;
mod node;
mod protobuf;
mod scalar;
mod target;
mod unstructured;
mod walk;
mod yaml;

pub use decode::{
    Decoded, FieldValidation, MediaType, decode, decode_as, decode_loosely, parse, repeated_fields,
};
pub use encode::{encode, encode_plain, encode_type, encode_value, list_item, pretty, to_canonical_value};
pub use protobuf::{ProtobufError, to_json as protobuf_to_json};
pub use target::Target;
pub use unstructured::from_unstructured;
