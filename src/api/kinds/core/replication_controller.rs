//! ReplicationController: the older sibling of the ReplicaSet, with a plain map as its selector.
// Models pkg/registry/core/replicationcontroller and pkg/apis/core/validation (ValidateReplicationController).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerSpec};

use super::pod;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Dependents, Kind, Rules, Scale, Traits};
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::names;
use crate::meta::selector::Selector;

/// `v1` ReplicationController.
pub struct ReplicationControllerKind;

impl Kind for ReplicationControllerKind {
    type Object = ReplicationController;
    const SHORT_NAMES: &'static [&'static str] = &["rc"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const TRAITS: Traits = Traits { status: true, generation: true, scale: true };
    // Its pods have always stayed behind, unless the deletion says otherwise.
    const RULES: Rules = Rules { dependents: Dependents::Orphaned, ..Rules::USUAL };

    fn default(object: &mut ReplicationController) {
        let spec = object.spec.get_or_insert_default();
        let labels = spec.template.as_ref().and_then(|template| template.metadata.as_ref()?.labels.clone());
        if let Some(labels) = labels {
            if spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
                spec.selector = Some(labels.clone());
            }
            if object.metadata.labels.as_ref().is_none_or(|labels| labels.is_empty()) {
                object.metadata.labels = Some(labels);
            }
        }
        spec.replicas.get_or_insert(1);
        if let Some(template) = &mut spec.template {
            pod::default_template(template.spec.get_or_insert_default());
        }
    }

    fn validate(object: &ReplicationController) -> Vec<FieldError> {
        validate_spec(&object.spec.clone().unwrap_or_default())
    }

    fn validate_status_update(new: &ReplicationController, _old: &ReplicationController) -> Vec<FieldError> {
        let status = new.status.clone().unwrap_or_default();
        let count = |count: Option<i32>| count.unwrap_or_default();
        checks::replica_status(
            &checks::ReplicaCounts {
                replicas: status.replicas,
                fully_labeled: count(status.fully_labeled_replicas),
                ready: count(status.ready_replicas),
                available: count(status.available_replicas),
                observed_generation: status.observed_generation.unwrap_or_default(),
                terminating: None,
            },
            &FieldPath::new("status"),
        )
    }

    fn warnings(object: &ReplicationController, old: Option<&ReplicationController>) -> Vec<String> {
        let template = object.spec.as_ref().and_then(|spec| spec.template.as_ref());
        pod::controller_warnings(&object.metadata, &object.spec, old.map(|old| &old.spec), template)
    }

    fn scale(object: &ReplicationController) -> Option<Scale> {
        let spec = object.spec.as_ref();
        Some(Scale {
            spec_replicas: spec.and_then(|spec| spec.replicas).unwrap_or_default(),
            status_replicas: object.status.as_ref().map(|status| status.replicas).unwrap_or_default(),
            selector: Selector::from_labels(spec.iter().flat_map(|spec| spec.selector.iter().flatten()))
                .to_string(),
        })
    }

    fn set_scale(object: &mut ReplicationController, replicas: i32) {
        object.spec.get_or_insert_default().replicas = Some(replicas);
    }

    fn validate_name(name: &str, prefix: bool) -> Vec<String> {
        names::dns1123_subdomain(name, prefix)
    }

    fn selectable_fields(object: &ReplicationController) -> Vec<(&'static str, String)> {
        let replicas = object.status.as_ref().map(|status| status.replicas).unwrap_or_default();
        vec![("status.replicas", replicas.to_string())]
    }

    fn columns() -> Vec<Column> {
        cells::replica_columns()
    }

    fn row(object: &ReplicationController, now: Timestamp) -> Vec<Cell> {
        let (spec, status) =
            (object.spec.clone().unwrap_or_default(), object.status.clone().unwrap_or_default());
        let row = cells::ReplicaRow {
            meta: &object.metadata,
            wanted: spec.replicas,
            present: status.replicas,
            ready: status.ready_replicas,
            template: spec.template.as_ref(),
            selector: cells::labels(spec.selector.as_ref()),
        };
        row.cells(now)
    }
}

fn validate_spec(spec: &ReplicationControllerSpec) -> Vec<FieldError> {
    let field = FieldPath::new("spec");
    let mut errors = checks::nonnegative(
        spec.min_ready_seconds.unwrap_or_default().into(),
        &field.child("minReadySeconds"),
    );
    let selector = spec.selector.clone().unwrap_or_default();
    if selector.is_empty() {
        errors.push(FieldError::required(&field.child("selector"), ""));
    }
    errors.extend(checks::nonnegative(spec.replicas.unwrap_or_default().into(), &field.child("replicas")));
    let field = field.child("template");
    match &spec.template {
        None => errors.push(FieldError::required(&field, "")),
        Some(template) => {
            let selector = Selector::from_labels(&selector);
            errors.extend(pod::validate_controlled(template, &selector, "ReplicationController", &field));
        }
    }
    errors
}
