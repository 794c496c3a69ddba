//! Makes a pod's volumes in the runtime and rewrites those whose sources have changed.
//!
//! One [`Volumes`] a pod worker. Volumes are known to the runtime by [`volume_id`].
// Models pkg/kubelet/volumemanager and pkg/kubelet/token.

use std::collections::{BTreeMap, BTreeSet};
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
use super::content::{Files, Source, Tokens};
use crate::meta::quantity::Quantity;
use crate::runtime::api::VolumeContent;

/// A volume that could not be made, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kubelet) struct MountError {
    pub(in crate::kubelet) volume: String,
    /// The whole message of the event.
    pub(in crate::kubelet) message: String,
}

/// The runtime's name for a volume of a pod. A path of the node is one volume for all its pods.
pub(in crate::kubelet) fn volume_id(pod: &Pod, volume: &Volume, node: &str) -> String {
    match &volume.host_path {
        Some(host) => format!("hostpath/{node}{}", host.path),
        None => format!("{}/{}", spec::uid(pod), volume.name),
    }
}

/// The volumes of one pod.
#[derive(Debug, Default)]
pub(in crate::kubelet) struct Volumes {
    /// What was last written, by volume.
    written: BTreeMap<String, VolumeContent>,
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
    /// The paths of the node that are volumes already.
    pub(in crate::kubelet) host_paths: &'a Mutex<BTreeSet<String>>,
    /// Whether the pod was running before this kubelet: what is in its emptyDirs must stay.
    pub(in crate::kubelet) adopted: bool,
}

impl Volumes {
    /// Makes what is missing and rewrites what has changed. The errors are one a volume.
    pub(in crate::kubelet) async fn set_up(&mut self, setup: &Setup<'_>) -> Result<(), Vec<MountError>> {
        let mut errors = vec![];
        let volumes = setup.pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        for volume in volumes {
            if let Err(message) = self.set_up_one(setup, volume).await {
                let name = volume.name.clone();
                let message = format!("MountVolume.SetUp failed for volume {name:?} : {message}");
                errors.push(MountError { volume: name, message });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    async fn set_up_one(&mut self, setup: &Setup<'_>, volume: &Volume) -> Result<(), String> {
        let id = volume_id(setup.pod, volume, setup.host_node());
        if volume.host_path.is_some() {
            let new = setup.host_paths.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
            return if new {
                write(setup, &id, VolumeContent { writable: true, ..VolumeContent::default() }).await
            } else {
                Ok(())
            };
        }
        if let Some(empty) = &volume.empty_dir {
            if self.written.contains_key(&volume.name) || setup.adopted {
                return Ok(());
            }
            let limit = empty.size_limit.as_ref().and_then(|q| Quantity::try_from(q).ok());
            let size_limit = limit.filter(|q| !q.is_zero()).and_then(|q| u64::try_from(q.value()).ok());
            let content = VolumeContent { files: Files::new(), writable: true, size_limit };
            write(setup, &id, content.clone()).await?;
            self.written.insert(volume.name.clone(), content);
            return Ok(());
        }
        let files = self.files(setup, volume).await?;
        let content = VolumeContent { files, writable: false, size_limit: None };
        if self.written.get(&volume.name) != Some(&content) {
            write(setup, &id, content.clone()).await?;
            self.written.insert(volume.name.clone(), content);
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
        for volume in volumes.iter().filter(|volume| volume.host_path.is_none()) {
            if let Err(error) = deps.runtime.remove_volume(&volume_id(pod, volume, node)).await {
                tracing::debug!(volume = volume.name, %error, "a volume could not be removed");
            }
        }
        self.written.clear();
    }
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
