//! The environment of a container.
// Models pkg/apis/core/validation (ValidateEnv, ValidateEnvFrom and their parts).

use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector,
};

use super::paths;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
use crate::meta::names;
use crate::meta::quantity::Quantity;

/// The fields of its pod that a variable may show.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// The fields of its pod that a file may show.
pub(super) const FILE_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// The resources that a variable or a file may show.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// All that the API can convert, whether or not it may be used at a place.
const CONVERTIBLE: [&str; 18] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
    "spec.hostNetwork",
    "status.nominatedNodeName",
    "spec.hostname",
];

pub(super) fn validate(env: &[EnvVar], field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (index, variable) in env.iter().enumerate() {
        let field = field.index(index);
        match variable.name.as_str() {
            "" => errors.push(FieldError::required(&field.child("name"), "")),
            name => errors.extend(checks::each(names::env_var_name(name), &field.child("name"), name)),
        }
        if let Some(source) = &variable.value_from {
            errors.extend(validate_source(
                source,
                !text(&variable.value).is_empty(),
                &field.child("valueFrom"),
            ));
        }
    }
    errors
}

pub(super) fn validate_from(sources: &[EnvFromSource], field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (index, source) in sources.iter().enumerate() {
        let own = field.index(index);
        let prefix = text(&source.prefix);
        if !prefix.is_empty() {
            errors.extend(checks::each(names::env_var_name(prefix), &own.child("prefix"), prefix));
        }
        let config_map = source.config_map_ref.as_ref().map(|source| ("configMapRef", source.name.as_str()));
        let secret = source.secret_ref.as_ref().map(|source| ("secretRef", source.name.as_str()));
        let given: Vec<_> = config_map.into_iter().chain(secret).collect();
        for (name, target) in &given {
            let field = own.child(name).child("name");
            match *target {
                "" => errors.push(FieldError::required(&field, "")),
                target => errors.extend(checks::each(names::dns1123_subdomain(target, true), &field, target)),
            }
        }
        match given.len() {
            0 => errors.push(FieldError::invalid(
                field,
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            )),
            1 => {}
            _ => errors.push(FieldError::invalid(
                field,
                "",
                "may not have more than one field specified at a time",
            )),
        }
    }
    errors
}

fn validate_source(source: &EnvVarSource, has_value: bool, field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut count) = (vec![], 0);
    if let Some(selector) = &source.field_ref {
        count += 1;
        errors.extend(validate_field(selector, &FIELDS, &field.child("fieldRef")));
    }
    if let Some(selector) = &source.resource_field_ref {
        count += 1;
        errors.extend(validate_resource_field(selector, false, &field.child("resourceFieldRef")));
    }
    if let Some(selector) = &source.config_map_key_ref {
        count += 1;
        errors.extend(validate_key(&selector.name, &selector.key, &field.child("configMapKeyRef")));
    }
    if let Some(selector) = &source.secret_key_ref {
        count += 1;
        errors.extend(validate_key(&selector.name, &selector.key, &field.child("secretKeyRef")));
    }
    if let Some(selector) = &source.file_key_ref {
        count += 1;
        let field = field.child("fileKeyRef");
        match selector.key.as_str() {
            "" => errors.push(FieldError::required(&field.child("key"), "")),
            key => errors.extend(checks::each(names::env_var_name(key), &field.child("key"), key)),
        }
        match selector.volume_name.as_str() {
            "" => errors.push(FieldError::required(&field.child("volumeName"), "")),
            name => errors.extend(checks::dns_label(name, &field.child("volumeName"))),
        }
        match selector.path.as_str() {
            "" => errors.push(FieldError::required(&field.child("path"), "")),
            path => errors.extend(paths::no_backsteps(path, &field.child("path"))),
        }
    }
    let why = match count {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if has_value => "may not be specified when `value` is not empty",
        1 => return errors,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(field, "", why));
    errors
}

fn validate_key(name: &str, key: &str, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = checks::dns_subdomain(name, &field.child("name"));
    match key {
        "" => errors.push(FieldError::required(&field.child("key"), "")),
        key => errors.extend(checks::each(names::config_map_key(key), &field.child("key"), key)),
    }
    errors
}

/// A field of the pod: one of `known`, or a single label or annotation.
// Models validateObjectFieldSelector and ConvertDownwardAPIFieldLabel.
pub(super) fn validate_field(
    selector: &ObjectFieldSelector,
    known: &[&str],
    field: &FieldPath,
) -> Vec<FieldError> {
    let (version, path) = (text(&selector.api_version), selector.field_path.as_str());
    if version.is_empty() {
        return vec![FieldError::required(&field.child("apiVersion"), "")];
    }
    if path.is_empty() {
        return vec![FieldError::required(&field.child("fieldPath"), "")];
    }
    let refuse = |why: String| {
        vec![FieldError::invalid(
            &field.child("fieldPath"),
            path,
            format!("error converting fieldPath: {why}"),
        )]
    };
    if version != "v1" {
        return refuse(format!("unsupported pod version: {version}"));
    }
    let subscripted = path.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    match subscripted {
        Some(("metadata.annotations", key)) => {
            checks::each(names::qualified_name(&key.to_lowercase()), field, &key.to_lowercase())
        }
        Some(("metadata.labels", key)) => checks::qualified_name(key, field),
        Some((path, _)) => refuse(format!("field label does not support subscript: {path}")),
        None if !CONVERTIBLE.contains(&path) => refuse(format!("field label not supported: {path}")),
        None => {
            let path = if path == "spec.host" { "spec.nodeName" } else { path };
            if known.contains(&path) {
                vec![]
            } else {
                vec![FieldError::not_supported(&field.child("fieldPath"), path, known)]
            }
        }
    }
}

/// A resource of a container. In a volume it must say which one.
pub(super) fn validate_resource_field(
    selector: &ResourceFieldSelector,
    volume: bool,
    field: &FieldPath,
) -> Vec<FieldError> {
    let resource = selector.resource.as_str();
    let huge_pages = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    let mut errors = vec![];
    if volume && text(&selector.container_name).is_empty() {
        errors.push(FieldError::required(&field.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&field.child("resource"), ""));
    } else if !RESOURCES.contains(&resource) && !huge_pages {
        errors.push(FieldError::not_supported(&field.child("resource"), resource, &RESOURCES));
    }
    errors.extend(validate_divisor(selector, resource, huge_pages, field));
    errors
}

fn validate_divisor(
    selector: &ResourceFieldSelector,
    resource: &str,
    huge_pages: bool,
    field: &FieldPath,
) -> Option<FieldError> {
    let divisor = selector.divisor.as_ref().and_then(|divisor| Quantity::try_from(divisor).ok())?;
    if divisor.is_zero() {
        return None;
    }
    let bytes = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let (allowed, shown, what): (&[&str], String, &str) = match resource.split_once('.').map(|(_, name)| name)
    {
        Some("cpu") => (&["1m", "1"], "1m and 1".to_owned(), "cpu"),
        Some("memory") => (&bytes, bytes.join(", "), "memory"),
        Some("ephemeral-storage") => (&bytes, bytes.join(", "), "local ephemeral storage"),
        _ if huge_pages => (&bytes, bytes.join(", "), "hugepages"),
        _ => return None,
    };
    let why = format!("only divisor's values {shown} are supported with the {what} resource");
    let fits = allowed.contains(&divisor.to_string().as_str());
    (!fits).then(|| FieldError::invalid(&field.child("divisor"), resource, why))
}
