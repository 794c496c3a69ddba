//! SchedulingGates: a pod with gates is not even queued.
// Models pkg/scheduler/framework/plugins/schedulinggates.

use k8s_openapi::api::core::v1::Pod;

use super::super::framework::{Plugin, Refusal};

pub(crate) struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn pre_enqueue(&self, pod: &Pod) -> Option<Refusal> {
        let gates = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.scheduling_gates.as_ref())
            .filter(|gates| !gates.is_empty())?;
        let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
        Some(Refusal::unresolvable(format!("waiting for scheduling gates: [{}]", names.join(" "))))
    }
}
