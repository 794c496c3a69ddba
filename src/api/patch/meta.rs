//! What the table of types says about patching a field: where its own fields are described, and how it merges.
// Models k8s.io/apimachinery/pkg/util/strategicpatch (PatchMetaFromStruct).

use std::borrow::Cow;

use super::error::PatchError;
use crate::api::schema::{Shape, TypeInfo};

/// The schema of a part of an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schema<'a> {
    /// A struct.
    Type(&'a TypeInfo),
    /// A map, a list's scalar elements, or anything else that has no fields.
    Other(&'a Shape),
}

/// How one field is patched.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldMeta {
    pub merge: bool,
    pub retain_keys: bool,
    pub merge_key: Option<Cow<'static, str>>,
}

impl<'a> Schema<'a> {
    fn of(shape: &'a Shape) -> Self {
        match shape {
            Shape::Type(reference) => Self::Type(reference.get()),
            other => Self::Other(other),
        }
    }

    /// The schema of a field that holds a map, and how it merges.
    pub(super) fn map_field(self, key: &str) -> Result<(Self, FieldMeta), PatchError> {
        match self {
            Self::Type(info) => {
                let field = info.field(key).ok_or_else(|| {
                    let name = info.short_name();
                    PatchError::Other(format!(
                        "unable to find api field in struct {name} for the json field {key:?}"
                    ))
                })?;
                let meta = FieldMeta {
                    merge: field.patch.merge,
                    retain_keys: field.patch.retain_keys,
                    merge_key: field.patch.merge_key.map(Cow::Borrowed),
                };
                Ok((Self::of(&field.value), meta))
            }
            Self::Other(Shape::Map(element)) => Ok((Self::of(element), FieldMeta::default())),
            Self::Other(Shape::Raw) => Err(PatchError::Other(format!(
                "unable to find api field in struct RawExtension for the json field {key:?}"
            ))),
            Self::Other(other) => Err(PatchError::Other(format!(
                "merging an object in json but data type is not struct, instead is: {other:?}"
            ))),
        }
    }

    /// The schema of the elements of a field that holds a list, and how it merges.
    pub(super) fn list_field(self, key: &str) -> Result<(Self, FieldMeta), PatchError> {
        let (schema, meta) = self.map_field(key)?;
        match schema {
            Self::Other(Shape::List(element)) => Ok((Self::of(element), meta)),
            _ => Err(PatchError::Other("expected slice or array type, but got: struct".to_owned())),
        }
    }

    /// Go's word for the kind of type, for a message.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Type(_) => "struct",
            Self::Other(Shape::Map(_)) => "map",
            Self::Other(_) => "string",
        }
    }
}
