//! The `Pod Template:` section of what makes pods, and the parts that pods share with it.
// Models kubectl/pkg/describe (DescribePodTemplate, describeTopologySpreadConstraints).

use serde_json::Value;

use super::container::{self, Containers};
use super::fields::{format_selector, int, list, map, some, some_text, text};
use super::metadata;
use super::volume;
use super::writer::{Writer, put};

/// The template at `path` of an object.
pub fn section(w: &mut Writer, object: &Value, path: &str) {
    w.write(0, "Pod Template:\n");
    let Some(template) = some(object, path) else {
        w.write(1, "<unset>");
        return;
    };
    metadata::labels(w, "  Labels", &map(template, "/metadata/labels"));
    let annotations = map(template, "/metadata/annotations");
    if !annotations.is_empty() {
        metadata::annotations(w, "  Annotations", &annotations);
    }
    if let Some(account) = some_text(template, "/spec/serviceAccountName") {
        put!(w, 1, "Service Account:\t{account}\n");
    }
    for (title, path) in [("Init Containers", "/spec/initContainers"), ("Containers", "/spec/containers")] {
        let specs = list(template, path);
        if !specs.is_empty() || title == "Containers" {
            container::section(w, &Containers { title, specs, statuses: &[], pod: None, space: "  " });
        }
    }
    volume::section(w, list(template, "/spec/volumes"), "  ");
    spread_constraints(w, list(template, "/spec/topologySpreadConstraints"), "  ");
    if let Some(class) = some_text(template, "/spec/priorityClassName") {
        put!(w, 1, "Priority Class Name:\t{class}\n");
    }
    metadata::labels(w, "  Node-Selectors", &map(template, "/spec/nodeSelector"));
    metadata::tolerations(w, "  Tolerations", list(template, "/spec/tolerations"));
    scheduling_group(w, template, "  ");
}

/// The `Topology Spread Constraints:` lines, by key; nothing if there are none.
pub fn spread_constraints(w: &mut Writer, constraints: &[Value], space: &str) {
    if constraints.is_empty() {
        return;
    }
    let mut sorted: Vec<&Value> = constraints.iter().collect();
    sorted.sort_by_key(|constraint| text(constraint, "/topologyKey"));
    put!(w, 0, "{space}Topology Spread Constraints:\t");
    for (index, constraint) in sorted.into_iter().enumerate() {
        if index != 0 {
            put!(w, 0, "{space}\t");
        }
        let (key, otherwise) = (text(constraint, "/topologyKey"), text(constraint, "/whenUnsatisfiable"));
        put!(w, 0, "{key}:{otherwise} when max skew {} is exceeded", int(constraint, "/maxSkew"));
        if some(constraint, "/labelSelector").is_some() {
            put!(w, 0, " for selector {}", format_selector(constraint, "/labelSelector"));
        }
        w.write(0, "\n");
    }
}

/// The pod group that a pod is scheduled with, if any.
pub fn scheduling_group(w: &mut Writer, pod: &Value, space: &str) {
    if let Some(group) = some(pod, "/spec/schedulingGroup") {
        put!(w, 0, "{space}SchedulingGroup:\n");
        put!(w, 1, "PodGroupName:\t{}\n", text(group, "/podGroupName"));
    }
}
