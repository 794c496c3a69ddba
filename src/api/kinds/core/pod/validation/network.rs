//! A pod on the network: its host's ports, its names and where it asks for others' names.
// Models pkg/apis/core/validation (validatePodHostNetworkDeps, validatePodDNSConfig, validateHostUsers, validatePodHostName).

use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;

pub(super) fn validate_host_ports(spec: &PodSpec, is_pod: bool, field: &FieldPath) -> Vec<FieldError> {
    if spec.host_network != Some(true) {
        return vec![];
    }
    let mut errors = vec![];
    for (index, container) in spec.containers.iter().enumerate() {
        for (number, port) in container.ports.iter().flatten().enumerate() {
            let host = port.host_port.unwrap_or_default();
            if (is_pod || host != 0) && host != port.container_port {
                let field = field.index(index).child("ports").index(number).child("hostPort");
                let why = "must match `containerPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(&field, host, why));
            }
        }
    }
    errors
}

pub(super) fn validate_dns(
    config: Option<&PodDNSConfig>,
    policy: &str,
    field: &FieldPath,
) -> Vec<FieldError> {
    if policy == "None" {
        if config.is_none() {
            return vec![FieldError::required(field, "must provide `dnsConfig` when `dnsPolicy` is None")];
        }
        if config.and_then(|config| config.nameservers.as_ref()).is_none_or(Vec::is_empty) {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return vec![FieldError::required(&field.child("nameservers"), why)];
        }
    }
    let Some(config) = config else { return vec![] };
    let (servers, searches) =
        (config.nameservers.clone().unwrap_or_default(), config.searches.clone().unwrap_or_default());
    let mut errors = vec![];
    if servers.len() > 3 {
        let why = "must not have more than 3 nameservers";
        errors.push(FieldError::invalid(&field.child("nameservers"), servers.clone(), why));
    }
    for (index, server) in servers.iter().enumerate() {
        errors.extend(checks::ip(server, &field.child("nameservers").index(index)));
    }
    let searches_field = field.child("searches");
    if searches.len() > 32 {
        errors.push(FieldError::invalid(
            &searches_field,
            searches.clone(),
            "must not have more than 32 search paths",
        ));
    }
    if searches.join(" ").len() > 2048 {
        let why = "must not have more than 2048 characters (including spaces) in the search list";
        errors.push(FieldError::invalid(&searches_field, searches.clone(), why));
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        // Names of searches may have underscores.
        let plain = search.strip_suffix('.').unwrap_or(search).replace('_', "a");
        errors.extend(checks::dns_subdomain(&plain, &searches_field.index(index)));
    }
    for (index, option) in config.options.iter().flatten().enumerate() {
        if text(&option.name).is_empty() {
            errors.push(FieldError::required(&field.child("options").index(index), "must not be empty"));
        }
    }
    errors
}

pub(super) fn validate_host_users(spec: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    if spec.host_users != Some(false) {
        return vec![];
    }
    let why = "when `hostUsers` is false";
    let shared = [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)];
    let shared = shared.iter().filter(|(_, set)| *set == Some(true));
    shared.map(|(name, _)| FieldError::forbidden(&field.child(name), why)).collect()
}

pub(super) fn validate_host_name(spec: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if let Some(name) = &spec.hostname_override {
        let field = field.child("hostnameOverride");
        if spec.set_hostname_as_fqdn == Some(true) {
            errors.push(FieldError::forbidden(&field, "may not be specified when setHostnameAsFQDN is true"));
        }
        if spec.host_network == Some(true) {
            errors.push(FieldError::forbidden(&field, "may not be specified when hostNetwork is true"));
        }
        if name.len() > 64 {
            errors.push(FieldError::too_long(&field, 64));
        }
        errors.extend(checks::dns_subdomain(name, &field));
    }
    errors
}
