//! What is allowed in a pod, but probably not meant.
// Models pkg/api/pod (warnings.go).

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::field::FieldPath;
use crate::meta::names;

/// The name of a controller that becomes part of host names.
pub(crate) fn owner_name_warning(meta: &ObjectMeta) -> Option<String> {
    name_warning(meta, "this is used in Pod names and hostnames")
}

/// The name of a pod, which is its host name.
pub(crate) fn pod_name_warning(meta: &ObjectMeta) -> Option<String> {
    name_warning(meta, "this is used in the Pod's hostname")
}

fn name_warning(meta: &ObjectMeta, used: &str) -> Option<String> {
    let wrong = names::dns1123_label(meta.name.as_deref().unwrap_or_default(), false);
    let words = "which can result in surprising behavior; a DNS label is recommended";
    (!wrong.is_empty()).then(|| format!("metadata.name: {used}, {words}: [{}]", wrong.join(" ")))
}

/// What a template of pods is warned about.
pub(crate) fn template_warnings(_new: &PodTemplateSpec, _old: Option<&PodTemplateSpec>, _field: &FieldPath) -> Vec<String> {
    vec![]
}
