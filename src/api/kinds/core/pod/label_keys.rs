//! Keys whose values a pod's own labels give: written into the selectors when the pod is made.
// Models pkg/registry/core/pod (mutatePodAffinity, mutateTopologySpreadConstraints).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, WeightedPodAffinityTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

type Labels = BTreeMap<String, String>;

/// Completes the selectors of a new pod.
pub(super) fn apply(pod: &mut Pod) {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let Some(spec) = &mut pod.spec else { return };
    if let Some(affinity) = &mut spec.affinity {
        if let Some(pods) = &mut affinity.pod_affinity {
            terms(&mut pods.required_during_scheduling_ignored_during_execution, &labels);
            weighted(&mut pods.preferred_during_scheduling_ignored_during_execution, &labels);
        }
        if let Some(pods) = &mut affinity.pod_anti_affinity {
            terms(&mut pods.required_during_scheduling_ignored_during_execution, &labels);
            weighted(&mut pods.preferred_during_scheduling_ignored_during_execution, &labels);
        }
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        if let Some(selector) = &mut constraint.label_selector {
            require(selector, constraint.match_label_keys.as_deref(), "In", &labels);
        }
    }
}

fn terms(terms: &mut Option<Vec<PodAffinityTerm>>, labels: &Labels) {
    terms.iter_mut().flatten().for_each(|term| complete(term, labels));
}

fn weighted(terms: &mut Option<Vec<WeightedPodAffinityTerm>>, labels: &Labels) {
    terms.iter_mut().flatten().for_each(|term| complete(&mut term.pod_affinity_term, labels));
}

fn complete(term: &mut PodAffinityTerm, labels: &Labels) {
    if let Some(selector) = &mut term.label_selector {
        require(selector, term.match_label_keys.as_deref(), "In", labels);
        require(selector, term.mismatch_label_keys.as_deref(), "NotIn", labels);
    }
}

fn require(selector: &mut LabelSelector, keys: Option<&[String]>, operator: &str, labels: &Labels) {
    for key in keys.unwrap_or_default() {
        if let Some(value) = labels.get(key) {
            selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
                key: key.clone(),
                operator: operator.to_owned(),
                values: Some(vec![value.clone()]),
            });
        }
    }
}
