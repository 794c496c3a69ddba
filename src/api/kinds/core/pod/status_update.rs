//! What may change in a pod's status: containers that ended for good do not run again, addresses are addresses.
// Models pkg/apis/core/validation (ValidatePodStatusUpdate).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus};

use super::resources::is_sidecar;
use super::update;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;

/// An update of the status.
pub(super) fn validate(new: &Pod, old: &Pod) -> Vec<FieldError> {
    let (status, before) = (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
    let spec = old.spec.clone().unwrap_or_default();
    let field = FieldPath::new("status");
    let mut errors = update::validate_annotations(new, old);
    for (index, condition) in status.conditions.iter().flatten().enumerate() {
        let field = field.child("conditions").index(index);
        if let Some(generation) = condition.observed_generation.filter(|generation| *generation < 0) {
            let why = "must be a non-negative integer";
            errors.push(FieldError::invalid(&field.child("observedGeneration"), generation, why));
        }
        errors.extend(checks::qualified_name(&condition.type_, &field.child("Type")));
    }
    errors.extend(validate_nomination(&status, &before, &spec, &field.child("nominatedNodeName")));
    if let Some(generation) = status.observed_generation.filter(|generation| *generation < 0) {
        let why = "must be a non-negative integer";
        errors.push(FieldError::invalid(&field.child("observedGeneration"), generation, why));
    }
    errors.extend(checks::immutable(
        &text(&status.qos_class),
        &text(&before.qos_class),
        &field.child("qosClass"),
    ));
    errors.extend(validate_transitions(&status, &before, &spec, &field));
    let ips: Vec<&str> = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    for (index, ip) in ips.iter().enumerate() {
        errors.extend(checks::ip(ip, &field.child("podIPs").index(index)));
    }
    let host_ips: Vec<&str> = status.host_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    if let Some(first) = host_ips.first().filter(|first| **first != text(&status.host_ip)) {
        let field = field.child("hostIPs").index(0).child("ip");
        errors.push(FieldError::invalid(&field, *first, "must be equal to `hostIP`"));
    }
    for (index, ip) in host_ips.iter().enumerate() {
        errors.extend(checks::ip(ip, &field.child("hostIPs").index(index)));
    }
    for (name, list) in [("podIPs", ips), ("hostIPs", host_ips)] {
        let families: BTreeSet<_> =
            list.iter().filter_map(|ip| checks::parse_ip(ip)).map(|ip| ip.is_ipv4()).collect();
        if list.len() > 2 || (list.len() == 2 && families.len() != 2) {
            let why = "may specify no more than one IP for each IP family";
            errors.push(FieldError::invalid(&field.child(name), list, why));
        }
    }
    errors
}

fn validate_nomination(
    status: &PodStatus,
    before: &PodStatus,
    spec: &PodSpec,
    field: &FieldPath,
) -> Vec<FieldError> {
    let now = text(&status.nominated_node_name);
    if now.is_empty() || now == text(&before.nominated_node_name) {
        return vec![];
    }
    let mut errors = checks::dns_subdomain(now, field);
    if !text(&spec.node_name).is_empty() {
        errors.push(FieldError::forbidden(field, "may not be set on pods that are already bound to a node"));
    }
    errors
}

/// A container that ended stays so, unless its policy starts it again.
// Models ValidateContainerStateTransition and its siblings.
fn validate_transitions(
    status: &PodStatus,
    before: &PodStatus,
    spec: &PodSpec,
    field: &FieldPath,
) -> Vec<FieldError> {
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let restarts_all = spec.containers.iter().chain(init).any(|container| {
        container.restart_policy_rules.iter().flatten().any(|rule| rule.action == "RestartAllContainers")
    });
    let ordinary = |status: &ContainerStatus, code: i32| {
        spec.containers
            .iter()
            .find(|container| container.name == status.name)
            .is_some_and(|c| restarts(c, spec, code))
    };
    let initial = |status: &ContainerStatus, code: i32| {
        let found = init.iter().find(|container| container.name == status.name);
        found.is_some_and(|container| is_sidecar(container) || restarts(container, spec, code))
    };
    let mut errors = vec![];
    if !restarts_all {
        let (now, were) = (&status.container_statuses, &before.container_statuses);
        errors.extend(transitions(now, were, &field.child("containerStatuses"), ordinary));
        let (now, were) = (&status.init_container_statuses, &before.init_container_statuses);
        errors.extend(transitions(now, were, &field.child("initContainerStatuses"), initial));
    }
    let (now, were) = (&status.ephemeral_container_statuses, &before.ephemeral_container_statuses);
    errors.extend(transitions(now, were, &field.child("ephemeralContainerStatuses"), |_, _| false));
    errors
}

fn transitions(
    now: &Option<Vec<ContainerStatus>>,
    before: &Option<Vec<ContainerStatus>>,
    field: &FieldPath,
    allowed: impl Fn(&ContainerStatus, i32) -> bool,
) -> Vec<FieldError> {
    let ended = |status: &ContainerStatus| {
        status.state.as_ref().and_then(|state| state.terminated.as_ref()).map(|t| t.exit_code)
    };
    let mut errors = vec![];
    for (index, old) in before.iter().flatten().enumerate() {
        let Some(code) = ended(old) else { continue };
        let revived = now.iter().flatten().any(|new| new.name == old.name && ended(new).is_none());
        if revived && !allowed(old, code) {
            let field = field.index(index).child("state");
            errors.push(FieldError::forbidden(&field, "may not be transitioned to non-terminated state"));
        }
    }
    errors
}

/// Whether a container that ended so is started again.
// Models pkg/api/v1/pod (ContainerShouldRestart).
fn restarts(container: &Container, spec: &PodSpec, code: i32) -> bool {
    for rule in container.restart_policy_rules.iter().flatten() {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = codes.values.iter().flatten().any(|value| *value == code);
        if listed == (codes.operator == "In") {
            return rule.action == "Restart";
        }
    }
    let own = container.restart_policy.as_deref().filter(|policy| !policy.is_empty());
    match own.unwrap_or(text(&spec.restart_policy)) {
        "Always" => true,
        "OnFailure" => code != 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kinds::samples::sample;

    #[test]
    fn a_container_that_ended_for_good_does_not_run_again() {
        let (_, object) = sample("pods");
        let mut old = object.get::<Pod>().unwrap().clone();
        old.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
        let status = |json: serde_json::Value| serde_json::from_value::<PodStatus>(json).unwrap();
        let of = |state: serde_json::Value| {
            status(serde_json::json!({"containerStatuses": [
                {"name": "web", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]}))
        };
        old.status = Some(of(serde_json::json!({"terminated": {"exitCode": 0}})));
        let mut new = old.clone();
        new.status = Some(of(serde_json::json!({"running": {}})));
        let refused =
            "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state";
        assert_eq!(validate(&new, &old)[0].to_string(), refused);
        old.spec.as_mut().unwrap().restart_policy = Some("Always".to_owned());
        assert!(validate(&new, &old).is_empty());
    }
}
