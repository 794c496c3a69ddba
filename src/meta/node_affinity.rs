//! Node selectors: which nodes a pod (or a volume) may be on, and which it would like.
// Models k8s.io/component-helpers/scheduling/corev1/nodeaffinity.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PreferredSchedulingTerm,
};

use super::selector::Selector;

/// Whether the node is one of those that the pod's `nodeSelector` and required node affinity allow.
pub fn required_matches(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    if let Some(labels) = &spec.node_selector
        && !Selector::from_labels(labels).matches_optional(node.metadata.labels.as_ref())
    {
        return false;
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|selector| selector_matches(selector, node))
}

/// Whether one of the selector's terms matches. No term: no node.
pub fn selector_matches(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| term_matches(term, node))
}

/// Whether all requirements of the term hold. A term without any matches nothing.
pub fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let (expressions, fields) = (term.match_expressions.as_deref(), term.match_fields.as_deref());
    let (expressions, fields) = (expressions.unwrap_or_default(), fields.unwrap_or_default());
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let name = BTreeMap::from([("metadata.name".to_owned(), node.metadata.name.clone().unwrap_or_default())]);
    let empty = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    all_match(expressions, labels) && all_match(fields, &name)
}

fn all_match(requirements: &[NodeSelectorRequirement], labels: &BTreeMap<String, String>) -> bool {
    requirements.iter().all(|requirement| {
        let values = requirement.values.as_deref().unwrap_or_default();
        Selector::from_requirement(&requirement.key, &requirement.operator, values)
            .is_ok_and(|selector| selector.matches(labels))
    })
}

/// The weights of the preferred terms that match, added up.
pub fn preferred_score(terms: &[PreferredSchedulingTerm], node: &Node) -> i64 {
    terms.iter().filter(|term| term_matches(&term.preference, node)).map(|term| i64::from(term.weight)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(terms: Value, expected: bool) {
        let node = serde_json::from_value(
            json!({"metadata": {"name": "n1", "labels": {"disk": "ssd", "cpus": "8"}}}),
        )
        .unwrap();
        let selector: NodeSelector = serde_json::from_value(json!({"nodeSelectorTerms": terms})).unwrap();
        assert_eq!(selector_matches(&selector, &node), expected, "{terms}");
    }

    #[test]
    fn terms_are_alternatives_and_their_requirements_are_not() {
        check(
            json!([{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["hdd", "ssd"]}]}]),
            true,
        );
        check(json!([{"matchExpressions": [{"key": "cpus", "operator": "Gt", "values": ["8"]}]}]), false);
        check(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]), true);
        check(
            json!([{"matchExpressions": [{"key": "disk", "operator": "Exists"}, {"key": "gpu", "operator": "Exists"}]}]),
            false,
        );
        check(json!([{}, {"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}]), true);
        check(json!([{}]), false);
    }
}
