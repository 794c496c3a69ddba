//! Where a cluster's volumes are: in memory for simulated nodes, in the cluster's state directory for real ones. Every
//! node has the same, so that a pod finds its data wherever it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::bash::{Files, MemoryFiles, MountFiles, MountPoint};
use crate::clock::Clock;
use crate::controllers::VolumeDirectories;
use crate::runtime::containerd::Containerd;
use crate::runtime::sim::NodeDisk;

/// The directory of provisioned volumes on simulated nodes, as minikube has it.
const ROOT: &str = "/tmp/hostpath-provisioner";

/// The volumes of a cluster. Cheap to clone.
#[derive(Clone)]
pub(super) enum ClusterStorage {
    /// In memory.
    Memory(Arc<MemoryFiles>),
    /// In a directory of this machine.
    Directory(PathBuf),
}

impl ClusterStorage {
    pub(super) fn new(clock: &Clock, containerd: Option<&Containerd>) -> Self {
        match containerd {
            Some(containerd) => Self::Directory(containerd.provisioned()),
            None => Self::Memory(Arc::new(MemoryFiles::new(clock.clone()))),
        }
    }

    /// The disk of a simulated node.
    pub(super) fn disk(&self, clock: &Clock) -> NodeDisk {
        match self {
            Self::Memory(files) => NodeDisk::new(clock, Some((ROOT, files.clone()))),
            Self::Directory(_) => NodeDisk::new(clock, None),
        }
    }

    /// What the controllers see of it.
    pub(super) fn directories(&self) -> Arc<dyn VolumeDirectories> {
        match self {
            Self::Memory(files) => Arc::new(MemoryDirectories { files: files.clone() }),
            Self::Directory(root) => Arc::new(HostDirectories { root: root.clone() }),
        }
    }
}

struct MemoryDirectories {
    files: Arc<MemoryFiles>,
}

impl MemoryDirectories {
    /// The controllers' view: the volumes at their place, and nothing else.
    fn tree(&self) -> MountFiles {
        let mount = MountPoint {
            path: ROOT.to_owned(),
            files: self.files.clone(),
            inner: "/".to_owned(),
            read_only: false,
        };
        let nothing = Arc::new(MemoryFiles::new(self.files.clock().clone()).sealed());
        MountFiles::new(nothing, true, vec![mount])
    }
}

#[async_trait]
impl VolumeDirectories for MemoryDirectories {
    fn root(&self) -> String {
        ROOT.to_owned()
    }

    async fn make(&self, path: &str) -> Result<(), String> {
        let tree = self.tree();
        let made = match tree.make_directory(path).await {
            Ok(()) => tree.set_mode(path, 0o777).await,
            failed => failed,
        };
        made.map_err(|error| format!("mkdir {path}: {error}"))
    }

    async fn remove(&self, path: &str) -> Result<(), String> {
        // What is not a volume is not there for the controller manager, whose pod has files of its own.
        if !path.starts_with(ROOT) {
            return Ok(());
        }
        let tree = self.tree();
        match tree.metadata(path).await {
            Ok(_) => tree.remove(path).await.map_err(|error| format!("unlinkat {path}: {error}")),
            Err(_) => Ok(()),
        }
    }
}

struct HostDirectories {
    root: PathBuf,
}

#[async_trait]
impl VolumeDirectories for HostDirectories {
    fn root(&self) -> String {
        self.root.to_string_lossy().into_owned()
    }

    async fn make(&self, path: &str) -> Result<(), String> {
        use std::os::unix::fs::PermissionsExt;
        let failed = |error: std::io::Error| format!("mkdir {path}: {error}");
        tokio::fs::create_dir_all(path).await.map_err(failed)?;
        let mode = std::fs::Permissions::from_mode(0o777);
        tokio::fs::set_permissions(path, mode).await.map_err(failed)
    }

    async fn remove(&self, path: &str) -> Result<(), String> {
        // Nothing of this machine goes that the cluster did not make.
        let plain = !path.split('/').any(|part| part == "..");
        if !plain || !Path::new(path).starts_with(&self.root) || Path::new(path) == self.root {
            return Ok(());
        }
        match tokio::fs::remove_dir_all(path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("unlinkat {path}: {error}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_volumes_are_taken_away() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        let storage = ClusterStorage::Directory(directory.path().join("volumes")).directories();
        let path = format!("{}/default/books", storage.root());
        storage.make(&path).await.unwrap();
        assert!(Path::new(&path).is_dir());
        storage.remove(&path).await.unwrap();
        storage.remove(&path).await.unwrap();
        assert!(!Path::new(&path).exists());
        storage.remove(&kept.to_string_lossy()).await.unwrap();
        storage.remove(&format!("{}/../kept", storage.root())).await.unwrap();
        assert!(kept.is_dir(), "it is not the cluster's");
    }

    #[tokio::test]
    async fn volumes_in_memory_are_on_every_node() {
        let clock = Clock::virtual_time();
        let storage = ClusterStorage::new(&clock, None);
        let (volumes, disk) = (storage.directories(), storage.disk(&clock));
        let path = format!("{ROOT}/default/books");
        volumes.make(&path).await.unwrap();
        let found = disk.files().metadata(&path).await.unwrap();
        assert_eq!((found.directory, found.mode), (true, 0o777));
        disk.files().write(&format!("{path}/page"), b"x").await.unwrap();
        volumes.remove(&path).await.unwrap();
        assert!(storage.disk(&clock).files().metadata(&path).await.is_err());
    }
}
