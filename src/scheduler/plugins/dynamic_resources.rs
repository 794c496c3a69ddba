//! DynamicResources: devices that pods claim. Claims are not simulated: a pod with one is refused in plain words. Pods
//! without claims pass, and its post-filter says what Kubernetes' says, which is part of every FailedScheduling message.
// Models pkg/scheduler/framework/plugins/dynamicresources.

use super::super::framework::{
    Cycle, CycleState, Failure, Framework, Plugin, PostFilter, PreFilter, Refusal,
};

const NAME: &str = "DynamicResources";

pub(crate) struct DynamicResources;

impl Plugin for DynamicResources {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _state: &mut CycleState) -> PreFilter {
        let claims = cycle.pod.pod.spec.as_ref().and_then(|spec| spec.resource_claims.as_ref());
        if claims.is_some_and(|claims| !claims.is_empty()) {
            return PreFilter::Refused(Refusal::unresolvable(
                "resource claims are not supported by this scheduler",
            ));
        }
        PreFilter::Skip
    }

    fn post_filter(&self, _framework: &Framework, _cycle: &Cycle<'_>, failure: &Failure) -> PostFilter {
        if failure.pre_filter.is_some() && !failure.looked.contains(NAME) {
            // Another plugin refused first: this one has not written down what it looks up here.
            return PostFilter::Error("not found".to_owned());
        }
        PostFilter::Unschedulable("no new claims to deallocate".to_owned())
    }
}
