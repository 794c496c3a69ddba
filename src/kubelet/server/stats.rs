//! What the node and its pods use: `/stats/summary` and `/metrics`.
// Models pkg/kubelet/server/stats and pkg/kubelet/metrics/collectors.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::kubelet::Shared;
use super::router::{Answer, Refusal, json as json_answer, plain};
use crate::meta::age;
use crate::runtime::api::{ContainerState, ContainerStats, ContainerStatus};

/// What one container uses, with whose it is.
struct Usage {
    namespace: String,
    pod: String,
    uid: String,
    container: String,
    cpu_nanoseconds: u64,
    memory_bytes: u64,
    started: String,
}

async fn usage(shared: &Shared) -> Result<Vec<Usage>, String> {
    let runtime = &shared.deps.runtime;
    let stats: Vec<ContainerStats> = runtime.stats().await.map_err(|error| error.to_string())?;
    let stats: BTreeMap<String, ContainerStats> =
        stats.into_iter().map(|stats| (stats.id.clone(), stats)).collect();
    let containers = runtime.list_containers(None).await.map_err(|error| error.to_string())?;
    let sandboxes = runtime.list_pod_sandboxes().await.map_err(|error| error.to_string())?;
    let owners: BTreeMap<_, _> = sandboxes.into_iter().map(|sandbox| (sandbox.id, sandbox.config)).collect();
    let running = containers.into_iter().filter(|status| status.state == ContainerState::Running);
    let mut all: Vec<Usage> = running
        .filter_map(|status: ContainerStatus| {
            let owner = owners.get(&status.sandbox_id)?;
            let stats = stats.get(&status.id).cloned().unwrap_or_default();
            Some(Usage {
                namespace: owner.namespace.clone(),
                pod: owner.name.clone(),
                uid: owner.uid.clone(),
                container: status.name,
                cpu_nanoseconds: stats.cpu_nanoseconds,
                memory_bytes: stats.memory_bytes,
                started: status.started_at.map(age::rfc3339).unwrap_or_default(),
            })
        })
        .collect();
    all.sort_by(|a, b| (&a.namespace, &a.pod, &a.container).cmp(&(&b.namespace, &b.pod, &b.container)));
    Ok(all)
}

/// `/stats/summary`.
pub(super) async fn summary(shared: &Shared) -> Answer {
    let all = usage(shared).await.map_err(|text| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text))?;
    let time = age::rfc3339(shared.deps.clock.now());
    let amounts = |cpu: u64, memory: u64| {
        (
            json!({"time": time, "usageCoreNanoSeconds": cpu}),
            json!({"time": time, "usageBytes": memory, "workingSetBytes": memory, "rssBytes": memory}),
        )
    };
    let mut pods: BTreeMap<(&str, &str), Vec<&Usage>> = BTreeMap::new();
    for usage in &all {
        pods.entry((&usage.namespace, &usage.pod)).or_default().push(usage);
    }
    let of_pods: Vec<Value> = pods
        .into_iter()
        .map(|((namespace, name), list)| {
            let (cpu, memory) = amounts(
                list.iter().map(|usage| usage.cpu_nanoseconds).sum(),
                list.iter().map(|usage| usage.memory_bytes).sum(),
            );
            let containers: Vec<Value> = list
                .iter()
                .map(|usage| {
                    let (cpu, memory) = amounts(usage.cpu_nanoseconds, usage.memory_bytes);
                    json!({"name": usage.container, "startTime": usage.started, "cpu": cpu, "memory": memory})
                })
                .collect();
            let uid = list.first().map(|usage| usage.uid.as_str()).unwrap_or_default();
            let started = list.iter().map(|usage| usage.started.as_str()).min().unwrap_or_default();
            json!({"podRef": {"name": name, "namespace": namespace, "uid": uid}, "startTime": started,
                   "containers": containers, "cpu": cpu, "memory": memory})
        })
        .collect();
    let (cpu, memory) = amounts(
        all.iter().map(|usage| usage.cpu_nanoseconds).sum(),
        all.iter().map(|usage| usage.memory_bytes).sum(),
    );
    let node = json!({"nodeName": shared.config.node.name, "cpu": cpu, "memory": memory});
    json_answer(&json!({"node": node, "pods": of_pods}))
}

/// `/metrics`: a few of the kubelet's own.
pub(super) async fn metrics(shared: &Shared) -> Response<Body> {
    let containers = shared.deps.runtime.list_containers(None).await.unwrap_or_default();
    let sandboxes = shared.deps.runtime.list_pod_sandboxes().await.unwrap_or_default();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for status in &containers {
        let state = match status.state {
            ContainerState::Created => "created",
            ContainerState::Running => "running",
            ContainerState::Exited => "exited",
            ContainerState::Unknown => "unknown",
        };
        *states.entry(state).or_default() += 1;
    }
    let mut text = String::from(
        "# HELP kubelet_node_name The node's name. The count is always 1.\n# TYPE kubelet_node_name gauge\n",
    );
    let _ = writeln!(text, "kubelet_node_name{{node={:?}}} 1", shared.config.node.name);
    text.push_str("# HELP kubelet_running_containers Number of containers by state.\n");
    text.push_str("# TYPE kubelet_running_containers gauge\n");
    for (state, count) in states {
        let _ = writeln!(text, "kubelet_running_containers{{container_state={state:?}}} {count}");
    }
    text.push_str("# HELP kubelet_running_pods Number of pods that have a sandbox.\n# TYPE kubelet_running_pods gauge\n");
    let _ = writeln!(text, "kubelet_running_pods {}", sandboxes.len());
    plain(StatusCode::OK, text)
}

/// `/metrics/resource`: what metrics servers read.
pub(super) async fn resource_metrics(shared: &Shared) -> Response<Body> {
    let all = match usage(shared).await {
        Ok(all) => all,
        Err(error) => return plain(StatusCode::INTERNAL_SERVER_ERROR, error),
    };
    let mut text = String::from(
        "# HELP container_cpu_usage_seconds_total CPU time that the container has used, in core-seconds.\n\
         # TYPE container_cpu_usage_seconds_total counter\n",
    );
    let labels = |usage: &Usage| {
        format!("container={:?},namespace={:?},pod={:?}", usage.container, usage.namespace, usage.pod)
    };
    for usage in &all {
        let seconds = usage.cpu_nanoseconds as f64 / 1e9;
        let _ = writeln!(text, "container_cpu_usage_seconds_total{{{}}} {seconds}", labels(usage));
    }
    text.push_str(
        "# HELP container_memory_working_set_bytes Memory that the container works with, in bytes.\n\
         # TYPE container_memory_working_set_bytes gauge\n",
    );
    for usage in &all {
        let _ =
            writeln!(text, "container_memory_working_set_bytes{{{}}} {}", labels(usage), usage.memory_bytes);
    }
    plain(StatusCode::OK, text)
}
