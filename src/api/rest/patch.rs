//! `patch`: a JSON, merge or strategic merge patch, or a server-side apply.
// Models k8s.io/apiserver/pkg/endpoints/handlers (PatchResource).

use serde_json::Value;

use super::call::{Call, Reply, Rest};
use super::update::Change;
use crate::api::codec::{self, FieldValidation, MediaType, Target};
use crate::api::managed_fields;
use crate::api::options::WriteOptions;
use crate::api::patch;
use crate::api::status::ApiError;

/// How a patch is written, by its Content-Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// A patch of the object as it is.
    Of(patch::PatchType),
    /// Server-side apply.
    Apply,
}

const SUPPORTED: [(&str, PatchType); 4] = [
    ("application/json-patch+json", PatchType::Of(patch::PatchType::Json)),
    ("application/merge-patch+json", PatchType::Of(patch::PatchType::Merge)),
    ("application/strategic-merge-patch+json", PatchType::Of(patch::PatchType::Strategic)),
    ("application/apply-patch+yaml", PatchType::Apply),
];

impl PatchType {
    /// The type that a Content-Type names. Custom resources have no strategic merge patch.
    pub fn from_content_type(content_type: &str, custom: bool) -> Result<Self, ApiError> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        let supported =
            || SUPPORTED.iter().filter(|(_, t)| !(custom && *t == Self::Of(patch::PatchType::Strategic)));
        supported().find(|(name, _)| *name == media).map(|(_, patch_type)| *patch_type).ok_or_else(|| {
            let names: Vec<&str> = supported().map(|(name, _)| *name).collect();
            ApiError::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                names.join(", ")
            ))
        })
    }
}

impl Rest {
    /// Patches the object that the call names; an apply creates it if it is missing.
    pub fn patch(
        &self,
        call: &Call,
        options: &WriteOptions,
        patch_type: PatchType,
        body: &[u8],
    ) -> Result<Reply, ApiError> {
        let create = patch_type == PatchType::Apply && call.subresource.is_empty();
        self.change(call, options, create, |before| self.patched(call, options, patch_type, body, before))
    }

    /// What a patch makes of an object.
    pub fn patched(
        &self,
        call: &Call,
        options: &WriteOptions,
        patch_type: PatchType,
        body: &[u8],
        before: Option<&Value>,
    ) -> Result<Change, ApiError> {
        let info = call.info();
        let PatchType::Of(patch_type) = patch_type else {
            return self.applied(call, options, body, before);
        };
        let before = before.ok_or_else(|| call.not_found())?;
        let target = Target::of(info);
        let patched = patch::apply(&target, before.clone(), body, patch_type, options.field_validation)?;
        Ok(Change { value: patched.value, managed: false, warnings: patched.warnings })
    }

    /// What a server-side apply makes of an object, or of nothing.
    fn applied(
        &self,
        call: &Call,
        options: &WriteOptions,
        body: &[u8],
        before: Option<&Value>,
    ) -> Result<Change, ApiError> {
        let config = codec::parse(body, MediaType::Yaml)
            .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
        let by = self.manager(call, options);
        let value = managed_fields::apply(call.info(), before, config, &by, options.force == Some(true))?;
        let repeated = if options.field_validation == FieldValidation::Ignore {
            vec![]
        } else {
            codec::repeated_fields(body)
        };
        if options.field_validation == FieldValidation::Strict && !repeated.is_empty() {
            let repeated = repeated.join(", ");
            return Err(ApiError::bad_request(format!("error strict decoding YAML: {repeated}")));
        }
        if before.is_none()
            && value.pointer("/metadata/uid").and_then(Value::as_str).is_some_and(|uid| !uid.is_empty())
        {
            let uid = value.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(ApiError::conflict(&call.resource(), &call.name, &why));
        }
        Ok(Change { value, managed: true, warnings: repeated })
    }
}
