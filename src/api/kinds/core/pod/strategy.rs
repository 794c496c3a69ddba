//! Pod: the kind itself, and what the server decides about one.
// Models pkg/registry/core/pod (strategy, ToSelectableFields).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodIP, PodStatus};

use super::{defaults, label_keys, printer, qos, resize, status_update, update, validation, warnings};
use crate::api::field::FieldError;
use crate::api::kind::{Kind, Rules, Traits, WriteContext};
use crate::api::kinds::unset::text;
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};

/// `v1` Pod.
pub struct PodKind;

impl Kind for PodKind {
    type Object = Pod;
    const SHORT_NAMES: &'static [&'static str] = &["po"];
    const CATEGORIES: &'static [&'static str] = &["all"];
    const TRAITS: Traits = Traits { status: true, generation: true, scale: false };
    const RULES: Rules = Rules { returns_deleted: true, ..Rules::USUAL };

    fn default(pod: &mut Pod) {
        defaults::default_pod(pod.spec.get_or_insert_default());
    }

    fn prepare_create(_context: &WriteContext<'_>, pod: &mut Pod) -> Result<(), ApiError> {
        let wrong = validation::validate_new_pod(pod);
        if !wrong.is_empty() {
            return Err(ApiError::invalid(
                "",
                "Pod",
                pod.metadata.name.as_deref().unwrap_or_default(),
                &wrong,
            ));
        }
        label_keys::apply(pod);
        let spec = pod.spec.get_or_insert_default();
        let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
        let condition = PodCondition {
            type_: "PodScheduled".to_owned(),
            status: "False".to_owned(),
            reason: Some("SchedulingGated".to_owned()),
            message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
            ..PodCondition::default()
        };
        pod.status = Some(PodStatus {
            phase: Some("Pending".to_owned()),
            qos_class: Some(qos::class(spec).to_owned()),
            conditions: gated.then(|| vec![condition]),
            ..PodStatus::default()
        });
        Ok(())
    }

    fn prepare_status_update(_context: &WriteContext<'_>, new: &mut Pod, old: &Pod) {
        let status = new.status.get_or_insert_default();
        let before = old.status.clone().unwrap_or_default();
        if text(&status.qos_class).is_empty() {
            status.qos_class = before.qos_class.clone();
        }
        tie_ips(status);
        keep_observed_generations(status, &before);
    }

    fn validate(pod: &Pod) -> Vec<FieldError> {
        validation::validate_pod(pod)
    }

    fn validate_update(new: &Pod, old: &Pod) -> Vec<FieldError> {
        update::validate(new, old)
    }

    fn validate_status_update(new: &Pod, old: &Pod) -> Vec<FieldError> {
        status_update::validate(new, old)
    }

    fn validate_subresource_update(subresource: &str, new: &Pod, old: &Pod) -> Vec<FieldError> {
        match subresource {
            "ephemeralcontainers" => update::validate_ephemeral(new, old),
            "resize" => resize::validate(new, old),
            _ => vec![],
        }
    }

    fn warnings(pod: &Pod, old: Option<&Pod>) -> Vec<String> {
        // Updates come from components; nobody would read what they are warned about.
        if old.is_some() { vec![] } else { warnings::pod_warnings(pod) }
    }

    fn grace_period(pod: &Pod, requested: Option<i64>) -> Option<i64> {
        let spec = pod.spec.as_ref();
        let period = requested.or_else(|| spec?.termination_grace_period_seconds).unwrap_or_default();
        let unscheduled = spec.is_none_or(|spec| text(&spec.node_name).is_empty());
        let phase = pod.status.as_ref().map(|status| text(&status.phase)).unwrap_or_default();
        let over = matches!(phase, "Failed" | "Succeeded");
        Some(if unscheduled || over {
            0
        } else if period < 0 {
            1
        } else {
            period
        })
    }

    fn selectable_fields(pod: &Pod) -> Vec<(&'static str, String)> {
        let spec = pod.spec.clone().unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        let ip = status.pod_ips.into_iter().flatten().next().map(|ip| ip.ip);
        vec![
            ("spec.nodeName", spec.node_name.unwrap_or_default()),
            ("spec.restartPolicy", spec.restart_policy.unwrap_or_default()),
            ("spec.schedulerName", spec.scheduler_name.unwrap_or_default()),
            ("spec.serviceAccountName", spec.service_account_name.unwrap_or_default()),
            ("spec.hostNetwork", spec.host_network.unwrap_or_default().to_string()),
            ("status.phase", status.phase.unwrap_or_default()),
            ("status.podIP", ip.or(status.pod_ip).unwrap_or_default()),
            ("status.nominatedNodeName", status.nominated_node_name.unwrap_or_default()),
        ]
    }

    fn columns() -> Vec<Column> {
        printer::columns()
    }

    fn row(pod: &Pod, now: Timestamp) -> Vec<Cell> {
        printer::row(pod, now)
    }
}

/// The first of `podIPs` and the older `podIP` say the same; the older one rules, as some writers know only that.
// Models pkg/apis/core/v1 (Convert_v1_PodStatus_To_core_PodStatus).
fn tie_ips(status: &mut PodStatus) {
    let first = status.pod_ips.iter().flatten().next().map(|ip| ip.ip.clone());
    match status.pod_ip.clone().filter(|ip| !ip.is_empty()) {
        Some(ip) if first.as_ref() != Some(&ip) => status.pod_ips = Some(vec![PodIP { ip }]),
        None => status.pod_ip = first,
        Some(_) => {}
    }
}

/// A writer that does not know of observed generations does not wipe them out.
// Models preserveOldObservedGeneration.
fn keep_observed_generations(status: &mut PodStatus, before: &PodStatus) {
    let unset = |generation: Option<i64>| generation.unwrap_or_default() == 0;
    if unset(status.observed_generation) {
        status.observed_generation = before.observed_generation;
    }
    let mut old: Vec<&PodCondition> = before.conditions.iter().flatten().collect();
    for condition in status.conditions.iter_mut().flatten() {
        let position = old.iter().position(|old| old.type_ == condition.type_);
        let kept = position.map(|position| old.remove(position).observed_generation).unwrap_or_default();
        if unset(condition.observed_generation) {
            condition.observed_generation = kept;
        }
    }
}
