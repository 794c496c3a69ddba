//! Patches that verbs send: made from an object before and after, by the kind's own rules where the kind is known.
// Models apimachinery/pkg/util/strategicpatch (CreateTwoWayMergePatch) as kubectl calls it, and resource.Helper.Patch.

use serde_json::Value;

use super::writing::{WriteOptions, go_json};
use crate::api::patch::{
    PatchError, create_merge_patch, create_two_way_merge_patch, merge_patch, strategic_merge,
};
use crate::api::schema::{self, TypeInfo};
use crate::kubectl::client::Request;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::resources::Info;
use crate::kubectl::session::Session;

/// The kinds of patches, by their media types.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// RFC 7386.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Lists merge by their keys.
pub const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
/// Server-side apply.
pub const APPLY_PATCH: &str = "application/apply-patch+yaml";

impl From<PatchError> for KubectlError {
    fn from(error: PatchError) -> Self {
        Self::message(error.to_string())
    }
}

/// The schema of a kind that is built in; `None` for custom resources.
pub fn type_info(mapping: &Mapping) -> Option<&'static TypeInfo> {
    schema::lookup(schema::name_of(&mapping.group, &mapping.version, &mapping.kind)?)
}

/// A patch and its media type.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The media type.
    pub media_type: &'static str,
    /// The patch.
    pub body: Value,
}

impl Patch {
    /// What brings `before` to `after`: strategic for kinds that are built in, else a JSON merge patch.
    pub fn between(mapping: &Mapping, before: &Value, after: &Value) -> Result<Self> {
        match type_info(mapping) {
            Some(info) => {
                let body = create_two_way_merge_patch(before, after, info)?;
                Ok(Self { media_type: STRATEGIC_PATCH, body })
            }
            None => Self::merge(before, after),
        }
    }

    /// What brings `before` to `after` as a JSON merge patch.
    pub fn merge(before: &Value, after: &Value) -> Result<Self> {
        Ok(Self { media_type: MERGE_PATCH, body: create_merge_patch(before, after)? })
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.body.as_object().is_some_and(serde_json::Map::is_empty)
    }

    /// The object with the patch in it, reckoned here.
    pub fn apply_locally(&self, mapping: &Mapping, object: &Value) -> Result<Value> {
        if self.media_type == MERGE_PATCH {
            return Ok(merge_patch(object.clone(), self.body.clone()));
        }
        let info = type_info(mapping).ok_or_else(|| {
            let kind = format!("{}, Kind={}", mapping.api_version(), mapping.kind);
            KubectlError::message(format!(
                "strategic merge patch is not supported for {kind} locally, try --type merge"
            ))
        })?;
        let (Value::Object(object), Value::Object(patch)) = (object.clone(), self.body.clone()) else {
            return Err(PatchError::BadJsonDoc.into());
        };
        Ok(Value::Object(strategic_merge(object, patch, info)?))
    }
}

/// Sends a patch of an object and gives the object that came of it.
pub async fn send(
    session: &Session,
    info: &Info,
    patch: &Patch,
    options: &WriteOptions<'_>,
) -> Result<Value> {
    let request = options.on(Request::patch(info.path()?)).body(patch.media_type, go_json(&patch.body));
    session.client().await?.json(request).await
}
