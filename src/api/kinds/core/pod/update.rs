//! What may change in a pod that is there: nearly nothing.
// Models pkg/apis/core/validation (ValidatePodUpdate, ValidatePodEphemeralContainersUpdate).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Affinity, Container, NodeAffinity, Pod, PodSpec, Toleration};

use super::validation;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::{diff, internal};

const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
const APP_ARMOR_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
/// What the refusal lists.
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
     `spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if \
     it was previously negative)";

/// An ordinary update.
pub(super) fn validate(new: &Pod, old: &Pod) -> Vec<FieldError> {
    let (spec, before) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let field = FieldPath::new("spec");
    let mut errors = validation::validate_pod(new);
    errors.extend(validate_annotations(new, old));
    let init = |spec: &PodSpec| spec.init_containers.clone().unwrap_or_default();
    let lists = [
        ("containers", spec.containers.clone(), before.containers.clone()),
        ("initContainers", init(&spec), init(&before)),
    ];
    for (name, containers, were) in &lists {
        if containers.len() != were.len() {
            errors.push(FieldError::forbidden(
                &field.child(name),
                "pod updates may not add or remove containers",
            ));
            return errors;
        }
    }
    match validate_deadline(&spec, &before, &field.child("activeDeadlineSeconds")) {
        (wrong, true) => {
            errors.extend(wrong);
            return errors;
        }
        (wrong, false) => errors.extend(wrong),
    }
    errors.extend(validate_tolerations(&spec, &before, &field.child("tolerations")));
    errors.extend(validate_gates(&spec, &before, &field.child("schedulingGates")));
    errors.extend(validate_rest(spec, &before, &field));
    errors
}

/// What is wrong with an update of the ephemeral containers: they may only be added.
pub(super) fn validate_ephemeral(new: &Pod, old: &Pod) -> Vec<FieldError> {
    let mirror = old
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key(MIRROR_ANNOTATION));
    if mirror {
        return vec![FieldError::forbidden(
            &FieldPath::default(),
            "static pods do not support ephemeral containers",
        )];
    }
    let mut errors = validation::validate_pod(new);
    errors.extend(validate_annotations(new, old));
    let field = FieldPath::new("spec").child("ephemeralContainers");
    let list =
        |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.clone()).unwrap_or_default();
    let now = list(new);
    for container in list(old) {
        let name = &container.name;
        match now.iter().find(|other| other.name == *name) {
            None => {
                let why = format!("existing ephemeral containers {name:?} may not be removed\n");
                errors.push(FieldError::forbidden(&field, why));
            }
            Some(other) if *other != container => {
                let shown = |container| {
                    internal::pretty(
                        "EphemeralContainer",
                        &serde_json::to_value(container).unwrap_or_default(),
                    )
                };
                let difference = diff::unified(&shown(&container), &shown(other));
                // An empty list is as good as none.
                if !difference.is_empty() {
                    let why =
                        format!("existing ephemeral containers {name:?} may not be changed\n{difference}");
                    errors.push(FieldError::forbidden(&field, why));
                }
            }
            Some(_) => {}
        }
    }
    errors
}

pub(super) fn validate_annotations(new: &Pod, old: &Pod) -> Vec<FieldError> {
    let field = FieldPath::new("metadata").child("annotations");
    let (now, before) = (
        new.metadata.annotations.clone().unwrap_or_default(),
        old.metadata.annotations.clone().unwrap_or_default(),
    );
    let mut errors = vec![];
    for key in before.iter().filter(|(key, value)| now.get(*key) != Some(*value)).map(|(key, _)| key) {
        if key.starts_with(APP_ARMOR_PREFIX) {
            errors.push(FieldError::forbidden(
                &field.key(key),
                "may not remove or update AppArmor annotations",
            ));
        }
        if key == MIRROR_ANNOTATION {
            errors.push(FieldError::forbidden(
                &field.key(key),
                "may not remove or update mirror pod annotation",
            ));
        }
    }
    for key in now.keys().filter(|key| !before.contains_key(*key)) {
        if key.starts_with(APP_ARMOR_PREFIX) {
            errors.push(FieldError::forbidden(&field.key(key), "may not add AppArmor annotations"));
        }
        if key == MIRROR_ANNOTATION {
            errors.push(FieldError::forbidden(&field.key(key), "may not add mirror pod annotation"));
        }
    }
    errors
}

/// The deadline may come, and come nearer. The flag says that nothing else is worth looking at.
fn validate_deadline(spec: &PodSpec, before: &PodSpec, field: &FieldPath) -> (Vec<FieldError>, bool) {
    match (spec.active_deadline_seconds, before.active_deadline_seconds) {
        (Some(now), _) if now < 0 || now > i32::MAX.into() => {
            (vec![FieldError::invalid(field, now, "must be between 0 and 2147483647, inclusive")], true)
        }
        (Some(now), Some(was)) if was < now => {
            (vec![FieldError::invalid(field, now, "must be less than or equal to previous value")], true)
        }
        (None, Some(_)) => {
            let why = "must not update from a positive integer to nil value";
            (vec![FieldError::invalid(field, serde_json::Value::Null, why)], false)
        }
        _ => (vec![], false),
    }
}

fn validate_tolerations(spec: &PodSpec, before: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let same = |old: &Toleration, new: &Toleration| {
        let seconds = new.toleration_seconds;
        Toleration { toleration_seconds: seconds, ..old.clone() } == *new
    };
    let kept = |old: &Toleration| spec.tolerations.iter().flatten().any(|new| same(old, new));
    if before.tolerations.iter().flatten().all(kept) {
        return vec![];
    }
    let why = "existing toleration can not be modified except its tolerationSeconds";
    vec![FieldError::forbidden(field, why)]
}

fn validate_gates(spec: &PodSpec, before: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let were: BTreeSet<&str> =
        before.scheduling_gates.iter().flatten().map(|gate| gate.name.as_str()).collect();
    let gates = spec.scheduling_gates.iter().flatten().enumerate();
    gates
        .filter(|(_, gate)| !were.contains(gate.name.as_str()))
        .map(|(index, gate)| {
            let why = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
            FieldError::forbidden(&field.index(index).child("name"), why)
        })
        .collect()
}

/// Everything else must be as it was.
fn validate_rest(mut spec: PodSpec, before: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let keep_images = |now: &mut [Container], were: &[Container]| {
        now.iter_mut().zip(were).for_each(|(now, was)| now.image = was.image.clone());
    };
    keep_images(&mut spec.containers, &before.containers);
    let init = before.init_containers.as_deref().unwrap_or_default();
    keep_images(spec.init_containers.as_deref_mut().unwrap_or_default(), init);
    spec.active_deadline_seconds = before.active_deadline_seconds;
    spec.scheduling_gates = before.scheduling_gates.clone();
    spec.tolerations = before.tolerations.clone();
    let was_negative = before.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0);
    if was_negative && spec.termination_grace_period_seconds == Some(1) {
        spec.termination_grace_period_seconds = before.termination_grace_period_seconds;
    }
    let mut errors = vec![];
    if before.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        errors.extend(validate_gated(&mut spec, before, field));
    }
    let shown = |spec: &PodSpec| internal::pretty("PodSpec", &serde_json::to_value(spec).unwrap_or_default());
    let (now, was) = (shown(&spec), shown(before));
    if now != was {
        let difference = diff::unified(&was, &now);
        let why = format!("pod updates may not change fields other than {UPDATABLE}\n{difference}");
        errors.push(FieldError::forbidden(field, why));
    }
    errors
}

/// While a pod may not be scheduled yet, the choice of its node may be narrowed.
fn validate_gated(spec: &mut PodSpec, before: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let (selector, was) =
        (spec.node_selector.clone().unwrap_or_default(), before.node_selector.clone().unwrap_or_default());
    if was.iter().any(|(key, value)| selector.get(key) != Some(value)) {
        let value = serde_json::to_value(&selector).unwrap_or_default();
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.push(FieldError::invalid(&field.child("nodeSelector"), value, why));
    }
    spec.node_selector = before.node_selector.clone();
    let affinity =
        |spec: &PodSpec| spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    let (now, was) = (affinity(spec), affinity(before));
    if now != was {
        let field = field.child("affinity").child("nodeAffinity");
        errors.extend(validate_narrowed(now.as_ref(), was.as_ref(), &field));
        match &mut spec.affinity {
            None => {
                spec.affinity = was.map(|node| Affinity { node_affinity: Some(node), ..Affinity::default() })
            }
            Some(own)
                if before.affinity.is_none()
                    && own.pod_affinity.is_none()
                    && own.pod_anti_affinity.is_none() =>
            {
                spec.affinity = None;
            }
            Some(own) => own.node_affinity = was,
        }
    }
    errors
}

/// Terms of a required node affinity may get more expressions, not fewer or other ones.
fn validate_narrowed(
    now: Option<&NodeAffinity>,
    was: Option<&NodeAffinity>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let terms = |affinity: Option<&NodeAffinity>| {
        let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.clone());
        required.map(|required| required.node_selector_terms).unwrap_or_default()
    };
    let (now, was) = (terms(now), terms(was));
    let field = field.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
    if !was.is_empty() && was.len() != now.len() {
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return vec![FieldError::invalid(&field, serde_json::to_value(&now).unwrap_or_default(), why)];
    }
    let mut errors = vec![];
    for (index, (new, old)) in now.iter().zip(&was).enumerate() {
        let kept = |old: &Option<Vec<_>>, new: &Option<Vec<_>>| {
            let (old, new) = (old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
            new.len() >= old.len() && old == &new[..old.len()]
        };
        if !kept(&old.match_expressions, &new.match_expressions)
            || !kept(&old.match_fields, &new.match_fields)
        {
            let why = "only additions are allowed (no mutations or deletions)";
            errors.push(FieldError::invalid(
                &field.index(index),
                serde_json::to_value(new).unwrap_or_default(),
                why,
            ));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kinds::samples::{change_refused, read};

    /// The pod of a real cluster whose refusals were recorded.
    const TEAPOT: &str = "
apiVersion: v1
kind: Pod
metadata: {name: teapot, namespace: default}
spec:
  containers:
  - name: web
    image: nginx:1.25
    env: [{name: BLEND, value: earl-grey}]
    ports: [{containerPort: 80, name: http}]
    resources:
      limits: {cpu: 200m, memory: 64Mi}
      requests: {cpu: 50m, memory: 32Mi}
    volumeMounts:
    - {mountPath: /var/run/secrets/kubernetes.io/serviceaccount, name: kube-api-access-5wn54, readOnly: true}
  nodeName: minikube
  preemptionPolicy: PreemptLowerPriority
  priority: 0
  serviceAccountName: default
  tolerations:
  - {effect: NoExecute, key: node.kubernetes.io/not-ready, operator: Exists, tolerationSeconds: 300}
  - {effect: NoExecute, key: node.kubernetes.io/unreachable, operator: Exists, tolerationSeconds: 300}
  volumes:
  - name: kube-api-access-5wn54
    projected:
      sources:
      - serviceAccountToken: {expirationSeconds: 3607, path: token}
      - configMap: {items: [{key: ca.crt, path: ca.crt}], name: kube-root-ca.crt}
      - downwardAPI: {items: [{fieldRef: {fieldPath: metadata.namespace}, path: namespace}]}
      - configMap: {items: [{key: service-ca.crt, path: service-ca.crt}], name: openshift-service-ca.crt}
";

    #[test]
    fn a_refused_change_is_shown_with_its_difference() {
        let refused = change_refused(TEAPOT, &TEAPOT.replace("earl-grey", "green"));
        let (words, difference) = refused.split_once('\n').unwrap();
        assert_eq!(
            words,
            format!("spec: Forbidden: pod updates may not change fields other than {UPDATABLE}")
        );
        let expected = [
            "@@ -127,7 +127,7 @@",
            "    \"Env\": [",
            "     {",
            "      \"Name\": \"BLEND\",",
            "-     \"Value\": \"earl-grey\",",
            "+     \"Value\": \"green\",",
            "      \"ValueFrom\": null",
            "     }",
            "    ],",
            "",
        ];
        assert_eq!(difference, expected.join("\n"));
    }

    #[test]
    fn what_may_change_may_change() {
        for (from, to) in [("nginx:1.25", "nginx:1.27"), ("spec:\n", "spec:\n  activeDeadlineSeconds: 60\n")]
        {
            assert_eq!(change_refused(TEAPOT, &TEAPOT.replace(from, to)), "", "{from} -> {to}");
        }
        let more = TEAPOT.replace("  volumes:\n", "  - {key: more, operator: Exists}\n  volumes:\n");
        assert_eq!(change_refused(TEAPOT, &more), "");
        let fewer = "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds";
        assert_eq!(change_refused(&more, TEAPOT), fewer);
        let deadline = TEAPOT.replace("spec:\n", "spec:\n  activeDeadlineSeconds: 60\n");
        let later = deadline.replace("Seconds: 60", "Seconds: 90");
        let words =
            "spec.activeDeadlineSeconds: Invalid value: 90: must be less than or equal to previous value";
        assert_eq!(change_refused(&deadline, &later), words);
        let two = TEAPOT.replace("  nodeName", "  - {name: b, image: b}\n  nodeName");
        assert_eq!(
            change_refused(TEAPOT, &two),
            "spec.containers: Forbidden: pod updates may not add or remove containers"
        );
    }

    #[test]
    fn ephemeral_containers_are_added_and_stay() {
        let pod = |yaml: &str| read(yaml).1.get::<Pod>().unwrap().clone();
        let debugged = |image: &str| {
            let ephemeral = format!(
                "  ephemeralContainers:\n  - {{name: debugger, image: {image}, targetContainerName: web}}\n"
            );
            pod(&TEAPOT.replace("  nodeName", &format!("{ephemeral}  nodeName")))
        };
        let (plain, one, other) = (pod(TEAPOT), debugged("busybox"), debugged("alpine"));
        assert!(validate_ephemeral(&one, &plain).is_empty());
        let gone = "existing ephemeral containers \"debugger\" may not be removed\n";
        assert_eq!(validate_ephemeral(&plain, &one)[0].detail, gone);
        let changed = &validate_ephemeral(&other, &one)[0].detail;
        assert!(
            changed.starts_with(
                "existing ephemeral containers \"debugger\" may not be changed\n@@ -1,6 +1,6 @@\n"
            ),
            "{changed}"
        );
    }
}
