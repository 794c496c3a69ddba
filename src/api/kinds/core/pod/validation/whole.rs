//! Pods and templates of pods as wholes: their metadata beside their spec.
// Models pkg/apis/core/validation (ValidatePodCreate, ValidatePodTemplateSpec, validatePodMetadataAndSpec).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec};

use super::containers;
use super::spec::validate_spec;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
use crate::meta::selector::Selector;

/// A whole pod.
pub(crate) fn validate_pod(pod: &Pod) -> Vec<FieldError> {
    let spec = pod.spec.clone().unwrap_or_default();
    let field = FieldPath::new("spec");
    let mut errors =
        validate_annotations(pod.metadata.annotations.as_ref(), &spec, &FieldPath::new("metadata"));
    errors.extend(validate_spec(&spec, pod.metadata.name.as_deref().or(Some("")), &field));
    if text(&spec.service_account_name).is_empty() {
        errors.extend(validate_no_tokens(&spec, &field.child("volumes")));
    }
    for (name, list) in
        [("containers", Some(&spec.containers)), ("initContainers", spec.init_containers.as_ref())]
    {
        for (index, container) in list.into_iter().flatten().enumerate() {
            let field = field.child(name).index(index);
            errors.extend(containers::image_whitespace(text(&container.image), &field));
        }
    }
    errors
}

/// What only a new pod must not have.
// Models the end of ValidatePodCreate.
pub(crate) fn validate_new_pod(pod: &Pod) -> Vec<FieldError> {
    let (spec, field) = (pod.spec.clone().unwrap_or_default(), FieldPath::new("spec"));
    let mut errors = vec![];
    if spec.ephemeral_containers.is_some_and(|containers| !containers.is_empty()) {
        errors.push(FieldError::forbidden(&field.child("ephemeralContainers"), "cannot be set on create"));
    }
    let gated = spec.scheduling_gates.is_some_and(|gates| !gates.is_empty());
    if gated && !text(&spec.node_name).is_empty() {
        let why = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden(&field.child("nodeName"), why));
    }
    errors
}

/// A template for pods.
pub(crate) fn validate_template(template: &PodTemplateSpec, field: &FieldPath) -> Vec<FieldError> {
    let (meta, spec) =
        (template.metadata.clone().unwrap_or_default(), template.spec.clone().unwrap_or_default());
    let mut errors = checks::labels(meta.labels.as_ref(), &field.child("labels"));
    errors.extend(checks::annotations(meta.annotations.as_ref(), &field.child("annotations")));
    errors.extend(validate_annotations(meta.annotations.as_ref(), &spec, field));
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
        errors.push(FieldError::not_supported(
            &field.child("restartPolicy"),
            text(&spec.restart_policy),
            &["Always"],
        ));
    }
    if spec.active_deadline_seconds.is_some() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(&field.child("activeDeadlineSeconds"), why));
    }
    errors
}

/// Annotations that mean something for a pod.
// Models ValidatePodSpecificAnnotations.
fn validate_annotations(
    annotations: Option<&BTreeMap<String, String>>,
    spec: &PodSpec,
    meta: &FieldPath,
) -> Vec<FieldError> {
    let field = meta.child("annotations");
    let get = |key: &str| annotations.and_then(|annotations| annotations.get(key)).map(String::as_str);
    let mut errors = vec![];
    let mirror = "kubernetes.io/config.mirror";
    if let Some(value) = get(mirror).filter(|_| text(&spec.node_name).is_empty()) {
        let why = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(FieldError::invalid(&field.key(mirror), value, why));
    }
    let cost = "controller.kubernetes.io/pod-deletion-cost";
    if let Some(value) = get(cost) {
        // Go's parser takes a sign, but the annotation must be in its one form.
        let good = value.parse::<i32>().is_ok_and(|number| number.to_string() == value);
        if !good {
            errors.push(FieldError::invalid(&field.key(cost), value, "must be a 32bit integer"));
        }
    }
    errors
}

fn validate_no_tokens(spec: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let sources =
            volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()).enumerate();
        for (number, _) in sources.filter(|(_, source)| source.service_account_token.is_some()) {
            let field = field
                .index(index)
                .child("projected")
                .child("sources")
                .index(number)
                .child("serviceAccountToken");
            errors.push(FieldError::forbidden(
                &field,
                "must not be specified when serviceAccountName is not set",
            ));
        }
    }
    errors
}
