//! The course's images for containerd: those that the simulation runs, with the same programs, made from this very binary.
//!
//! They take a registry's place for their repositories; everything else containerd pulls itself.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::sync::{Mutex, OnceCell};

use super::client::Client;
use super::config::ContainerdError;
use super::images::{Blob, Store, Whole, own, program, write_archive};
use super::proto::cri;
use crate::clock::Clock;
use crate::runtime::api::{RegistryCredential, Result, RuntimeError};
use crate::runtime::sim::images::{Asked, ImageData, ask, public_images};

/// The image of sandboxes that containerd wants if it does not say.
const DEFAULT_PAUSE: &str = "registry.k8s.io/pause:3.10";

/// The course's images, for one containerd.
pub struct Course {
    store: Store,
    /// The layer with this program, once it was needed. Writers take turns.
    program: Mutex<Option<Blob>>,
    pause: OnceCell<()>,
}

impl Course {
    /// The course's images for that containerd.
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { store: Store { client, clock }, program: Mutex::default(), pause: OnceCell::new() }
    }

    /// Has an image in containerd if it is the course's; `None` if it is not. The answer is its id.
    pub(super) async fn pull(&self, image: &str, secrets: &[RegistryCredential]) -> Result<Option<String>> {
        match ask(image, secrets)? {
            Asked::Elsewhere => Ok(None),
            Asked::Ours(reference, data) => {
                let put = self.put(&data, &reference).await;
                put.map(Some).map_err(|why| RuntimeError::Pull(why.to_string()))
            }
        }
    }

    /// Puts the images with these names into containerd.
    pub async fn load(&self, images: &[String]) -> std::result::Result<(), ContainerdError> {
        for image in images {
            let id =
                self.pull(image, &[]).await.map_err(|error| ContainerdError::Images(error.to_string()))?;
            if id.is_none() {
                return Err(ContainerdError::Images(format!("{image} is none of the course's")));
            }
        }
        Ok(())
    }

    /// Takes the images away that an older or newer build of this program has made.
    pub(super) async fn forget_other_builds(&self) -> std::result::Result<(), ContainerdError> {
        let forgotten = self.store.forget_other_builds().await;
        forgotten.map_err(|status| ContainerdError::Images(status.message().to_owned()))
    }

    /// The names of the course's images, one a repository.
    pub fn names() -> Vec<String> {
        public_images()
    }

    /// Writes images into one file, which containerd and others can import.
    pub async fn write_archive(
        to: impl std::io::Write,
        images: &[String],
        clock: &Clock,
    ) -> std::result::Result<(), ContainerdError> {
        let failed = |why: String| ContainerdError::Images(why);
        let base = program().map_err(|error| failed(error.to_string()))?;
        let mut all = vec![];
        for image in images {
            match ask(image, &[]).map_err(|error| failed(error.to_string()))? {
                Asked::Elsewhere => return Err(failed(format!("{image} is none of the course's"))),
                Asked::Ours(name, data) => {
                    let whole = whole(&base, &data, &name, clock).await;
                    all.push((name, whole.map_err(|error| failed(error.to_string()))?));
                }
            }
        }
        write_archive(to, &all).map_err(|error| failed(error.to_string()))
    }

    /// Has the image that sandboxes are made of.
    pub(super) async fn have_pause(&self) -> Result<()> {
        self.load_pause().await.map_err(|why| RuntimeError::Other(why.to_string()))
    }

    /// Puts the image that sandboxes are made of into containerd.
    pub async fn load_pause(&self) -> std::result::Result<(), ContainerdError> {
        self.pause.get_or_try_init(|| self.make_pause()).await.map(drop)
    }

    async fn make_pause(&self) -> std::result::Result<(), ContainerdError> {
        let info = self.store.client.status().await?.info;
        self.make_pause_as(sandbox_image(&info)).await
    }

    /// Has the sandbox image under the name by which containerd missed it: its second version does not tell the name
    /// before. Whether there was such a name in its complaint.
    pub(super) async fn have_missed_pause(&self, complaint: &str) -> Result<bool> {
        let Some(name) = missed_sandbox_image(complaint) else { return Ok(false) };
        let made = self.make_pause_as(name.to_owned()).await;
        made.map(|()| true).map_err(|why| RuntimeError::Other(why.to_string()))
    }

    async fn make_pause_as(&self, name: String) -> std::result::Result<(), ContainerdError> {
        let client = &self.store.client;
        let image = Some(cri::ImageSpec { image: name.clone(), ..Default::default() });
        let answer = client.images().image_status(cri::ImageStatusRequest { image }).await;
        if answer.is_ok_and(|answer| answer.into_inner().image.is_some()) {
            return Ok(());
        }
        let pause = "registry.k8s.io/pause:latest";
        match ask(pause, &[]) {
            Ok(Asked::Ours(_, data)) => self.put_as(&data, pause, &name).await.map(drop),
            _ => Err(ContainerdError::Images(format!("{pause} is none of the course's"))),
        }
    }

    async fn put(&self, data: &ImageData, name: &str) -> std::result::Result<String, ContainerdError> {
        self.put_as(data, name, name).await
    }

    /// Writes an image that the course knows as `reference` under `name`.
    async fn put_as(
        &self,
        data: &ImageData,
        reference: &str,
        name: &str,
    ) -> std::result::Result<String, ContainerdError> {
        let failed = |error: std::io::Error| ContainerdError::Images(error.to_string());
        let mut kept = self.program.lock().await;
        let base = match &*kept {
            Some(blob) => blob.clone(),
            None => kept.insert(program().map_err(failed)?).clone(),
        };
        let whole = whole(&base, data, reference, &self.store.clock).await.map_err(failed)?;
        let put = self.store.put(&whole, &[name.to_owned()]).await;
        put.map_err(|status| ContainerdError::Images(status.message().to_owned()))
    }
}

/// An image that the course knows as `reference`, over the layer with this program.
async fn whole(base: &Blob, data: &ImageData, reference: &str, clock: &Clock) -> std::io::Result<Whole> {
    let files = data.files(clock.clone());
    let layers = vec![base.clone(), own(&files, reference).await?];
    Ok(Whole { layers, start: start(data) })
}

/// How an image starts, as its configuration says it.
fn start(data: &ImageData) -> serde_json::Value {
    let env: Vec<String> = data.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut start =
        json!({"Entrypoint": data.entrypoint, "Cmd": data.cmd, "Env": env, "WorkingDir": data.workdir});
    if let Some(user) = &data.user {
        start["User"] = json!(user);
    }
    if !data.stop_signal.is_empty() {
        start["StopSignal"] = json!(data.stop_signal);
    }
    start
}

/// The name of the image that containerd makes sandboxes of.
fn sandbox_image(info: &BTreeMap<String, String>) -> String {
    let config = info.get("config").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let name = config.as_ref().and_then(|config| config["sandboxImage"].as_str());
    name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_PAUSE).to_owned()
}

/// The image that a sandbox could not be made of.
fn missed_sandbox_image(complaint: &str) -> Option<&str> {
    let (_, rest) = complaint.split_once("failed to get sandbox image \"")?;
    rest.split('"').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_image_is_known_from_the_complaint_about_it() {
        let text = r#"failed to get sandbox image "r.k8s.io/pause:3.11": failed to pull image "r.k8s.io/pause:3.11": no host"#;
        assert_eq!(missed_sandbox_image(text), Some("r.k8s.io/pause:3.11"));
        assert_eq!(missed_sandbox_image("failed to get sandbox image \"\": x"), None);
        assert_eq!(missed_sandbox_image("failed to create containerd task"), None);
    }

    #[test]
    fn containerd_says_what_sandboxes_are_made_of() {
        let info = |text: &str| BTreeMap::from([("config".to_owned(), text.to_owned())]);
        assert_eq!(sandbox_image(&info(r#"{"sandboxImage": "a/pause:3.6"}"#)), "a/pause:3.6");
        assert_eq!(sandbox_image(&info("{}")), DEFAULT_PAUSE);
        assert_eq!(sandbox_image(&BTreeMap::new()), DEFAULT_PAUSE);
    }
}
