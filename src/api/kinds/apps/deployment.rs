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

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{change_refused, defaulted, refused, row};

    const SLOW: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: slow, namespace: default, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  selector: {matchLabels: {app: slow}}
  template:
    metadata: {labels: {app: slow}}
    spec: {containers: [{name: web, image: 'nginx:1.25'}]}
";

    #[test]
    fn a_deployment_gets_what_a_real_cluster_gives_it() {
        insta::assert_snapshot!(defaulted(SLOW), @r#"
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          creationTimestamp: "2026-01-01T00:00:00Z"
          name: slow
          namespace: default
        spec:
          progressDeadlineSeconds: 600
          replicas: 1
          revisionHistoryLimit: 10
          selector:
            matchLabels:
              app: slow
          strategy:
            rollingUpdate:
              maxSurge: 25%
              maxUnavailable: 25%
            type: RollingUpdate
          template:
            metadata:
              labels:
                app: slow
            spec:
              containers:
              - image: nginx:1.25
                imagePullPolicy: IfNotPresent
                name: web
                resources: {}
                terminationMessagePath: /dev/termination-log
                terminationMessagePolicy: File
              dnsPolicy: ClusterFirst
              restartPolicy: Always
              schedulerName: default-scheduler
              securityContext: {}
              terminationGracePeriodSeconds: 30
        status: {}
        "#);
    }

    #[test]
    fn it_is_refused_in_the_words_of_a_real_cluster() {
        let with = |from: &str, to: &str| refused(&SLOW.replace(from, to));
        let mismatch = "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`";
        assert_eq!(
            with("metadata: {labels: {app: slow}}", "metadata: {labels: {app: other}}").replace("\n\n", "\n"),
            mismatch
        );
        assert_eq!(
            with("selector: {matchLabels: {app: slow}}", "replicas: -2"),
            "spec.replicas: Invalid value: -2: must be greater than or equal to 0\nspec.selector: Required \
             value\nspec.template.metadata.labels: Invalid value: {\"app\":\"slow\"}: `selector` does not match template `labels`"
        );
        assert_eq!(
            with("  template:\n", "  strategy: {type: Recreate, rollingUpdate: {}}\n  template:\n"),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
        );
        assert_eq!(
            with(
                "  template:\n",
                "  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}\n  template:\n"
            ),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"
        );
        assert_eq!(
            with("  template:\n", "  strategy: {rollingUpdate: {maxSurge: many}}\n  template:\n"),
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"many\": a valid percent string must be a numeric string \
             followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
        );
        assert_eq!(
            with("  template:\n", "  strategy: {type: Blue}\n  template:\n"),
            "spec.strategy: Unsupported value: {\"Type\":\"Blue\",\"RollingUpdate\":null}: supported values: \"Recreate\", \
             \"RollingUpdate\""
        );
        assert_eq!(
            with("  template:\n", "  minReadySeconds: 700\n  template:\n"),
            "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"
        );
        assert_eq!(
            with("containers:", "restartPolicy: Never, activeDeadlineSeconds: 5, containers:"),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \
             \"Always\"\nspec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"
        );
    }

    #[test]
    fn the_selector_never_changes() {
        assert_eq!(
            change_refused(SLOW, &SLOW.replace("app: slow}", "app: other}")),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"other\"}}: field is immutable"
        );
        assert_eq!(change_refused(SLOW, &SLOW.replace("nginx:1.25", "nginx:1.27")), "");
    }

    #[test]
    fn the_row_counts_pods() {
        let yaml = format!(
            "{SLOW}status: {{replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1}}\n"
        );
        assert_eq!(
            row(&yaml, "2026-01-01T00:00:05Z"),
            "NAME=slow | READY=1/1 | UP-TO-DATE=1 | AVAILABLE=1 | AGE=5s | CONTAINERS=web | IMAGES=nginx:1.25 | SELECTOR=app=slow"
        );
    }
}
