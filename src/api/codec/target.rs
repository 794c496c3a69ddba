//! What a body is decoded into: group, version, kind, and the schema if there is one.

use crate::api::kind::KindInfo;
use crate::api::schema::{self, TypeInfo};

/// The kind that a body must have.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The version.
    pub version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The fields; `None` for anything goes.
    pub schema: Option<&'a TypeInfo>,
    /// The kind is a custom resource: everything is kept, nothing becomes a zero value.
    pub custom: bool,
}

impl<'a> Target<'a> {
    /// Objects of a kind.
    pub fn of(info: &'a KindInfo) -> Self {
        let schema = info.type_info();
        let custom = info.schema_type.is_none();
        Self { group: &info.group, version: &info.version, kind: &info.kind, schema, custom }
    }

    /// A type of the table that is not a kind of the registry, like `autoscaling/v1` Scale or `meta/v1` DeleteOptions.
    pub fn named(group: &'a str, version: &'a str, kind: &'a str) -> Self {
        let schema = schema::name_of(group, version, kind).and_then(schema::lookup);
        Self { group, version, kind, schema, custom: false }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        join(self.group, self.version)
    }
}

/// `v1` or `apps/v1`.
pub(super) fn join(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
