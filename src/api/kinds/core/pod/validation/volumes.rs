//! The volumes of a pod.
// Models pkg/apis/core/validation (ValidateVolumes, validateVolumeSource, validateProjectionSources).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, EphemeralVolumeSource, HostPathVolumeSource, KeyToPath, PersistentVolumeClaimSpec,
    ProjectedVolumeSource, Volume, VolumeProjection,
};

use super::{claims, disks, env, paths};
use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
use crate::meta::names;

const MODE_WORDS: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// The good volumes by name, and what is wrong with the others. `pod` is the pod's name, if it is a pod.
pub(super) fn validate(
    volumes: &[Volume],
    pod: Option<&str>,
    field: &FieldPath,
) -> (BTreeMap<String, Volume>, Vec<FieldError>) {
    let (mut good, mut errors) = (BTreeMap::new(), vec![]);
    let pod = pod.filter(|name| !name.is_empty());
    let created: BTreeSet<String> = volumes
        .iter()
        .filter(|volume| volume.ephemeral.is_some())
        .filter_map(|volume| Some(format!("{}-{}", pod?, volume.name)))
        .collect();
    for (index, volume) in volumes.iter().enumerate() {
        let (field, name) = (field.index(index), volume.name.as_str());
        let mut wrong = validate_source(volume, pod, &field);
        match name {
            "" => wrong.push(FieldError::required(&field.child("name"), "")),
            name => wrong.extend(checks::dns_label(name, &field.child("name"))),
        }
        if good.contains_key(name) {
            wrong.push(FieldError::duplicate(&field.child("name"), name));
        }
        if wrong.is_empty() {
            good.insert(name.to_owned(), volume.clone());
        }
        errors.extend(wrong);
        let claim =
            volume.persistent_volume_claim.as_ref().filter(|claim| created.contains(&claim.claim_name));
        if let Some(claim) = claim {
            let field = field.child("persistentVolumeClaim").child("claimName");
            let why = "must not reference a PVC that gets created for an ephemeral volume";
            errors.push(FieldError::invalid(&field, claim.claim_name.as_str(), why));
        }
    }
    (good, errors)
}

fn validate_source(volume: &Volume, pod: Option<&str>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if let Some(limit) = volume.empty_dir.as_ref().and_then(|empty_dir| empty_dir.size_limit.as_ref())
        && limit.0.starts_with('-')
    {
        let field = field.child("emptyDir").child("sizeLimit");
        errors.push(FieldError::forbidden(&field, "SizeLimit field must be a valid resource quantity"));
    }
    let mut given: Vec<(&str, Vec<FieldError>)> = vec![];
    if volume.empty_dir.is_some() {
        given.push(("emptyDir", vec![]));
    }
    let child = |name: &str| field.child(name);
    given.extend(
        volume.host_path.as_ref().map(|path| ("hostPath", validate_host_path(path, &child("hostPath")))),
    );
    given.extend(volume.git_repo.as_ref().map(|repo| {
        let field = child("gitRepo");
        let mut errors = disks::required(&repo.repository, &field.child("repository"));
        errors.extend(paths::descending(text(&repo.directory), &field.child("directory")));
        ("gitRepo", errors)
    }));
    given.extend(volume.secret.as_ref().map(|secret| {
        let field = child("secret");
        let mut errors = disks::required(text(&secret.secret_name), &field.child("secretName"));
        errors.extend(validate_files(secret.default_mode, secret.items.as_deref(), &field));
        ("secret", errors)
    }));
    given.extend(volume.persistent_volume_claim.as_ref().map(|claim| {
        let field = child("persistentVolumeClaim").child("claimName");
        ("persistentVolumeClaim", disks::required(&claim.claim_name, &field))
    }));
    given.extend(volume.config_map.as_ref().map(|config_map| {
        let field = child("configMap");
        let mut errors = disks::required(&config_map.name, &field.child("name"));
        errors.extend(validate_files(config_map.default_mode, config_map.items.as_deref(), &field));
        ("configMap", errors)
    }));
    given.extend(volume.downward_api.as_ref().map(|downward| {
        let field = child("downwardAPI");
        let mut errors = validate_mode(downward.default_mode, &field.child("defaultMode"));
        errors.extend(downward.items.iter().flatten().flat_map(|file| validate_downward_file(file, &field)));
        ("downwardAPI", errors)
    }));
    given
        .extend(volume.projected.as_ref().map(|p| ("projected", validate_projected(p, &child("projected")))));
    given.extend(disks::validate(volume, field));
    given.extend(volume.ephemeral.as_ref().map(|e| ("ephemeral", validate_ephemeral(e, volume, pod, field))));
    given.extend(volume.image.as_ref().map(|image| {
        let field = child("image");
        let mut errors = match pod {
            Some(_) => disks::required(text(&image.reference), &field.child("reference")),
            None => vec![],
        };
        let policy = text(&image.pull_policy);
        if !["Always", "IfNotPresent", "Never"].contains(&policy) {
            let known = ["Always", "IfNotPresent", "Never"];
            errors.push(FieldError::not_supported(&field.child("pullPolicy"), policy, &known));
        }
        ("image", errors)
    }));
    if given.is_empty() {
        errors.push(FieldError::required(field, "must specify a volume type"));
    }
    for (index, (name, wrong)) in given.into_iter().enumerate() {
        if index == 0 {
            errors.extend(wrong);
        } else {
            errors.push(FieldError::forbidden(&field.child(name), "may not specify more than 1 volume type"));
        }
    }
    errors
}

pub(crate) fn validate_host_path(path: &HostPathVolumeSource, field: &FieldPath) -> Vec<FieldError> {
    if path.path.is_empty() {
        return vec![FieldError::required(&field.child("path"), "")];
    }
    let mut errors = paths::no_backsteps(&path.path, &field.child("path"));
    let kind = text(&path.type_);
    if !HOST_PATH_TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&field.child("type"), kind, &HOST_PATH_TYPES));
    }
    errors
}

fn validate_mode(mode: Option<i32>, field: &FieldPath) -> Vec<FieldError> {
    let wrong = mode.filter(|mode| !(0..=0o777).contains(mode));
    wrong.into_iter().map(|mode| FieldError::invalid(field, mode, MODE_WORDS)).collect()
}

fn validate_files(mode: Option<i32>, items: Option<&[KeyToPath]>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = validate_mode(mode, &field.child("defaultMode"));
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        errors.extend(validate_item(item, &field.child("items").index(index)));
    }
    errors
}

fn validate_item(item: &KeyToPath, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = disks::required(&item.key, &field.child("key"));
    errors.extend(disks::required(&item.path, &field.child("path")));
    errors.extend(paths::not_reserved(&item.path, &field.child("path")));
    errors.extend(validate_mode(item.mode, &field.child("mode")));
    errors
}

fn validate_downward_file(file: &DownwardAPIVolumeFile, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = disks::required(&file.path, &field.child("path"));
    errors.extend(paths::not_reserved(&file.path, &field.child("path")));
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(selector), other) => {
            errors.extend(env::validate_field(selector, &env::FILE_FIELDS, &field.child("fieldRef")));
            if other.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(FieldError::invalid(field, "resource", why));
            }
        }
        (None, Some(selector)) => {
            errors.extend(env::validate_resource_field(selector, true, &field.child("resourceFieldRef")));
        }
        (None, None) => {
            errors.push(FieldError::required(field, "one of fieldRef and resourceFieldRef is required"))
        }
    }
    errors.extend(validate_mode(file.mode, &field.child("mode")));
    errors
}

fn validate_projected(projected: &ProjectedVolumeSource, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = validate_mode(projected.default_mode, &field.child("defaultMode"));
    let mut seen = BTreeSet::new();
    for (index, source) in projected.sources.iter().flatten().enumerate() {
        let own = field.child("sources").index(index);
        errors.extend(validate_projection(source, &mut seen, &own, field));
        let count = [
            source.secret.is_some(),
            source.config_map.is_some(),
            source.downward_api.is_some(),
            source.service_account_token.is_some(),
            source.cluster_trust_bundle.is_some(),
            source.pod_certificate.is_some(),
        ];
        if count.into_iter().filter(|given| *given).count() > 1 {
            errors.push(FieldError::forbidden(&own, "may not specify more than 1 volume type per source"));
        }
    }
    errors
}

fn validate_projection(
    source: &VolumeProjection,
    seen: &mut BTreeSet<String>,
    own: &FieldPath,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    let mut take = |path: &str, shown: &str| {
        let taken = !path.is_empty() && !seen.insert(path.to_owned());
        taken.then(|| FieldError::invalid(field, shown, "conflicting duplicate paths"))
    };
    let secret = source.secret.as_ref().map(|s| ("secret", s.name.as_str(), s.items.as_deref()));
    let config_map = source.config_map.as_ref().map(|c| ("configMap", c.name.as_str(), c.items.as_deref()));
    for (kind, name, items) in secret.into_iter().chain(config_map) {
        let own = own.child(kind);
        errors.extend(disks::required(name, &own.child("name")));
        for (index, item) in items.unwrap_or_default().iter().enumerate() {
            errors.extend(validate_item(item, &own.child("items").index(index)));
            errors.extend(take(&item.path, name));
        }
    }
    for file in source.downward_api.iter().flat_map(|downward| downward.items.iter().flatten()) {
        errors.extend(validate_downward_file(file, &own.child("downwardAPI")));
        errors.extend(take(&file.path, &file.path));
    }
    if let Some(token) = &source.service_account_token {
        let seconds_field = own.child("serviceAccountToken").child("expirationSeconds");
        let seconds = token.expiration_seconds.unwrap_or_default();
        if seconds < 600 {
            errors.push(FieldError::invalid(
                &seconds_field,
                seconds,
                "may not specify a duration less than 10 minutes",
            ));
        }
        if seconds > 1 << 32 {
            let why = "may not specify a duration larger than 2^32 seconds";
            errors.push(FieldError::invalid(&seconds_field, seconds, why));
        }
        match token.path.as_str() {
            "" => errors.push(FieldError::required(&field.child("path"), "")),
            path => errors.extend(paths::not_reserved(path, &field.child("path"))),
        }
    }
    if let Some(bundle) = &source.cluster_trust_bundle {
        let own = own.child("clusterTrustBundle");
        match (&bundle.name, &bundle.signer_name) {
            (Some(_), Some(_)) => {
                let shown = serde_json::to_value(bundle).unwrap_or_default();
                errors.push(FieldError::invalid(&own, shown, "only one of name and signerName may be used"));
            }
            (None, None) => {
                errors.push(FieldError::required(&own, "either name or signerName must be specified"))
            }
            _ => {}
        }
        errors.extend(disks::required(&bundle.path, &own.child("path")));
        errors.extend(paths::not_reserved(&bundle.path, &own.child("path")));
        errors.extend(take(&bundle.path, &bundle.path));
    }
    if let Some(certificate) = &source.pod_certificate {
        let own = own.child("podCertificate");
        let known = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
        if !known.contains(&certificate.key_type.as_str()) {
            errors.push(FieldError::not_supported(
                &own.child("keyType"),
                certificate.key_type.as_str(),
                &known,
            ));
        }
        let files = [
            ("credentialBundlePath", text(&certificate.credential_bundle_path)),
            ("keyPath", text(&certificate.key_path)),
            ("certificateChainPath", text(&certificate.certificate_chain_path)),
        ];
        for (name, path) in files.iter().filter(|(_, path)| !path.is_empty()) {
            errors.extend(paths::not_reserved(path, &own.child(name)));
            errors.extend(take(path, path));
        }
        if files.iter().all(|(_, path)| path.is_empty()) {
            let why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
            errors.push(FieldError::required(&own, why));
        }
    }
    errors
}

fn validate_ephemeral(
    source: &EphemeralVolumeSource,
    volume: &Volume,
    pod: Option<&str>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let template_field = field.child("ephemeral").child("volumeClaimTemplate");
    let mut errors = match &source.volume_claim_template {
        None => vec![FieldError::required(&template_field, "")],
        Some(template) => {
            let mut errors =
                checks::template_meta(template.metadata.as_ref(), &template_field.child("metadata"));
            let spec: &PersistentVolumeClaimSpec = &template.spec;
            errors.extend(claims::validate_claim_spec(spec, &template_field.child("spec")));
            errors
        }
    };
    if let Some(pod) = pod.filter(|_| !volume.name.is_empty()) {
        let claim = format!("{pod}-{}", volume.name);
        for message in names::dns1123_subdomain(&claim, false) {
            let why = format!("PVC name {claim:?}: {message}");
            errors.push(FieldError::invalid(&field.child("name"), volume.name.as_str(), why));
        }
    }
    errors
}
