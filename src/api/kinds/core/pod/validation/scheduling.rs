//! What a pod says about where it may run: affinity, tolerations, spreading.
// Models pkg/apis/core/validation (validateAffinity, ValidateTolerations, validateTopologySpreadConstraints).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
use crate::meta::names;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate_affinity(affinity: &Affinity, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if let Some(node) = &affinity.node_affinity {
        errors.extend(validate_node_affinity(node, &field.child("nodeAffinity")));
    }
    if let Some(pods) = &affinity.pod_affinity {
        let required = pods.required_during_scheduling_ignored_during_execution.as_deref();
        let preferred = pods.preferred_during_scheduling_ignored_during_execution.as_deref();
        errors.extend(validate_pod_terms(required, preferred, &field.child("podAffinity")));
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let required = pods.required_during_scheduling_ignored_during_execution.as_deref();
        let preferred = pods.preferred_during_scheduling_ignored_during_execution.as_deref();
        errors.extend(validate_pod_terms(required, preferred, &field.child("podAntiAffinity")));
    }
    errors
}

fn validate_node_affinity(affinity: &NodeAffinity, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
        errors.extend(validate_node_selector(selector, &field.child(REQUIRED)));
    }
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    for (index, term) in preferred.enumerate() {
        let field = field.child(PREFERRED).index(index);
        errors.extend(validate_weight(term.weight, &field));
        errors.extend(validate_node_term(&term.preference, false, &field.child("preference")));
    }
    errors
}

fn validate_weight(weight: i32, field: &FieldPath) -> Option<FieldError> {
    let wrong = !(1..=100).contains(&weight);
    wrong.then(|| FieldError::invalid(&field.child("weight"), weight, "must be in the range 1-100"))
}

/// A node selector, of a pod or a volume.
pub(crate) fn validate_node_selector(selector: &NodeSelector, field: &FieldPath) -> Vec<FieldError> {
    let field = field.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        return vec![FieldError::required(&field, "must have at least one node selector term")];
    }
    let terms = selector.node_selector_terms.iter().enumerate();
    terms.flat_map(|(index, term)| validate_node_term(term, true, &field.index(index))).collect()
}

fn validate_node_term(term: &NodeSelectorTerm, strict: bool, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        errors.extend(validate_requirement(
            requirement,
            strict,
            &field.child("matchExpressions").index(index),
        ));
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        errors.extend(validate_field_requirement(requirement, &field.child("matchFields").index(index)));
    }
    errors
}

fn validate_requirement(
    requirement: &NodeSelectorRequirement,
    strict: bool,
    field: &FieldPath,
) -> Vec<FieldError> {
    let values = requirement.values.as_deref().unwrap_or_default();
    let values_field = field.child("values");
    let mut errors = vec![];
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(FieldError::required(
                &values_field,
                "must be specified when `operator` is 'In' or 'NotIn'",
            ));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&values_field, why));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(FieldError::required(&values_field, why));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => {
            errors.push(FieldError::invalid(&field.child("operator"), other, "not a valid selector operator"))
        }
    }
    errors.extend(checks::qualified_name(&requirement.key, &field.child("key")));
    for (index, value) in values.iter().enumerate().filter(|_| strict) {
        errors.extend(checks::each(names::label_value(value), &values_field.index(index), value));
    }
    errors
}

fn validate_field_requirement(requirement: &NodeSelectorRequirement, field: &FieldPath) -> Vec<FieldError> {
    let values = requirement.values.as_deref().unwrap_or_default();
    let mut errors = vec![];
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => {
            let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(FieldError::required(&field.child("values"), why));
        }
        "In" | "NotIn" => {}
        other => {
            errors.push(FieldError::invalid(&field.child("operator"), other, "not a valid selector operator"))
        }
    }
    if requirement.key != "metadata.name" {
        let why = "not a valid field selector key";
        errors.push(FieldError::invalid(&field.child("key"), requirement.key.as_str(), why));
        return errors;
    }
    for (index, value) in values.iter().enumerate() {
        errors.extend(checks::dns_subdomain(value, &field.child("values").index(index)));
    }
    errors
}

fn validate_pod_terms(
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    for (index, term) in required.unwrap_or_default().iter().enumerate() {
        errors.extend(validate_pod_term(term, &field.child(REQUIRED).index(index)));
    }
    for (index, weighted) in preferred.unwrap_or_default().iter().enumerate() {
        let field = field.child(PREFERRED).index(index);
        errors.extend(validate_weight(weighted.weight, &field));
        errors.extend(validate_pod_term(&weighted.pod_affinity_term, &field.child("podAffinityTerm")));
    }
    errors
}

fn validate_pod_term(term: &PodAffinityTerm, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (name, selector) in
        [("labelSelector", &term.label_selector), ("namespaceSelector", &term.namespace_selector)]
    {
        if let Some(selector) = selector {
            errors.extend(checks::label_selector(selector, &field.child(name)));
        }
    }
    for namespace in term.namespaces.iter().flatten() {
        errors.extend(checks::each(
            names::dns1123_label(namespace, false),
            &field.child("namespace"),
            namespace,
        ));
    }
    let keys = term.match_label_keys.as_deref().unwrap_or_default();
    let mismatched = term.mismatch_label_keys.as_deref().unwrap_or_default();
    errors.extend(validate_label_keys(keys, mismatched, term.label_selector.as_ref(), field));
    if term.topology_key.is_empty() {
        errors.push(FieldError::required(&field.child("topologyKey"), "can not be empty"));
    }
    errors.extend(checks::qualified_name(&term.topology_key, &field.child("topologyKey")));
    errors
}

/// Keys whose values are taken from the pod's own labels.
// Models ValidateMatchLabelKeysAndMismatchLabelKeys.
fn validate_label_keys(
    keys: &[String],
    mismatched: &[String],
    selector: Option<&LabelSelector>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    for (name, keys) in [("matchLabelKeys", keys), ("mismatchLabelKeys", mismatched)] {
        let field = field.child(name);
        if !keys.is_empty() && selector.is_none() {
            errors.push(FieldError::forbidden(&field, "must not be specified when labelSelector is not set"));
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            errors.extend(checks::qualified_name(key, &field.index(index)));
        }
    }
    if let Some(selector) = selector {
        // A key may be in the selector once, put there for these very keys; twice means that the user wrote it too.
        let mut seen: BTreeSet<&String> =
            selector.match_labels.iter().flatten().map(|(key, _)| key).collect();
        for expression in selector.match_expressions.iter().flatten() {
            let position = keys.iter().position(|key| *key == expression.key);
            if let Some(index) = position.filter(|_| seen.contains(&expression.key)) {
                let why = "exists in both matchLabelKeys and labelSelector";
                errors.push(FieldError::invalid(&field.index(index), expression.key.as_str(), why));
            }
            seen.insert(&expression.key);
        }
    }
    for (index, key) in keys.iter().enumerate().filter(|(_, key)| mismatched.contains(key)) {
        let why = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.push(FieldError::invalid(&field.child("matchLabelKeys").index(index), key.as_str(), why));
    }
    errors
}

pub(super) fn validate_tolerations(tolerations: &[Toleration], field: &FieldPath) -> Vec<FieldError> {
    let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let mut errors = vec![];
    for (index, toleration) in tolerations.iter().enumerate() {
        let field = field.index(index);
        let (key, operator) = (text(&toleration.key), text(&toleration.operator));
        let (value, effect) = (text(&toleration.value), text(&toleration.effect));
        let operator_field = field.child("operator");
        if !key.is_empty() {
            errors.extend(checks::qualified_name(key, &field.child("key")));
        } else if operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(&operator_field, operator, why));
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(&field.child("effect"), effect, why));
        }
        match operator {
            "Equal" | "" => {
                let wrong = names::label_value(value);
                if !wrong.is_empty() {
                    errors.push(FieldError::invalid(&operator_field, value, wrong.join(";")));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.push(FieldError::invalid(
                    &operator_field,
                    value,
                    "value must be empty when `operator` is 'Exists'",
                ));
            }
            "Exists" => {}
            // Comparing tolerations are behind a gate that is closed by default.
            "Lt" | "Gt" => {
                errors.push(FieldError::not_supported(
                    &operator_field,
                    operator,
                    &["Equal", "Exists", "Lt", "Gt"],
                ));
            }
            other => errors.push(FieldError::not_supported(&operator_field, other, &["Equal", "Exists"])),
        }
        if !effect.is_empty() && !effects.contains(&effect) {
            errors.push(FieldError::not_supported(&field.child("effect"), effect, &effects));
        }
    }
    errors
}

pub(super) fn validate_spread(
    constraints: &[TopologySpreadConstraint],
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    for (index, constraint) in constraints.iter().enumerate() {
        let field = field.index(index);
        let (key, action) = (constraint.topology_key.as_str(), constraint.when_unsatisfiable.as_str());
        if constraint.max_skew <= 0 {
            errors.push(FieldError::invalid(
                &field.child("maxSkew"),
                constraint.max_skew,
                "must be greater than zero",
            ));
        }
        if key.is_empty() {
            errors.push(FieldError::required(&field.child("topologyKey"), "can not be empty"));
        }
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        if !actions.contains(&action) {
            errors.push(FieldError::not_supported(&field.child("whenUnsatisfiable"), action, &actions));
        }
        let again = |other: &TopologySpreadConstraint| {
            other.topology_key == key && other.when_unsatisfiable == action
        };
        if constraints[index + 1..].iter().any(again) {
            let field = field.child("{topologyKey, whenUnsatisfiable}");
            errors.push(FieldError::duplicate(&field, format!("{{{key}, {action}}}")));
        }
        if let Some(domains) = constraint.min_domains {
            let field = field.child("minDomains");
            if domains <= 0 {
                errors.push(FieldError::invalid(&field, domains, "must be greater than zero"));
            }
            if action != "DoNotSchedule" {
                let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errors.push(FieldError::invalid(&field, domains, why));
            }
        }
        let policies = [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ];
        for (name, policy) in policies {
            if let Some(other) = policy.as_deref().filter(|policy| !["Honor", "Ignore"].contains(policy)) {
                errors.push(FieldError::not_supported(&field.child(name), other, &["Honor", "Ignore"]));
            }
        }
        let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
        errors.extend(validate_label_keys(keys, &[], constraint.label_selector.as_ref(), &field));
        if let Some(selector) = &constraint.label_selector {
            errors.extend(checks::label_selector(selector, &field.child("labelSelector")));
        }
    }
    errors
}
