//! The downward API: what a pod may know of itself, as text.
//!
//! Used for environment variables and for files of downwardAPI volumes.
// Models pkg/fieldpath, pkg/api/v1/resource (ExtractContainerResourceValue) and podFieldSelectorRuntimeValue.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use super::spec;
use crate::meta::quantity::Quantity;

/// What is known beside the pod's object.
#[derive(Clone, Debug, Default)]
pub(super) struct PodFacts {
    /// The pod's IPs.
    pub(super) pod_ips: Vec<String>,
    /// The node's IP.
    pub(super) host_ip: String,
    /// What the node gives to pods: the limit of a container that has none.
    pub(super) allocatable: BTreeMap<String, String>,
}

/// The value of a field that a `fieldRef` names.
pub(super) fn field(pod: &Pod, path: &str, facts: &PodFacts) -> Result<String, String> {
    let pod_spec = pod.spec.as_ref();
    Ok(match path {
        "spec.nodeName" => pod_spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => {
            pod_spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()
        }
        "status.hostIP" | "status.hostIPs" => facts.host_ip.clone(),
        "status.podIP" => facts.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => facts.pod_ips.join(","),
        _ => return metadata_field(pod, path),
    })
}

/// The value of a field of the metadata, the only ones that files can have.
pub(super) fn metadata_field(pod: &Pod, path: &str) -> Result<String, String> {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let annotations = pod.metadata.annotations.clone().unwrap_or_default();
    if let Some((name, key)) = path.strip_suffix("']").and_then(|head| head.split_once("['")) {
        return match name {
            "metadata.annotations" => Ok(annotations.get(key).cloned().unwrap_or_default()),
            "metadata.labels" => Ok(labels.get(key).cloned().unwrap_or_default()),
            _ => Err(format!("fieldPath {path:?} does not support subscript")),
        };
    }
    Ok(match path {
        "metadata.annotations" => lines(&annotations),
        "metadata.labels" => lines(&labels),
        "metadata.name" => spec::name(pod).to_owned(),
        "metadata.namespace" => spec::namespace(pod).to_owned(),
        "metadata.uid" => spec::uid(pod).to_owned(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

fn lines(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// The value of a resource that a `resourceFieldRef` names, of that container.
pub(super) fn resource(
    selector: &ResourceFieldSelector,
    container: &Container,
    facts: &PodFacts,
) -> Result<String, String> {
    let unsupported = || format!("unsupported container resource : {}", selector.resource);
    let (list, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !name.starts_with("hugepages-") {
        return Err(unsupported());
    }
    let resources = container.resources.as_ref();
    let limit = resources.and_then(|r| r.limits.as_ref()?.get(name)).and_then(|q| Quantity::try_from(q).ok());
    let request =
        resources.and_then(|r| r.requests.as_ref()?.get(name)).and_then(|q| Quantity::try_from(q).ok());
    let whole = || facts.allocatable.get(name).and_then(|amount| amount.parse::<Quantity>().ok());
    let amount = match list {
        "limits" if name.starts_with("hugepages-") => limit,
        "limits" => limit.or_else(whole),
        "requests" => request,
        _ => return Err(unsupported()),
    };
    let divisor = selector.divisor.as_ref().and_then(|q| Quantity::try_from(q).ok()).filter(|d| !d.is_zero());
    let (amount, divisor) = if name == "cpu" {
        (amount.map_or(0, Quantity::milli_value), divisor.map_or(1000, Quantity::milli_value))
    } else {
        (amount.map_or(0, Quantity::value), divisor.map_or(1, Quantity::value))
    };
    // Rounded up; a divisor below one unit counts as one.
    let divisor = divisor.max(1);
    Ok((amount.saturating_add(divisor - 1) / divisor).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_resources_read_as_the_kubelet_writes_them() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"x": "1", "y": "two words"}},
            "spec": {"nodeName": "m", "containers": []}
        }))
        .unwrap();
        let facts = PodFacts {
            pod_ips: vec!["10.0.0.1".to_owned()],
            host_ip: "192.0.2.2".to_owned(),
            allocatable: BTreeMap::from([("memory".to_owned(), "1Gi".to_owned())]),
        };
        let cases = [
            ("metadata.name", Ok("a")),
            ("metadata.labels['x']", Ok("1")),
            ("metadata.labels", Ok("x=\"1\"\ny=\"two words\"")),
            ("metadata.annotations['none']", Ok("")),
            ("status.podIP", Ok("10.0.0.1")),
            ("spec.nodeName", Ok("m")),
            ("spec.what", Err("unsupported fieldPath: spec.what")),
            ("spec['a']", Err("fieldPath \"spec['a']\" does not support subscript")),
        ];
        for (path, expected) in cases {
            assert_eq!(field(&pod, path, &facts).as_deref().map_err(String::as_str), expected, "{path}");
        }
        let container: Container = serde_json::from_value(
            serde_json::json!({"name": "c", "resources": {"limits": {"cpu": "250m"}, "requests": {"memory": "64Mi"}}}),
        )
        .unwrap();
        let cases = [
            ("limits.cpu", "1", "1"),
            ("limits.cpu", "1m", "250"),
            ("requests.memory", "1Mi", "64"),
            ("limits.memory", "0", "1073741824"),
            ("requests.cpu", "1", "0"),
        ];
        for (name, divisor, expected) in cases {
            let selector: ResourceFieldSelector =
                serde_json::from_value(serde_json::json!({"resource": name, "divisor": divisor})).unwrap();
            assert_eq!(
                resource(&selector, &container, &facts).as_deref(),
                Ok(expected),
                "{name} by {divisor}"
            );
        }
    }
}
