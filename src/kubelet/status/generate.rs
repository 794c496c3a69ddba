//! A pod's status as a whole: the phase, the conditions, the containers, the addresses.
// Models pkg/kubelet/kubelet_pods.go (generateAPIPodStatus) and pkg/kubelet/prober (UpdatePodStatus).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::super::prober::ProbeKind;
use super::super::runtime_pod::RuntimePod;
use super::super::spec::{self, Class};
use super::conditions::{OWNED, conditions};
use super::containers::{RUNTIME_PREFIX, statuses};
use super::phase::phase;
use crate::meta::quantity::Quantity;
use crate::runtime::api::{ContainerState, SandboxState};

/// Why a container was not started, in one word and in many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kubelet) struct Reason {
    pub(in crate::kubelet) reason: String,
    pub(in crate::kubelet) message: String,
}

/// By container.
pub(in crate::kubelet) type Reasons = BTreeMap<String, Reason>;

/// What a status is made from.
pub(in crate::kubelet) struct Inputs<'a> {
    pub(in crate::kubelet) pod: &'a Pod,
    pub(in crate::kubelet) runtime: &'a RuntimePod,
    /// The last status that was made; the API's if none was.
    pub(in crate::kubelet) old: &'a PodStatus,
    pub(in crate::kubelet) reasons: &'a Reasons,
    /// What a probe found out: `None` if it has not run.
    pub(in crate::kubelet) probe: &'a (dyn Fn(ProbeKind, &str) -> Option<bool> + Sync),
    /// Termination messages by container id.
    pub(in crate::kubelet) last_words: &'a BTreeMap<String, String>,
    pub(in crate::kubelet) host_ip: &'a str,
    /// Whether no container will run again.
    pub(in crate::kubelet) terminal: bool,
}

impl Inputs<'_> {
    /// What was written of one list of containers before.
    pub(super) fn old_statuses(&self, class: Class) -> &[ContainerStatus] {
        let list = match class {
            Class::Init => &self.old.init_container_statuses,
            Class::Regular => &self.old.container_statuses,
            Class::Ephemeral => &self.old.ephemeral_container_statuses,
        };
        list.as_deref().unwrap_or_default()
    }
}

fn is_over(phase: Option<&str>) -> bool {
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The pod's addresses; those that it had, once its last sandbox has ended.
// Models pkg/kubelet/pleg (getPodIPs).
fn addresses(inputs: &Inputs<'_>) -> Vec<String> {
    if inputs.runtime.sandboxes.iter().any(|sandbox| sandbox.state == SandboxState::Ready) {
        return inputs.runtime.ips();
    }
    inputs.old.pod_ips.iter().flatten().map(|address| address.ip.clone()).collect()
}

/// Makes a status. Times of transitions are not in it: `reconcile_times` adds them.
pub(in crate::kubelet) fn generate(inputs: &Inputs<'_>) -> PodStatus {
    let pod = inputs.pod;
    let mut regular = statuses(inputs, Class::Regular, spec::containers(pod));
    let mut init = statuses(inputs, Class::Init, spec::init_containers(pod));
    let ephemeral = statuses(inputs, Class::Ephemeral, &spec::ephemeral_containers(pod));
    let before: Vec<ContainerStatus> = regular.iter().chain(&init).cloned().collect();
    let started = spec::containers(pod).iter().any(|container| {
        inputs.runtime.find(&container.name).is_some_and(|status| status.state != ContainerState::Created)
    });
    let mut new_phase = phase(pod, &before, inputs.terminal, started);
    let api_phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    // A pod that is over stays what it was.
    for known in [inputs.old.phase.as_deref(), api_phase] {
        match known {
            Some("Succeeded") if !is_over(Some(new_phase)) => new_phase = "Succeeded",
            Some("Failed") if !is_over(Some(new_phase)) => new_phase = "Failed",
            _ => {}
        }
    }
    match api_phase {
        Some("Succeeded") => new_phase = "Succeeded",
        Some("Failed") => new_phase = "Failed",
        _ => {}
    }
    update_readiness(inputs, &mut regular, &mut init);
    let keeps = inputs.old.phase.as_deref() == Some(new_phase);
    let kept = |own: &Option<String>| if keeps { own.clone().filter(|text| !text.is_empty()) } else { None };
    let api = pod.status.clone().unwrap_or_default();
    let others: Vec<_> = api
        .conditions
        .iter()
        .flatten()
        .filter(|condition| !OWNED.contains(&condition.type_.as_str()))
        .cloned()
        .collect();
    let all: Vec<ContainerStatus> = init.iter().chain(&regular).cloned().collect();
    let sandbox_ready = !inputs.runtime.sandbox_change(spec::host_network(pod)).create;
    let own = conditions(pod, &all, new_phase, sandbox_ready, &others);
    let mut ips = addresses(inputs);
    if spec::host_network(pod) {
        ips = vec![inputs.host_ip.to_owned()];
    }
    let list = |statuses: Vec<ContainerStatus>| (!statuses.is_empty()).then_some(statuses);
    let (requests, limits) = pod_resources(pod);
    PodStatus {
        phase: Some(new_phase.to_owned()),
        reason: kept(&inputs.old.reason),
        message: kept(&inputs.old.message),
        conditions: Some(others.into_iter().chain(own).collect()),
        container_statuses: list(regular),
        init_container_statuses: list(init),
        ephemeral_container_statuses: list(ephemeral),
        host_ip: Some(inputs.host_ip.to_owned()),
        host_ips: Some(vec![HostIP { ip: inputs.host_ip.to_owned() }]),
        pod_ip: ips.first().cloned(),
        pod_ips: (!ips.is_empty()).then(|| ips.iter().map(|ip| PodIP { ip: ip.clone() }).collect()),
        qos_class: api.qos_class,
        start_time: inputs.old.start_time.clone().or(api.start_time),
        observed_generation: pod.metadata.generation,
        allocated_resources: requests.clone(),
        resources: Some(ResourceRequirements { requests, limits, claims: None }),
        ..PodStatus::default()
    }
}

/// The status of a pod that the kubelet does not take.
pub(in crate::kubelet) fn reject(pod: &Pod, reason: &str, message: &str) -> PodStatus {
    PodStatus {
        phase: Some("Failed".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(format!("Pod was rejected: {message}")),
        qos_class: pod.status.as_ref().and_then(|status| status.qos_class.clone()),
        conditions: pod.status.as_ref().and_then(|status| status.conditions.clone()),
        start_time: pod.status.as_ref().and_then(|status| status.start_time.clone()),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// Fills in `started` and `ready`.
fn update_readiness(inputs: &Inputs<'_>, regular: &mut [ContainerStatus], init: &mut [ContainerStatus]) {
    for status in regular {
        let container = spec::containers(inputs.pod).iter().find(|container| container.name == status.name);
        let probes =
            container.map_or((false, false), |c| (c.startup_probe.is_some(), c.readiness_probe.is_some()));
        (status.started, status.ready) = started_and_ready(inputs, status, probes);
    }
    for status in init {
        let container =
            spec::init_containers(inputs.pod).iter().find(|container| container.name == status.name);
        let Some(container) = container else { continue };
        let probes = (container.startup_probe.is_some(), container.readiness_probe.is_some());
        let (started, ready) = started_and_ready(inputs, status, probes);
        status.started = started;
        status.ready = if spec::is_restartable_init(container) {
            ready
        } else {
            let ended = status.state.as_ref().and_then(|state| state.terminated.as_ref());
            ended.is_some_and(|ended| ended.exit_code == 0)
        };
    }
}

fn started_and_ready(
    inputs: &Inputs<'_>,
    status: &ContainerStatus,
    (has_startup, has_readiness): (bool, bool),
) -> (Option<bool>, bool) {
    let id = status.container_id.as_deref().unwrap_or_default().trim_start_matches(RUNTIME_PREFIX);
    let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
    let started = running && (inputs.probe)(ProbeKind::Startup, id).unwrap_or(!has_startup);
    let ready = started && (inputs.probe)(ProbeKind::Readiness, id).unwrap_or(!has_readiness);
    (Some(started), ready)
}

type Amounts = BTreeMap<String, ApiQuantity>;

/// What the pod as a whole asks for and may use; a limit only where every container has one.
// Models k8s.io/component-helpers/resource (PodRequests, PodLimits).
pub(in crate::kubelet) fn pod_resources(pod: &Pod) -> (Option<Amounts>, Option<Amounts>) {
    let own = pod.spec.as_ref().and_then(|spec| spec.resources.clone()).unwrap_or_default();
    let of = |limits: bool| {
        let amounts = |container: &k8s_openapi::api::core::v1::Container| {
            let resources = container.resources.clone().unwrap_or_default();
            let list = if limits { resources.limits } else { resources.requests };
            read(&list.unwrap_or_default())
        };
        let mut total: BTreeMap<String, Quantity> = BTreeMap::new();
        let mut missing: Vec<String> = vec![];
        let lists: Vec<_> = spec::containers(pod).iter().map(amounts).collect();
        for list in &lists {
            for (name, amount) in list {
                total.entry(name.clone()).and_modify(|sum| *sum += *amount).or_insert(*amount);
            }
        }
        if limits {
            missing.extend(
                total.keys().filter(|name| lists.iter().any(|list| !list.contains_key(*name))).cloned(),
            );
        }
        let mut sidecars: BTreeMap<String, Quantity> = BTreeMap::new();
        let mut peak: BTreeMap<String, Quantity> = BTreeMap::new();
        for container in spec::init_containers(pod) {
            for (name, amount) in amounts(container) {
                let beside = sidecars.get(&name).copied();
                let needed = beside.map_or(amount, |beside| beside + amount);
                if spec::is_restartable_init(container) {
                    sidecars.insert(name.clone(), needed);
                }
                peak.entry(name).and_modify(|most| *most = (*most).max(needed)).or_insert(needed);
            }
        }
        for (name, amount) in sidecars {
            total.entry(name).and_modify(|sum| *sum += amount).or_insert(amount);
        }
        for (name, amount) in peak {
            total.entry(name).and_modify(|sum| *sum = (*sum).max(amount)).or_insert(amount);
        }
        total.retain(|name, _| !missing.contains(name));
        let whole = if limits { &own.limits } else { &own.requests };
        total.extend(read(&whole.clone().unwrap_or_default()));
        let total: Amounts = total.into_iter().map(|(name, amount)| (name, amount.into())).collect();
        (!total.is_empty()).then_some(total)
    };
    (of(false), of(true))
}

fn read(amounts: &Amounts) -> BTreeMap<String, Quantity> {
    amounts
        .iter()
        .filter_map(|(name, amount)| Some((name.clone(), Quantity::try_from(amount).ok()?)))
        .collect()
}
