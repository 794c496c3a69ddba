//! `kubectl describe node`.
// Models kubectl/pkg/describe (NodeDescriber, describeNodeResource).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::events::{self, Involved};
use super::fields::{flag, list, map, or_none, quantities, some, some_text, text, texts, time_text};
use super::metadata::{self, age_of};
use super::pod_resources::{self, ResourceList, Side, add};
use super::related::{Failure, Related, Resource, Wanted};
use super::writer::{Writer, put};
use crate::meta::quantity::Quantity;

/// The node's describer.
pub struct Node;

#[async_trait]
impl Describer for Node {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Node")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        _: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let node = related.get(Resource::new("v1", "nodes"), "", name).await?;
        let fields = format!("spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed");
        let wanted = Wanted { fields, ..Wanted::default() };
        let pods = match related.list(Resource::new("v1", "pods"), &wanted).await {
            Ok(pods) => Some(pods),
            Err(failure) if failure.reason == "Forbidden" => None,
            Err(failure) => return Err(failure),
        };
        let events = if settings.show_events { Some(events_of(related, &node).await) } else { None };
        let lease =
            related.get(Resource::new("coordination.k8s.io/v1", "leases"), "kube-node-lease", name).await;
        let mut w = Writer::new();
        head(&mut w, &node);
        lease_section(&mut w, lease);
        status(&mut w, &node);
        match pods {
            Some(pods) => resources(&mut w, &node, &pods, related.now()),
            None => w.write(0, "Pods:\tnot authorized\n"),
        }
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}

/// Controllers report about a node under its UID, the kubelet under its name.
async fn events_of(related: &dyn Related, node: &Value) -> Vec<Value> {
    let by_uid = Involved::of(node);
    let by_name = Involved { uid: by_uid.name.clone(), ..by_uid.clone() };
    let mut found = events::search(related, &by_uid).await.unwrap_or_default();
    found.extend(events::search(related, &by_name).await.unwrap_or_default());
    found
}

fn head(w: &mut Writer, node: &Value) {
    put!(w, 0, "Name:\t{}\n", text(node, "/metadata/name"));
    let labels = map(node, "/metadata/labels");
    put!(w, 0, "Roles:\t{}\n", or_none(&roles(&labels)));
    metadata::labels_and_annotations(w, node);
    put!(w, 0, "CreationTimestamp:\t{}\n", time_text(node, "/metadata/creationTimestamp"));
    metadata::taints(w, "Taints", list(node, "/spec/taints"));
    put!(w, 0, "Unschedulable:\t{}\n", flag(node, "/spec/unschedulable"));
}

fn roles(labels: &BTreeMap<String, String>) -> String {
    let role = |(key, value): (&String, &String)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()),
        None => (key == "kubernetes.io/role").then(|| value.clone()),
    };
    let roles: BTreeSet<String> = labels.iter().filter_map(role).filter(|role| !role.is_empty()).collect();
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn lease_section(w: &mut Writer, lease: Result<Value, Failure>) {
    let lease = match lease {
        Ok(lease) => lease,
        Err(error) => {
            put!(w, 0, "Lease:\tFailed to get lease: {error}\n");
            return;
        }
    };
    w.write(0, "Lease:\n");
    put!(w, 1, "HolderIdentity:\t{}\n", some_text(&lease, "/spec/holderIdentity").unwrap_or("<unset>"));
    for (label, path) in [("AcquireTime", "/spec/acquireTime"), ("RenewTime", "/spec/renewTime")] {
        let time = some(&lease, path).map_or_else(|| "<unset>".to_owned(), |_| time_text(&lease, path));
        put!(w, 1, "{label}:\t{time}\n");
    }
}

fn status(w: &mut Writer, node: &Value) {
    conditions(w, list(node, "/status/conditions"));
    w.write(0, "Addresses:\n");
    for address in list(node, "/status/addresses") {
        put!(w, 1, "{}:\t{}\n", text(address, "/type"), text(address, "/address"));
    }
    for (label, path) in [("Capacity", "/status/capacity"), ("Allocatable", "/status/allocatable")] {
        let amounts = quantities(node, path);
        if !amounts.is_empty() {
            put!(w, 0, "{label}:\n");
        }
        for (name, amount) in amounts {
            put!(w, 1, "{name}:\t{amount}\n");
        }
    }
    w.write(0, "System Info:\n");
    for (label, field) in SYSTEM_INFO {
        put!(w, 1, "{label}:\t{}\n", text(node, &format!("/status/nodeInfo/{field}")));
    }
    let optional = [
        ("PodCIDR", text(node, "/spec/podCIDR").to_owned()),
        ("PodCIDRs", texts(node, "/spec/podCIDRs").join(",")),
        ("ProviderID", text(node, "/spec/providerID").to_owned()),
    ];
    for (label, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        put!(w, 0, "{label}:\t{value}\n");
    }
}

const SYSTEM_INFO: [(&str, &str); 9] = [
    ("Machine ID", "machineID"),
    ("System UUID", "systemUUID"),
    ("Boot ID", "bootID"),
    ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"),
    ("Operating System", "operatingSystem"),
    ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"),
    ("Kubelet Version", "kubeletVersion"),
];

fn conditions(w: &mut Writer, conditions: &[Value]) {
    if conditions.is_empty() {
        return;
    }
    w.write(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n");
    w.write(1, "----\t------\t-----------------\t------------------\t------\t-------\n");
    for condition in conditions {
        put!(
            w,
            1,
            "{} \t{} \t{} \t{} \t{} \t{}\n",
            text(condition, "/type"),
            text(condition, "/status"),
            time_text(condition, "/lastHeartbeatTime"),
            time_text(condition, "/lastTransitionTime"),
            text(condition, "/reason"),
            text(condition, "/message")
        );
    }
}

fn resources(w: &mut Writer, node: &Value, pods: &[Value], now: Timestamp) {
    put!(w, 0, "Non-terminated Pods:\t({} in total)\n", pods.len());
    w.write(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n");
    w.write(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n");
    let allocatable = Some(quantities(node, "/status/allocatable")).filter(|amounts| !amounts.is_empty());
    let allocatable = allocatable.unwrap_or_else(|| quantities(node, "/status/capacity"));
    for pod in pods {
        let (requests, limits) =
            (pod_resources::total(pod, Side::Requests, true), pod_resources::total(pod, Side::Limits, true));
        put!(
            w,
            1,
            "{}\t{}\t\t{}\t{}\t{}\t{}\t{}\n",
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/name"),
            share(&requests, &allocatable, "cpu"),
            share(&limits, &allocatable, "cpu"),
            share(&requests, &allocatable, "memory"),
            share(&limits, &allocatable, "memory"),
            age_of(pod, "/metadata/creationTimestamp", now)
        );
    }
    allocated(w, &allocatable, pods);
}

fn allocated(w: &mut Writer, allocatable: &ResourceList, pods: &[Value]) {
    w.write(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
    w.write(1, "Resource\tRequests\tLimits\n");
    w.write(1, "--------\t--------\t------\n");
    let (mut requests, mut limits) = (ResourceList::new(), ResourceList::new());
    for pod in pods {
        add(&mut requests, &pod_resources::total(pod, Side::Requests, false));
        add(&mut limits, &pod_resources::total(pod, Side::Limits, false));
    }
    let huge_pages = allocatable.keys().map(String::as_str).filter(|name| name.starts_with("hugepages-"));
    for name in ["cpu", "memory", "ephemeral-storage"].into_iter().chain(huge_pages) {
        let (requests, limits) = (share(&requests, allocatable, name), share(&limits, allocatable, name));
        put!(w, 1, "{name}\t{requests}\t{limits}\n");
    }
    let standard = |name: &str| {
        ["cpu", "memory", "ephemeral-storage", "pods"].contains(&name) || name.starts_with("hugepages-")
    };
    for name in allocatable.keys().filter(|name| !standard(name)) {
        put!(w, 1, "{name}\t{}\t{}\n", amount(&requests, name), amount(&limits, name));
    }
}

fn amount(amounts: &ResourceList, name: &str) -> Quantity {
    amounts.get(name).copied().unwrap_or(Quantity::ZERO)
}

/// An amount and the share of what there is, like `250m (12%)`.
fn share(amounts: &ResourceList, allocatable: &ResourceList, name: &str) -> String {
    let (part, whole) = (amount(amounts, name), amount(allocatable, name));
    let (used, all) =
        if name == "cpu" { (part.milli_value(), whole.milli_value()) } else { (part.value(), whole.value()) };
    let percent = if all == 0 { 0 } else { (used as f64 / all as f64 * 100.0) as i64 };
    format!("{part} ({percent}%)")
}
