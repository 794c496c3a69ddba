//! `kubectl describe pod`.
// Models kubectl/pkg/describe (PodDescriber, describePod).

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::container::{self, Containers, resource_lists, seccomp};
use super::describer::{Describer, Settings};
use super::events::{self, Involved};
use super::fields::{controller, int, list, map, some, some_int, some_text, text, time_text};
use super::metadata::{self, age_of};
use super::pod_resources;
use super::related::{Failure, Related, Resource};
use super::template;
use super::volume;
use super::writer::{Writer, put};

/// The pod's describer.
pub struct Pod;

/// The annotation of a static pod's mirror: the UID that the kubelet reports events under.
const MIRROR: &str = "kubernetes.io/config.mirror";

#[async_trait]
impl Describer for Pod {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Pod")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let pod = related.get(Resource::new("v1", "pods"), namespace, name).await?;
        let mut events = None;
        if settings.show_events {
            let mirrored = map(&pod, "/metadata/annotations").remove(MIRROR);
            let mut involved = Involved { kind: String::new(), ..Involved::of(&pod) };
            involved.uid = mirrored.unwrap_or(involved.uid);
            events = events::search(related, &involved).await.ok();
        }
        Ok(describe(&pod, events, related.now()))
    }
}

fn describe(pod: &Value, events: Option<Vec<Value>>, now: Timestamp) -> String {
    let mut w = Writer::new();
    head(&mut w, pod);
    status(&mut w, pod, now);
    if let Some(resources) = some(pod, "/spec/resources") {
        w.write(0, "Resources:\n");
        resource_lists(&mut w, resources, 1);
    }
    containers(&mut w, pod);
    conditions(&mut w, pod);
    volume::section(&mut w, list(pod, "/spec/volumes"), "");
    put!(w, 0, "QoS Class:\t{}\n", pod_resources::qos_class(pod));
    metadata::labels(&mut w, "Node-Selectors", &map(pod, "/spec/nodeSelector"));
    metadata::tolerations(&mut w, "Tolerations", list(pod, "/spec/tolerations"));
    template::spread_constraints(&mut w, list(pod, "/spec/topologySpreadConstraints"), "");
    template::scheduling_group(&mut w, pod, "");
    events::section(&mut w, events, now);
    w.finish()
}

fn head(w: &mut Writer, pod: &Value) {
    metadata::name_and_namespace(w, pod);
    if let Some(priority) = some_int(pod, "/spec/priority") {
        put!(w, 0, "Priority:\t{priority}\n");
    }
    for (label, path) in [
        ("Priority Class Name", "/spec/priorityClassName"),
        ("Runtime Class Name", "/spec/runtimeClassName"),
        ("Service Account", "/spec/serviceAccountName"),
    ] {
        if let Some(value) = some_text(pod, path) {
            put!(w, 0, "{label}:\t{value}\n");
        }
    }
    match some_text(pod, "/spec/nodeName") {
        None => w.write(0, "Node:\t<none>\n"),
        Some(node) => put!(w, 0, "Node:\t{node}/{}\n", text(pod, "/status/hostIP")),
    }
    if some(pod, "/status/startTime").is_some() {
        put!(w, 0, "Start Time:\t{}\n", time_text(pod, "/status/startTime"));
    }
    metadata::labels_and_annotations(w, pod);
}

fn status(w: &mut Writer, pod: &Value, now: Timestamp) {
    let phase = text(pod, "/status/phase");
    if some(pod, "/metadata/deletionTimestamp").is_some() && !["Failed", "Succeeded"].contains(&phase) {
        put!(w, 0, "Status:\tTerminating (lasts {})\n", age_of(pod, "/metadata/deletionTimestamp", now));
        put!(w, 0, "Termination Grace Period:\t{}s\n", int(pod, "/metadata/deletionGracePeriodSeconds"));
    } else {
        put!(w, 0, "Status:\t{phase}\n");
    }
    for (label, path) in [("Reason", "/status/reason"), ("Message", "/status/message")] {
        if let Some(value) = some_text(pod, path) {
            put!(w, 0, "{label}:\t{value}\n");
        }
    }
    if let Some(spec) = some(pod, "/spec") {
        seccomp(w, spec, 0);
    }
    put!(w, 0, "IP:\t{}\n", text(pod, "/status/podIP"));
    let ips = list(pod, "/status/podIPs");
    put!(w, 0, "IPs:{}\n", if ips.is_empty() { "\t<none>" } else { "" });
    for ip in ips {
        put!(w, 1, "IP:\t{}\n", text(ip, "/ip"));
    }
    if let Some(controller) = controller(pod) {
        put!(w, 0, "Controlled By:\t{controller}\n");
    }
    if let Some(node) = some_text(pod, "/status/nominatedNodeName") {
        put!(w, 0, "NominatedNodeName:\t{node}\n");
    }
}

fn containers(w: &mut Writer, pod: &Value) {
    let sections = [
        ("Init Containers", "/spec/initContainers", "/status/initContainerStatuses"),
        ("Containers", "/spec/containers", "/status/containerStatuses"),
        ("Ephemeral Containers", "/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
    ];
    for (title, specs, statuses) in sections {
        let specs = list(pod, specs);
        if !specs.is_empty() || title == "Containers" {
            let statuses = list(pod, statuses);
            container::section(w, &Containers { title, specs, statuses, pod: Some(pod), space: "" });
        }
    }
}

fn conditions(w: &mut Writer, pod: &Value) {
    let conditions = list(pod, "/status/conditions");
    let gates = list(pod, "/spec/readinessGates");
    if !gates.is_empty() {
        w.write(0, "Readiness Gates:\n  Type\tStatus\n");
    }
    for gate in gates {
        let kind = text(gate, "/conditionType");
        let met = conditions.iter().find(|condition| text(condition, "/type") == kind);
        put!(w, 1, "{kind} \t{} \n", met.map_or("<none>", |condition| text(condition, "/status")));
    }
    if !conditions.is_empty() {
        w.write(0, "Conditions:\n  Type\tStatus\n");
    }
    for condition in conditions {
        put!(w, 1, "{} \t{} \n", text(condition, "/type"), text(condition, "/status"));
    }
}
