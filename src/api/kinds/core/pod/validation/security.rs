//! As whom containers run, and what they may.
// Models pkg/apis/core/validation (ValidateSecurityContext, validatePodSpecSecurityContext, validateHostUsers).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext,
};

use super::paths;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::unset::text;

/// The security context of a container. `host_users`: it shares the node's user IDs.
pub(super) fn validate(context: &SecurityContext, host_users: bool, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    errors.extend(validate_id(context.run_as_user, &field.child("runAsUser")));
    errors.extend(validate_id(context.run_as_group, &field.child("runAsGroup")));
    if let Some(mount) = &context.proc_mount {
        let field = field.child("procMount");
        if !["Default", "Unmasked"].contains(&mount.as_str()) {
            errors.push(FieldError::not_supported(&field, mount.as_str(), &["Default", "Unmasked"]));
        }
        if host_users && mount == "Unmasked" {
            errors.push(FieldError::invalid(
                &field,
                "Unmasked",
                "`hostUsers` must be false to use `Unmasked`",
            ));
        }
    }
    errors.extend(validate_seccomp(context.seccomp_profile.as_ref(), &field.child("seccompProfile")));
    if context.allow_privilege_escalation == Some(false) {
        let shown = || serde_json::to_value(context).unwrap_or_default();
        if context.privileged == Some(true) {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(FieldError::invalid(field, shown(), why));
        }
        let adds = |capabilities: &Capabilities| {
            capabilities.add.iter().flatten().any(|name| name == "CAP_SYS_ADMIN")
        };
        if context.capabilities.as_ref().is_some_and(adds) {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push(FieldError::invalid(field, shown(), why));
        }
    }
    errors.extend(validate_app_armor(context.app_armor_profile.as_ref(), &field.child("appArmorProfile")));
    errors
}

/// The security context of a pod.
pub(super) fn validate_pod(
    context: &PodSecurityContext,
    spec: &PodSpec,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    errors.extend(validate_id(context.fs_group, &field.child("fsGroup")));
    errors.extend(validate_id(context.run_as_user, &field.child("runAsUser")));
    errors.extend(validate_id(context.run_as_group, &field.child("runAsGroup")));
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        errors.extend(validate_id(Some(*group), &field.child("supplementalGroups").index(index)));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(&field.child("shareProcessNamespace"), true, why));
    }
    errors.extend(validate_sysctls(context, &field.child("sysctls")));
    let choice = |name: &str, value: &Option<String>, known: &[&str]| {
        let wrong = value.as_deref().filter(|value| !known.contains(value));
        wrong.map(|value| FieldError::not_supported(&field.child(name), value, known))
    };
    errors.extend(choice(
        "fsGroupChangePolicy",
        &context.fs_group_change_policy,
        &["Always", "OnRootMismatch"],
    ));
    errors.extend(validate_seccomp(context.seccomp_profile.as_ref(), &field.child("seccompProfile")));
    errors.extend(validate_app_armor(context.app_armor_profile.as_ref(), &field.child("appArmorProfile")));
    errors.extend(choice(
        "supplementalGroupsPolicy",
        &context.supplemental_groups_policy,
        &["Merge", "Strict"],
    ));
    errors.extend(choice(
        "seLinuxChangePolicy",
        &context.se_linux_change_policy,
        &["MountOption", "Recursive"],
    ));
    errors
}

/// A user or group: what Linux can hold.
fn validate_id(id: Option<i64>, field: &FieldPath) -> Option<FieldError> {
    let id = id.filter(|id| !(0..=i64::from(i32::MAX)).contains(id))?;
    Some(FieldError::invalid(field, id, "must be between 0 and 2147483647, inclusive"))
}

fn validate_seccomp(profile: Option<&SeccompProfile>, field: &FieldPath) -> Vec<FieldError> {
    let Some(profile) = profile else { return vec![] };
    let mut errors = vec![];
    let kinds = ["Localhost", "RuntimeDefault", "Unconfined"];
    match profile.type_.as_str() {
        "" => errors
            .push(FieldError::required(&field.child("type"), "type is required when seccompProfile is set")),
        known if kinds.contains(&known) => {}
        other => errors.push(FieldError::not_supported(&field.child("type"), other, &kinds)),
    }
    let local = field.child("localhostProfile");
    match (profile.type_ == "Localhost", &profile.localhost_profile) {
        (true, None) => {
            errors.push(FieldError::required(&local, "must be set when seccomp type is Localhost"))
        }
        (true, Some(path)) => errors.extend(paths::descending(path, &local)),
        (false, Some(_)) => {
            let shown = serde_json::to_value(profile).unwrap_or_default();
            errors.push(FieldError::invalid(&local, shown, "can only be set when seccomp type is Localhost"));
        }
        (false, None) => {}
    }
    errors
}

fn validate_app_armor(profile: Option<&AppArmorProfile>, field: &FieldPath) -> Vec<FieldError> {
    let Some(profile) = profile else { return vec![] };
    let (local, path) = (field.child("localhostProfile"), text(&profile.localhost_profile));
    let missing = "must be set when AppArmor type is Localhost";
    match profile.type_.as_str() {
        "Localhost" if profile.localhost_profile.is_none() => vec![FieldError::required(&local, missing)],
        "Localhost" if path.trim() != path => {
            vec![FieldError::invalid(&local, path, "must not be padded with whitespace")]
        }
        "Localhost" if path.is_empty() => vec![FieldError::required(&local, missing)],
        "Localhost" if path.len() > 4095 => vec![FieldError::too_long(&local, 4095)],
        "Localhost" => vec![],
        "RuntimeDefault" | "Unconfined" if profile.localhost_profile.is_some() => {
            vec![FieldError::invalid(&local, path, "can only be set when AppArmor type is Localhost")]
        }
        "RuntimeDefault" | "Unconfined" => vec![],
        "" => {
            vec![FieldError::required(&field.child("type"), "type is required when appArmorProfile is set")]
        }
        other => {
            let known = ["Localhost", "RuntimeDefault", "Unconfined"];
            vec![FieldError::not_supported(&field.child("type"), other, &known)]
        }
    }
}

fn validate_sysctls(context: &PodSecurityContext, field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, sysctl) in context.sysctls.iter().flatten().enumerate() {
        let (field, name) = (field.index(index).child("name"), sysctl.name.as_str());
        if name.is_empty() {
            errors.push(FieldError::required(&field, ""));
        } else if !is_sysctl(name) {
            let segment = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
            let why =
                format!("must have at most 253 characters and match regex ^({segment}[\\./])*{segment}$");
            errors.push(FieldError::invalid(&field, name, why));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(&field, name));
        }
    }
    errors
}

fn is_sysctl(name: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let segment = |part: &str| {
        let inside =
            part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        letter(part.chars().next()) && letter(part.chars().last()) && inside
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}
