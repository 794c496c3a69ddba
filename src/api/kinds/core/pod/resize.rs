//! What the `resize` sub-resource may change in a running pod: how much CPU and memory it gets.
// Models pkg/apis/core/validation (ValidatePodResize).

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};

use super::resources::{ApiList, is_sidecar};
use super::{qos, validation};
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::unset::text;

const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// What is wrong with a resize.
pub(super) fn validate(new: &Pod, old: &Pod) -> Vec<FieldError> {
    let (spec, before) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let nowhere = |why: &str| vec![FieldError::forbidden(&FieldPath::default(), why)];
    if old
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key(MIRROR_ANNOTATION))
    {
        return nowhere("static pods cannot be resized");
    }
    if before.os.as_ref().is_some_and(|os| os.name == "windows") {
        return nowhere("windows pods cannot be resized");
    }
    let field = FieldPath::new("spec");
    let mut errors = validation::validate_pod(new);
    let class = old.status.as_ref().map(|status| text(&status.qos_class)).unwrap_or_default();
    let class = if class.is_empty() { qos::class(&before) } else { class };
    if class != qos::class(&spec) {
        errors.push(FieldError::invalid(
            &field,
            class,
            "Pod QOS Class may not change as a result of resizing",
        ));
    }
    errors.extend(validate_pod_level(&spec, &before, &field));
    let order = validate_order(&spec, &before, &field);
    if !order.is_empty() {
        errors.extend(order);
        return errors;
    }
    errors.extend(validate_containers(&spec, &before, &field));
    if errors.is_empty() && without_compute(spec, &before) != before {
        errors.push(FieldError::forbidden(&field, "only cpu and memory resources are mutable"));
    }
    errors
}

/// What the pod gets as a whole.
// Models validatePodLevelResourcesResize.
fn validate_pod_level(spec: &PodSpec, before: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let own = field.child("resources");
    let mut errors = match (&spec.resources, &before.resources) {
        (None, Some(_)) => return vec![FieldError::forbidden(&own, "pod-level resources cannot be removed")],
        (Some(now), Some(was)) => removed(now, was, "pod-level ", &own),
        (_, None) => vec![],
    };
    if without_compute(spec.clone(), before).resources != before.resources {
        errors.push(FieldError::forbidden(field, "only cpu and memory resources are mutable at pod-level"));
    }
    errors
}

/// The containers are the same ones, in the same order.
fn validate_order(spec: &PodSpec, before: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let none = vec![];
    let lists = [
        ("containers", &spec.containers, &before.containers),
        (
            "initContainers",
            spec.init_containers.as_ref().unwrap_or(&none),
            before.init_containers.as_ref().unwrap_or(&none),
        ),
    ];
    let mut errors = vec![];
    for (name, now, were) in lists {
        let field = field.child(name);
        if now.len() != were.len() {
            errors
                .push(FieldError::forbidden(&field, format!("{name} may not be added or removed on resize")));
            continue;
        }
        for (index, _) in now.iter().zip(were).enumerate().filter(|(_, (now, was))| now.name != was.name) {
            let why = format!("{name} may not be renamed or reordered on resize");
            errors.push(FieldError::forbidden(&field.index(index).child("name"), why));
        }
    }
    errors
}

fn validate_containers(spec: &PodSpec, before: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let none = ResourceRequirements::default();
    let check = |now: &Container, was: &Container, field: &FieldPath| {
        let (wanted, had) =
            (now.resources.as_ref().unwrap_or(&none), was.resources.as_ref().unwrap_or(&none));
        removed(wanted, had, "", &field.child("resources"))
    };
    let init = spec.init_containers.iter().flatten().zip(before.init_containers.iter().flatten());
    for (index, (now, was)) in init.clone().enumerate() {
        errors.extend(check(now, was, &field.child("initContainers").index(index)));
    }
    for (index, (now, was)) in spec.containers.iter().zip(&before.containers).enumerate() {
        errors.extend(check(now, was, &field.child("containers").index(index)));
    }
    for (now, was) in spec.containers.iter().zip(&before.containers) {
        if keep_compute(now.clone(), was) != keep_compute(was.clone(), was) {
            errors.push(FieldError::forbidden(field, "only cpu and memory resources are mutable"));
        }
    }
    for (index, (now, was)) in init.enumerate().filter(|(_, (now, was))| now != was) {
        let field = field.child("initContainers").index(index);
        if keep_compute(now.clone(), was) != keep_compute(was.clone(), was) {
            let why = "only cpu and memory resources for init or sidecar containers are mutable";
            errors.push(FieldError::forbidden(&field, why));
        }
        let mut policies = now.resize_policy.iter().flatten();
        if !is_sidecar(now) && policies.any(|policy| policy.restart_policy == "RestartContainer") {
            let why =
                "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
            errors.push(FieldError::forbidden(&field, why));
        }
    }
    errors
}

/// Amounts change; they do not go away.
fn removed(
    now: &ResourceRequirements,
    was: &ResourceRequirements,
    level: &str,
    field: &FieldPath,
) -> Vec<FieldError> {
    let lists = [("requests", &now.requests, &was.requests), ("limits", &now.limits, &was.limits)];
    let gone = |now: &Option<ApiList>, was: &Option<ApiList>| {
        was.iter().flatten().any(|(name, _)| now.as_ref().is_none_or(|now| !now.contains_key(name)))
    };
    let lists = lists.into_iter().filter(|(_, now, was)| gone(now, was));
    lists
        .map(|(name, ..)| {
            FieldError::forbidden(&field.child(name), format!("{level}resource {name} cannot be removed"))
        })
        .collect()
}

/// The container with the CPU and memory that it had.
fn keep_compute(mut container: Container, was: &Container) -> Container {
    let none = ResourceRequirements::default();
    let had = was.resources.as_ref().unwrap_or(&none);
    let mut resources = container.resources.take().unwrap_or_default();
    resources.requests = kept(resources.requests, had.requests.as_ref());
    resources.limits = kept(resources.limits, had.limits.as_ref());
    container.resources = Some(resources);
    container
}

fn kept(list: Option<ApiList>, had: Option<&ApiList>) -> Option<ApiList> {
    let mut list = list.unwrap_or_default();
    for name in ["cpu", "memory"] {
        list.remove(name);
        if let Some(quantity) = had.and_then(|had| had.get(name)) {
            list.insert(name.to_owned(), quantity.clone());
        }
    }
    (!list.is_empty()).then_some(list)
}

fn without_compute(mut spec: PodSpec, before: &PodSpec) -> PodSpec {
    // The containers were compared one by one.
    spec.containers = before.containers.clone();
    spec.init_containers = before.init_containers.clone();
    let none = ResourceRequirements::default();
    let had = before.resources.as_ref().unwrap_or(&none);
    if let Some(resources) = spec.resources.take() {
        let requests = kept(resources.requests, had.requests.as_ref());
        let limits = kept(resources.limits, had.limits.as_ref());
        let resources = ResourceRequirements { requests, limits, ..resources };
        spec.resources = (before.resources.is_some() || resources != none).then_some(resources);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kinds::samples::read;

    #[test]
    fn compute_changes_and_nothing_else() {
        let pod = |resources: &str, image: &str| {
            let yaml = format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: default}}, spec: {{serviceAccountName: default, \
                 containers: [{{name: web, image: {image}, resources: {resources}}}]}}}}"
            );
            read(&yaml).1.get::<Pod>().unwrap().clone()
        };
        let check = |new: &Pod, old: &Pod| {
            validate(new, old).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let old = pod("{requests: {cpu: 100m}}", "nginx");
        assert_eq!(check(&pod("{requests: {cpu: 200m}}", "nginx"), &old), "");
        assert_eq!(
            check(&pod("{requests: {cpu: 200m}}", "httpd"), &old),
            "spec: Forbidden: only cpu and memory resources are mutable"
        );
        assert_eq!(
            check(&pod("{requests: {memory: 1Mi}}", "nginx"), &old),
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"
        );
        assert_eq!(
            check(&pod("{limits: {cpu: 1, memory: 1Mi}}", "nginx"), &old),
            "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing"
        );
    }
}
