//! Go's view of optional fields: an empty string or a zero is the same as nothing.
//!
//! Kinds default and validate over `k8s-openapi` types, where both `None` and `Some("")` can stand for an unset field.

/// The text; empty if it is unset.
pub(crate) fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// Sets a text field that has no value.
pub(crate) fn default_text(field: &mut Option<String>, value: &str) {
    if text(field).is_empty() {
        *field = Some(value.to_owned());
    }
}

/// Sets a number that is unset or zero.
pub(crate) fn default_number(field: &mut Option<i32>, value: i32) {
    if field.unwrap_or_default() == 0 {
        *field = Some(value);
    }
}
