//! Registers the node and keeps its status: written when something has changed, and every five minutes.
// Models pkg/kubelet/kubelet_node_status.go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::super::kubelet::Shared;
use super::{lease, status};
use crate::events::EventType;
use crate::informer::Change;

/// How often a status goes out that has not changed.
const REPORT: Duration = Duration::from_secs(300);
/// The first and the longest wait between tries to register.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(7);

/// Registers the node and keeps its status and lease for as long as it is not dropped.
pub(in crate::kubelet) async fn run(shared: Arc<Shared>) {
    let recorder = &shared.deps.recorder;
    recorder.event(&reference(&shared), EventType::Normal, "Starting", "Starting kubelet.");
    let mut wait = FIRST_RETRY;
    while let Err(error) = register(&shared).await {
        tracing::debug!(%error, "the node could not be registered");
        shared.deps.clock.sleep(wait).await;
        wait = (wait * 2).min(LONGEST_RETRY);
    }
    recorder.event(
        &reference(&shared),
        EventType::Normal,
        "NodeAllocatableEnforced",
        "Updated Node Allocatable limit across pods",
    );
    tokio::join!(lease::keep(&shared), keep(&shared));
}

/// The node in events: its UID is its name, as kubelets write it.
fn reference(shared: &Shared) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(shared.config.node.name.clone()),
        uid: Some(shared.config.node.name.clone()),
        ..ObjectReference::default()
    }
}

fn now(shared: &Shared) -> Time {
    let now = shared.deps.clock.now();
    Time(jiff::Timestamp::from_second(now.as_second()).unwrap_or(now))
}

async fn current(shared: &Shared, before: &NodeStatus) -> NodeStatus {
    let images = shared.deps.runtime.list_images().await.unwrap_or_default();
    status::status(&shared.config, &shared.deps.runtime.version(), &images, before, now(shared))
}

fn tell(shared: &Shared, before: &NodeStatus) {
    for event in status::events(before) {
        let message = format!("Node {} status is now: {event}", shared.config.node.name);
        shared.deps.recorder.event(&reference(shared), EventType::Normal, event, message);
    }
}

fn labels(shared: &Shared) -> BTreeMap<String, String> {
    let node = &shared.config.node;
    let usual = [
        ("beta.kubernetes.io/arch", node.architecture.as_str()),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", node.architecture.as_str()),
        ("kubernetes.io/hostname", node.name.as_str()),
        ("kubernetes.io/os", "linux"),
    ];
    let mut labels: BTreeMap<String, String> =
        usual.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    labels.extend(node.labels.clone());
    labels
}

async fn register(shared: &Shared) -> Result<(), kube::Error> {
    let api: Api<Node> = Api::all(shared.deps.client.clone());
    let config = &shared.config.node;
    let annotation = "volumes.kubernetes.io/controller-managed-attach-detach";
    let node = Node {
        metadata: ObjectMeta {
            name: Some(config.name.clone()),
            labels: Some(labels(shared)),
            annotations: Some(BTreeMap::from([(annotation.to_owned(), "true".to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: (!config.taints.is_empty()).then(|| config.taints.clone()),
            ..NodeSpec::default()
        }),
        status: Some(current(shared, &NodeStatus::default()).await),
    };
    match api.create(&PostParams::default(), &node).await {
        Ok(_) => {
            tell(shared, &NodeStatus::default());
            Ok(())
        }
        Err(kube::Error::Api(answer)) if answer.reason == "AlreadyExists" => {
            let existing = api.get(&config.name).await?;
            let missing = labels(shared);
            if existing
                .metadata
                .labels
                .as_ref()
                .is_none_or(|known| missing.iter().any(|(k, v)| known.get(k) != Some(v)))
            {
                let patch = Patch::Merge(json!({"metadata": {"labels": missing}}));
                api.patch(&config.name, &PatchParams::default(), &patch).await?;
            }
            report(shared, &existing).await
        }
        Err(error) => Err(error),
    }
}

/// Writes the status over that of `node`.
async fn report(shared: &Shared, node: &Node) -> Result<(), kube::Error> {
    let api: Api<Node> = Api::all(shared.deps.client.clone());
    let before = node.status.clone().unwrap_or_default();
    let after = current(shared, &before).await;
    tell(shared, &before);
    let patch = Patch::Strategic(json!({"status": after}));
    api.patch_status(&shared.config.node.name, &PatchParams::default(), &patch).await.map(drop)
}

/// Writes the status when somebody else has changed it, when images have come or gone, and every five minutes.
async fn keep(shared: &Shared) {
    let mut changes = shared.nodes.subscribe();
    let mut due = shared.deps.clock.after(REPORT);
    loop {
        let node = tokio::select! { biased;
            change = changes.recv() => match change {
                Some(Change::Added(node) | Change::Modified(_, node)) => node,
                Some(Change::Deleted(gone)) => {
                    if gone.metadata.name.as_deref() == Some(shared.config.node.name.as_str()) {
                        // A deleted node stays so until the kubelet starts again, as in Kubernetes.
                        tracing::debug!("the node was deleted");
                    }
                    continue;
                }
                None => return,
            },
            () = shared.images.changed.notified() => Arc::new(shared.node()),
            () = shared.deps.clock.sleep_until(due) => Arc::new(shared.node()),
        };
        if node.metadata.name.as_deref() != Some(shared.config.node.name.as_str()) {
            continue;
        }
        let before = node.status.clone().unwrap_or_default();
        let after = current(shared, &before).await;
        if shared.deps.clock.now() < due && !status::differs(&before, &after) {
            continue;
        }
        match report(shared, &node).await {
            Ok(()) => due = shared.deps.clock.after(REPORT),
            Err(error) => {
                tracing::debug!(%error, "the node's status could not be written");
                due = shared.deps.clock.after(Duration::from_secs(10));
            }
        }
    }
}
