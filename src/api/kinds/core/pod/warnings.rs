//! What is allowed in a pod, but probably not meant.
// Models pkg/api/pod (warnings.go), without the warnings about the form of IP addresses.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Affinity, Container, ContainerPort, NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec, PodTemplateSpec,
    Volume, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::paths;
use super::resources::{ApiList, read};
use crate::api::field::FieldPath;
use crate::api::kinds::unset::text;
use crate::meta::names;

/// Annotations that do nothing any more.
const DEAD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];
/// Labels of nodes that have newer names.
const OLD_NODE_LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// The name of a controller that becomes part of host names.
pub(crate) fn owner_name_warning(meta: &ObjectMeta) -> Option<String> {
    name_warning(meta, "this is used in Pod names and hostnames")
}

/// What a controller of pods that run is warned about: its name once, its template whenever its spec changes.
pub(crate) fn controller_warnings<S: PartialEq>(
    meta: &ObjectMeta,
    spec: &Option<S>,
    before: Option<&Option<S>>,
    template: Option<&PodTemplateSpec>,
) -> Vec<String> {
    let mut warnings = vec![];
    if before.is_none() {
        warnings.extend(owner_name_warning(meta));
    }
    if let Some(template) = template.filter(|_| before != Some(spec)) {
        warnings.extend(template_warnings(template, &FieldPath::new("spec").child("template")));
    }
    warnings
}

fn name_warning(meta: &ObjectMeta, used: &str) -> Option<String> {
    let wrong = names::dns1123_label(meta.name.as_deref().unwrap_or_default(), false);
    let words = "which can result in surprising behavior; a DNS label is recommended";
    (!wrong.is_empty()).then(|| format!("metadata.name: {used}, {words}: [{}]", wrong.join(" ")))
}

/// What a new pod is warned about.
pub(crate) fn pod_warnings(pod: &Pod) -> Vec<String> {
    let mut warnings: Vec<String> =
        name_warning(&pod.metadata, "this is used in the Pod's hostname").into_iter().collect();
    warnings.extend(spec_warnings(
        &pod.spec.clone().unwrap_or_default(),
        &pod.metadata,
        &FieldPath::default(),
    ));
    warnings
}

/// What a template of pods is warned about.
pub(crate) fn template_warnings(template: &PodTemplateSpec, field: &FieldPath) -> Vec<String> {
    let (meta, spec) =
        (template.metadata.clone().unwrap_or_default(), template.spec.clone().unwrap_or_default());
    spec_warnings(&spec, &meta, field)
}

fn spec_warnings(spec: &PodSpec, meta: &ObjectMeta, root: &FieldPath) -> Vec<String> {
    let field = root.child("spec");
    let mut warnings = node_labels(spec, &field);
    let annotated =
        |key: &str| meta.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(key));
    let annotations = root.child("metadata").child("annotations");
    for (key, message) in DEAD_ANNOTATIONS.iter().filter(|(key, _)| annotated(key)) {
        warnings.push(format!("{}: {message}", annotations.key(key)));
    }
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        warnings.extend(volume_warning(volume, &field.child("volumes").index(index)));
    }
    warnings.extend(spec.volumes.iter().flatten().flat_map(paths::overlaps));
    warnings.extend(duplicates(spec, &field));
    if let Some(overhead) = &spec.overhead {
        warnings.extend(fractions(overhead, &field.child("overhead")));
    }
    let seccomp = spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    let old_seccomp = "seccomp.security.alpha.kubernetes.io/pod";
    let replaced = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
    if seccomp.is_none() && annotated(old_seccomp) {
        warnings.push(format!("{}: {replaced}", annotations.key(old_seccomp)));
    }
    for (container, field) in visit(spec, &field) {
        let key = format!("container.seccomp.security.alpha.kubernetes.io/{}", container.name);
        let seccomp =
            container.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
        if seccomp.is_none() && annotated(&key) {
            warnings.push(format!("{}: {replaced}", annotations.key(&key)));
        }
        warnings.extend(container_warnings(container, &field));
    }
    warnings.extend(port_warnings(spec, &field));
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        let field = field.child("terminationGracePeriodSeconds");
        warnings.push(format!("{field}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    if let Some(affinity) = &spec.affinity {
        warnings.extend(affinity_warnings(affinity, &field.child("affinity")));
    }
    warnings
}

/// The containers with their paths, in the order in which they start.
fn visit<'a>(spec: &'a PodSpec, field: &FieldPath) -> Vec<(&'a Container, FieldPath)> {
    let init = spec.init_containers.iter().flatten().enumerate();
    let init = init.map(|(index, container)| (container, field.child("initContainers").index(index)));
    let ordinary = spec.containers.iter().enumerate();
    init.chain(ordinary.map(|(index, container)| (container, field.child("containers").index(index))))
        .collect()
}

/// What is said of a node label that has a newer name.
pub(crate) fn old_node_label(key: &str) -> Option<&'static str> {
    OLD_NODE_LABELS.iter().find(|(label, _)| *label == key).map(|(_, message)| *message)
}

/// What a term of a node selector is warned about, of a pod or a volume.
pub(crate) fn node_term_warnings(term: &NodeSelectorTerm, field: &FieldPath) -> Vec<String> {
    let expressions = term.match_expressions.iter().flatten().enumerate();
    let shown = |index: usize, key: &str, message: &str| {
        format!("{}: {key} is {message}", field.child("matchExpressions").index(index).child("key"))
    };
    expressions.filter_map(|(index, e)| Some(shown(index, &e.key, old_node_label(&e.key)?))).collect()
}

fn node_labels(spec: &PodSpec, field: &FieldPath) -> Vec<String> {
    let old = old_node_label;
    let mut warnings = vec![];
    for key in spec.node_selector.iter().flat_map(BTreeMap::keys) {
        warnings
            .extend(old(key).map(|message| format!("{}: {message}", field.child("nodeSelector").key(key))));
    }
    let node = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let field_of = |name: &str| field.child("affinity").child("nodeAffinity").child(name);
    let of_term = node_term_warnings;
    if let Some(required) =
        node.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref())
    {
        let field = field_of("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            warnings.extend(of_term(term, &field.index(index)));
        }
    }
    let preferred = node.and_then(|node| node.preferred_during_scheduling_ignored_during_execution.as_ref());
    for (index, term) in preferred.into_iter().flatten().enumerate() {
        let field =
            field_of("preferredDuringSchedulingIgnoredDuringExecution").index(index).child("preference");
        warnings.extend(of_term(&term.preference, &field));
        for (number, expression) in term.preference.match_expressions.iter().flatten().enumerate() {
            for (position, value) in expression.values.iter().flatten().enumerate() {
                let field = field.child("matchExpressions").index(number).child("values").index(position);
                let wrong = names::label_value(value).into_iter();
                warnings.extend(wrong.map(|message| format!("{field}: {value} is invalid, {message}")));
            }
        }
    }
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let field = field.child("topologySpreadConstraints").index(index);
        let key = &constraint.topology_key;
        warnings
            .extend(old(key).map(|message| format!("{}: {key} is {message}", field.child("topologyKey"))));
        if constraint.label_selector.is_none() {
            warnings.push(format!(
                "{}: a null labelSelector results in matching no pod",
                field.child("labelSelector")
            ));
        }
    }
    warnings
}

fn volume_warning(volume: &Volume, field: &FieldPath) -> Vec<String> {
    let old = [
        (
            "photonPersistentDisk",
            volume.photon_persistent_disk.is_some(),
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        ("gitRepo", volume.git_repo.is_some(), "deprecated in v1.11, and disabled by default in v1.33+"),
        ("scaleIO", volume.scale_io.is_some(), "deprecated in v1.16, non-functional in v1.22+"),
        ("flocker", volume.flocker.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("storageOS", volume.storageos.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("quobyte", volume.quobyte.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", volume.glusterfs.is_some(), "deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", volume.cephfs.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", volume.rbd.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
    ];
    let old = old.into_iter().filter(|(_, used, _)| *used);
    old.map(|(name, _, message)| format!("{}: {message}", field.child(name))).collect()
}

fn duplicates(spec: &PodSpec, field: &FieldPath) -> Vec<String> {
    let mut warnings = vec![];
    let mut seen = BTreeSet::new();
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        if !seen.insert(&alias.ip) {
            warnings.push(format!(
                "{}: duplicate ip {:?}",
                field.child("hostAliases").index(index).child("ip"),
                alias.ip
            ));
        }
    }
    let secrets = || spec.image_pull_secrets.iter().flatten().enumerate();
    let name_field = |index: usize| field.child("imagePullSecrets").index(index).child("name");
    let mut seen = BTreeSet::new();
    for (index, secret) in secrets() {
        if !seen.insert(&secret.name) {
            warnings.push(format!("{}: duplicate name {:?}", name_field(index), secret.name));
        }
    }
    for (index, _) in secrets().filter(|(_, secret)| secret.name.is_empty()) {
        warnings.push(format!("{}: invalid empty name \"\"", name_field(index)));
    }
    warnings
}

/// Bytes come whole.
fn fractions(list: &ApiList, field: &FieldPath) -> Vec<String> {
    let list = read(Some(list)).into_iter();
    let broken = list.filter(|(name, value)| {
        ["memory", "ephemeral-storage"].contains(&name.as_str()) && value.milli_value() % 1000 != 0
    });
    broken
        .map(|(name, value)| {
            let shown = value.to_string();
            format!("{}: fractional byte value {shown:?} is invalid, must be an integer", field.key(&name))
        })
        .collect()
}

fn container_warnings(container: &Container, field: &FieldPath) -> Vec<String> {
    let mut warnings = vec![];
    if let Some(resources) = &container.resources {
        for (name, list) in [("limits", &resources.limits), ("requests", &resources.requests)] {
            warnings
                .extend(list.iter().flat_map(|list| fractions(list, &field.child("resources").child(name))));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, variable) in container.env.iter().flatten().enumerate() {
        if seen.insert(&variable.name) {
            continue;
        }
        // To build on the earlier value is fine; to hide it is not.
        let (reference, value) = (format!("$({})", variable.name), text(&variable.value));
        if variable.value_from.is_some() || value == reference || !value.contains(&reference) {
            let (field, name) = (field.child("env").index(index), &variable.name);
            warnings.push(format!(
                "{field}: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
    warnings
}

fn port_warnings(spec: &PodSpec, field: &FieldPath) -> Vec<String> {
    let mut warnings = vec![];
    let mut known: BTreeMap<(i32, &str), Vec<(FieldPath, &ContainerPort)>> = BTreeMap::new();
    let (mut names, mut renamed): (BTreeMap<&str, FieldPath>, Vec<String>) = (BTreeMap::new(), vec![]);
    for (container, field) in visit(spec, field) {
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let field = field.child("ports").index(index);
            if !text(&port.host_ip).is_empty() && port.host_port.unwrap_or_default() == 0 {
                warnings.push(format!("{field}: hostIP set without hostPort: {}", go_port(port)));
            }
            let others = known.entry((port.container_port, text(&port.protocol))).or_default();
            warnings.extend(others.iter().filter_map(|(other_field, other)| {
                Some(format!("{field}: {} port definition with {other_field}", clash(port, other)?))
            }));
            others.push((field.clone(), port));
            match text(&port.name) {
                "" => {}
                name => match names.get(name) {
                    Some(other) => renamed.push(format!(
                        "{field}: duplicate port name {name:?} with {other}, services and probes that select ports by name \
                         will use {other}"
                    )),
                    None => {
                        names.insert(name, field);
                    }
                },
            }
        }
    }
    warnings.extend(renamed);
    warnings
}

/// How two ports of one number get into each other's way.
fn clash(port: &ContainerPort, other: &ContainerPort) -> Option<&'static str> {
    let (own, its) = (port.host_port.unwrap_or_default(), other.host_port.unwrap_or_default());
    let (own_ip, its_ip) = (text(&port.host_ip), text(&other.host_ip));
    if own_ip == its_ip && own == its {
        Some("duplicate")
    } else if own == 0 || its == 0 {
        Some("overlapping")
    } else if own == its && own_ip.is_empty() != its_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

/// A port as Go prints a struct.
fn go_port(port: &ContainerPort) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text(&port.name),
        port.host_port.unwrap_or_default(),
        port.container_port,
        text(&port.protocol),
        text(&port.host_ip)
    )
}

fn affinity_warnings(affinity: &Affinity, field: &FieldPath) -> Vec<String> {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let message = "a null labelSelector results in matching no pod";
    let terms = |list: &Option<Vec<PodAffinityTerm>>, field: FieldPath| -> Vec<String> {
        let empty = list.iter().flatten().enumerate().filter(|(_, term)| term.label_selector.is_none());
        empty.map(|(index, _)| format!("{}: {message}", field.index(index).child("labelSelector"))).collect()
    };
    let weighted = |list: &Option<Vec<WeightedPodAffinityTerm>>, field: FieldPath| -> Vec<String> {
        let empty = list
            .iter()
            .flatten()
            .enumerate()
            .filter(|(_, term)| term.pod_affinity_term.label_selector.is_none());
        empty
            .map(|(index, _)| {
                format!("{}: {message}", field.index(index).child("podAffinityTerm").child("labelSelector"))
            })
            .collect()
    };
    let mut warnings = vec![];
    if let Some(pods) = &affinity.pod_affinity {
        let field = field.child("podAffinity");
        warnings
            .extend(terms(&pods.required_during_scheduling_ignored_during_execution, field.child(required)));
        warnings.extend(weighted(
            &pods.preferred_during_scheduling_ignored_during_execution,
            field.child(preferred),
        ));
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let field = field.child("podAntiAffinity");
        warnings
            .extend(terms(&pods.required_during_scheduling_ignored_during_execution, field.child(required)));
        warnings.extend(weighted(
            &pods.preferred_during_scheduling_ignored_during_execution,
            field.child(preferred),
        ));
    }
    warnings
}
