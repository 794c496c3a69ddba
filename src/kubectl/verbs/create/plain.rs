//! `create namespace`, `serviceaccount`, `quota`, `priorityclass`, `poddisruptionbudget`.
// Models kubectl/pkg/cmd/create (create_namespace.go, create_serviceaccount.go, create_quota.go, create_priorityclass.go,
// create_pdb.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::generator::{Call, Generator};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flag;
use crate::meta::quantity::Quantity;

/// `create namespace`.
pub struct Namespace;

#[async_trait]
impl Generator for Namespace {
    fn name(&self) -> &'static str {
        "namespace"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["ns"]
    }
    fn short(&self) -> &'static str {
        "Create a namespace"
    }
    fn usage(&self) -> &'static str {
        "NAME [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "namespaces"
    }
    fn namespaced(&self) -> bool {
        false
    }
    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        Ok(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": call.name}, "spec": {}, "status": {}}),
        )
    }
}

/// `create serviceaccount`.
pub struct ServiceAccount;

#[async_trait]
impl Generator for ServiceAccount {
    fn name(&self) -> &'static str {
        "serviceaccount"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["sa"]
    }
    fn short(&self) -> &'static str {
        "Create a service account"
    }
    fn usage(&self) -> &'static str {
        "NAME [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "serviceaccounts"
    }
    fn failed(&self) -> &'static str {
        "failed to create serviceaccount: "
    }
    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        Ok(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": call.metadata()}))
    }
}

/// `create quota`.
pub struct Quota;

#[async_trait]
impl Generator for Quota {
    fn name(&self) -> &'static str {
        "quota"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["resourcequota"]
    }
    fn short(&self) -> &'static str {
        "Create a quota"
    }
    fn usage(&self) -> &'static str {
        "NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2] [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "resourcequotas"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("hard", "", "The limits, as RESOURCE=QUANTITY with commas between them."),
            Flag::string(
                "scopes",
                "",
                "The scopes that an object must match all of, with commas between them.",
            ),
        ]
    }
    fn failed(&self) -> &'static str {
        "failed to create quota: "
    }
    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let mut spec = json!({});
        let (hard, scopes) = (call.flags.string("hard"), call.flags.string("scopes"));
        if !hard.is_empty() {
            spec["hard"] = resource_list(hard)?;
        }
        if !scopes.is_empty() {
            let scopes: Vec<&str> = scopes.split(',').collect();
            if scopes.contains(&"") {
                return Err(KubectlError::message("invalid resource quota scope \"\""));
            }
            spec["scopes"] = json!(scopes);
        }
        Ok(
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": call.metadata(), "spec": spec, "status": {}}),
        )
    }
}

/// `cpu=1,memory=1Gi` as a resource list.
pub fn resource_list(text: &str) -> Result<Value> {
    let mut list = json!({});
    for statement in text.split(',') {
        let parts: Vec<&str> = statement.split('=').collect();
        let [name, quantity] = parts[..] else {
            let text = format!("Invalid argument syntax {statement}, expected <resource>=<value>");
            return Err(KubectlError::message(text));
        };
        let quantity: Quantity =
            quantity.parse().map_err(|error| KubectlError::message(format!("{error}")))?;
        list[name] = json!(quantity.to_string());
    }
    Ok(list)
}

/// `create priorityclass`.
pub struct PriorityClass;

#[async_trait]
impl Generator for PriorityClass {
    fn name(&self) -> &'static str {
        "priorityclass"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["pc"]
    }
    fn short(&self) -> &'static str {
        "Create a priority class"
    }
    fn usage(&self) -> &'static str {
        "NAME --value=VALUE --global-default=BOOL [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "priorityclasses"
    }
    fn namespaced(&self) -> bool {
        false
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::int32("value", 0, "The priority of its pods."),
            Flag::bool("global-default", false, "Whether pods without a class get this one."),
            Flag::string("description", "", "When to use it."),
            Flag::string(
                "preemption-policy",
                "PreemptLowerPriority",
                "Whether its pods may push others out.",
            ),
        ]
    }
    fn failed(&self) -> &'static str {
        "failed to create priorityclass: "
    }
    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let mut object = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": call.name}, "value": call.flags.int("value"),
            "preemptionPolicy": call.flags.string("preemption-policy")});
        if call.flags.bool("global-default") {
            object["globalDefault"] = json!(true);
        }
        if !call.flags.string("description").is_empty() {
            object["description"] = json!(call.flags.string("description"));
        }
        Ok(object)
    }
}

/// `create poddisruptionbudget`.
pub struct DisruptionBudget;

#[async_trait]
impl Generator for DisruptionBudget {
    fn name(&self) -> &'static str {
        "poddisruptionbudget"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["pdb"]
    }
    fn short(&self) -> &'static str {
        "Create a pod disruption budget"
    }
    fn usage(&self) -> &'static str {
        "NAME --selector=SELECTOR --min-available=N [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "poddisruptionbudgets"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("min-available", "", "How many pods must stay available, as a number or a share."),
            Flag::string("max-unavailable", "", "How many pods may be unavailable, as a number or a share."),
            Flag::string("selector", "", "The labels of the pods, as KEY=VALUE with commas between them."),
        ]
    }
    fn failed(&self) -> &'static str {
        "failed to create poddisruptionbudgets: "
    }
    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let text = |name: &str| call.flags.string(name);
        let (min, max, selector) = (text("min-available"), text("max-unavailable"), text("selector"));
        let number = |text: &str| {
            let digits = text.strip_suffix('%').unwrap_or(text);
            text.is_empty() || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let problem = if selector.is_empty() {
            "a selector must be specified"
        } else if min.is_empty() && max.is_empty() {
            "one of min-available or max-unavailable must be specified"
        } else if !min.is_empty() && !max.is_empty() {
            "min-available and max-unavailable cannot be both specified"
        } else if !number(min) {
            "invalid format specified for min-available"
        } else if !number(max) {
            "invalid format specified for max-unavailable"
        } else {
            ""
        };
        if !problem.is_empty() {
            return Err(KubectlError::message(problem));
        }
        let mut spec = json!({"selector": label_selector(selector)?});
        let (field, amount) = if min.is_empty() { ("maxUnavailable", max) } else { ("minAvailable", min) };
        spec[field] = int_or_text(amount);
        Ok(
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": call.metadata(), "spec": spec,
            "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}}),
        )
    }
}

/// A number if it reads as one, else the text.
// Models intstr.Parse.
pub fn int_or_text(text: &str) -> Value {
    text.parse::<i32>().map_or_else(|_| json!(text), |number| json!(number))
}

/// The label selector that a text stands for, with its equalities as matchLabels.
// Models metav1.ParseToLabelSelector.
pub fn label_selector(text: &str) -> Result<Value> {
    crate::meta::selector::Selector::parse(text).map_err(|error| {
        KubectlError::message(format!("couldn't parse the selector string \"{text}\": {error}"))
    })?;
    let mut selector = json!({});
    for part in split_requirements(text) {
        let part = part.trim();
        let (key, operator, values) = requirement(part);
        if operator == "=" {
            selector["matchLabels"][key] = json!(values.first().cloned().unwrap_or_default());
            continue;
        }
        let mut expression = json!({"key": key, "operator": operator});
        if !values.is_empty() {
            expression["values"] = json!(values);
        }
        match selector["matchExpressions"].as_array_mut() {
            Some(expressions) => expressions.push(expression),
            None => selector["matchExpressions"] = json!([expression]),
        }
    }
    Ok(selector)
}

/// Splits at commas that are not inside brackets.
fn split_requirements(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (vec![], 0_usize, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A requirement's key, its operator as objects spell it (`=` for equality), and its values. The text was parsed before.
fn requirement(text: &str) -> (&str, &'static str, Vec<String>) {
    if let Some(key) = text.strip_prefix('!') {
        return (key.trim(), "DoesNotExist", vec![]);
    }
    if let Some((head, values)) = text.trim_end_matches(')').split_once('(') {
        let mut words = head.split_whitespace();
        let key = words.next().unwrap_or_default();
        let operator = if words.next() == Some("notin") { "NotIn" } else { "In" };
        let mut values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        values.sort();
        return (key, operator, values);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return (key.trim(), "NotIn", vec![value.trim().to_owned()]);
    }
    match text.split_once('=') {
        Some((key, value)) => (key.trim(), "=", vec![value.trim_start_matches('=').trim().to_owned()]),
        None => (text, "Exists", vec![]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_become_objects() {
        let cases = [
            ("a=b,c==d", json!({"matchLabels": {"a": "b", "c": "d"}})),
            (
                "e in (g,f)",
                json!({"matchExpressions": [{"key": "e", "operator": "In", "values": ["f", "g"]}]}),
            ),
            (
                "!x,y",
                json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}, {"key": "y", "operator": "Exists"}]}),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(label_selector(text).unwrap(), expected);
        }
        assert!(label_selector("a=(").is_err());
        assert_eq!(resource_list("cpu=1000m").unwrap(), json!({"cpu": "1"}));
    }

    proptest::proptest! {
        #[test]
        fn requirements_are_only_cut_apart(text in "[a-z,() ]{0,30}|\\PC{0,30}") {
            proptest::prop_assert_eq!(split_requirements(&text).join(","), text);
        }
    }
}
