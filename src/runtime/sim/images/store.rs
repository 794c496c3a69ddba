//! The images of one node: pulling them takes time, having them is remembered.
// Models containerd's CRI image service; the texts of failures are containerd 2.1's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::catalogue::{self, Found, ImageData, Login};
use super::reference::Reference;
use crate::bash::MemoryFiles;
use crate::clock::Clock;
use crate::runtime::api::{Image, RegistryCredential, Result, RuntimeError};
use crate::runtime::sim::Pace;
use crate::seed::Seed;

/// How fast an image comes in.
const BYTES_A_SECOND: f64 = 40e6;
/// What a pull takes beside the bytes.
const PULL_MINIMUM: Duration = Duration::from_millis(400);
/// The registry that learners are told has nothing, and something private.
const LOCAL_REGISTRY: &str = "localhost:5000";
/// The name server of the node.
const NODE_DNS: &str = "127.0.0.53:53";

/// An image that a node has.
pub(crate) struct NodeImage {
    pub(crate) data: Arc<ImageData>,
    tags: Vec<String>,
    /// By which it was pulled: `docker.io/library/nginx@sha256:...`; none if it was put there.
    digests: Vec<String>,
    files: Arc<OnceLock<MemoryFiles>>,
}

impl NodeImage {
    /// Files for one more container.
    pub(crate) fn files(&self, clock: &Clock) -> MemoryFiles {
        self.files.get_or_init(|| self.data.files(clock.clone())).fork()
    }

    /// What a container's status calls it: a tag of it, the one that was asked for before others.
    pub(crate) fn named(&self, asked: &str) -> String {
        let asked_tag = Reference::parse(asked).map(|reference| reference.to_string()).unwrap_or_default();
        let tag = self.tags.iter().find(|tag| **tag == asked_tag).or(self.tags.first());
        tag.cloned().unwrap_or_else(|| asked.to_owned())
    }

    /// What a container's status names: the digest if it was pulled by one, else the id.
    pub(crate) fn shown(&self) -> String {
        self.digests.first().unwrap_or(&self.data.id).clone()
    }
}

/// The images of a node.
pub(crate) struct ImageStore {
    clock: Clock,
    seed: Seed,
    pace: Pace,
    /// By id.
    images: Mutex<BTreeMap<String, Arc<NodeImage>>>,
    /// The ids of what was taken off the node.
    removed: Mutex<BTreeSet<String>>,
}

impl ImageStore {
    pub(crate) fn new(clock: Clock, seed: Seed, pace: Pace) -> Self {
        Self { clock, seed, pace, images: Mutex::default(), removed: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<NodeImage>>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an image on the node; the answer is its id.
    pub(crate) async fn pull(&self, image: &str, credentials: &[RegistryCredential]) -> Result<String> {
        let reference = parse(image)?;
        let data = match catalogue::find(&reference) {
            Found::Image(data, login) => admit(&reference, login, credentials).map(|()| data),
            Found::NoSuchTag => Err(not_found(&reference)),
            Found::NoSuchRepository => Err(missing(&reference, credentials)),
        };
        let known = data.as_ref().is_ok_and(|data| self.lock().contains_key(&data.id));
        if self.pace == Pace::Real {
            let bytes = data.as_ref().map_or(0, |data| if known { 0 } else { data.size_bytes });
            let jitter = Duration::from_millis(self.seed.below(300));
            let transfer = Duration::from_secs_f64(bytes as f64 / BYTES_A_SECOND);
            self.clock.sleep(PULL_MINIMUM + jitter + transfer).await;
        }
        let data = data?;
        let digest = format!("{}@{}", reference.name(), data.digest);
        Ok(self.add(data, &reference, Some(digest)))
    }

    /// Puts an image on the node without a pull, as one that a machine was delivered with.
    pub(crate) fn preload(&self, image: &str) -> Result<String> {
        let reference = parse(image)?;
        match catalogue::find(&reference) {
            Found::Image(data, _) => Ok(self.add(data, &reference, None)),
            _ => Err(not_found(&reference)),
        }
    }

    fn add(&self, data: Arc<ImageData>, reference: &Reference, digest: Option<String>) -> String {
        let id = data.id.clone();
        let mut images = self.lock();
        let before = images.get(&id);
        let mut tags = before.map(|image| image.tags.clone()).unwrap_or_default();
        let mut digests = before.map(|image| image.digests.clone()).unwrap_or_default();
        let files = before.map(|image| image.files.clone()).unwrap_or_default();
        if reference.digest.is_none() {
            let name = reference.to_string();
            // A tag is of one image only.
            for other in images.values_mut().filter(|other| other.data.id != id && other.tags.contains(&name))
            {
                let tags = other.tags.iter().filter(|tag| **tag != name).cloned().collect();
                *other = Arc::new(NodeImage {
                    tags,
                    data: other.data.clone(),
                    digests: other.digests.clone(),
                    files: other.files.clone(),
                });
            }
            if !tags.contains(&name) {
                tags.push(name);
            }
        }
        digests.extend(digest.filter(|digest| !digests.contains(digest)));
        images.insert(id.clone(), Arc::new(NodeImage { data, tags, digests, files }));
        id
    }

    /// The image by id or by reference, if the node has it. Where nothing takes time, a node is delivered with every public
    /// image there is.
    pub(crate) fn get(&self, image: &str) -> Result<Option<Arc<NodeImage>>> {
        let found = self.on_node(image)?;
        if found.is_some() || self.pace == Pace::Real {
            return Ok(found);
        }
        let reference = parse(image)?;
        if let Found::Image(data, None) = catalogue::find(&reference)
            && !self.removed().contains(&data.id)
        {
            self.add(data, &reference, None);
        }
        self.on_node(image)
    }

    fn removed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_node(&self, image: &str) -> Result<Option<Arc<NodeImage>>> {
        let images = self.lock();
        if let Some(found) = images.get(image) {
            return Ok(Some(found.clone()));
        }
        let reference = parse(image)?;
        let (name, digest) =
            (reference.to_string(), reference.digest.as_ref().map(|d| format!("{}@{d}", reference.name())));
        let is = |found: &&Arc<NodeImage>| {
            found.tags.contains(&name) || digest.as_ref().is_some_and(|d| found.digests.contains(d))
        };
        Ok(images.values().find(is).cloned())
    }

    /// The image as the CRI tells of it.
    pub(crate) fn status(&self, image: &str) -> Result<Option<Image>> {
        Ok(self.get(image)?.map(|found| describe(&found)))
    }

    /// Every image on the node.
    pub(crate) fn list(&self) -> Vec<Image> {
        self.lock().values().map(|image| describe(image)).collect()
    }

    /// Takes an image off the node; nothing happens if it is not there.
    pub(crate) fn remove(&self, image: &str) -> Result<()> {
        if let Some(found) = self.get(image)? {
            self.lock().remove(&found.data.id);
            self.removed().insert(found.data.id.clone());
        }
        Ok(())
    }
}

fn describe(image: &NodeImage) -> Image {
    Image {
        id: image.data.id.clone(),
        tags: image.tags.clone(),
        digests: image.digests.clone(),
        size_bytes: image.data.size_bytes,
        user: image.data.user.clone(),
    }
}

/// Whether somebody may have an image.
pub(super) fn admit(
    reference: &Reference,
    login: Option<Login>,
    credentials: &[RegistryCredential],
) -> Result<()> {
    let may = login.is_none_or(|login| {
        credentials.iter().any(|c| c.username == login.username && c.password == login.password)
    });
    if may { Ok(()) } else { Err(denied(reference, credentials)) }
}

pub(super) fn parse(image: &str) -> Result<Reference> {
    let wrong =
        |why| RuntimeError::InvalidImageName(format!("failed to parse image reference {image:?}: {why}"));
    Reference::parse(image).map_err(wrong)
}

fn unpack(reference: &Reference, why: &str) -> String {
    format!("failed to pull and unpack image \"{reference}\": failed to resolve image: {why}")
}

pub(super) fn not_found(reference: &Reference) -> RuntimeError {
    // The kubelet shows the code of every answer but Unknown.
    let text = unpack(reference, &format!("{reference}: not found"));
    RuntimeError::Pull(format!("rpc error: code = NotFound desc = {text}"))
}

fn denied(reference: &Reference, credentials: &[RegistryCredential]) -> RuntimeError {
    let why = match (reference.domain.as_str(), credentials.is_empty()) {
        ("docker.io", _) => "server message: insufficient_scope: authorization failed",
        (_, true) => "authorization failed: no basic auth credentials",
        (_, false) => "authorization failed",
    };
    let text = format!("pull access denied, repository does not exist or may require authorization: {why}");
    RuntimeError::Pull(unpack(reference, &text))
}

/// What is said of a repository that is not there: that depends on the registry.
fn missing(reference: &Reference, credentials: &[RegistryCredential]) -> RuntimeError {
    let domain = reference.domain.as_str();
    if domain == LOCAL_REGISTRY {
        let private = reference.path.starts_with("private/") && credentials.is_empty();
        return if private { denied(reference, credentials) } else { not_found(reference) };
    }
    if domain == "docker.io" {
        return denied(reference, credentials);
    }
    if catalogue::registries().any(|known| known == domain) {
        return not_found(reference);
    }
    let host = domain.split(':').next().unwrap_or(domain);
    let (path, object) = (&reference.path, reference.object());
    if host == "localhost" || host == "127.0.0.1" {
        let (port, ip) =
            (domain.split(':').nth(1).unwrap_or("80"), if host == "localhost" { "[::1]" } else { host });
        let head = format!("Head \"http://{domain}/v2/{path}/manifests/{object}\"");
        let why = format!("failed to do request: {head}: dial tcp {ip}:{port}: connect: connection refused");
        return RuntimeError::Pull(unpack(reference, &why));
    }
    let head = format!("Head \"https://{domain}/v2/{path}/manifests/{object}\"");
    let why = format!("failed to do request: {head}: dial tcp: lookup {host} on {NODE_DNS}: no such host");
    RuntimeError::Pull(unpack(reference, &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(pace: Pace) -> ImageStore {
        ImageStore::new(Clock::virtual_time(), Seed::new(1), pace)
    }

    #[tokio::test(start_paused = true)]
    async fn an_image_is_known_by_its_id_and_its_names() {
        let store = store(Pace::Real);
        assert_eq!(store.status("nginx:1.25").unwrap(), None);
        let id = store.pull("nginx:1.25", &[]).await.unwrap();
        assert_eq!(store.pull("docker.io/library/nginx:1.25.5", &[]).await.unwrap(), id);
        let found = store.status("nginx:1.25").unwrap().unwrap();
        assert_eq!(store.status(&id).unwrap().as_ref(), Some(&found));
        assert_eq!(store.status(&found.digests[0]).unwrap().as_ref(), Some(&found));
        assert_eq!(found.tags, ["docker.io/library/nginx:1.25", "docker.io/library/nginx:1.25.5"]);
        store.remove("nginx:1.25").unwrap();
        assert!(store.list().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_takes_time_public_images_are_there_until_they_are_removed() {
        let store = store(Pace::Instant);
        let found = store.get("busybox:1.36").unwrap().unwrap();
        assert_eq!(
            (found.shown(), found.named("busybox:1.36")),
            (found.data.id.clone(), "docker.io/library/busybox:1.36".to_owned())
        );
        assert!(store.get("busybox:0.99").unwrap().is_none());
        store.remove("busybox:1.36").unwrap();
        assert!(store.get("busybox:1.36").unwrap().is_none());
        store.pull("busybox:1.36", &[]).await.unwrap();
        let found = store.get("busybox:1.36").unwrap().unwrap();
        assert_eq!(found.shown(), format!("docker.io/library/busybox@{}", found.data.digest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pull_takes_as_long_as_the_image_is_large() {
        let store = store(Pace::Real);
        let start = store.clock.now();
        store.pull("nginx:1.25", &[]).await.unwrap();
        let first = store.clock.now().duration_since(start).as_millis();
        store.pull("nginx:1.25", &[]).await.unwrap();
        let second = store.clock.now().duration_since(start).as_millis() - first;
        assert!((1500..4000).contains(&first) && second < 800, "{first} ms, then {second} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_read_as_containerd_words_them() {
        let store = store(Pace::Instant);
        for (image, expected) in [
            (
                "nginx:1.99",
                "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/nginx:1.99\": failed to resolve image: docker.io/library/nginx:1.99: not found",
            ),
            (
                "localhost:5000/nosuch:v1",
                "rpc error: code = NotFound desc = failed to pull and unpack image \"localhost:5000/nosuch:v1\": failed to resolve image: localhost:5000/nosuch:v1: not found",
            ),
            (
                "localhost:5000/private/shop:v1",
                "failed to pull and unpack image \"localhost:5000/private/shop:v1\": failed to resolve image: pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
            ),
            (
                "ngnix",
                "failed to pull and unpack image \"docker.io/library/ngnix:latest\": failed to resolve image: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            ),
            (
                "shop.example/tea:1",
                "failed to pull and unpack image \"shop.example/tea:1\": failed to resolve image: failed to do request: Head \"https://shop.example/v2/tea/manifests/1\": dial tcp: lookup shop.example on 127.0.0.53:53: no such host",
            ),
        ] {
            assert_eq!(store.pull(image, &[]).await.unwrap_err().to_string(), expected);
        }
        assert!(matches!(store.pull("Nginx", &[]).await, Err(RuntimeError::InvalidImageName(_))));
    }
}
