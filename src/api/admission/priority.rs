//! Priority: turns a pod's priorityClassName into the number that the scheduler compares.
// Models plugin/pkg/admission/priority.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::ApiError;

/// The classes that every cluster has, with their values; they hold even before their objects exist.
const SYSTEM_CLASSES: [(&str, i32); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
/// The priority of a pod without a class, if no class is the default.
const DEFAULT_PRIORITY: i32 = 0;
/// Whether a pod may push others out, unless its class says otherwise.
const DEFAULT_PREEMPTION_POLICY: &str = "PreemptLowerPriority";

/// The plugin.
pub struct Priority;

impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        if !request.is("", "pods", "") {
            return Ok(());
        }
        match request.operation {
            Operation::Create => admit_new(request, context),
            Operation::Update => {
                keep_old(request);
                Ok(())
            }
            Operation::Delete | Operation::Connect => Ok(()),
        }
    }

    fn validate(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        let relevant = matches!(request.operation, Operation::Create | Operation::Update);
        if !relevant || !request.is("scheduling.k8s.io", "priorityclasses", "") {
            return Ok(());
        }
        let Some(class) =
            request.object_as::<PriorityClass>().filter(|class| class.global_default == Some(true))
        else {
            return Ok(());
        };
        let other = default_class(context).and_then(|class| class.metadata.name);
        match other {
            Some(other)
                if request.operation == Operation::Create || class.metadata.name.as_ref() != Some(&other) =>
            {
                Err(request.forbidden(&format!(
                    "PriorityClass {other} is already marked as default. Only one default can exist"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// What a class gives to a pod.
struct Resolved {
    name: Option<String>,
    priority: i32,
    policy: String,
}

fn admit_new(request: &mut AdmissionRequest<'_>, context: &AdmissionContext<'_>) -> Result<(), ApiError> {
    let Some(spec) = request.object_as::<Pod>().and_then(|pod| pod.spec.as_ref()) else { return Ok(()) };
    let wanted = spec.priority_class_name.clone().filter(|name| !name.is_empty());
    let resolved = match wanted {
        None => from_class(default_class(context), DEFAULT_PRIORITY),
        Some(name) => match context.read::<PriorityClass>("", &name) {
            Some(class) => from_class(Some(class), DEFAULT_PRIORITY),
            None => match SYSTEM_CLASSES.iter().find(|(class, _)| *class == name) {
                Some((name, value)) => {
                    Resolved { name: Some((*name).to_owned()), ..from_class(None, *value) }
                }
                None => {
                    return Err(request.forbidden(&format!("no PriorityClass with name {name} was found")));
                }
            },
        },
    };
    if let Some(given) = spec.priority.filter(|given| *given != resolved.priority) {
        return Err(request.forbidden(&format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {} \
             from the given PriorityClass name",
            resolved.priority
        )));
    }
    if let Some(given) = spec.preemption_policy.as_ref().filter(|given| **given != resolved.policy) {
        return Err(request.forbidden(&format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller \
             computed {} from the given PriorityClass name",
            resolved.policy
        )));
    }
    let spec =
        request.object_as_mut::<Pod>().and_then(|pod| pod.spec.as_mut()).expect("the pod had a spec above");
    spec.priority_class_name = resolved.name;
    spec.priority = Some(resolved.priority);
    spec.preemption_policy = Some(resolved.policy);
    Ok(())
}

fn from_class(class: Option<PriorityClass>, otherwise: i32) -> Resolved {
    let policy = class.as_ref().and_then(|class| class.preemption_policy.clone());
    Resolved {
        priority: class.as_ref().map_or(otherwise, |class| class.value.unwrap_or_default()),
        policy: policy.unwrap_or_else(|| DEFAULT_PREEMPTION_POLICY.to_owned()),
        name: class.and_then(|class| class.metadata.name),
    }
}

/// The default class; the one of the lowest value if somebody managed to make several.
fn default_class(context: &AdmissionContext<'_>) -> Option<PriorityClass> {
    let classes = context.list::<PriorityClass>("");
    classes.into_iter().filter(|class| class.global_default == Some(true)).min_by_key(|class| class.value)
}

/// An update that leaves the priority out means the one it has.
fn keep_old(request: &mut AdmissionRequest<'_>) {
    let old = request.old_as::<Pod>().and_then(|pod| pod.spec.as_ref());
    let Some((priority, policy)) = old.map(|spec| (spec.priority, spec.preemption_policy.clone())) else {
        return;
    };
    if let Some(spec) = request.object_as_mut::<Pod>().and_then(|pod| pod.spec.as_mut()) {
        spec.priority = spec.priority.or(priority);
        spec.preemption_policy = spec.preemption_policy.take().or(policy);
    }
}
