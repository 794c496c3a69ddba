//! Node: a machine that runs pods, as its kubelet reports it.
// Models pkg/registry/core/node and pkg/apis/core/validation (ValidateNode, ValidateNodeUpdate).

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use serde_json::json;

use super::pod::{default_resource_list, validate_resource_value};
use crate::api::field::{FieldError, FieldErrorKind, FieldPath};
use crate::api::kind::{Kind, Rules, Traits};
use crate::api::kinds::unset::text;
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::names;

/// Labels that begin so name a role of the node.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

/// `v1` Node.
pub struct NodeKind;

impl Kind for NodeKind {
    type Object = Node;
    const SHORT_NAMES: &'static [&'static str] = &["no"];
    const TRAITS: Traits = Traits { status: true, generation: false, scale: false };
    const RULES: Rules = Rules { status_at_create: true, ..Rules::USUAL };

    fn default(node: &mut Node) {
        let spec = node.spec.get_or_insert_default();
        tie_pod_cidrs(spec);
        let Some(status) = &mut node.status else { return };
        if status.allocatable.is_none() {
            status.allocatable = status.capacity.clone();
        }
        for list in [&mut status.capacity, &mut status.allocatable].into_iter().flatten() {
            default_resource_list(list);
        }
    }

    fn validate(node: &Node) -> Vec<FieldError> {
        let spec = node.spec.clone().unwrap_or_default();
        let mut errors =
            validate_taints(&spec.taints.unwrap_or_default(), &FieldPath::new("metadata").child("taints"));
        errors.extend(validate_resources(node));
        errors.extend(validate_pod_cidrs(spec.pod_cidrs.as_deref().unwrap_or_default()));
        errors
    }

    fn validate_update(new: &Node, old: &Node) -> Vec<FieldError> {
        let (new_spec, old_spec) =
            (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
        let (status, spec) = (FieldPath::new("status"), FieldPath::new("spec"));
        let mut errors = vec![];
        let (mut seen, addresses) =
            (BTreeSet::new(), new.status.iter().flat_map(|status| status.addresses.iter().flatten()));
        for (index, address) in addresses.enumerate() {
            if !seen.insert((&address.type_, &address.address)) {
                let value = json!({"address": address.address, "type": address.type_});
                errors.push(FieldError::duplicate(&status.child("addresses").index(index), value));
            }
        }
        let old_cidrs = old_spec.pod_cidrs.unwrap_or_default();
        if !old_cidrs.is_empty() && old_cidrs != new_spec.pod_cidrs.unwrap_or_default() {
            let why = "node updates may not change podCIDR except from \"\" to valid";
            errors.push(FieldError::forbidden(&spec.child("podCIDRs"), why));
        }
        if !text(&old_spec.provider_id).is_empty()
            && text(&old_spec.provider_id) != text(&new_spec.provider_id)
        {
            let why = "node updates may not change providerID except from \"\" to valid";
            errors.push(FieldError::forbidden(&spec.child("providerID"), why));
        }
        if text(&new_spec.external_id) != text(&old_spec.external_id) {
            errors.push(FieldError::forbidden(&spec.child("externalID"), "may not be updated"));
        }
        errors
    }

    fn validate_status_update(new: &Node, old: &Node) -> Vec<FieldError> {
        let mut errors = validate_resources(new);
        errors.extend(Self::validate_update(new, old));
        errors
    }

    fn warnings(node: &Node, _old: Option<&Node>) -> Vec<String> {
        let mut warnings = vec![];
        if node.spec.as_ref().is_some_and(|spec| spec.config_source.is_some()) {
            warnings.push("spec.configSource: the feature is removed".to_owned());
        }
        if node.spec.as_ref().is_some_and(|spec| !text(&spec.external_id).is_empty()) {
            warnings
                .push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
        }
        warnings
    }

    fn selectable_fields(node: &Node) -> Vec<(&'static str, String)> {
        let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default();
        vec![("spec.unschedulable", unschedulable.to_string())]
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Status", "Whether the node is ready, and open to new pods"),
            Column::string("Roles", "The roles that the node's labels give it"),
            Column::AGE,
            Column::string("Version", "The version of the node's kubelet"),
            Column::string("Internal-IP", "The node's address inside the cluster").wide(),
            Column::string("External-IP", "The node's address for others").wide(),
            Column::string("OS-Image", "The operating system, as the node reports it").wide(),
            Column::string("Kernel-Version", "The kernel, as the node reports it").wide(),
            Column::string("Container-Runtime", "What runs the containers").wide(),
        ]
    }

    fn row(node: &Node, now: Timestamp) -> Vec<Cell> {
        let status = node.status.clone().unwrap_or_default();
        let info = status.node_info.clone().unwrap_or_default();
        let known = |text: &str| if text.is_empty() { "<unknown>".to_owned() } else { text.to_owned() };
        let mut kernel = known(&info.kernel_version);
        if !info.architecture.is_empty() {
            kernel.push_str(&format!(" ({})", info.architecture));
        }
        vec![
            cells::name(&node.metadata),
            readiness(node, &status).into(),
            cells::or_none(roles(node)).into(),
            cells::age(&node.metadata, now),
            info.kubelet_version.clone().into(),
            address(&status, "InternalIP").into(),
            address(&status, "ExternalIP").into(),
            known(&info.os_image).into(),
            kernel.into(),
            known(&info.container_runtime_version).into(),
        ]
    }
}

/// The first of `podCIDRs` and the older `podCIDR` say the same; the older one rules.
// Models pkg/apis/core/v1 (Convert_v1_NodeSpec_To_core_NodeSpec).
fn tie_pod_cidrs(spec: &mut NodeSpec) {
    let first = spec.pod_cidrs.iter().flatten().next().cloned();
    match spec.pod_cidr.clone().filter(|cidr| !cidr.is_empty()) {
        Some(cidr) if first.as_ref() != Some(&cidr) => spec.pod_cidrs = Some(vec![cidr]),
        None => spec.pod_cidr = first,
        Some(_) => {}
    }
}

fn validate_taints(taints: &[Taint], field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, taint) in taints.iter().enumerate() {
        let field = field.index(index);
        errors.extend(checks::qualified_name(&taint.key, &field.child("key")));
        let value = text(&taint.value);
        let wrong = names::label_value(value);
        if !wrong.is_empty() {
            errors.push(FieldError::invalid(&field.child("value"), value, wrong.join(";")));
        }
        match taint.effect.as_str() {
            "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {}
            "" => errors.push(FieldError::required(&field.child("effect"), "")),
            other => {
                let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
                errors.push(FieldError::not_supported(&field.child("effect"), other, &supported));
            }
        }
        if !seen.insert((&taint.effect, &taint.key)) {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            let shown = format!(
                "{{\"Key\":{},\"Value\":{},\"Effect\":{},\"TimeAdded\":null}}: taints must be unique by key and effect pair",
                quoted(&taint.key),
                quoted(value),
                quoted(&taint.effect)
            );
            errors.push(FieldError { kind: FieldErrorKind::Duplicate, field, value: None, detail: shown });
        }
    }
    errors
}

fn validate_resources(node: &Node) -> Vec<FieldError> {
    let Some(status) = &node.status else { return vec![] };
    let mut errors = vec![];
    for (name, list) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
        for (resource, quantity) in list.iter().flatten() {
            let field = FieldPath::new("status").child(name).child(resource);
            errors.extend(validate_resource_value(resource, quantity, &field));
        }
    }
    errors
}

fn validate_pod_cidrs(cidrs: &[String]) -> Vec<FieldError> {
    let field = FieldPath::new("spec").child("podCIDRs");
    let mut errors = vec![];
    for (index, cidr) in cidrs.iter().enumerate() {
        errors.extend(checks::cidr(cidr, &field.index(index)));
    }
    let is_v4 = |cidr: &String| checks::parse_ip(cidr.split('/').next()?).map(|ip| ip.is_ipv4());
    let families: BTreeSet<_> = cidrs.iter().filter_map(is_v4).collect();
    if cidrs.len() > 1 && (cidrs.len() > 2 || families.len() != 2) {
        errors.push(FieldError::invalid(
            &field,
            cidrs.to_vec(),
            "may specify no more than one CIDR for each IP family",
        ));
    }
    errors
}

fn readiness(node: &Node, status: &NodeStatus) -> String {
    let ready = status.conditions.iter().flatten().rfind(|condition| condition.type_ == "Ready");
    let word = match ready.map(|condition| condition.status == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    };
    let closed = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    if closed { format!("{word},SchedulingDisabled") } else { word.to_owned() }
}

fn roles(node: &Node) -> String {
    let labels = node.metadata.labels.iter().flatten();
    let roles: BTreeSet<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => Some(value.as_str()),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn address(status: &NodeStatus, kind: &str) -> String {
    let mut addresses = status.addresses.iter().flatten();
    addresses
        .find(|address| address.type_ == kind)
        .map_or_else(|| "<none>".to_owned(), |address| address.address.clone())
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{change_refused, refused, row};

    fn node(rest: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: minikube, labels: {{node-role.kubernetes.io/control-plane: ''}}}}, {rest}}}"
        )
    }

    #[test]
    fn the_row_says_whether_pods_may_come() {
        let info = "nodeInfo: {architecture: amd64, bootID: '', containerRuntimeVersion: 'containerd://2.1.9', kernelVersion: '6.12', \
                    kubeProxyVersion: '', kubeletVersion: v1.36.2, machineID: '', operatingSystem: linux, osImage: Debian, systemUUID: ''}";
        let yaml = node(&format!(
            "spec: {{unschedulable: true}}, status: {{conditions: [{{type: Ready, status: 'True'}}], addresses: [{{type: InternalIP, \
             address: 192.0.2.2}}], {info}}}"
        ));
        assert_eq!(
            row(&yaml, "2026-01-01T00:00:05Z"),
            "NAME=minikube | STATUS=Ready,SchedulingDisabled | ROLES=control-plane | AGE=<unknown> | VERSION=v1.36.2 | \
             INTERNAL-IP=192.0.2.2 | EXTERNAL-IP=<none> | OS-IMAGE=Debian | KERNEL-VERSION=6.12 (amd64) | \
             CONTAINER-RUNTIME=containerd://2.1.9"
        );
        assert!(
            row(&node("status: {conditions: [{type: Ready, status: Unknown}]}"), "2026-01-01T00:00:05Z")
                .contains("STATUS=NotReady |")
        );
        assert!(row(&node("status: {}"), "2026-01-01T00:00:05Z").contains("STATUS=Unknown |"));
    }

    #[test]
    fn taints_are_known_and_once() {
        assert_eq!(
            refused(&node("spec: {taints: [{key: a, effect: Never}]}")),
            "metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""
        );
        assert_eq!(
            refused(&node(
                "spec: {taints: [{key: a, effect: NoSchedule}, {key: a, value: b, effect: NoSchedule}]}"
            )),
            "metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"b\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: \
             taints must be unique by key and effect pair"
        );
    }

    #[test]
    fn the_pods_network_stays() {
        assert_eq!(
            change_refused(&node("spec: {podCIDR: 10.244.0.0/24}"), &node("spec: {podCIDR: 10.244.9.0/24}")),
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"
        );
    }
}
