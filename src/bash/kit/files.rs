//! Our file systems as bashkit sees them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bashkit::{DirEntry, FileSystem, FileSystemExt, FileType, Metadata, Result, async_trait};

use crate::bash::files::{Files, FilesError, split};

/// How long ago is now.
const NOW: Duration = Duration::from_secs(10);

/// A file system for bashkit over one of ours.
pub(in crate::bash) struct KitFiles(pub(in crate::bash) Arc<dyn Files>);

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn error(error: FilesError) -> bashkit::Error {
    use io::ErrorKind;
    let kind = match &error {
        FilesError::NotFound => ErrorKind::NotFound,
        FilesError::PermissionDenied => ErrorKind::PermissionDenied,
        FilesError::IsDirectory => ErrorKind::IsADirectory,
        FilesError::NotDirectory => ErrorKind::NotADirectory,
        FilesError::Exists => ErrorKind::AlreadyExists,
        FilesError::NotEmpty => ErrorKind::DirectoryNotEmpty,
        FilesError::NoSpace => ErrorKind::StorageFull,
        FilesError::ReadOnly => ErrorKind::ReadOnlyFilesystem,
        FilesError::TooManyLinks | FilesError::Other(_) => ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string()).into()
}

fn converted(metadata: &crate::bash::files::Metadata) -> Metadata {
    let seconds = Duration::from_secs(u64::try_from(metadata.modified_seconds).unwrap_or(0));
    let time: SystemTime = UNIX_EPOCH + seconds;
    let file_type = match (&metadata.link, metadata.directory) {
        (Some(_), _) => FileType::Symlink,
        (None, true) => FileType::Directory,
        (None, false) => FileType::File,
    };
    Metadata { file_type, size: metadata.size, mode: metadata.mode, modified: time, created: time }
}

#[async_trait]
impl FileSystemExt for KitFiles {}

#[async_trait]
impl FileSystem for KitFiles {
    async fn read_file(&self, path: &Path) -> Result<Vec<u8>> {
        Ok(self.0.read(&text(path)).await.map_err(error)?.to_vec())
    }

    async fn write_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.0.write(&text(path), content).await.map_err(error)
    }

    async fn append_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.0.append(&text(path), content).await.map_err(error)
    }

    async fn mkdir(&self, path: &Path, recursive: bool) -> Result<()> {
        let path = text(path);
        match self.0.metadata(&path).await {
            Ok(found) if recursive && found.directory => return Ok(()),
            Ok(_) => return Err(error(FilesError::Exists)),
            Err(_) => {}
        }
        let parent = split(&path).0.to_owned();
        if !recursive && !self.0.metadata(&parent).await.is_ok_and(|found| found.directory) {
            return Err(error(FilesError::NotFound));
        }
        self.0.make_directory(&path).await.map_err(error)
    }

    async fn remove(&self, path: &Path, recursive: bool) -> Result<()> {
        let path = text(path);
        let found = self.0.link_metadata(&path).await.map_err(error)?;
        if found.directory && !recursive && !self.0.list(&path).await.map_err(error)?.is_empty() {
            return Err(error(FilesError::NotEmpty));
        }
        self.0.remove(&path).await.map_err(error)
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        Ok(converted(&self.0.metadata(&text(path)).await.map_err(error)?))
    }

    async fn lstat(&self, path: &Path) -> Result<Metadata> {
        Ok(converted(&self.0.link_metadata(&text(path)).await.map_err(error)?))
    }

    async fn read_dir(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let directory = text(path);
        let mut entries = vec![];
        for name in self.0.list(&directory).await.map_err(error)? {
            let inner = format!("{}/{name}", directory.trim_end_matches('/'));
            // What went away between the two looks is not there.
            if let Ok(metadata) = self.0.link_metadata(&inner).await {
                entries.push(DirEntry { name, metadata: converted(&metadata) });
            }
        }
        Ok(entries)
    }

    async fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.0.metadata(&text(path)).await.is_ok())
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.rename(&text(from), &text(to)).await.map_err(error)
    }

    async fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (text(from), text(to));
        let content = self.0.read(&from).await.map_err(error)?;
        self.0.write(&to, &content).await.map_err(error)?;
        let mode = self.0.metadata(&from).await.map_err(error)?.mode;
        self.0.set_mode(&to, mode).await.map_err(error)
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        self.0.symlink(&text(target), &text(link)).await.map_err(error)
    }

    async fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let found = self.0.link_metadata(&text(path)).await.map_err(error)?;
        let link = found.link.ok_or_else(|| error(FilesError::Other("invalid argument".to_owned())))?;
        Ok(PathBuf::from(link))
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        self.0.set_mode(&text(path), mode).await.map_err(error)
    }

    /// Only what `touch` alone asks for, which is now: bashkit takes it from the machine, and the file has it of the
    /// cluster when it is written anew.
    async fn set_modified_time(&self, path: &Path, time: SystemTime) -> Result<()> {
        if time.elapsed().unwrap_or_else(|error| error.duration()) > NOW {
            return Err(error(FilesError::Other("only the present time can be set".to_owned())));
        }
        let path = text(path);
        if self.0.metadata(&path).await.map_err(error)?.directory {
            return Ok(());
        }
        let content = self.0.read(&path).await.map_err(error)?;
        self.0.write(&path, &content).await.map_err(error)
    }
}
