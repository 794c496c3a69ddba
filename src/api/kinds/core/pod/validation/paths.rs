//! Paths inside volumes and on nodes.
// Models pkg/apis/core/validation (validateLocalDescendingPath, ValidateLocalNonReservedPath).

use crate::api::field::{FieldError, FieldPath};

/// No part of the path is `..`.
pub(crate) fn no_backsteps(path: &str, field: &FieldPath) -> Vec<FieldError> {
    if path.split('/').any(|part| part == "..") {
        vec![FieldError::invalid(field, path, "must not contain '..'")]
    } else {
        vec![]
    }
}

/// The path stays below where it starts.
pub(super) fn descending(path: &str, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if path.starts_with('/') {
        errors.push(FieldError::invalid(field, path, "must be a relative path"));
    }
    errors.extend(no_backsteps(path, field));
    errors
}

/// The path stays below where it starts, and does not use the names that volumes keep for themselves.
pub(super) fn not_reserved(path: &str, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = descending(path, field);
    if path.starts_with("..") && !path.starts_with("../") && path != ".." {
        errors.push(FieldError::invalid(field, path, "must not start with '..'"));
    }
    errors
}
