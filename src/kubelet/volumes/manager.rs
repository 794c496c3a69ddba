//! Makes a pod's volumes in the runtime and rewrites those whose sources have changed.
//!
//! One [`Volumes`] a pod worker. Volumes are known to the runtime by [`volume_id`].
// Models pkg/kubelet/volumemanager and pkg/kubelet/token.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection, Volume};
use kube::api::{Api, PostParams};

use super::super::config::Dependencies;
use super::super::environment::Lookup;
use super::super::fields::PodFacts;
use super::super::spec;
use super::claims::{self, Claim};
use super::content::{Files, Source, Tokens};
use super::host;
use crate::meta::quantity::Quantity;
use crate::runtime::api::{HOST_PATH, VolumeContent, VolumeGroup};

/// A volume that could not be made: the whole message of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kubelet) struct MountError(pub(in crate::kubelet) String);

impl MountError {
    fn set_up(name: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("MountVolume.SetUp failed for volume {name:?} : {why}"))
    }

    /// The volume was not even found.
    fn not_processed(volume: &str, why: impl std::fmt::Display) -> Self {
        Self(format!(
            "Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached volumes=[], failed to process \
             volumes=[{volume}]: {why}"
        ))
    }
}

/// The runtime's name for a volume of a pod that is not a claim. A path of the node is one volume for all its pods.
pub(in crate::kubelet) fn volume_id(pod: &Pod, volume: &Volume, node: &str) -> String {
    match &volume.host_path {
        Some(host) => host_id(node, &host.path),
        None => format!("{}/{}", spec::uid(pod), volume.name),
    }
}

fn host_id(node: &str, path: &str) -> String {
    format!("{HOST_PATH}{node}{path}")
}

/// Where the volume behind a claim is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kubelet) struct Claimed {
    /// The runtime's name for it.
    pub(in crate::kubelet) id: String,
    /// Whether nobody in the pod may write to it.
    pub(in crate::kubelet) read_only: bool,
}

/// The volumes of one pod.
#[derive(Debug, Default)]
pub(in crate::kubelet) struct Volumes {
    /// What was last written, by volume.
    written: BTreeMap<String, VolumeContent>,
    /// The volumes that are claims.
    claimed: BTreeMap<String, Claimed>,
    tokens: Mutex<BTreeMap<String, Token>>,
}

#[derive(Clone, Debug)]
struct Token {
    text: String,
    renew_at: Timestamp,
}

/// How to make the volumes.
pub(in crate::kubelet) struct Setup<'a> {
    pub(in crate::kubelet) deps: &'a Dependencies,
    pub(in crate::kubelet) pod: &'a Pod,
    pub(in crate::kubelet) facts: &'a PodFacts,
    pub(in crate::kubelet) lookup: &'a dyn Lookup,
    /// Whether the pod was running before this kubelet: what is in its emptyDirs must stay.
    pub(in crate::kubelet) adopted: bool,
}

impl Volumes {
    /// Makes what is missing and rewrites what has changed. The errors are one a volume.
    pub(in crate::kubelet) async fn set_up(&mut self, setup: &Setup<'_>) -> Result<(), Vec<MountError>> {
        let mut errors = vec![];
        let volumes = setup.pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        for volume in volumes {
            errors.extend(self.set_up_one(setup, volume).await.err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The volumes that are claims, by their names in the pod.
    pub(in crate::kubelet) fn claimed(&self) -> &BTreeMap<String, Claimed> {
        &self.claimed
    }

    async fn set_up_one(&mut self, setup: &Setup<'_>, volume: &Volume) -> Result<(), MountError> {
        let name = volume.name.as_str();
        if let Some((claim, ephemeral)) = claims::claim_name(setup.pod, volume) {
            if !self.claimed.contains_key(name) {
                let claim = claims::resolve(setup.deps, setup.pod, volume, &claim, ephemeral).await;
                let claim = claim.map_err(|why| MountError::not_processed(name, why))?;
                self.claimed.insert(name.to_owned(), persistent(setup, name, &claim).await?);
            }
            return Ok(());
        }
        let failed = |why: String| MountError::set_up(name, why);
        if let Some(host) = &volume.host_path {
            let kind = host.type_.as_deref().unwrap_or_default();
            return host::check(setup.deps.runtime.as_ref(), &host.path, kind).await.map_err(failed);
        }
        let id = volume_id(setup.pod, volume, setup.host_node());
        let content = if let Some(empty) = &volume.empty_dir {
            if self.written.contains_key(name) || setup.adopted {
                return Ok(());
            }
            let limit = empty.size_limit.as_ref().and_then(|q| Quantity::try_from(q).ok());
            VolumeContent {
                writable: true,
                size_limit: limit.filter(|q| !q.is_zero()).and_then(|q| u64::try_from(q.value()).ok()),
                in_memory: empty.medium.as_deref() == Some("Memory"),
                group: group(setup.pod),
                ..VolumeContent::default()
            }
        } else {
            let files = self.files(setup, volume).await.map_err(failed)?;
            VolumeContent { files, group: group(setup.pod), ..VolumeContent::default() }
        };
        if self.written.get(name) != Some(&content) {
            write(setup, &id, content.clone()).await.map_err(failed)?;
            self.written.insert(name.to_owned(), content);
        }
        Ok(())
    }

    async fn files(&self, setup: &Setup<'_>, volume: &Volume) -> Result<Files, String> {
        let source = Source { pod: setup.pod, facts: setup.facts, lookup: setup.lookup };
        if let Some(map) = &volume.config_map {
            source.config_map(map).await
        } else if let Some(secret) = &volume.secret {
            source.secret(secret).await
        } else if let Some(downward) = &volume.downward_api {
            source.downward(downward.items.as_deref().unwrap_or_default(), downward.default_mode)
        } else if let Some(projected) = &volume.projected {
            let tokens =
                PodTokens { deps: setup.deps, pod: setup.pod, volume: &volume.name, cache: &self.tokens };
            source.projected(projected, &tokens).await
        } else {
            Err("no volume plugin matched".to_owned())
        }
    }

    /// When the first token has to be renewed.
    pub(in crate::kubelet) fn renew_at(&self) -> Option<Timestamp> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.values().map(|token| token.renew_at).min()
    }

    /// Takes the pod's own volumes away.
    pub(in crate::kubelet) async fn tear_down(&mut self, deps: &Dependencies, pod: &Pod, node: &str) {
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let own = |volume: &&Volume| volume.host_path.is_none() && claims::claim_name(pod, volume).is_none();
        for volume in volumes.iter().filter(own) {
            if let Err(error) = deps.runtime.remove_volume(&volume_id(pod, volume, node)).await {
                tracing::debug!(volume = volume.name, %error, "a volume could not be removed");
            }
        }
        self.written.clear();
        self.claimed.clear();
    }
}

/// The group that the pod's volumes are given to.
fn group(pod: &Pod) -> Option<VolumeGroup> {
    let security = pod.spec.as_ref()?.security_context.as_ref()?;
    let on_root_mismatch = security.fs_group_change_policy.as_deref() == Some("OnRootMismatch");
    Some(VolumeGroup { id: security.fs_group?, on_root_mismatch })
}

/// Finds what a PersistentVolume is made of, and checks that it is there.
async fn persistent(setup: &Setup<'_>, name: &str, claim: &Claim) -> Result<Claimed, MountError> {
    let volume = claim.volume.metadata.name.as_deref().unwrap_or_default();
    let runtime = setup.deps.runtime.as_ref();
    let source = claim.volume.spec.clone().unwrap_or_default();
    let path = if let Some(host) = &source.host_path {
        let checked = host::check(runtime, &host.path, host.type_.as_deref().unwrap_or_default()).await;
        checked.map_err(|why| MountError::set_up(volume, why))?;
        host.path.clone()
    } else if let Some(local) = source.local {
        let failed = |why: String| {
            MountError(format!("MountVolume.NewMounter initialization failed for volume {volume:?} : {why}"))
        };
        match runtime.host_file(&local.path).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(failed(format!("path {:?} does not exist", local.path))),
            Err(error) => return Err(failed(error.to_string())),
        }
        if let Some(group) = group(setup.pod) {
            let content = VolumeContent { writable: true, group: Some(group), ..VolumeContent::default() };
            let given = write(setup, &host_id(setup.host_node(), &local.path), content).await;
            given.map_err(|why| MountError::set_up(volume, why))?;
        }
        local.path
    } else {
        let why =
            format!("failed to get Plugin from volumeSpec for volume {name:?} err=no volume plugin matched");
        return Err(MountError::not_processed(name, why));
    };
    Ok(Claimed { id: host_id(setup.host_node(), &path), read_only: claim.read_only })
}

impl Setup<'_> {
    fn host_node(&self) -> &str {
        self.deps.host.node()
    }
}

async fn write(setup: &Setup<'_>, id: &str, content: VolumeContent) -> Result<(), String> {
    setup.deps.runtime.write_volume(id, content).await.map_err(|error| error.to_string())
}

struct PodTokens<'a> {
    deps: &'a Dependencies,
    pod: &'a Pod,
    volume: &'a str,
    cache: &'a Mutex<BTreeMap<String, Token>>,
}

#[async_trait]
impl Tokens for PodTokens<'_> {
    async fn token(&self, source: &ServiceAccountTokenProjection) -> Result<String, String> {
        let key = format!("{}/{}", self.volume, source.path);
        let now = self.deps.clock.now();
        let known = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(token) = known.filter(|token| now < token.renew_at) {
            return Ok(token.text);
        }
        let account =
            self.pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap_or_default();
        let audiences = source.audience.clone().filter(|audience| !audience.is_empty());
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: audiences.map(|audience| vec![audience]),
                expiration_seconds: source.expiration_seconds,
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: self.pod.metadata.name.clone(),
                    uid: self.pod.metadata.uid.clone(),
                }),
            }),
            ..TokenRequest::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.deps.client.clone(), spec::namespace(self.pod));
        let answer = api.create_token_request(&account, &PostParams::default(), &request).await;
        let status = answer.map_err(|error| format!("failed to fetch token: {}", words(&error)))?.status;
        let status = status.ok_or_else(|| "failed to fetch token: the answer has no status".to_owned())?;
        // Renewed when four fifths of its life are over, as the kubelet does.
        let expires = status.expiration_timestamp.map_or(Timestamp::MAX, |time| time.0);
        let life = expires.duration_since(now);
        let text = status.token.unwrap_or_default();
        let token = Token {
            text: text.clone(),
            renew_at: now
                .saturating_add(SignedDuration::from_secs(life.as_secs() * 4 / 5))
                .unwrap_or(Timestamp::MAX),
        };
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token);
        Ok(text)
    }
}

/// The server's own words.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
