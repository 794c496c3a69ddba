//! Containers: the ordinary ones, those that run before them and those that are put in later.
// Models pkg/apis/core/validation (validateContainers, validateInitContainers, validateEphemeralContainers).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerResizePolicy, EphemeralContainer, PodSpec, Volume,
};

use super::resources::{self, Whose};
use super::{env, handlers, mounts, security};
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::core::pod::resources::is_sidecar;
use crate::api::kinds::unset::text;
use crate::meta::names;

/// What a container's validity depends on besides itself.
pub(super) struct Surroundings<'a> {
    spec: &'a PodSpec,
    volumes: BTreeMap<String, Volume>,
    claims: BTreeSet<String>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(spec: &'a PodSpec, volumes: BTreeMap<String, Volume>) -> Self {
        let claims = spec.resource_claims.iter().flatten().map(|claim| claim.name.clone());
        Self { spec, volumes, claims: claims.filter(|name| !name.is_empty()).collect() }
    }

    fn grace(&self) -> Option<i64> {
        self.spec.termination_grace_period_seconds
    }
}

/// All containers of a pod.
pub(super) fn validate_all(
    spec: &PodSpec,
    surroundings: &Surroundings<'_>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = validate_ordinary(&spec.containers, surroundings, &field.child("containers"));
    errors.extend(validate_init(surroundings, &field.child("initContainers")));
    errors.extend(validate_ephemeral(surroundings, &field.child("ephemeralContainers")));
    errors
}

fn validate_ordinary(
    containers: &[Container],
    around: &Surroundings<'_>,
    field: &FieldPath,
) -> Vec<FieldError> {
    if containers.is_empty() {
        return vec![FieldError::required(field, "")];
    }
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, container) in containers.iter().enumerate() {
        let field = field.index(index);
        errors.extend(validate_common(container, around, &field));
        if !seen.insert(&container.name) {
            errors.push(FieldError::duplicate(&field.child("name"), container.name.as_str()));
        }
        errors.extend(validate_hooks(container, around, &field));
        errors.extend(validate_restart(container, &field));
    }
    errors.extend(host_port_conflicts(containers, field));
    errors
}

fn validate_hooks(container: &Container, around: &Surroundings<'_>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if let Some(lifecycle) = &container.lifecycle {
        let os = around.spec.os.as_ref();
        errors.extend(handlers::validate_lifecycle(lifecycle, around.grace(), os, &field.child("lifecycle")));
    }
    errors.extend(handlers::validate_probes(probes(container), around.grace(), field));
    errors
}

fn probes(container: &Container) -> [(&'static str, &Option<k8s_openapi::api::core::v1::Probe>); 3] {
    [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ]
}

fn validate_init(around: &Surroundings<'_>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let mut seen: BTreeSet<&String> =
        around.spec.containers.iter().map(|container| &container.name).collect();
    for (index, container) in around.spec.init_containers.iter().flatten().enumerate() {
        let own = field.index(index);
        errors.extend(validate_common(container, around, &own));
        errors.extend(validate_restart(container, &own));
        if !seen.insert(&container.name) && !container.name.is_empty() {
            errors.push(FieldError::duplicate(&own.child("name"), container.name.as_str()));
        }
        // Init containers run one by one, so only the ports of one container can be in each other's way.
        errors.extend(host_port_conflicts(std::slice::from_ref(container), field));
        if is_sidecar(container) {
            errors.extend(validate_hooks(container, around, &own));
            continue;
        }
        let why = "may not be set for init containers without restartPolicy=Always";
        let hooks = [("lifecycle", container.lifecycle.is_some())];
        let hooks = hooks.into_iter().chain(probes(container).map(|(name, probe)| (name, probe.is_some())));
        errors.extend(
            hooks.filter(|(_, set)| *set).map(|(name, _)| FieldError::forbidden(&own.child(name), why)),
        );
        for (index, policy) in container.resize_policy.iter().flatten().enumerate() {
            if policy.restart_policy == "RestartContainer" {
                let field = own.child("resizePolicy").index(index).child("restartPolicy");
                let why = "must not be set to 'RestartContainer' for non-sidecar initContainers";
                errors.push(FieldError::invalid(&field, "RestartContainer", why));
            }
        }
    }
    errors
}

fn validate_ephemeral(around: &Surroundings<'_>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let others = around.spec.containers.iter().chain(around.spec.init_containers.iter().flatten());
    let others: BTreeSet<&str> = others.map(|container| container.name.as_str()).collect();
    let mut seen = others.clone();
    for (index, container) in around.spec.ephemeral_containers.iter().flatten().enumerate() {
        let field = field.index(index);
        errors.extend(validate_common(&as_container(container), around, &field));
        errors.extend(image_whitespace(text(&container.image), &field));
        if !seen.insert(&container.name) {
            errors.push(FieldError::duplicate(&field.child("name"), container.name.as_str()));
        }
        let target = text(&container.target_container_name);
        if !target.is_empty() && !others.contains(target) {
            errors.push(FieldError::not_found(&field.child("targetContainerName"), target));
        }
        let resources = container.resources.as_ref();
        let wanted =
            resources.is_some_and(|r| r.claims.is_some() || r.limits.is_some() || r.requests.is_some());
        let unfit = [
            ("ports", container.ports.is_some()),
            ("resources", wanted),
            ("resizePolicy", container.resize_policy.is_some()),
            ("restartPolicy", container.restart_policy.is_some()),
            ("restartPolicyRules", container.restart_policy_rules.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
            ("lifecycle", container.lifecycle.is_some()),
        ];
        let why = "cannot be set for an Ephemeral Container";
        errors.extend(
            unfit
                .iter()
                .filter(|(_, set)| *set)
                .map(|(name, _)| FieldError::forbidden(&field.child(name), why)),
        );
        for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let field = field.child("volumeMounts").index(index);
            for (name, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
                if !text(value).is_empty() {
                    errors.push(FieldError::forbidden(&field.child(name), why));
                }
            }
        }
    }
    errors
}

fn as_container(container: &EphemeralContainer) -> Container {
    Container {
        name: container.name.clone(),
        image: container.image.clone(),
        image_pull_policy: container.image_pull_policy.clone(),
        termination_message_policy: container.termination_message_policy.clone(),
        ports: container.ports.clone(),
        env: container.env.clone(),
        env_from: container.env_from.clone(),
        volume_mounts: container.volume_mounts.clone(),
        volume_devices: container.volume_devices.clone(),
        resources: container.resources.clone(),
        resize_policy: container.resize_policy.clone(),
        security_context: container.security_context.clone(),
        ..Container::default()
    }
}

/// A pod's images (not a template's, for history's sake) must not begin or end with a space.
pub(super) fn image_whitespace(image: &str, field: &FieldPath) -> Option<FieldError> {
    let why = "must not have leading or trailing whitespace";
    (image.trim() != image).then(|| FieldError::invalid(&field.child("image"), image, why))
}

/// What all sorts of containers have in common.
fn validate_common(container: &Container, around: &Surroundings<'_>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    match container.name.as_str() {
        "" => errors.push(FieldError::required(&field.child("name"), "")),
        name => errors.extend(checks::dns_label(name, &field.child("name"))),
    }
    if text(&container.image).is_empty() {
        errors.push(FieldError::required(&field.child("image"), ""));
    }
    let message = field.child("terminationMessagePolicy");
    match text(&container.termination_message_policy) {
        "File" | "FallbackToLogsOnError" => {}
        "" => errors.push(FieldError::required(&message, "")),
        other => errors.push(FieldError::not_supported(&message, other, &["File", "FallbackToLogsOnError"])),
    }
    errors.extend(validate_ports(container.ports.as_deref().unwrap_or_default(), &field.child("ports")));
    errors.extend(env::validate(container.env.as_deref().unwrap_or_default(), &field.child("env")));
    errors.extend(env::validate_from(
        container.env_from.as_deref().unwrap_or_default(),
        &field.child("envFrom"),
    ));
    errors.extend(mounts::validate(container, &around.volumes, field));
    let pull = field.child("imagePullPolicy");
    match text(&container.image_pull_policy) {
        "Always" | "IfNotPresent" | "Never" => {}
        "" => errors.push(FieldError::required(&pull, "")),
        other => errors.push(FieldError::not_supported(&pull, other, &["Always", "IfNotPresent", "Never"])),
    }
    if let Some(wanted) = &container.resources {
        errors.extend(resources::validate(
            wanted,
            Whose::Container,
            &around.claims,
            &field.child("resources"),
        ));
    }
    let policies = container.resize_policy.as_deref().unwrap_or_default();
    errors.extend(validate_resize(policies, text(&around.spec.restart_policy), &field.child("resizePolicy")));
    if let Some(context) = &container.security_context {
        let host_users = around.spec.host_users != Some(false);
        errors.extend(security::validate(context, host_users, &field.child("securityContext")));
    }
    errors
}

fn validate_ports(ports: &[ContainerPort], field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let (field, name) = (field.index(index), text(&port.name));
        if !name.is_empty() {
            let wrong = names::port_name(name);
            if wrong.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(&field.child("name"), name));
            }
            errors.extend(checks::each(wrong, &field.child("name"), name));
        }
        match port.container_port {
            0 => errors.push(FieldError::required(&field.child("containerPort"), "")),
            number => errors.extend(checks::port_number(number, &field.child("containerPort"))),
        }
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            errors.extend(checks::port_number(number, &field.child("hostPort")));
        }
        errors.extend(checks::protocol(text(&port.protocol), &field.child("protocol")));
    }
    errors
}

/// Two ports of the host that are one.
fn host_port_conflicts(containers: &[Container], field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, container) in containers.iter().enumerate() {
        for (number, port) in container.ports.iter().flatten().enumerate() {
            let Some(host_port) = port.host_port.filter(|port| *port != 0) else { continue };
            let key = format!("{}/{}/{host_port}", text(&port.protocol), text(&port.host_ip));
            if !seen.insert(key.clone()) {
                let field = field.index(index).child("ports").index(number).child("hostPort");
                errors.push(FieldError::duplicate(&field, key));
            }
        }
    }
    errors
}

fn validate_resize(
    policies: &[ContainerResizePolicy],
    pod_policy: &str,
    field: &FieldPath,
) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, policy) in policies.iter().enumerate() {
        let (resource, restart) = (policy.resource_name.as_str(), policy.restart_policy.as_str());
        if !seen.insert(resource) {
            errors.push(FieldError::duplicate(&field.index(index), resource));
        }
        match resource {
            "cpu" | "memory" => {}
            "" => errors.push(FieldError::required(field, "")),
            other => errors.push(FieldError::not_supported(field, other, &["cpu", "memory"])),
        }
        match restart {
            "NotRequired" | "RestartContainer" => {}
            "" => errors.push(FieldError::required(field, "")),
            other => {
                errors.push(FieldError::not_supported(field, other, &["NotRequired", "RestartContainer"]))
            }
        }
        if pod_policy == "Never" && restart != "NotRequired" {
            let why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid(field, restart, why));
        }
    }
    errors
}

/// A container's own restart policy and its rules.
// Models validateContainerRestartPolicy.
fn validate_restart(container: &Container, field: &FieldPath) -> Vec<FieldError> {
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    let (policy, rules_field) = (field.child("restartPolicy"), field.child("restartPolicyRules"));
    let mut errors = vec![];
    match container.restart_policy.as_deref() {
        None if rules.is_empty() => return errors,
        None => errors
            .push(FieldError::required(&policy, "must specify restartPolicy when restart rules are used")),
        Some("Always" | "Never" | "OnFailure") => {}
        Some(other) => {
            errors.push(FieldError::not_supported(&policy, other, &["Always", "Never", "OnFailure"]))
        }
    }
    if rules.len() > 20 {
        errors.push(FieldError::too_many(&rules_field, rules.len(), 20));
    }
    for (index, rule) in rules.iter().enumerate() {
        let field = rules_field.index(index);
        let actions = ["Restart", "RestartAllContainers"];
        if !actions.contains(&rule.action.as_str()) {
            errors.push(FieldError::not_supported(&field.child("action"), rule.action.as_str(), &actions));
        }
        let field = field.child("exitCodes");
        let Some(codes) = &rule.exit_codes else {
            errors.push(FieldError::required(&field, "must be specified"));
            continue;
        };
        if !["In", "NotIn"].contains(&codes.operator.as_str()) {
            errors.push(FieldError::not_supported(
                &field.child("operator"),
                codes.operator.as_str(),
                &["In", "NotIn"],
            ));
        }
        let count = codes.values.as_ref().map_or(0, Vec::len);
        if count > 255 {
            errors.push(FieldError::too_many(&field.child("values"), count, 255));
        }
    }
    errors
}
