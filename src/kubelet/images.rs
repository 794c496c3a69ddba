//! Has images on the node before containers are made: pull policies, waiting after failures, events.
//!
//! Pulls go one after the other, as a kubelet's do by default.
// Models pkg/kubelet/images (imageManager).

use std::collections::BTreeMap;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use tokio::sync::{Mutex, Notify};

use super::backoff::Backoff;
use super::config::Dependencies;
use super::pull_secrets::credentials;
use super::sync::StartError;
use super::{image_name, spec};
use crate::events::EventType;
use crate::meta::age;
use crate::runtime::api::RuntimeError;

/// Images of a node.
#[derive(Debug, Default)]
pub(super) struct Images {
    backoff: Backoff,
    /// Why the last pull failed, by back-off key.
    errors: StdMutex<BTreeMap<String, String>>,
    /// Held while an image is pulled.
    pulling: Mutex<()>,
    /// Told of each image that has come.
    pub(super) changed: Notify,
}

impl Images {
    /// Has a container's image on the node; the answer is what the runtime calls it.
    pub(super) async fn ensure(
        &self,
        deps: &Dependencies,
        pod: &Pod,
        container: &Container,
        secrets: &[Secret],
    ) -> Result<String, StartError> {
        let written = container.image.as_deref().unwrap_or_default();
        let reference = spec::container_reference(pod, &container.name);
        let image = image_name::with_default_tag(written).map_err(|why| {
            let message = format!("Failed to apply default image tag {written:?}: {why}");
            deps.recorder.event(&reference, EventType::Warning, "InspectFailed", &message);
            StartError::new("InvalidImageName", message)
        })?;
        let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
        if policy != "Always" {
            match deps.runtime.image_status(&image).await {
                Ok(Some(found)) => {
                    let message = format!(
                        "Container image {written:?} already present on machine and can be accessed by the pod"
                    );
                    deps.recorder.event(&reference, EventType::Normal, "Pulled", message);
                    return Ok(found.id);
                }
                Ok(None) if policy == "Never" => {
                    let message =
                        format!("Container image {written:?} is not present with pull policy of Never");
                    deps.recorder.event(&reference, EventType::Warning, "ErrImageNeverPull", &message);
                    return Err(StartError::new("ErrImageNeverPull", message));
                }
                Ok(None) => {}
                Err(RuntimeError::InvalidImageName(why)) => {
                    let message = format!("Failed to apply default image tag {written:?}: {why}");
                    deps.recorder.event(&reference, EventType::Warning, "InspectFailed", &message);
                    return Err(StartError::new("InvalidImageName", message));
                }
                Err(error) => {
                    let message = format!("Failed to inspect image \"\": {error}");
                    deps.recorder.event(&reference, EventType::Warning, "InspectFailed", &message);
                    return Err(StartError::new("ImageInspectError", message));
                }
            }
        }
        self.pull(deps, pod, container, &image, secrets).await
    }

    async fn pull(
        &self,
        deps: &Dependencies,
        pod: &Pod,
        container: &Container,
        image: &str,
        secrets: &[Secret],
    ) -> Result<String, StartError> {
        let written = container.image.as_deref().unwrap_or_default();
        let reference = spec::container_reference(pod, &container.name);
        let key = format!("{}_{written}", spec::uid(pod));
        if self.backoff.waits(&key, deps.clock.now()) {
            let message = format!("Back-off pulling image {written:?}");
            deps.recorder.event(&reference, EventType::Normal, "BackOff", &message);
            let message = match self.errors().get(&key) {
                Some(error) => format!("{message}: {error}"),
                None => message,
            };
            return Err(StartError::new("ImagePullBackOff", message));
        }
        self.errors().remove(&key);
        deps.recorder.event(&reference, EventType::Normal, "Pulling", format!("Pulling image {written:?}"));
        let asked = deps.clock.now();
        let turn = self.pulling.lock().await;
        let began = deps.clock.now();
        let result = deps.runtime.pull_image(image, &credentials(image, secrets)).await;
        drop(turn);
        let ended = deps.clock.now();
        match result {
            Ok(id) => {
                let size =
                    deps.runtime.image_status(image).await.ok().flatten().map_or(0, |found| found.size_bytes);
                let message = format!(
                    "Successfully pulled image {written:?} in {} ({} including waiting). Image size: {size} bytes.",
                    milliseconds(began, ended),
                    milliseconds(asked, ended)
                );
                deps.recorder.event(&reference, EventType::Normal, "Pulled", message);
                self.changed.notify_one();
                Ok(id)
            }
            Err(error) => {
                let message = format!("Failed to pull image {written:?}: {error}");
                deps.recorder.event(&reference, EventType::Warning, "Failed", message);
                self.backoff.next(&key, ended, ended);
                let message = error.to_string();
                self.errors().insert(key, format!("ErrImagePull: {message}"));
                Err(StartError::new("ErrImagePull", message))
            }
        }
    }

    /// Forgets a pod.
    pub(super) fn forget(&self, uid: &str) {
        let prefix = format!("{uid}_");
        self.backoff.forget(&prefix);
        self.errors().retain(|key, _| !key.starts_with(&prefix));
    }

    fn errors(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(from: jiff::Timestamp, to: jiff::Timestamp) -> String {
    let milliseconds = to.duration_since(from).as_millis().max(0);
    age::go_string(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)))
}
