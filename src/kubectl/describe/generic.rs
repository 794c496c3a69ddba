//! Any object by its fields, for kinds without a description of their own: leases, events, custom resources.
// Models kubectl/pkg/describe (genericDescriber, printUnstructuredContent, smartLabelFor) and github.com/fatih/camelcase.

use serde_json::Value;

use super::describer::{Settings, TypeName};
use super::events;
use super::fields::plain;
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};

/// Which object.
pub struct Generic<'a> {
    /// Its type.
    pub type_name: TypeName<'a>,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What to show.
    pub settings: Settings,
}

/// Fields that stand at the top, or nowhere.
const SKIPPED: [&str; 5] = [
    ".metadata.managedFields",
    ".metadata.name",
    ".metadata.namespace",
    ".metadata.labels",
    ".metadata.annotations",
];

/// Describes an object by its fields.
pub async fn describe(related: &dyn Related, generic: &Generic<'_>) -> Result<String, Failure> {
    let resource = Resource::new(generic.type_name.api_version, generic.type_name.plural);
    let object = related.get(resource, generic.namespace, generic.name).await?;
    let events = events::shown(related, &object, generic.settings.show_events).await;
    let mut w = Writer::new();
    metadata::name_and_namespace(&mut w, &object);
    metadata::labels_and_annotations(&mut w, &object);
    content(&mut w, 0, &object, "");
    events::section(&mut w, events, related.now());
    Ok(w.finish())
}

fn content(w: &mut Writer, level: usize, object: &Value, prefix: &str) {
    let mut fields: Vec<(&String, &Value)> = object.as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| *name);
    for (name, value) in fields {
        let path = format!("{prefix}.{name}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        let label = label(name);
        match value {
            Value::Object(_) => {
                put!(w, level, "{label}:\n");
                content(w, level + 1, value, &path);
            }
            Value::Array(items) => {
                put!(w, level, "{label}:\n");
                for item in items {
                    match item {
                        Value::Object(_) => content(w, level + 1, item, &path),
                        other => put!(w, level + 1, "{}\n", plain(other)),
                    }
                }
            }
            other => put!(w, level, "{label}:\t{}\n", plain(other)),
        }
    }
}

const ACRONYMS: [&str; 4] = ["API", "URL", "UID", "GUID"];

/// `lastTransitionTime` as `Last Transition Time`.
fn label(field: &str) -> String {
    if !field.chars().all(|c| c.is_alphabetic() || c == '-') {
        return field.to_owned();
    }
    let mut words: Vec<String> = vec![];
    let parts = split_camel_case(field);
    let mut index = 0;
    while index < parts.len() {
        let part = &parts[index];
        let all_upper = part.len() >= 2 && part.chars().all(|c| !c.is_alphabetic() || c.is_uppercase());
        match parts.get(index + 1) {
            Some(next) if all_upper && next.starts_with(char::is_uppercase) => {
                words.push(format!("{part}{next}"));
                index += 1;
            }
            _ => words.push(part.clone()),
        }
        index += 1;
    }
    words.into_iter().map(|word| title(&word)).collect::<Vec<_>>().join(" ")
}

fn title(word: &str) -> String {
    let upper = word.to_uppercase();
    if ACRONYMS.contains(&upper.as_str()) {
        return upper;
    }
    let mut letters = word.chars();
    match letters.next() {
        Some(first) if word.to_lowercase() == word => first.to_uppercase().chain(letters).collect(),
        _ => word.to_owned(),
    }
}

/// Splits where the class of letters changes; a capital before a small letter belongs to it.
fn split_camel_case(text: &str) -> Vec<String> {
    let class = |c: char| match c {
        c if c.is_lowercase() => 1,
        c if c.is_uppercase() => 2,
        c if c.is_numeric() => 3,
        _ => 4,
    };
    let mut runs: Vec<Vec<char>> = vec![];
    let mut last = 0;
    for c in text.chars() {
        if class(c) != last || runs.is_empty() {
            runs.push(vec![]);
        }
        last = class(c);
        runs.last_mut().expect("a run was pushed for the first letter").push(c);
    }
    for index in 0..runs.len().saturating_sub(1) {
        if runs[index][0].is_uppercase() && runs[index + 1][0].is_lowercase() {
            let capital = runs[index].pop().expect("a run is never empty here");
            runs[index + 1].insert(0, capital);
        }
    }
    runs.into_iter().filter(|run| !run.is_empty()).map(|run| run.into_iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::related::Fixed;
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_become_words() {
        let cases = [
            ("apiVersion", "API Version"),
            ("holderIdentity", "Holder Identity"),
            ("uid", "UID"),
            ("podIPs", "Pod I Ps"),
            ("clusterIP", "Cluster IP"),
            ("a.b", "a.b"),
            ("x-y", "X - Y"),
            ("podCIDR", "Pod CIDR"),
            ("kind", "Kind"),
        ];
        for (field, expected) in cases {
            assert_eq!(label(field), expected, "{field}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_described_by_its_fields() {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "minikube", "namespace": "kube-node-lease", "uid": "u-1", "managedFields": [{"x": 1}],
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "minikube"}]},
            "spec": {"holderIdentity": "minikube", "leaseDurationSeconds": 40}});
        let related = Fixed { objects: vec![lease], now: "2026-01-01T00:00:00Z".parse().unwrap() };
        let type_name = TypeName {
            group: "coordination.k8s.io",
            kind: "Lease",
            api_version: "coordination.k8s.io/v1",
            plural: "leases",
        };
        let settings = Settings { show_events: true };
        let generic = Generic { type_name, namespace: "kube-node-lease", name: "minikube", settings };
        insta::assert_snapshot!(describe(&related, &generic).await.unwrap());
    }
}
