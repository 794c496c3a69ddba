//! Deployment: pods of a template, replaced step by step when the template changes.
// Models pkg/registry/apps/deployment, pkg/apis/apps/v1 (defaults) and pkg/apis/apps/validation (ValidateDeployment).

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::replica_set::validate_selector_and_template;
use crate::api::field::{FieldError, FieldErrorKind, FieldPath};
use crate::api::kind::{Kind, Scale, Traits, WriteContext};
use crate::api::kinds::core::pod;
use crate::api::kinds::unset::{default_text, text};
use crate::api::kinds::{cells, checks};
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};
use crate::meta::selector::Selector;

/// `apps/v1` Deployment.
pub struct DeploymentKind;

impl Kind for DeploymentKind {
    type Object = Deployment;
    const SHORT_NAMES: &'static [&'static str] = &["deploy"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const TRAITS: Traits = Traits { status: true, generation: true, scale: true };

    fn default(object: &mut Deployment) {
        let spec = object.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        let strategy = spec.strategy.get_or_insert_default();
        default_text(&mut strategy.type_, "RollingUpdate");
        if text(&strategy.type_) == "RollingUpdate" {
            let rolling = strategy.rolling_update.get_or_insert_default();
            let quarter = || IntOrString::String("25%".to_owned());
            rolling.max_unavailable.get_or_insert_with(quarter);
            rolling.max_surge.get_or_insert_with(quarter);
        }
        spec.revision_history_limit.get_or_insert(10);
        spec.progress_deadline_seconds.get_or_insert(600);
        pod::default_template(spec.template.spec.get_or_insert_default());
    }

    fn prepare_update(
        _context: &WriteContext<'_>,
        new: &mut Deployment,
        old: &Deployment,
    ) -> Result<(), ApiError> {
        // Annotations count too: the controller copies them to the ReplicaSets.
        if new.spec == old.spec && new.metadata.annotations != old.metadata.annotations {
            new.metadata.generation = Some(old.metadata.generation.unwrap_or_default() + 1);
        }
        Ok(())
    }

    fn prepare_status_update(_context: &WriteContext<'_>, new: &mut Deployment, old: &Deployment) {
        new.metadata.labels = old.metadata.labels.clone();
    }

    fn validate(object: &Deployment) -> Vec<FieldError> {
        let (field, spec) = (FieldPath::new("spec"), object.spec.clone().unwrap_or_default());
        let mut errors =
            checks::nonnegative(spec.replicas.unwrap_or_default().into(), &field.child("replicas"));
        errors.extend(validate_selector_and_template(&spec.selector, &spec.template, &field));
        errors.extend(validate_strategy(&spec.strategy.unwrap_or_default(), &field.child("strategy")));
        let min_ready = spec.min_ready_seconds.unwrap_or_default();
        errors.extend(checks::nonnegative(min_ready.into(), &field.child("minReadySeconds")));
        let limit = spec.revision_history_limit.unwrap_or_default();
        errors.extend(checks::nonnegative(limit.into(), &field.child("revisionHistoryLimit")));
        if let Some(deadline) = spec.progress_deadline_seconds {
            let field = field.child("progressDeadlineSeconds");
            errors.extend(checks::nonnegative(deadline.into(), &field));
            if deadline <= min_ready {
                errors.push(FieldError::invalid(&field, deadline, "must be greater than minReadySeconds"));
            }
        }
        errors
    }

    fn validate_update(new: &Deployment, old: &Deployment) -> Vec<FieldError> {
        let mut errors = Self::validate(new);
        let selector = |object: &Deployment| object.spec.as_ref().map(|spec| spec.selector.clone());
        errors.extend(checks::immutable(
            &selector(new),
            &selector(old),
            &FieldPath::new("spec").child("selector"),
        ));
        errors
    }

    fn validate_status_update(new: &Deployment, old: &Deployment) -> Vec<FieldError> {
        let (status, before) =
            (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
        let field = FieldPath::new("status");
        let mut errors = validate_counts(&status, &field);
        let collisions = status.collision_count.unwrap_or_default();
        let decremented = before
            .collision_count
            .is_some_and(|before| status.collision_count.is_none_or(|now| now < before));
        if decremented {
            errors.push(FieldError::invalid(
                &field.child("collisionCount"),
                collisions,
                "cannot be decremented",
            ));
        }
        errors
    }

    fn warnings(object: &Deployment, old: Option<&Deployment>) -> Vec<String> {
        let mut warnings = vec![];
        if old.is_none() {
            warnings.extend(pod::owner_name_warning(&object.metadata));
        }
        let changed = old.is_none_or(|old| old.metadata.generation != object.metadata.generation);
        if let Some(spec) = object.spec.as_ref().filter(|_| changed) {
            warnings
                .extend(pod::template_warnings(&spec.template, &FieldPath::new("spec").child("template")));
        }
        warnings
    }

    fn scale(object: &Deployment) -> Option<Scale> {
        let spec = object.spec.clone().unwrap_or_default();
        Some(Scale {
            spec_replicas: spec.replicas.unwrap_or_default(),
            status_replicas: object.status.as_ref().and_then(|status| status.replicas).unwrap_or_default(),
            selector: Selector::from_label_selector(&spec.selector)
                .map(|selector| selector.to_string())
                .unwrap_or_default(),
        })
    }

    fn set_scale(object: &mut Deployment, replicas: i32) {
        object.spec.get_or_insert_default().replicas = Some(replicas);
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Ready", "How many pods are ready, of how many"),
            Column::string("Up-to-date", "How many pods have the newest template"),
            Column::string("Available", "How many pods have been ready for long enough"),
            Column::AGE,
            Column::string("Containers", "The names of the template's containers").wide(),
            Column::string("Images", "The images of the template's containers").wide(),
            Column::string("Selector", "Which pods are the Deployment's").wide(),
        ]
    }

    fn row(object: &Deployment, now: Timestamp) -> Vec<Cell> {
        let (spec, status) =
            (object.spec.clone().unwrap_or_default(), object.status.clone().unwrap_or_default());
        let (names, images) = cells::containers(spec.template.spec.as_ref());
        let ready =
            format!("{}/{}", status.ready_replicas.unwrap_or_default(), spec.replicas.unwrap_or_default());
        let selector = Selector::from_label_selector(&spec.selector);
        vec![
            cells::name(&object.metadata),
            ready.into(),
            status.updated_replicas.unwrap_or_default().into(),
            status.available_replicas.unwrap_or_default().into(),
            cells::age(&object.metadata, now),
            names,
            images,
            selector.map_or_else(|_| "<invalid>".to_owned(), |selector| selector.to_string()).into(),
        ]
    }
}

fn validate_strategy(strategy: &DeploymentStrategy, field: &FieldPath) -> Vec<FieldError> {
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            vec![FieldError::forbidden(&field.child("rollingUpdate"), why)]
        }
        ("Recreate", None) => vec![],
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &field.child("rollingUpdate")),
        ("RollingUpdate", None) => {
            vec![FieldError::required(
                &field.child("rollingUpdate"),
                "this should be defaulted and never be nil",
            )]
        }
        (other, rolling) => {
            let own = |value: &Option<IntOrString>| match value {
                Some(IntOrString::Int(number)) => number.to_string(),
                Some(IntOrString::String(text)) => format!("{text:?}"),
                None => "0".to_owned(),
            };
            let rolling = rolling.as_ref().map_or_else(
                || "null".to_owned(),
                |r| {
                    format!(
                        "{{\"MaxUnavailable\":{},\"MaxSurge\":{}}}",
                        own(&r.max_unavailable),
                        own(&r.max_surge)
                    )
                },
            );
            let shown = format!("{{\"Type\":{other:?},\"RollingUpdate\":{rolling}}}");
            let detail = format!("{shown}: supported values: \"Recreate\", \"RollingUpdate\"");
            vec![FieldError { kind: FieldErrorKind::NotSupported, field: field.clone(), value: None, detail }]
        }
    }
}

fn validate_rolling(rolling: &RollingUpdateDeployment, field: &FieldPath) -> Vec<FieldError> {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    let (unavailable_field, shown) =
        (field.child("maxUnavailable"), serde_json::to_value(unavailable).unwrap_or_default());
    let mut errors = checks::int_or_percent(unavailable, &unavailable_field);
    errors.extend(checks::int_or_percent(surge, &field.child("maxSurge")));
    if number(unavailable) == 0 && number(surge) == 0 {
        errors.push(FieldError::invalid(
            &unavailable_field,
            shown.clone(),
            "may not be 0 when `maxSurge` is 0",
        ));
    }
    if matches!(unavailable, IntOrString::String(text) if checks::percent(text).is_some_and(|percent| percent > 100))
    {
        errors.push(FieldError::invalid(&unavailable_field, shown, "must not be greater than 100%"));
    }
    errors
}

/// The number, or the number before the percent sign; what is neither counts as 0.
// Models getIntOrPercentValue.
fn number(value: &IntOrString) -> i64 {
    match value {
        IntOrString::Int(number) => (*number).into(),
        IntOrString::String(text) => checks::percent(text).or_else(|| text.parse().ok()).unwrap_or_default(),
    }
}

fn validate_counts(status: &DeploymentStatus, field: &FieldPath) -> Vec<FieldError> {
    let count = |count: Option<i32>| count.unwrap_or_default();
    let (all, ready, available) =
        (count(status.replicas), count(status.ready_replicas), count(status.available_replicas));
    let numbers = [
        ("observedGeneration", status.observed_generation.unwrap_or_default()),
        ("replicas", all.into()),
        ("updatedReplicas", count(status.updated_replicas).into()),
        ("readyReplicas", ready.into()),
        ("availableReplicas", available.into()),
        ("unavailableReplicas", count(status.unavailable_replicas).into()),
        ("terminatingReplicas", count(status.terminating_replicas).into()),
        ("collisionCount", count(status.collision_count).into()),
    ];
    let mut errors: Vec<FieldError> =
        numbers.iter().flat_map(|(name, number)| checks::nonnegative(*number, &field.child(name))).collect();
    let whole = "status.replicas";
    errors.extend(checks::at_most("updatedReplicas", count(status.updated_replicas), all, whole, field));
    errors.extend(checks::at_most("readyReplicas", ready, all, whole, field));
    errors.extend(checks::at_most("availableReplicas", available, all, whole, field));
    errors.extend(checks::at_most("availableReplicas", available, ready, "readyReplicas", field));
    errors
}
