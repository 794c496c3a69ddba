//! Volumes: what the kubelet projects or leaves empty, kept in memory and mounted into containers.
// Models pkg/volume/util/atomic_writer: projected files lie in a dated directory behind the link `..data`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bash::{Files, MemoryFiles, MountPoint};
use crate::clock::Clock;
use crate::runtime::api::{Mount, Result, RuntimeError, VolumeContent};
use crate::seed::Seed;

struct Volume {
    files: Arc<MemoryFiles>,
    /// Whether the kubelet alone writes it.
    projected: bool,
    /// The dated directory of a projected volume, and the names at its top.
    current: Option<(String, BTreeSet<String>)>,
}

/// The volumes of a node.
pub(super) struct VolumeStore {
    clock: Clock,
    seed: Seed,
    volumes: Mutex<BTreeMap<String, Volume>>,
}

impl VolumeStore {
    pub(super) fn new(clock: Clock, seed: Seed) -> Self {
        Self { clock, seed, volumes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a volume's content. What mounts it sees that at once.
    pub(super) fn write(&self, id: &str, content: &VolumeContent) {
        let mut volumes = self.lock();
        let volume = volumes.entry(id.to_owned()).or_insert_with(|| {
            let files = MemoryFiles::new(self.clock.clone()).limited(content.size_limit);
            files.put_directory("/", 0o777);
            Volume { files: Arc::new(files), projected: !content.writable, current: None }
        });
        if content.writable {
            for (path, (bytes, mode)) in &content.files {
                volume.files.put(&format!("/{path}"), bytes, *mode);
            }
            return;
        }
        let dated =
            format!("..{}.{:09}", self.clock.now().strftime("%Y_%m_%d_%H_%M_%S"), self.seed.below(1 << 29));
        volume.files.put_directory(&format!("/{dated}"), 0o755);
        for (path, (bytes, mode)) in &content.files {
            volume.files.put(&format!("/{dated}/{path}"), bytes, *mode);
        }
        volume.files.put_link("/..data", &dated);
        let top = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
        let tops: BTreeSet<String> = content.files.keys().map(top).collect();
        for top in &tops {
            volume.files.put_link(&format!("/{top}"), &format!("..data/{top}"));
        }
        if let Some((before, names)) = volume.current.replace((dated, tops.clone())) {
            for name in names.difference(&tops) {
                volume.files.take_away(&format!("/{name}"));
            }
            volume.files.take_away(&format!("/{before}"));
        }
    }

    /// Takes a volume away. Containers that mount it keep what they see.
    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// The mount for a container. A `subPath` of a projected volume stays as it is now; of another one it is made.
    pub(super) async fn mount(&self, mount: &Mount) -> Result<MountPoint> {
        let (files, projected) = {
            let volumes = self.lock();
            let volume = volumes.get(&mount.source.volume).ok_or_else(|| {
                RuntimeError::Create(format!(
                    "failed to generate container spec: failed to stat {:?}: no such file or directory",
                    mount.source.volume
                ))
            })?;
            let part = !mount.source.sub_path.is_empty();
            let files =
                if volume.projected && part { Arc::new(volume.files.fork()) } else { volume.files.clone() };
            (files, volume.projected)
        };
        let inner = format!("/{}", mount.source.sub_path);
        if !projected && files.metadata(&inner).await.is_err() {
            files.put_directory(&inner, 0o755);
        }
        Ok(MountPoint { path: mount.container_path.clone(), files, inner, read_only: mount.readonly })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::api::VolumeSource;
    use bytes::Bytes;

    fn content(files: &[(&str, &str)]) -> VolumeContent {
        let files =
            files.iter().map(|(path, text)| ((*path).to_owned(), (Bytes::from((*text).to_owned()), 0o644)));
        VolumeContent { files: files.collect(), ..VolumeContent::default() }
    }

    fn mount(sub_path: &str) -> Mount {
        let source = VolumeSource { volume: "v".into(), sub_path: sub_path.into() };
        Mount { container_path: "/settings".into(), source, readonly: true }
    }

    #[tokio::test]
    async fn a_projected_volume_changes_under_its_mounts_but_not_under_a_sub_path() {
        let store = VolumeStore::new(Clock::virtual_time(), Seed::new(1));
        store.write("v", &content(&[("theme", "dark"), ("etc/size", "1"), ("old", "")]));
        let whole = store.mount(&mount("")).await.unwrap();
        let part = store.mount(&mount("theme")).await.unwrap();
        store.write("v", &content(&[("theme", "light"), ("etc/size", "2")]));
        assert_eq!(&whole.files.read("/theme").await.unwrap()[..], b"light");
        assert_eq!(&whole.files.read("/etc/size").await.unwrap()[..], b"2");
        assert_eq!(&part.files.read(&part.inner).await.unwrap()[..], b"dark");
        let names = whole.files.list("/").await.unwrap();
        assert_eq!(
            names.iter().filter(|name| !name.starts_with("..2")).collect::<Vec<_>>(),
            ["..data", "etc", "theme"]
        );
        assert_eq!(names.len(), 4, "one dated directory, but {names:?}");
    }

    #[tokio::test]
    async fn an_empty_directory_is_shared_and_its_parts_are_made() {
        let store = VolumeStore::new(Clock::virtual_time(), Seed::new(1));
        store.write("v", &VolumeContent { writable: true, ..VolumeContent::default() });
        let part = store.mount(&mount("a/b")).await.unwrap();
        part.files.write("/a/b/c", b"x").await.unwrap();
        store.write("v", &VolumeContent { writable: true, ..VolumeContent::default() });
        let whole = store.mount(&mount("")).await.unwrap();
        assert_eq!(&whole.files.read("/a/b/c").await.unwrap()[..], b"x");
        assert!(
            store
                .mount(&Mount {
                    source: VolumeSource { volume: "no".into(), sub_path: String::new() },
                    ..mount("")
                })
                .await
                .is_err()
        );
    }
}
