//! Which pod and which container a verb works in, when it is told a pod, a Deployment, a Service or a selector.
//!
//! Used by `exec`, `attach`, `logs`, `port-forward` and `cp`.
// Models k8s.io/kubectl/pkg/polymorphichelpers (attachablePodForObject, GetFirstPod, SelectorsForObject),
// .../util/podutils and .../cmd/util/podcmd.

use std::cmp::Ordering;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::client::Request;
use super::error::{KubectlError, Result};
use super::session::{Output, Session};
use crate::meta::selector::Selector;

/// The annotation that names the container to use when none is named.
pub const DEFAULT_CONTAINER_ANNOTATION: &str = "kubectl.kubernetes.io/default-container";

/// What makes one pod a better choice than another; the best comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// The pod to work in: running, ready, for the longest time.
    Active,
    /// The pod whose log tells most.
    Logging,
}

/// Reads a pod from its JSON.
pub fn pod_of(value: &Value) -> Result<Pod> {
    serde_json::from_value(value.clone())
        .map_err(|error| KubectlError::message(format!("unable to decode the pod: {error}")))
}

/// The pod that an object stands for: itself, or the best of those that it selects. Waits up to `timeout` for one to
/// appear. The number is how many there are.
pub async fn pod_for(
    session: &Session,
    object: &Value,
    timeout: Duration,
    preference: Preference,
) -> Result<(Pod, usize)> {
    if kind_of(object) == "Pod" {
        return Ok((pod_of(object)?, 1));
    }
    let purpose =
        if preference == Preference::Active { "cannot attach to" } else { "cannot get the logs from" };
    let selector = selector_of(object)
        .map_err(|why| KubectlError::message(format!("{purpose} {}: {why}", go_type(object))))?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let pods = pods_of(session, namespace, &selector, timeout, preference).await?;
    let count = pods.len();
    let first = pods.into_iter().next();
    Ok((first.ok_or_else(|| KubectlError::message("timed out waiting for the condition"))?, count))
}

/// The pods of a selector, the best first; waits up to `timeout` for the first one.
pub async fn pods_of(
    session: &Session,
    namespace: &str,
    selector: &Selector,
    timeout: Duration,
    preference: Preference,
) -> Result<Vec<Pod>> {
    let client = session.client().await?;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let list = client.json(Request::get(&path).query("labelSelector", selector.to_string())).await?;
    let mut pods: Vec<Pod> =
        list["items"].as_array().into_iter().flatten().map(pod_of).collect::<Result<_>>()?;
    if pods.is_empty() {
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let watch = Request::get(&path)
            .query("labelSelector", selector.to_string())
            .query("resourceVersion", version)
            .query("watch", "true");
        let first = async {
            let mut events = client.watch(watch).await?;
            while let Some(event) = events.next().await {
                let event = event?;
                if event.kind == "ADDED" || event.kind == "MODIFIED" {
                    return pod_of(&event.object);
                }
            }
            Err(KubectlError::message("watch closed before UntilWithoutRetry timeout"))
        };
        let appeared = session.clock.timeout(timeout, first).await;
        pods.push(appeared.map_err(|_| KubectlError::message("timed out waiting for the condition"))??);
    }
    pods.sort_by(|a, b| order(a, b, preference));
    Ok(pods)
}

/// The labels by which an object selects its pods. The error is what is wrong with it.
pub fn selector_of(object: &Value) -> Result<Selector, String> {
    let selector = &object["spec"]["selector"];
    match kind_of(object) {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
            let selector: LabelSelector = serde_json::from_value(selector.clone())
                .map_err(|error| format!("invalid label selector: {error}"))?;
            Selector::from_label_selector(&selector)
                .map_err(|error| format!("invalid label selector: {error}"))
        }
        "ReplicationController" => Ok(Selector::from_labels(&labels(selector))),
        "Service" if labels(selector).is_empty() => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            Err(format!("invalid service '{name}': Service is defined without a selector"))
        }
        "Service" => Ok(Selector::from_labels(&labels(selector))),
        _ => Err(format!("selector for {} not implemented", go_type(object))),
    }
}

fn labels(selector: &Value) -> std::collections::BTreeMap<String, String> {
    serde_json::from_value(selector.clone()).unwrap_or_default()
}

fn kind_of(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// The name that Go's `%T` gives the object's type.
fn go_type(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    format!("*{}.{}", version.rsplit('/').next().unwrap_or_default(), kind_of(object))
}

fn order(a: &Pod, b: &Pod, preference: Preference) -> Ordering {
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()).is_none();
    let phase = |pod: &Pod| match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Pending") => 2,
        Some("Unknown") => 1,
        _ => 0,
    };
    let deleting = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    // Who has been ready for longer comes first; for logs more restarts do too, for work fewer.
    let restarts = match preference {
        Preference::Active => max_restarts(a).cmp(&max_restarts(b)),
        Preference::Logging => max_restarts(b).cmp(&max_restarts(a)),
    };
    let deletion =
        if preference == Preference::Active { deleting(a).cmp(&deleting(b)) } else { Ordering::Equal };
    node(a)
        .cmp(&node(b))
        .then(phase(a).cmp(&phase(b)))
        .then(ready_since(b).is_some().cmp(&ready_since(a).is_some()))
        .then(deletion)
        .then(ready_since(a).cmp(&ready_since(b)))
        .then(restarts)
        .then(created(a).cmp(&created(b)))
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready =
        conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::MIN, |time| time.0))
}

fn max_restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).max().unwrap_or(0)
}

/// Where a container stands in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Container,
    Init,
    Ephemeral,
}

/// A container of a pod: its name, its place, and whether it has a terminal and keeps its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub place: Place,
    pub tty: bool,
}

impl From<&Container> for Named {
    fn from(container: &Container) -> Self {
        Self { name: container.name.clone(), place: Place::Container, tty: container.tty == Some(true) }
    }
}

impl From<&EphemeralContainer> for Named {
    fn from(container: &EphemeralContainer) -> Self {
        Self { name: container.name.clone(), place: Place::Ephemeral, tty: container.tty == Some(true) }
    }
}

/// Every container: those of the pod, then ephemeral ones, then init containers.
pub fn containers(pod: &Pod) -> Vec<Named> {
    let Some(spec) = &pod.spec else { return vec![] };
    let init = spec
        .init_containers
        .iter()
        .flatten()
        .map(|container| Named { place: Place::Init, ..container.into() });
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(Named::from);
    spec.containers.iter().map(Named::from).chain(ephemeral).chain(init).collect()
}

/// `web, debugger (ephem), setup (init)`.
pub fn all_names(pod: &Pod) -> String {
    let shown = |container: &Named| match container.place {
        Place::Container => container.name.clone(),
        Place::Ephemeral => format!("{} (ephem)", container.name),
        Place::Init => format!("{} (init)", container.name),
    };
    containers(pod).iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// The container of that name. Fails with the names that there are.
pub fn named(pod: &Pod, name: &str) -> Result<Named> {
    let found = containers(pod).into_iter().find(|container| container.name == name);
    found.ok_or_else(|| {
        let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
        KubectlError::message(format!(
            "container {name} is not valid for pod {pod_name} out of: {}",
            all_names(pod)
        ))
    })
}

/// The container that is meant: by name, by the pod's annotation, or the first one, with a word about the others to `told`.
pub async fn named_or_default(pod: &Pod, name: &str, told: Option<&Output>) -> Result<Named> {
    let annotated = pod.metadata.annotations.as_ref().and_then(|all| all.get(DEFAULT_CONTAINER_ANNOTATION));
    let name = if name.is_empty() { annotated.map_or("", String::as_str) } else { name };
    if !name.is_empty() {
        return named(pod, name);
    }
    let all = containers(pod);
    let Some(first) = all.first().filter(|container| container.place == Place::Container) else {
        let meta = &pod.metadata;
        let (namespace, name) =
            (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        return Err(KubectlError::message(format!("pod {namespace}/{name} does not have any containers")));
    };
    if let Some(told) = told.filter(|_| all.len() > 1) {
        told.line(format!("Defaulted container {:?} out of: {}", first.name, all_names(pod))).await?;
    }
    Ok(first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, phase: &str, ready_since: Option<&str>, restarts: i32) -> Pod {
        let ready =
            ready_since.map(|time| json!({"type": "Ready", "status": "True", "lastTransitionTime": time}));
        let conditions: Vec<Value> = ready.into_iter().collect();
        let container =
            json!({"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": restarts});
        serde_json::from_value(json!({
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": "n", "containers": [{"name": "c"}, {"name": "d"}], "initContainers": [{"name": "i"}]},
            "status": {"phase": phase, "conditions": conditions, "containerStatuses": [container]},
        }))
        .unwrap()
    }

    #[test]
    fn the_best_pod_is_running_and_has_been_ready_longest() {
        let mut pods = [
            pod("pending", "Pending", None, 0),
            pod("young", "Running", Some("2026-01-01T00:05:00Z"), 0),
            pod("unready", "Running", None, 0),
            pod("old", "Running", Some("2026-01-01T00:01:00Z"), 0),
        ];
        pods.sort_by(|a, b| order(a, b, Preference::Active));
        let names: Vec<_> = pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect();
        assert_eq!(names, ["old", "young", "unready", "pending"]);
    }

    #[test]
    fn the_names_of_all_containers_say_what_they_are() {
        assert_eq!(all_names(&pod("p", "Running", None, 0)), "c, d, i (init)");
        let error = named(&pod("p", "Running", None, 0), "x").unwrap_err();
        assert_eq!(error.to_string(), "container x is not valid for pod p out of: c, d, i (init)");
    }

    #[test]
    fn selectors_come_from_what_selects_pods() {
        let service = json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}, "spec": {}});
        assert_eq!(
            selector_of(&service).unwrap_err(),
            "invalid service 's': Service is defined without a selector"
        );
        let node = json!({"kind": "Node", "apiVersion": "v1"});
        assert_eq!(selector_of(&node).unwrap_err(), "selector for *v1.Node not implemented");
    }
}
