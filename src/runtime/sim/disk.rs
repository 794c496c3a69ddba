//! The disk of a simulated node: one tree of files that stays for as long as the cluster, whatever runs on the node.
//!
//! `hostPath` volumes are places in it, and who logs in on the node sees it. Where the cluster's provisioner makes volumes
//! is the same directory on every node.

use std::sync::Arc;

use crate::bash::{Files, FilesError, MemoryFiles, MountFiles, MountPoint};
use crate::clock::Clock;
use crate::runtime::api::{HostFile, Mount, Result, RuntimeError};

/// A node's files. Cheap to clone.
#[derive(Clone)]
pub struct NodeDisk {
    own: Arc<MemoryFiles>,
    all: Arc<dyn Files>,
}

impl std::fmt::Debug for NodeDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeDisk").field("bytes", &self.own.used_bytes()).finish()
    }
}

fn failed(path: &str, error: &FilesError) -> RuntimeError {
    RuntimeError::Other(format!("{path}: {error}"))
}

impl NodeDisk {
    /// An empty disk. What is `shared` with other nodes is a directory with its path.
    pub fn new(clock: &Clock, shared: Option<(&str, Arc<MemoryFiles>)>) -> Self {
        let own = Arc::new(MemoryFiles::new(clock.clone()));
        own.put_directory("/tmp", 0o1777);
        let mounts = shared.into_iter().map(|(path, files)| {
            own.put_directory(path, 0o755);
            MountPoint { path: path.to_owned(), files, inner: "/".to_owned(), read_only: false }
        });
        let all = Arc::new(MountFiles::new(own.clone(), false, mounts.collect()));
        Self { own, all }
    }

    /// The files that are this node's alone, to put things there without asking for permission.
    pub fn own(&self) -> &MemoryFiles {
        &self.own
    }

    /// Everything, as programs on the node see it.
    pub fn files(&self) -> Arc<dyn Files> {
        self.all.clone()
    }

    /// What is at a path.
    pub(super) async fn kind(&self, path: &str) -> Result<Option<HostFile>> {
        match self.all.metadata(path).await {
            Ok(found) if found.directory => Ok(Some(HostFile::Directory)),
            Ok(_) => Ok(Some(HostFile::File)),
            Err(FilesError::NotFound | FilesError::NotDirectory) => Ok(None),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Makes a directory or an empty file, and the directories above it.
    pub(super) async fn make(&self, path: &str, kind: HostFile) -> Result<()> {
        let made = match kind {
            HostFile::Directory => self.all.make_directory(path).await,
            HostFile::File => {
                let (above, _) = crate::bash::split(path);
                match self.all.make_directory(above).await {
                    Ok(()) => self.all.write(path, b"").await,
                    failed => failed,
                }
            }
            HostFile::Socket | HostFile::CharDevice | HostFile::BlockDevice => {
                Err(FilesError::Other("cannot be made".to_owned()))
            }
        };
        made.map_err(|error| failed(path, &error))
    }

    /// The mount of a path for a container. What is not there becomes a directory, as containerd makes it.
    pub(super) async fn mount(&self, path: &str, mount: &Mount) -> Result<MountPoint> {
        let inner = match mount.source.sub_path.as_str() {
            "" => path.to_owned(),
            part => format!("{}/{part}", path.trim_end_matches('/')),
        };
        if self.kind(&inner).await?.is_none() {
            self.make(&inner, HostFile::Directory).await?;
        }
        let (path, files) = (mount.container_path.clone(), self.all.clone());
        Ok(MountPoint { path, files, inner, read_only: mount.readonly })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::api::VolumeSource;

    fn mount(sub_path: &str) -> Mount {
        let source = VolumeSource { volume: "hostpath/minikube/mnt".into(), sub_path: sub_path.into() };
        Mount { container_path: "/data".into(), source, readonly: false }
    }

    #[tokio::test]
    async fn what_a_container_writes_is_on_the_node() {
        let disk = NodeDisk::new(&Clock::virtual_time(), None);
        let at = disk.mount("/mnt", &mount("a/b")).await.unwrap();
        at.files.write(&format!("{}/c", at.inner), b"x").await.unwrap();
        assert_eq!(&disk.files().read("/mnt/a/b/c").await.unwrap()[..], b"x");
        assert_eq!(disk.kind("/mnt/a").await.unwrap(), Some(HostFile::Directory));
        assert_eq!(disk.kind("/mnt/a/b/c").await.unwrap(), Some(HostFile::File));
        assert_eq!(disk.kind("/mnt/a/b/c/d").await.unwrap(), None);
        disk.make("/etc/x/file", HostFile::File).await.unwrap();
        assert_eq!(disk.kind("/etc/x/file").await.unwrap(), Some(HostFile::File));
    }

    #[tokio::test]
    async fn what_is_shared_is_the_same_on_every_node() {
        let clock = Clock::virtual_time();
        let shared = Arc::new(MemoryFiles::new(clock.clone()));
        let [one, two] = [(); 2].map(|()| NodeDisk::new(&clock, Some(("/tmp/volumes", shared.clone()))));
        one.make("/tmp/volumes/a", HostFile::Directory).await.unwrap();
        one.files().write("/tmp/volumes/a/b", b"x").await.unwrap();
        assert_eq!(&two.files().read("/tmp/volumes/a/b").await.unwrap()[..], b"x");
        one.make("/tmp/own", HostFile::File).await.unwrap();
        assert_eq!(two.kind("/tmp/own").await.unwrap(), None);
    }
}
