//! The spec of a pod as a whole, and the templates of pods.
// Models pkg/apis/core/validation (ValidatePodSpec, ValidatePodTemplateSpec, ValidatePodCreate).

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec};

use super::containers::{self, Surroundings};
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
use crate::meta::selector::Selector;

/// A whole pod.
pub(crate) fn validate_pod(pod: &Pod) -> Vec<FieldError> {
    let spec = pod.spec.clone().unwrap_or_default();
    validate_spec(&spec, pod.metadata.name.as_deref(), &FieldPath::new("spec"))
}

/// A template for pods.
pub(crate) fn validate_template(template: &PodTemplateSpec, field: &FieldPath) -> Vec<FieldError> {
    let (meta, spec) = (template.metadata.clone().unwrap_or_default(), template.spec.clone().unwrap_or_default());
    let mut errors = checks::labels(meta.labels.as_ref(), &field.child("labels"));
    errors.extend(checks::annotations(meta.annotations.as_ref(), &field.child("annotations")));
    errors.extend(validate_spec(&spec, None, &field.child("spec")));
    if spec.ephemeral_containers.is_some_and(|containers| !containers.is_empty()) {
        let field = field.child("spec").child("ephemeralContainers");
        errors.push(FieldError::forbidden(&field, "ephemeral containers not allowed in pod template"));
    }
    errors
}

/// The template of a controller that keeps its pods running: it matches the selector and always restarts.
pub(crate) fn validate_controlled(
    template: &PodTemplateSpec,
    selector: &Selector,
    kind: &str,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    let labels = template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
    if !selector.is_empty() && !selector.matches_optional(labels) {
        let shown = serde_json::to_value(labels).unwrap_or_default();
        let field = field.child("metadata").child("labels");
        errors.push(FieldError::invalid(&field, shown, "`selector` does not match template `labels`"));
    }
    errors.extend(validate_template(template, field));
    let spec = template.spec.clone().unwrap_or_default();
    let field = field.child("spec");
    if text(&spec.restart_policy) != "Always" {
        errors.push(FieldError::not_supported(&field.child("restartPolicy"), text(&spec.restart_policy), &["Always"]));
    }
    if spec.active_deadline_seconds.is_some() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(&field.child("activeDeadlineSeconds"), why));
    }
    errors
}

fn validate_spec(spec: &PodSpec, _name: Option<&str>, field: &FieldPath) -> Vec<FieldError> {
    let volumes = spec.volumes.iter().flatten().map(|volume| (volume.name.clone(), volume.clone())).collect();
    let surroundings = Surroundings::new(spec, volumes);
    let mut errors = containers::validate_all(spec, &surroundings, field);
    let policy = field.child("restartPolicy");
    match text(&spec.restart_policy) {
        "Always" | "OnFailure" | "Never" => {}
        "" => errors.push(FieldError::required(&policy, "")),
        other => errors.push(FieldError::not_supported(&policy, other, &["Always", "OnFailure", "Never"])),
    }
    errors
}
