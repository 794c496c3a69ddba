//! The limits of a pod's emptyDirs: a pod that keeps more than it may has to go.
// Models pkg/kubelet/eviction (emptyDirLimitEviction).

use k8s_openapi::api::core::v1::Pod;

use super::manager::volume_id;
use crate::meta::quantity::Quantity;
use crate::runtime::ContainerRuntime;

/// Pods of this priority and above are never evicted.
const CRITICAL: i32 = 2_000_000_000;

/// The pod's emptyDirs that have a limit: the volume's name and the limit.
fn limited(pod: &Pod) -> Vec<(&str, Quantity)> {
    let critical =
        pod.spec.as_ref().and_then(|spec| spec.priority).is_some_and(|priority| priority >= CRITICAL);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let limit = volumes.filter_map(|volume| {
        let limit = Quantity::try_from(volume.empty_dir.as_ref()?.size_limit.as_ref()?).ok()?;
        (limit.signum() > 0).then_some((volume.name.as_str(), limit))
    });
    if critical { vec![] } else { limit.collect() }
}

/// Whether the pod has an emptyDir with a limit at all.
pub(in crate::kubelet) fn has_limits(pod: &Pod) -> bool {
    !limited(pod).is_empty()
}

/// What is told of the first emptyDir that holds more than it may.
pub(in crate::kubelet) async fn over_limit(
    runtime: &dyn ContainerRuntime,
    pod: &Pod,
    node: &str,
) -> Option<String> {
    for (name, limit) in limited(pod) {
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let volume = volumes.into_iter().find(|volume| volume.name == name)?;
        // One that cannot be measured is not too large.
        let used = runtime.volume_usage(&volume_id(pod, volume, node)).await.unwrap_or_default();
        if i64::try_from(used).unwrap_or(i64::MAX) > limit.value() {
            return Some(format!("Usage of EmptyDir volume {name:?} exceeds the limit \"{limit}\". "));
        }
    }
    None
}
