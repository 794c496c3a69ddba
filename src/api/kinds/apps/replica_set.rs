//! ReplicaSet: so many pods of one template.
// Models pkg/registry/apps/replicaset and pkg/apis/apps/validation (ValidateReplicaSet).

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Scale, Traits};
use crate::api::kinds::core::pod;
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::selector::Selector;

/// `apps/v1` ReplicaSet.
pub struct ReplicaSetKind;

impl Kind for ReplicaSetKind {
    type Object = ReplicaSet;
    const SHORT_NAMES: &'static [&'static str] = &["rs"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const TRAITS: Traits = Traits { status: true, generation: true, scale: true };

    fn default(object: &mut ReplicaSet) {
        let spec = object.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        pod::default_template(spec.template.get_or_insert_default().spec.get_or_insert_default());
    }

    fn validate(object: &ReplicaSet) -> Vec<FieldError> {
        let (field, spec) = (FieldPath::new("spec"), object.spec.clone().unwrap_or_default());
        let mut errors =
            checks::nonnegative(spec.replicas.unwrap_or_default().into(), &field.child("replicas"));
        errors.extend(checks::nonnegative(
            spec.min_ready_seconds.unwrap_or_default().into(),
            &field.child("minReadySeconds"),
        ));
        let template = spec.template.unwrap_or_default();
        errors.extend(validate_selector_and_template(&spec.selector, &template, &field));
        errors
    }

    fn validate_update(new: &ReplicaSet, old: &ReplicaSet) -> Vec<FieldError> {
        let mut errors = Self::validate(new);
        let selector = |object: &ReplicaSet| object.spec.as_ref().map(|spec| spec.selector.clone());
        errors.extend(checks::immutable(
            &selector(new),
            &selector(old),
            &FieldPath::new("spec").child("selector"),
        ));
        errors
    }

    fn validate_status_update(new: &ReplicaSet, _old: &ReplicaSet) -> Vec<FieldError> {
        let status = new.status.clone().unwrap_or_default();
        let count = |count: Option<i32>| count.unwrap_or_default();
        checks::replica_status(
            &checks::ReplicaCounts {
                replicas: status.replicas,
                fully_labeled: count(status.fully_labeled_replicas),
                ready: count(status.ready_replicas),
                available: count(status.available_replicas),
                observed_generation: status.observed_generation.unwrap_or_default(),
                terminating: status.terminating_replicas,
            },
            &FieldPath::new("status"),
        )
    }

    fn warnings(object: &ReplicaSet, old: Option<&ReplicaSet>) -> Vec<String> {
        let template = object.spec.as_ref().and_then(|spec| spec.template.as_ref());
        pod::controller_warnings(&object.metadata, &object.spec, old.map(|old| &old.spec), template)
    }

    fn scale(object: &ReplicaSet) -> Option<Scale> {
        let spec = object.spec.clone().unwrap_or_default();
        Some(Scale {
            spec_replicas: spec.replicas.unwrap_or_default(),
            status_replicas: object.status.as_ref().map(|status| status.replicas).unwrap_or_default(),
            selector: Selector::from_label_selector(&spec.selector)
                .map(|selector| selector.to_string())
                .unwrap_or_default(),
        })
    }

    fn set_scale(object: &mut ReplicaSet, replicas: i32) {
        object.spec.get_or_insert_default().replicas = Some(replicas);
    }

    fn selectable_fields(object: &ReplicaSet) -> Vec<(&'static str, String)> {
        let replicas = object.status.as_ref().map(|status| status.replicas).unwrap_or_default();
        vec![("status.replicas", replicas.to_string())]
    }

    fn columns() -> Vec<Column> {
        cells::replica_columns()
    }

    fn row(object: &ReplicaSet, now: Timestamp) -> Vec<Cell> {
        let (spec, status) =
            (object.spec.clone().unwrap_or_default(), object.status.clone().unwrap_or_default());
        let row = cells::ReplicaRow {
            meta: &object.metadata,
            wanted: spec.replicas,
            present: status.replicas,
            ready: status.ready_replicas,
            template: spec.template.as_ref(),
            selector: cells::or_none(cells::selector(&spec.selector)).into(),
        };
        row.cells(now)
    }
}

/// A selector that is there, can be read and matches the template; and the template itself.
// Models the middle of ValidateDeploymentSpec and ValidateReplicaSetSpec.
pub(crate) fn validate_selector_and_template(
    selector: &LabelSelector,
    template: &PodTemplateSpec,
    spec: &FieldPath,
) -> Vec<FieldError> {
    let field = spec.child("selector");
    let mut errors = vec![];
    let missing = *selector == LabelSelector::default();
    if missing {
        errors.push(FieldError::required(&field, ""));
    } else {
        errors.extend(checks::label_selector(selector, &field));
        if checks::is_empty_selector(selector) {
            let shown = serde_json::to_value(selector).unwrap_or_default();
            errors.push(FieldError::invalid(&field, shown, "empty selector is invalid for deployment"));
        }
    }
    // No selector at all selects nothing, and so does not match the template either.
    let parsed = if missing { Ok(Selector::nothing()) } else { Selector::from_label_selector(selector) };
    match parsed {
        Err(_) => {
            let shown = serde_json::to_value(selector).unwrap_or_default();
            errors.push(FieldError::invalid(&field, shown, "invalid label selector"));
        }
        Ok(selector) => errors.extend(pod::validate_controlled(
            template,
            &selector,
            "ReplicaSet",
            &spec.child("template"),
        )),
    }
    errors
}
