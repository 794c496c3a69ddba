//! ServiceAccount: every pod runs as one, and its containers find a token for it in their file system.
// Models plugin/pkg/admission/serviceaccount.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath,
    ObjectFieldSelector, Pod, PodSpec, ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection,
    Volume, VolumeMount, VolumeProjection,
};

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::ApiError;
use crate::seed::Seed;

/// Where a container finds its token.
pub const TOKEN_MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long the token of a pod lives: an hour, and seven seconds by which the API server knows that nobody chose it.
pub const TOKEN_SECONDS: i64 = 3607;

const VOLUME_PREFIX: &str = "kube-api-access-";
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
const ENFORCE_ANNOTATION: &str = "kubernetes.io/enforce-mountable-secrets";

/// The plugin.
pub struct ServiceAccountPlugin;

impl Plugin for ServiceAccountPlugin {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        let namespace = request.namespace.to_owned();
        if request.operation != Operation::Create || !request.is("", "pods", "") {
            return Ok(());
        }
        let Some(pod) = request.object_as_mut::<Pod>() else { return Ok(()) };
        if is_mirror(pod) {
            return self.validate(request, context);
        }
        let spec = pod.spec.get_or_insert_default();
        let name = spec
            .service_account_name
            .clone()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "default".to_owned());
        spec.service_account_name = Some(name.clone());
        // The old name of the field always says the same.
        spec.service_account = Some(name.clone());
        let account = look_up(request, context, &namespace, &name)?;
        let spec =
            request.object_as_mut::<Pod>().and_then(|pod| pod.spec.as_mut()).expect("the spec was set above");
        if spec.automount_service_account_token.or(account.automount_service_account_token).unwrap_or(true) {
            mount_token(spec, context.seed);
        }
        if spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty) {
            spec.image_pull_secrets = account.image_pull_secrets.filter(|secrets| !secrets.is_empty());
        }
        Ok(())
    }

    fn validate(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        let created = request.operation == Operation::Create && request.is("", "pods", "");
        let debugged =
            request.operation == Operation::Update && request.is("", "pods", "ephemeralcontainers");
        let Some(pod) = request.object_as::<Pod>().filter(|_| created || debugged) else { return Ok(()) };
        let Some(spec) = &pod.spec else { return Ok(()) };
        if created && is_mirror(pod) {
            return match mirror_refusal(spec) {
                Some(why) => Err(request.forbidden(why)),
                None => Ok(()),
            };
        }
        let Some(name) = spec.service_account_name.as_ref().filter(|name| !name.is_empty()) else {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            return Err(request
                .forbidden(&format!("no service account specified for pod {}/{name}", request.namespace)));
        };
        let account = look_up(request, context, request.namespace, name)?;
        let enforced =
            account.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ENFORCE_ANNOTATION));
        if !enforced.is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
        {
            return Ok(());
        }
        match secret_refusal(spec, &account, debugged) {
            Some(why) => Err(request.forbidden(&why)),
            None => Ok(()),
        }
    }
}

fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR_ANNOTATION))
}

fn look_up(
    request: &AdmissionRequest<'_>,
    context: &AdmissionContext<'_>,
    namespace: &str,
    name: &str,
) -> Result<ServiceAccount, ApiError> {
    context.read::<ServiceAccount>(namespace, name).ok_or_else(|| {
        request.forbidden(&format!(
            "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
        ))
    })
}

/// Why a mirror pod (the image of a kubelet's own pod) may not be: it must not use the API's objects.
fn mirror_refusal(spec: &PodSpec) -> Option<&'static str> {
    if spec.service_account_name.as_ref().is_some_and(|name| !name.is_empty()) {
        return Some("a mirror pod may not reference service accounts");
    }
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let in_containers = containers.flat_map(secrets_of).next().is_some();
    let volumes = || spec.volumes.iter().flatten();
    let projections =
        || volumes().filter_map(|volume| volume.projected.as_ref()).flat_map(|p| p.sources.iter().flatten());
    let in_volumes = volumes().any(|volume| volume.secret.is_some())
        || projections().any(|source| source.secret.is_some());
    if in_containers
        || in_volumes
        || spec.image_pull_secrets.as_ref().is_some_and(|secrets| !secrets.is_empty())
    {
        return Some("a mirror pod may not reference secrets");
    }
    let token = projections().any(|source| source.service_account_token.is_some());
    token.then_some("a mirror pod may not use ServiceAccountToken volume projections")
}

/// The secrets that a container's environment names, with the words for the place.
fn secrets_of(container: &Container) -> Vec<(String, String)> {
    let single = container.env.iter().flatten().filter_map(|env| {
        let name = env.value_from.as_ref()?.secret_key_ref.as_ref()?.name.clone();
        Some((format!("envVar {}", env.name), name))
    });
    let whole = container.env_from.iter().flatten();
    let whole =
        whole.filter_map(|source| Some(("envFrom".to_owned(), source.secret_ref.as_ref()?.name.clone())));
    single.chain(whole).collect()
}

/// What a pod names that its service account, which limits secrets, does not list.
fn secret_refusal(spec: &PodSpec, account: &ServiceAccount, debugged: bool) -> Option<String> {
    let owner = account.metadata.name.as_deref().unwrap_or_default();
    let mountable: Vec<&str> =
        account.secrets.iter().flatten().filter_map(|secret| secret.name.as_deref()).collect();
    let ending = format!("is not allowed because service account {owner} does not reference that");
    let check = |prefix: &str, container: &Container| {
        secrets_of(container).into_iter().find(|(_, secret)| !mountable.contains(&secret.as_str())).map(
            |(place, secret)| {
                let place =
                    if place == "envFrom" { "with envFrom".to_owned() } else { format!("with {place}") };
                format!(
                    "{prefix} {} {place} referencing secret.secretName=\"{secret}\" {ending} secret",
                    container.name
                )
            },
        )
    };
    if debugged {
        let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| Container {
            name: container.name.clone(),
            env: container.env.clone(),
            env_from: container.env_from.clone(),
            ..Container::default()
        });
        return ephemeral.into_iter().find_map(|container| check("ephemeral container", &container));
    }
    let volumes =
        spec.volumes.iter().flatten().filter_map(|volume| volume.secret.as_ref()?.secret_name.as_deref());
    let volume = volumes.into_iter().find(|name| !mountable.contains(name));
    if let Some(name) = volume {
        return Some(format!("volume with secret.secretName=\"{name}\" {ending} secret"));
    }
    let mut init = spec.init_containers.iter().flatten();
    if let Some(why) = init.find_map(|container| check("init container", container)) {
        return Some(why);
    }
    if let Some(why) = spec.containers.iter().find_map(|container| check("container", container)) {
        return Some(why);
    }
    let allowed: Vec<&str> =
        account.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str()).collect();
    let mut pull = spec.image_pull_secrets.iter().flatten().enumerate();
    pull.find(|(_, secret)| !allowed.contains(&secret.name.as_str())).map(|(index, secret)| {
        format!("imagePullSecrets[{index}].name=\"{}\" {ending} imagePullSecret", secret.name)
    })
}

/// Mounts the token into every container that has nothing at its place, and adds the volume if one needs it.
fn mount_token(spec: &mut PodSpec, seed: &Seed) {
    let existing = spec.volumes.iter().flatten().find(|volume| volume.name.starts_with(VOLUME_PREFIX));
    let existing = existing.map(|volume| volume.name.clone());
    let has_volume = existing.is_some();
    let name = existing.unwrap_or_else(|| format!("{VOLUME_PREFIX}{}", seed.suffix(5)));
    let mut needed = false;
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        let mounts = container.volume_mounts.get_or_insert_default();
        if mounts.iter().any(|mount| mount.mount_path == TOKEN_MOUNT_PATH) {
            continue;
        }
        needed = true;
        mounts.push(VolumeMount {
            name: name.clone(),
            read_only: Some(true),
            mount_path: TOKEN_MOUNT_PATH.to_owned(),
            ..VolumeMount::default()
        });
    }
    if needed && !has_volume {
        let volume = Volume { name, projected: Some(token_volume_source()), ..Volume::default() };
        spec.volumes.get_or_insert_default().push(volume);
    }
}

/// A token, the cluster's CA and the name of the namespace.
fn token_volume_source() -> ProjectedVolumeSource {
    let token = ServiceAccountTokenProjection {
        path: "token".to_owned(),
        expiration_seconds: Some(TOKEN_SECONDS),
        ..ServiceAccountTokenProjection::default()
    };
    let ca = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
        optional: None,
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: "metadata.namespace".to_owned(),
        }),
        ..DownwardAPIVolumeFile::default()
    };
    let downward = DownwardAPIProjection { items: Some(vec![namespace]) };
    ProjectedVolumeSource {
        default_mode: Some(0o644),
        sources: Some(vec![
            VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
            VolumeProjection { config_map: Some(ca), ..VolumeProjection::default() },
            VolumeProjection { downward_api: Some(downward), ..VolumeProjection::default() },
        ]),
    }
}
