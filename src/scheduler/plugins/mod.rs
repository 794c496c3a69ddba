//! The plugins of the default profile, one a file.

mod default_preemption;
mod dynamic_resources;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_resources;
mod node_rules;
mod pod_topology_spread;
mod scheduling_gates;
mod taint_toleration;
mod volume_binding;
mod volume_restrictions;

use super::framework::Plugin;

/// The default profile of 1.36, in its order.
// Models pkg/scheduler/apis/config/v1/default_plugins.go.
pub(crate) fn default_profile() -> Vec<Box<dyn Plugin>> {
    vec![
        Box::new(scheduling_gates::SchedulingGates),
        Box::new(node_rules::NodeUnschedulable),
        Box::new(node_rules::NodeName),
        Box::new(taint_toleration::TaintToleration),
        Box::new(node_affinity::NodeAffinity),
        Box::new(node_rules::NodePorts),
        Box::new(node_resources::NodeResourcesFit),
        Box::new(volume_restrictions::VolumeRestrictions),
        Box::new(volume_binding::VolumeBinding),
        Box::new(pod_topology_spread::PodTopologySpread),
        Box::new(inter_pod_affinity::InterPodAffinity),
        Box::new(dynamic_resources::DynamicResources),
        Box::new(default_preemption::DefaultPreemption),
        Box::new(node_resources::NodeResourcesBalancedAllocation),
        Box::new(image_locality::ImageLocality),
    ]
}
