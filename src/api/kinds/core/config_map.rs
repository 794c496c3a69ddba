//! ConfigMap: plain configuration, as text and as bytes.
// Models pkg/registry/core/configmap and pkg/apis/core/validation (ValidateConfigMap).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::Kind;
use crate::api::table::{Cell, Column};
use crate::meta::{age, names};

/// The most that the data of one ConfigMap or Secret may hold, in bytes.
pub const MAX_DATA_BYTES: usize = 1024 * 1024;

/// `v1` ConfigMap.
pub struct ConfigMapKind;

impl Kind for ConfigMapKind {
    type Object = ConfigMap;
    const SHORT_NAMES: &'static [&'static str] = &["cm"];

    fn validate(object: &ConfigMap) -> Vec<FieldError> {
        let mut errors = vec![];
        let (data, binary) = (FieldPath::new("data"), FieldPath::new("binaryData"));
        let mut size = 0;
        for (key, value) in object.data.iter().flatten() {
            errors.extend(
                names::config_map_key(key)
                    .into_iter()
                    .map(|e| FieldError::invalid(&data.key(key), key.as_str(), e)),
            );
            if object.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
                errors.push(FieldError::invalid(
                    &data.key(key),
                    key.as_str(),
                    "duplicate of key present in binaryData",
                ));
            }
            size += value.len();
        }
        for (key, value) in object.binary_data.iter().flatten() {
            errors.extend(
                names::config_map_key(key)
                    .into_iter()
                    .map(|e| FieldError::invalid(&binary.key(key), key.as_str(), e)),
            );
            size += value.0.len();
        }
        if size > MAX_DATA_BYTES {
            errors.push(FieldError::too_long(&FieldPath::default().key(""), MAX_DATA_BYTES));
        }
        errors
    }

    fn validate_update(new: &ConfigMap, old: &ConfigMap) -> Vec<FieldError> {
        if old.immutable != Some(true) {
            return vec![];
        }
        let why = "field is immutable when `immutable` is set";
        let mut errors = vec![];
        if new.immutable != Some(true) {
            errors.push(FieldError::forbidden(&FieldPath::new("immutable"), why));
        }
        if new.data != old.data {
            errors.push(FieldError::forbidden(&FieldPath::new("data"), why));
        }
        if new.binary_data != old.binary_data {
            errors.push(FieldError::forbidden(&FieldPath::new("binaryData"), why));
        }
        errors
    }

    fn columns() -> Vec<Column> {
        vec![Column::NAME, Column::integer("Data", "How many keys the ConfigMap has"), Column::AGE]
    }

    fn row(object: &ConfigMap, now: Timestamp) -> Vec<Cell> {
        let keys =
            object.data.as_ref().map_or(0, |d| d.len()) + object.binary_data.as_ref().map_or(0, |d| d.len());
        let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        vec![object.metadata.name.clone().into(), keys.into(), age::since(created, now).into()]
    }
}
