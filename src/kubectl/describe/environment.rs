//! A container's environment, with the values that can be known from the pod.
// Models kubectl/pkg/describe (describeContainerEnvVars, describeContainerEnvFrom), kubectl/pkg/util/fieldpath and
// kubectl/pkg/util/resource (ExtractContainerResourceValue).

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{flag, int_or_text, list, map, some, some_text, text};
use super::writer::{Writer, put};
use crate::meta::quantity::Quantity;

/// Writes `Environment Variables from:` if there is any, and `Environment:`.
pub fn section(w: &mut Writer, container: &Value, pod: Option<&Value>) {
    let sources = list(container, "/envFrom");
    if !sources.is_empty() {
        w.write(2, "Environment Variables from:\n");
    }
    for source in sources {
        from_source(w, source);
    }
    let variables = list(container, "/env");
    put!(w, 2, "Environment:{}\n", if variables.is_empty() { "\t<none>" } else { "" });
    for variable in variables {
        one(w, container, pod, variable);
    }
}

fn from_source(w: &mut Writer, source: &Value) {
    let (kind, reference) = match (some(source, "/configMapRef"), some(source, "/secretRef")) {
        (Some(reference), _) => ("ConfigMap", reference),
        (None, Some(reference)) => ("Secret", reference),
        (None, None) => ("", &Value::Null),
    };
    let prefix =
        some_text(source, "/prefix").map(|prefix| format!(" with prefix '{prefix}'")).unwrap_or_default();
    put!(w, 3, "{}\t{kind}{prefix}\tOptional: {}\n", text(reference, "/name"), flag(reference, "/optional"));
}

fn one(w: &mut Writer, container: &Value, pod: Option<&Value>, variable: &Value) {
    let name = text(variable, "/name");
    let Some(from) = some(variable, "/valueFrom") else {
        for (index, line) in text(variable, "/value").split('\n').enumerate() {
            if index == 0 {
                put!(w, 3, "{name}:\t{line}\n");
            } else {
                put!(w, 3, "\t{line}\n");
            }
        }
        return;
    };
    if let Some(field) = some(from, "/fieldRef") {
        let path = text(field, "/fieldPath");
        let value = pod.map(|pod| pod_field(pod, path)).unwrap_or_default();
        put!(w, 3, "{name}:\t{value} ({}:{path})\n", text(field, "/apiVersion"));
    } else if let Some(field) = some(from, "/resourceFieldRef") {
        let resource = text(field, "/resource");
        let mut value = resource_value(container, field);
        if value == "0" && ["limits.cpu", "limits.memory"].contains(&resource) {
            value = "node allocatable".to_owned();
        }
        put!(w, 3, "{name}:\t{value} ({resource})\n");
    } else if let Some(key) = some(from, "/secretKeyRef") {
        let (key, object, optional) = (text(key, "/key"), text(key, "/name"), flag(key, "/optional"));
        put!(w, 3, "{name}:\t<set to the key '{key}' in secret '{object}'>\tOptional: {optional}\n");
    } else if let Some(key) = some(from, "/configMapKeyRef") {
        let (key, object, optional) = (text(key, "/key"), text(key, "/name"), flag(key, "/optional"));
        put!(w, 3, "{name}:\t<set to the key '{key}' of config map '{object}'>\tOptional: {optional}\n");
    }
}

/// A field of the pod that kubectl knows how to read; empty for the others, even for those that the kubelet knows.
fn pod_field(pod: &Value, path: &str) -> String {
    if let Some((field, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        return match field {
            "metadata.annotations" => map(pod, "/metadata/annotations").remove(key).unwrap_or_default(),
            "metadata.labels" => map(pod, "/metadata/labels").remove(key).unwrap_or_default(),
            _ => String::new(),
        };
    }
    match path {
        "metadata.annotations" => format_map(&map(pod, "/metadata/annotations")),
        "metadata.labels" => format_map(&map(pod, "/metadata/labels")),
        "metadata.name" | "metadata.namespace" | "metadata.uid" => {
            text(pod, &format!("/{}", path.replace('.', "/"))).to_owned()
        }
        _ => String::new(),
    }
}

fn format_map(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
}

/// A request or limit of the container, in units of the divisor, rounded up; empty if there is no such resource.
fn resource_value(container: &Value, field: &Value) -> String {
    let Some((list, name)) = text(field, "/resource").split_once('.') else { return String::new() };
    let known = ["cpu", "memory", "ephemeral-storage"].contains(&name) || name.starts_with("hugepages-");
    if !["requests", "limits"].contains(&list) || !known {
        return String::new();
    }
    let quantities = super::fields::quantities(container, &format!("/resources/{list}"));
    let amount = quantities.get(name).copied().unwrap_or(Quantity::ZERO);
    let divisor: Quantity = int_or_text(field, "/divisor").parse().unwrap_or(Quantity::ZERO);
    let divisor = if divisor.is_zero() { Quantity::from_milli(1000) } else { divisor };
    let (amount, divisor) = if name == "cpu" {
        (amount.milli_value(), divisor.milli_value())
    } else {
        (amount.value(), divisor.value())
    };
    ((amount as f64 / divisor as f64).ceil() as i64).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_say_where_their_values_come_from() {
        let pod =
            json!({"metadata": {"name": "web", "labels": {"app": "web"}}, "status": {"podIP": "10.0.0.1"}});
        let container = json!({
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s", "optional": true}}],
        "env": [
            {"name": "PLAIN", "value": "one\ntwo"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['app']"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "REQ", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "0"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "SET", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k", "optional": true}}},
        ]});
        let mut w = Writer::new();
        section(&mut w, &container, Some(&pod));
        insta::assert_snapshot!(w.finish());
    }
}
