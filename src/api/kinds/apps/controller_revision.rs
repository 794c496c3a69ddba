//! ControllerRevision: a state of a DaemonSet or StatefulSet, kept to go back to.
// Models pkg/registry/apps/controllerrevision and pkg/apis/apps/validation.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use serde_json::Value;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::Kind;
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::owner;

/// `apps/v1` ControllerRevision.
pub struct ControllerRevisionKind;

impl Kind for ControllerRevisionKind {
    type Object = ControllerRevision;

    fn validate(object: &ControllerRevision) -> Vec<FieldError> {
        let field = FieldPath::new("data");
        let mut errors = checks::nonnegative(object.revision, &FieldPath::new("revision"));
        match object.data.as_ref().map(|data| &data.0) {
            None | Some(Value::Null) => errors.push(FieldError::required(&field, "data is mandatory")),
            Some(Value::Object(_)) => {}
            Some(_) => errors.push(FieldError::required(&field, "data must be a valid JSON object")),
        }
        errors
    }

    fn validate_update(new: &ControllerRevision, old: &ControllerRevision) -> Vec<FieldError> {
        let mut errors = Self::validate(new);
        errors.extend(checks::immutable(&new.data, &old.data, &FieldPath::new("data")));
        errors
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Controller", "Whose state it is"),
            Column::string("Revision", "The state's number"),
            Column::AGE,
        ]
    }

    fn row(object: &ControllerRevision, now: Timestamp) -> Vec<Cell> {
        let controller = owner::controller_of(&object.metadata).map(|controller| {
            let group = controller
                .api_version
                .split_once('/')
                .map(|(group, _)| format!(".{group}"))
                .unwrap_or_default();
            format!("{}{group}/{}", controller.kind.to_lowercase(), controller.name)
        });
        vec![
            cells::name(&object.metadata),
            controller.unwrap_or_else(|| "<none>".to_owned()).into(),
            object.revision.into(),
            cells::age(&object.metadata, now),
        ]
    }
}
