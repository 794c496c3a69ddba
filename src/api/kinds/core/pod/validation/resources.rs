//! What a container or a pod asks for, and how far it may go.
// Models pkg/apis/core/validation (validateResourceRequirements, ValidateResourceQuantityValue).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PodSpec, ResourceClaim, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::field::{FieldError, FieldErrorKind, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::core::pod::resources::{
    aggregate, is_extended, is_huge_page, is_native, is_overcommit_allowed, is_pod_level, read,
};
use crate::api::kinds::unset::text;
use crate::meta::quantity::Quantity;

/// The resources that Kubernetes knows without a prefix.
const STANDARD: [&str; 22] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
    "deployments.apps",
    "replicasets.apps",
];
/// Those that come in whole numbers.
const WHOLE: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Whose resources are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Container,
    Pod,
}

/// An amount of a resource: not negative, and whole where it must be.
pub(crate) fn validate_resource_value(
    name: &str,
    quantity: &ApiQuantity,
    field: &FieldPath,
) -> Vec<FieldError> {
    let Ok(value) = Quantity::try_from(quantity) else { return vec![] };
    let mut errors = vec![];
    if value.signum() < 0 {
        errors.push(FieldError::invalid(field, value.to_string(), "must be greater than or equal to 0"));
    }
    if (WHOLE.contains(&name) || is_extended(name)) && value.milli_value() % 1000 != 0 {
        errors.push(FieldError::invalid(field, value.to_string(), "must be an integer"));
    }
    errors
}

/// Requests and limits.
pub(super) fn validate(
    resources: &ResourceRequirements,
    whose: Whose,
    claims: &BTreeSet<String>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let (limit_field, request_field) = (field.child("limits"), field.child("requests"));
    let (limits, requests) = (read(resources.limits.as_ref()), read(resources.requests.as_ref()));
    let mut errors = vec![];
    for (name, quantity) in resources.limits.iter().flatten() {
        errors.extend(validate_entry(name, quantity, whose, &limit_field.key(name)));
    }
    for (name, quantity) in resources.requests.iter().flatten() {
        errors.extend(validate_entry(name, quantity, whose, &request_field.key(name)));
        let Some(request) = requests.get(name) else { continue };
        match limits.get(name) {
            Some(limit) if request != limit && !is_overcommit_allowed(name) => {
                let why = format!("must be equal to {name} limit of {limit}");
                errors.push(FieldError::invalid(&request_field, request.to_string(), why));
            }
            Some(limit) if request > limit => {
                let why = format!("must be less than or equal to {name} limit of {limit}");
                errors.push(FieldError::invalid(&request_field, request.to_string(), why));
            }
            None if !is_overcommit_allowed(name) => {
                errors.push(FieldError::required(
                    &limit_field,
                    "Limit must be set for non overcommitable resources",
                ));
            }
            _ => {}
        }
    }
    let names: BTreeSet<&String> = limits.keys().chain(requests.keys()).collect();
    let computes = names.iter().any(|name| ["cpu", "memory"].contains(&name.as_str()));
    if !computes && names.iter().any(|name| is_huge_page(name)) {
        errors.push(FieldError::forbidden(field, "HugePages require cpu or memory"));
    }
    errors.extend(validate_claims(
        resources.claims.as_deref().unwrap_or_default(),
        claims,
        &field.child("claims"),
    ));
    errors
}

fn validate_entry(name: &str, quantity: &ApiQuantity, whose: Whose, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = validate_name(name, whose, field);
    errors.extend(validate_resource_value(name, quantity, field));
    if let (true, Ok(value)) = (is_huge_page(name), Quantity::try_from(quantity))
        && let Some(Ok(size)) = name.strip_prefix("hugepages-").map(str::parse::<Quantity>)
        && size.value() > 0
        && value.value() % size.value() != 0
    {
        let why = format!("{value} is not positive integer multiple of {size}");
        errors.push(FieldError::invalid(field, value.to_string(), why));
    }
    errors
}

fn validate_name(name: &str, whose: Whose, field: &FieldPath) -> Vec<FieldError> {
    let refuse = |why: &str| FieldError::invalid(field, name, why);
    let mut errors = checks::qualified_name(name, field);
    let plain = !name.contains('/');
    if errors.is_empty() && plain && !STANDARD.contains(&name) && !is_huge_page(name) {
        errors.push(refuse("must be a standard resource type or fully qualified"));
    }
    match whose {
        Whose::Pod if errors.is_empty() && !is_pod_level(name) => {
            errors.push(FieldError::not_supported(field, name, &["cpu", "hugepages-", "memory"]));
        }
        Whose::Pod => {}
        Whose::Container if plain => {
            if !["cpu", "memory", "ephemeral-storage"].contains(&name) && !is_huge_page(name) {
                errors.push(refuse("must be a standard resource for containers"));
            }
        }
        Whose::Container if !is_native(name) && !is_extended(name) => {
            errors.push(refuse("doesn't follow extended resource name standard"));
        }
        Whose::Container => {}
    }
    errors
}

/// What the containers want must fit into what the pod as a whole gets.
// Models validatePodResourceConsistency.
pub(super) fn validate_consistency(
    pod: &ResourceRequirements,
    spec: &PodSpec,
    field: &FieldPath,
) -> Vec<FieldError> {
    let (limits, requests) = (read(pod.limits.as_ref()), read(pod.requests.as_ref()));
    let mut errors = vec![];
    let wanted = aggregate(spec, |container| container.resources.as_ref()?.requests.as_ref());
    for (name, sum) in &wanted {
        if let Some(request) = requests.get(name).filter(|request| *sum > **request) {
            let why = format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.push(FieldError::invalid(&field.child("requests").key(name), request.to_string(), why));
        }
    }
    let allowed = aggregate(spec, |container| container.resources.as_ref()?.limits.as_ref());
    for (name, sum) in allowed.iter().filter(|(name, _)| is_huge_page(name)) {
        if let Some(limit) = limits.get(name).filter(|limit| *sum > **limit) {
            let why = format!("must be greater than or equal to aggregate container limits of {sum}");
            errors.push(FieldError::invalid(&field.child("limits").key(name), limit.to_string(), why));
        }
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let own = read(container.resources.as_ref().and_then(|own| own.limits.as_ref()));
        for (name, limit) in &own {
            if let Some(most) = limits.get(name).filter(|most| limit > *most) {
                let field = field.child("containers").index(index).key(name).child("limits");
                let why = format!("must be less than or equal to pod limits of {most}");
                errors.push(FieldError::invalid(&field, limit.to_string(), why));
            }
        }
    }
    errors
}

// Models validateResourceClaimNames.
fn validate_claims(claims: &[ResourceClaim], known: &BTreeSet<String>, field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, claim) in claims.iter().enumerate() {
        let (field, name) = (field.index(index), claim.name.as_str());
        if name.is_empty() {
            errors.push(FieldError::required(&field, ""));
            continue;
        }
        let request = text(&claim.request);
        let key = if request.is_empty() { name.to_owned() } else { format!("{name}/{request}") };
        if seen.contains(name) {
            errors.push(FieldError::duplicate(&field, name));
        } else {
            if !request.is_empty() {
                errors.extend(checks::dns_label(request, &field.child("request")));
            }
            let partly = seen
                .iter()
                .filter(|key: &&String| key.split_once('/').is_some_and(|(of, _)| of == name))
                .count();
            if seen.contains(&key) {
                errors.push(FieldError::duplicate(&field, key.as_str()));
            } else if request.is_empty() {
                errors.extend((0..partly).map(|_| FieldError::duplicate(&field, name)));
            }
            seen.insert(key);
        }
        if !known.contains(name) {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let ending = if names.is_empty() {
                " which is empty".to_owned()
            } else {
                format!(": {}", names.join(", "))
            };
            let detail = format!("must be one of the names in pod.spec.resourceClaims{ending}");
            errors.push(FieldError {
                kind: FieldErrorKind::NotFound,
                field,
                value: Some(name.into()),
                detail,
            });
        }
    }
    errors
}
