//! The machine's own files, for a person's own kubectl and `k8s-learn kubectl`. Never used in a classroom.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::files::{Files, FilesError, Metadata, resolve};

/// The host's file system, or the part of it below a directory.
#[derive(Clone, Debug, Default)]
pub struct HostFiles {
    root: PathBuf,
    read_only: bool,
}

impl HostFiles {
    /// All of the host's files.
    pub fn new() -> Self {
        Self { root: PathBuf::from("/"), read_only: false }
    }

    /// The files below `root`, which is `/` inside. Links that lead out of it are followed.
    pub fn below(root: impl Into<PathBuf>, read_only: bool) -> Self {
        Self { root: root.into(), read_only }
    }

    fn host(&self, path: &str) -> PathBuf {
        self.root.join(resolve("/", path).trim_start_matches('/'))
    }

    fn writable(&self, path: &str) -> Result<PathBuf, FilesError> {
        if self.read_only { Err(FilesError::ReadOnly) } else { Ok(self.host(path)) }
    }
}

fn translate(metadata: &std::fs::Metadata, link: Option<String>) -> Metadata {
    let modified = metadata.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok());
    #[cfg(unix)]
    let (mode, uid, gid) = {
        use std::os::unix::fs::MetadataExt;
        (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
    };
    #[cfg(not(unix))]
    let (mode, uid, gid) = (if metadata.permissions().readonly() { 0o444 } else { 0o644 }, 0, 0);
    Metadata {
        directory: metadata.is_dir(),
        size: metadata.len(),
        mode,
        modified_seconds: modified.map_or(0, jiff::Timestamp::as_second),
        link,
        uid,
        gid,
    }
}

#[async_trait]
impl Files for HostFiles {
    async fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        Ok(tokio::fs::read(self.host(path)).await?.into())
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        Ok(tokio::fs::write(self.writable(path)?, content).await?)
    }

    async fn append(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.writable(path)?).await?;
        file.write_all(content).await?;
        Ok(file.flush().await?)
    }

    async fn metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        Ok(translate(&tokio::fs::metadata(self.host(path)).await?, None))
    }

    async fn link_metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        let host = self.host(path);
        let metadata = tokio::fs::symlink_metadata(&host).await?;
        let link = match metadata.is_symlink() {
            true => Some(tokio::fs::read_link(&host).await?.to_string_lossy().into_owned()),
            false => None,
        };
        Ok(translate(&metadata, link))
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, FilesError> {
        let mut entries = tokio::fs::read_dir(self.host(path)).await?;
        let mut names = vec![];
        while let Some(entry) = entries.next_entry().await? {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    async fn make_directory(&self, path: &str) -> Result<(), FilesError> {
        Ok(tokio::fs::create_dir_all(self.writable(path)?).await?)
    }

    async fn remove(&self, path: &str) -> Result<(), FilesError> {
        let host = self.writable(path)?;
        let directory = tokio::fs::symlink_metadata(&host).await?.is_dir();
        let removed = if directory {
            tokio::fs::remove_dir_all(host).await
        } else {
            tokio::fs::remove_file(host).await
        };
        Ok(removed?)
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FilesError> {
        Ok(tokio::fs::rename(self.writable(from)?, self.writable(to)?).await?)
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<(), FilesError> {
        let host = self.writable(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            Ok(tokio::fs::set_permissions(host, std::fs::Permissions::from_mode(mode)).await?)
        }
        #[cfg(not(unix))]
        {
            let mut permissions = tokio::fs::metadata(&host).await?.permissions();
            permissions.set_readonly(mode & 0o200 == 0);
            Ok(tokio::fs::set_permissions(host, permissions).await?)
        }
    }

    async fn symlink(&self, target: &str, path: &str) -> Result<(), FilesError> {
        let host = self.writable(path)?;
        #[cfg(unix)]
        return Ok(tokio::fs::symlink(target, host).await?);
        #[cfg(not(unix))]
        return Err(FilesError::Other(format!("{target}: cannot link {}", host.display())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn host_files_are_read_and_written() {
        let directory = std::env::temp_dir().join(format!("k8s-learn-host-files-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let files = HostFiles::below(&directory, false);
        files.make_directory("/a/b").await.unwrap();
        files.write("/a/b/c", b"one").await.unwrap();
        files.append("/a/b/c", b" two").await.unwrap();
        assert_eq!(&files.read("/a/b/c").await.unwrap()[..], b"one two");
        assert_eq!(files.list("/a").await.unwrap(), ["b"]);
        assert_eq!(files.read("/nope").await, Err(FilesError::NotFound));
        assert_eq!(HostFiles::below(&directory, true).write("/x", b"").await, Err(FilesError::ReadOnly));
        files.remove("/a").await.unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
