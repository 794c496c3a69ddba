//! Several file systems as one tree: a root with others mounted on its directories or files, as a container sees them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::files::{Files, FilesError, Metadata, resolve, split};
use crate::watch;

/// A file system with others mounted on it.
pub struct MountFiles {
    root: Arc<dyn Files>,
    root_read_only: bool,
    /// Longest path first, so that the innermost mount is found first.
    mounts: Vec<MountPoint>,
}

/// What is mounted where.
#[derive(Clone)]
pub struct MountPoint {
    /// Where in the tree, absolute.
    pub path: String,
    /// What is there.
    pub files: Arc<dyn Files>,
    /// The path inside `files`; `/` for all of it.
    pub inner: String,
    /// Whether it cannot be written.
    pub read_only: bool,
}

struct Place<'a> {
    files: &'a Arc<dyn Files>,
    path: String,
    read_only: bool,
}

impl MountFiles {
    /// Mounts `mounts` on `root`.
    pub fn new(root: Arc<dyn Files>, root_read_only: bool, mut mounts: Vec<MountPoint>) -> Self {
        for mount in &mut mounts {
            mount.path = resolve("/", &mount.path);
        }
        mounts.sort_by(|a, b| b.path.len().cmp(&a.path.len()).then_with(|| a.path.cmp(&b.path)));
        Self { root, root_read_only, mounts }
    }

    fn place(&self, path: &str) -> Place<'_> {
        let path = resolve("/", path);
        for mount in &self.mounts {
            let below = path.strip_prefix(mount.path.trim_end_matches('/'));
            if let Some(rest) = below.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                let path = resolve(&mount.inner, rest.trim_start_matches('/'));
                return Place { files: &mount.files, path, read_only: mount.read_only };
            }
        }
        Place { files: &self.root, path, read_only: self.root_read_only }
    }

    fn writable(&self, path: &str) -> Result<Place<'_>, FilesError> {
        let place = self.place(path);
        if place.read_only { Err(FilesError::ReadOnly) } else { Ok(place) }
    }

    fn is_mount(&self, path: &str) -> bool {
        let path = resolve("/", path);
        self.mounts.iter().any(|mount| mount.path == path)
    }
}

#[async_trait]
impl Files for MountFiles {
    async fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        let place = self.place(path);
        place.files.read(&place.path).await
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        let place = self.writable(path)?;
        place.files.write(&place.path, content).await
    }

    async fn append(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        let place = self.writable(path)?;
        place.files.append(&place.path, content).await
    }

    async fn metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        let place = self.place(path);
        place.files.metadata(&place.path).await
    }

    async fn link_metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        let place = self.place(path);
        place.files.link_metadata(&place.path).await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, FilesError> {
        let place = self.place(path);
        let mut names = place.files.list(&place.path).await?;
        // Mount points have no entry in the file system below them unless the runtime made one.
        let here = resolve("/", path);
        for mount in &self.mounts {
            let (above, name) = split(&mount.path);
            if above == here && !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    async fn make_directory(&self, path: &str) -> Result<(), FilesError> {
        if self.metadata(path).await.is_ok_and(|metadata| metadata.directory) {
            return Ok(());
        }
        let place = self.writable(path)?;
        place.files.make_directory(&place.path).await
    }

    async fn remove(&self, path: &str) -> Result<(), FilesError> {
        if self.is_mount(path) {
            return Err(FilesError::Other("device or resource busy".into()));
        }
        let place = self.writable(path)?;
        place.files.remove(&place.path).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FilesError> {
        if self.is_mount(from) || self.is_mount(to) {
            return Err(FilesError::Other("device or resource busy".into()));
        }
        let (source, target) = (self.writable(from)?, self.writable(to)?);
        if Arc::ptr_eq(source.files, target.files) {
            return source.files.rename(&source.path, &target.path).await;
        }
        // Across mounts a file is copied and removed, as mv does.
        let content = source.files.read(&source.path).await?;
        let mode = source.files.metadata(&source.path).await?.mode;
        target.files.write(&target.path, &content).await?;
        target.files.set_mode(&target.path, mode).await?;
        source.files.remove(&source.path).await
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<(), FilesError> {
        let place = self.writable(path)?;
        place.files.set_mode(&place.path, mode).await
    }

    async fn symlink(&self, target: &str, path: &str) -> Result<(), FilesError> {
        let place = self.writable(path)?;
        place.files.symlink(target, &place.path).await
    }

    fn watch(&self, path: &str) -> Option<watch::Receiver<u64>> {
        let place = self.place(path);
        place.files.watch(&place.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::MemoryFiles;
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_mount_hides_what_is_below_and_a_sub_path_shows_a_part() {
        let clock = Clock::virtual_time();
        let root = Arc::new(MemoryFiles::new(clock.clone()));
        root.put("/data/old", b"", 0o644);
        let volume = Arc::new(MemoryFiles::new(clock));
        volume.put("/logs/a", b"log", 0o644);
        let mount = |path: &str, inner: &str, read_only| MountPoint {
            path: path.into(),
            files: volume.clone() as Arc<dyn Files>,
            inner: inner.into(),
            read_only,
        };
        let files =
            MountFiles::new(root, false, vec![mount("/data", "/", false), mount("/logs", "logs", true)]);
        assert_eq!(files.list("/").await.unwrap(), ["data", "logs"]);
        assert_eq!(files.list("/data").await.unwrap(), ["logs"]);
        assert_eq!(&files.read("/logs/a").await.unwrap()[..], b"log");
        assert_eq!(files.write("/logs/b", b"").await, Err(FilesError::ReadOnly));
        files.write("/data/logs/b", b"2").await.unwrap();
        assert_eq!(&files.read("/logs/b").await.unwrap()[..], b"2");
        files.rename("/data/logs/b", "/c").await.unwrap();
        assert_eq!(&files.read("/c").await.unwrap()[..], b"2");
    }
}
