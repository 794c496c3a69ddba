//! Volumes: what the kubelet projects or leaves empty, kept in memory and mounted into containers.
// Models pkg/volume/util/atomic_writer: projected files lie in a dated directory behind the link `..data`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::NodeDisk;
use crate::bash::{Files, MemoryFiles, MountPoint};
use crate::clock::Clock;
use crate::runtime::api::{Mount, Result, RuntimeError, VolumeContent, host_path_of};
use crate::seed::Seed;

struct Volume {
    files: Arc<MemoryFiles>,
    /// Whether the kubelet alone writes it.
    projected: bool,
    /// The dated directory of a projected volume, and the names at its top.
    current: Option<(String, BTreeSet<String>)>,
}

/// Gives a volume to the group that it is for.
fn give(volume: &Volume, content: &VolumeContent) {
    if let Some(gid) = content.group.and_then(|group| u32::try_from(group.id).ok()) {
        volume.files.give_to_group(gid, volume.projected);
    }
}

/// The volumes of a node.
pub(super) struct VolumeStore {
    clock: Clock,
    seed: Seed,
    disk: NodeDisk,
    volumes: Mutex<BTreeMap<String, Volume>>,
}

impl VolumeStore {
    pub(super) fn new(clock: Clock, seed: Seed, disk: NodeDisk) -> Self {
        Self { clock, seed, disk, volumes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Volume>> {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a volume's content. What mounts it sees that at once.
    pub(super) fn write(&self, id: &str, content: &VolumeContent) {
        if host_path_of(id).is_some() {
            // It is the node's own, which makes what is missing when a container wants it.
            return;
        }
        let mut volumes = self.lock();
        let volume = volumes.entry(id.to_owned()).or_insert_with(|| {
            // On a disk more fits in than the pod may use: then it has to go.
            let limit = content.size_limit.filter(|_| content.in_memory);
            let files = MemoryFiles::new(self.clock.clone()).limited(limit);
            files.put_directory("/", 0o777);
            Volume { files: Arc::new(files), projected: !content.writable, current: None }
        });
        if content.writable {
            for (path, (bytes, mode)) in &content.files {
                volume.files.put(&format!("/{path}"), bytes, *mode);
            }
            give(volume, content);
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
        give(volume, content);
    }

    /// How much a volume holds, in bytes; nothing if it is not there.
    pub(super) fn usage(&self, id: &str) -> u64 {
        self.lock().get(id).map_or(0, |volume| volume.files.used_bytes())
    }

    /// Takes a volume away. Containers that mount it keep what they see.
    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// The mount for a container. A `subPath` of a projected volume stays as it is now; of another one it is made.
    pub(super) async fn mount(&self, mount: &Mount) -> Result<MountPoint> {
        if let Some(path) = host_path_of(&mount.source.volume) {
            return self.disk.mount(path, mount).await;
        }
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
    use crate::runtime::api::{VolumeGroup, VolumeSource};
    use bytes::Bytes;

    fn content(files: &[(&str, &str)]) -> VolumeContent {
        let files =
            files.iter().map(|(path, text)| ((*path).to_owned(), (Bytes::from((*text).to_owned()), 0o644)));
        VolumeContent { files: files.collect(), ..VolumeContent::default() }
    }

    fn store() -> VolumeStore {
        let clock = Clock::virtual_time();
        VolumeStore::new(clock.clone(), Seed::new(1), NodeDisk::new(&clock, None))
    }

    #[tokio::test]
    async fn a_group_can_write_what_is_its_own_and_read_what_is_the_kubelets() {
        let store = store();
        let group = Some(VolumeGroup { id: 2000, on_root_mismatch: false });
        let empty = VolumeContent { writable: true, group, ..VolumeContent::default() };
        store.write("v", &empty);
        let whole = store.mount(&mount("")).await.unwrap();
        whole.files.make_directory("/a").await.unwrap();
        whole.files.write("/a/b", b"x").await.unwrap();
        for (path, mode) in [("/", 0o2777), ("/a", 0o2755), ("/a/b", 0o644)] {
            let found = whole.files.metadata(path).await.unwrap();
            assert_eq!((found.gid, found.mode), (2000, mode), "{path}: what is made is the group's");
        }
        let mut projected = content(&[("theme", "dark")]);
        projected.group = group;
        projected.files.insert("key".to_owned(), (Bytes::from("k"), 0o400));
        store.write("p", &projected);
        let source = VolumeSource { volume: "p".into(), sub_path: String::new() };
        let whole = store.mount(&Mount { source, ..mount("") }).await.unwrap();
        for (path, mode) in [("/key", 0o440), ("/theme", 0o644)] {
            let found = whole.files.metadata(path).await.unwrap();
            assert_eq!((found.gid, found.mode), (2000, mode), "{path}");
        }
    }

    #[tokio::test]
    async fn memory_is_full_at_its_limit_and_a_disk_is_not() {
        let store = store();
        for (in_memory, fits) in [(true, false), (false, true)] {
            let id = format!("v{in_memory}");
            let content =
                VolumeContent { writable: true, size_limit: Some(4), in_memory, ..VolumeContent::default() };
            store.write(&id, &content);
            let source = VolumeSource { volume: id.clone(), sub_path: String::new() };
            let whole = store.mount(&Mount { source, ..mount("") }).await.unwrap();
            assert_eq!(whole.files.write("/a", b"12345").await.is_ok(), fits);
            assert_eq!(store.usage(&id), if fits { 5 } else { 0 });
        }
    }

    fn mount(sub_path: &str) -> Mount {
        let source = VolumeSource { volume: "v".into(), sub_path: sub_path.into() };
        Mount { container_path: "/settings".into(), source, readonly: true }
    }

    #[tokio::test]
    async fn a_projected_volume_changes_under_its_mounts_but_not_under_a_sub_path() {
        let store = store();
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
        let store = store();
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
