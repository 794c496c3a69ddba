//! Images written into containerd, blob by blob, without a registry.
//!
//! A lease keeps what is written until the image's name refers to it; labels tell containerd's collector what refers to
//! what, and the CRI which images are its own.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tonic::{Code, Status};

use super::super::client::Client;
use super::super::proto::content::{InfoRequest, WriteAction, WriteContentRequest};
use super::super::proto::cri;
use super::super::proto::images::{
    CreateImageRequest, DeleteImageRequest, Descriptor, Image, ListImagesRequest, UpdateImageRequest,
};
use super::super::proto::leases::{CreateRequest, DeleteRequest};
use super::layers::Blob;
use crate::clock::Clock;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The label of images that the CRI sees.
const MANAGED: &str = "io.cri-containerd.image";
/// The label that says which build of this program an image was made of.
const MAKER: &str = "k8s-learn.io/program";
/// How much of a blob goes into one message.
const PIECE_BYTES: usize = 1 << 20;
/// How soon the CRI is asked again whether it has noticed an image.
const SETTLE: Duration = Duration::from_millis(5);
/// How often it is asked.
const SETTLE_TRIES: usize = 1000;

/// Go's name of this machine's processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// An image: its layers and how it starts.
pub(in crate::runtime::containerd) struct Whole {
    pub(in crate::runtime::containerd) layers: Vec<Blob>,
    /// The `config` of an image's configuration.
    pub(in crate::runtime::containerd) start: serde_json::Value,
}

impl Whole {
    /// The configuration and the manifest.
    pub(in crate::runtime::containerd) fn described(&self) -> (Blob, Blob) {
        let digests: Vec<&str> = self.layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = Blob::new(text(&json!({
            "architecture": architecture(), "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": self.start,
            // The layers are not compressed: their digests are those of their content.
            "rootfs": {"type": "layers", "diff_ids": digests},
        })));
        let manifest = Blob::new(text(&json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": self.layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<_>>(),
        })));
        (config, manifest)
    }
}

/// A blob as another one refers to it.
pub(super) fn descriptor(kind: &str, blob: &Blob) -> serde_json::Value {
    json!({"mediaType": kind, "digest": blob.digest, "size": blob.bytes.len()})
}

/// Writes into one containerd.
#[derive(Clone, Debug)]
pub(in crate::runtime::containerd) struct Store {
    pub(in crate::runtime::containerd) client: Client,
    pub(in crate::runtime::containerd) clock: Clock,
}

impl Store {
    /// Writes an image and gives it names. The answer is its id.
    pub(in crate::runtime::containerd) async fn put(
        &self,
        image: &Whole,
        names: &[String],
    ) -> Result<String, Status> {
        let lease = format!("k8s-learn-{}", std::process::id());
        let labels = BTreeMap::from([("containerd.io/gc.expire".to_owned(), expiry(&self.clock))]);
        let created = self.client.leases().create(CreateRequest { id: lease.clone(), labels }).await;
        if let Err(status) = created
            && status.code() != Code::AlreadyExists
        {
            return Err(status);
        }
        let written = self.put_leased(&lease, image, names).await;
        // What is named stays; what is not may go.
        let request = DeleteRequest { id: lease, sync: false };
        if let Err(status) = self.client.leases().delete(request).await {
            tracing::debug!(%status, "a lease of containerd's could not be ended; it will expire");
        }
        let id = written?;
        for name in names {
            self.visible(name, &id).await?;
        }
        Ok(id)
    }

    /// Takes away the images that another build of this program was put into: their programs are not ours.
    pub(in crate::runtime::containerd) async fn forget_other_builds(&self) -> Result<(), Status> {
        let filter = format!("labels.\"{MAKER}\"!={:?},labels.\"{MAKER}\"", maker());
        let mut names = self.client.image_names("");
        let listed = names.list(ListImagesRequest { filters: vec![filter] }).await?.into_inner().images;
        for image in listed {
            match names.delete(DeleteImageRequest { name: image.name, sync: false }).await {
                Err(status) if status.code() != Code::NotFound => return Err(status),
                _ => {}
            }
        }
        Ok(())
    }

    async fn put_leased(&self, lease: &str, image: &Whole, names: &[String]) -> Result<String, Status> {
        for layer in &image.layers {
            self.write(lease, layer, BTreeMap::new()).await?;
        }
        let (config, manifest) = image.described();
        self.write(lease, &config, BTreeMap::new()).await?;
        let mut labels =
            BTreeMap::from([("containerd.io/gc.ref.content.config".to_owned(), config.digest.clone())]);
        for (index, layer) in image.layers.iter().enumerate() {
            labels.insert(format!("containerd.io/gc.ref.content.l.{index}"), layer.digest.clone());
        }
        self.write(lease, &manifest, labels).await?;
        let target = Descriptor {
            media_type: MANIFEST.to_owned(),
            digest: manifest.digest.clone(),
            size: manifest.bytes.len() as i64,
            annotations: BTreeMap::new(),
        };
        for name in names {
            self.name(lease, name, &target).await?;
            // As a pull does it, so that containers say which image they were made from.
            if let Some(repository) = repository(name) {
                self.name(lease, &format!("{repository}@{}", manifest.digest), &target).await?;
            }
        }
        Ok(config.digest)
    }

    async fn write(&self, lease: &str, blob: &Blob, labels: BTreeMap<String, String>) -> Result<(), Status> {
        let mut content = self.client.content(lease);
        if content.info(InfoRequest { digest: blob.digest.clone() }).await.is_ok() {
            return Ok(());
        }
        let total = blob.bytes.len() as i64;
        let (reference, expected) = (format!("k8s-learn-{}", blob.digest), blob.digest.clone());
        let blob = blob.bytes.clone();
        let starts = (0..blob.len()).step_by(PIECE_BYTES);
        let message = move |action: WriteAction, start: usize, data: Bytes| WriteContentRequest {
            action: action.into(),
            r#ref: reference.clone(),
            total,
            expected: expected.clone(),
            offset: start as i64,
            data,
            labels: if action == WriteAction::Commit { labels.clone() } else { BTreeMap::new() },
        };
        let end = blob.len();
        let last = message(WriteAction::Commit, end, Bytes::new());
        let pieces = starts.map(move |start| {
            message(WriteAction::Write, start, blob.slice(start..(start + PIECE_BYTES).min(blob.len())))
        });
        let request = futures::stream::iter(pieces.chain([last]).collect::<Vec<_>>());
        let mut answers = match content.write(request).await {
            Err(status) if status.code() == Code::AlreadyExists => return Ok(()),
            answers => answers?.into_inner(),
        };
        loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(status) if status.code() == Code::AlreadyExists => return Ok(()),
                Err(status) => return Err(status),
            }
        }
    }

    async fn name(&self, lease: &str, name: &str, target: &Descriptor) -> Result<(), Status> {
        let labels = [(MANAGED, "managed"), (MAKER, &maker())];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let image = Some(Image { name: name.to_owned(), labels, target: Some(target.clone()) });
        let mut names = self.client.image_names(lease);
        match names.create(CreateImageRequest { image: image.clone() }).await {
            Err(status) if status.code() == Code::AlreadyExists => {
                names.update(UpdateImageRequest { image }).await.map(drop)
            }
            created => created.map(drop),
        }
    }

    /// The CRI hears of images in its own time.
    async fn visible(&self, name: &str, id: &str) -> Result<(), Status> {
        for _ in 0..SETTLE_TRIES {
            let image = Some(cri::ImageSpec { image: name.to_owned(), ..Default::default() });
            let answer = self.client.images().image_status(cri::ImageStatusRequest { image }).await?;
            if answer.into_inner().image.is_some_and(|image| image.id == id) {
                return Ok(());
            }
            self.clock.sleep(SETTLE).await;
        }
        Err(Status::deadline_exceeded(format!("the CRI does not see the image {name}")))
    }
}

/// The repository of a name with a tag.
fn repository(name: &str) -> Option<&str> {
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map(|(repository, _)| repository)
}

fn text(value: &serde_json::Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// This build of the program: its version, and its file's size and time.
fn maker() -> String {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata("/proc/self/exe");
    let (size, time) = file.map_or((0, 0), |file| (file.size(), file.mtime()));
    format!("{}-{size}-{time}", env!("CARGO_PKG_VERSION"))
}

/// In an hour, as containerd reads it.
fn expiry(clock: &Clock) -> String {
    clock.after(Duration::from_secs(3600)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
