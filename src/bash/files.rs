//! A file system, whichever: in memory for containers and the sandbox shell, the host's for a person's own kubectl.
//!
//! [`Files`] is the contract; `memory_files`, `mount_files` and `host_files` keep it. Paths are absolute; whoever takes
//! paths from a user resolves them against a working directory first, with [`resolve`].

use async_trait::async_trait;
use bytes::Bytes;

use crate::watch;

/// What a path is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Whether it is a directory.
    pub directory: bool,
    /// The size in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// When it was last written, in seconds since 1970.
    pub modified_seconds: i64,
    /// Where it leads, if it is a symbolic link (only from [`Files::link_metadata`]).
    pub link: Option<String>,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Why a path could not be read or written. The words are those of the system's own errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilesError {
    #[error("no such file or directory")]
    NotFound,
    #[error("permission denied")]
    PermissionDenied,
    #[error("is a directory")]
    IsDirectory,
    #[error("not a directory")]
    NotDirectory,
    #[error("file exists")]
    Exists,
    #[error("directory not empty")]
    NotEmpty,
    #[error("no space left on device")]
    NoSpace,
    #[error("read-only file system")]
    ReadOnly,
    #[error("too many levels of symbolic links")]
    TooManyLinks,
    #[error("{0}")]
    Other(String),
}

impl FilesError {
    /// The error as the C library words it: with a capital.
    pub fn strerror(&self) -> String {
        let text = self.to_string();
        let mut letters = text.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}

impl From<std::io::Error> for FilesError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::IsADirectory => Self::IsDirectory,
            ErrorKind::NotADirectory => Self::NotDirectory,
            ErrorKind::AlreadyExists => Self::Exists,
            ErrorKind::DirectoryNotEmpty => Self::NotEmpty,
            ErrorKind::StorageFull => Self::NoSpace,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// A file system. Paths are absolute.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// The whole content of a file.
    async fn read(&self, path: &str) -> Result<Bytes, FilesError>;
    /// Sets the content of a file, making it with mode 0644 if it is new.
    async fn write(&self, path: &str, content: &[u8]) -> Result<(), FilesError>;
    /// Adds to a file, making it if it is new.
    async fn append(&self, path: &str, content: &[u8]) -> Result<(), FilesError>;
    /// What is at a path; follows links.
    async fn metadata(&self, path: &str) -> Result<Metadata, FilesError>;
    /// What is at a path; a link is not followed.
    async fn link_metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        self.metadata(path).await
    }
    /// The names in a directory, sorted.
    async fn list(&self, path: &str) -> Result<Vec<String>, FilesError>;
    /// Makes a directory and those above it.
    async fn make_directory(&self, path: &str) -> Result<(), FilesError>;
    /// Removes a file, or a directory with what is in it.
    async fn remove(&self, path: &str) -> Result<(), FilesError>;
    /// Moves a file or directory.
    async fn rename(&self, from: &str, to: &str) -> Result<(), FilesError>;
    /// Sets the permission bits.
    async fn set_mode(&self, path: &str, mode: u32) -> Result<(), FilesError>;
    /// Makes a symbolic link at `path` that leads to `target`.
    async fn symlink(&self, target: &str, path: &str) -> Result<(), FilesError> {
        let _ = target;
        Err(FilesError::Other(format!("{path}: symbolic links are not supported here")))
    }
    /// Changes whenever something near `path` was written; `None` if nobody counts.
    fn watch(&self, path: &str) -> Option<watch::Receiver<u64>> {
        let _ = path;
        None
    }
}

/// `path` as seen from the directory `cwd`, absolute, without `.`, `..` and doubled slashes.
pub fn resolve(cwd: &str, path: &str) -> String {
    let mut parts: Vec<&str> = vec![];
    let base = if path.starts_with('/') { "" } else { cwd };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The directory that a path is in, and its name there.
pub fn split(path: &str) -> (&str, &str) {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => ("/", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_a_directory() {
        for (cwd, path, expected) in
            [("/a/b", "../c", "/a/c"), ("/", "x//y/.", "/x/y"), ("/a", "/b", "/b"), ("/", "../..", "/")]
        {
            assert_eq!(resolve(cwd, path), expected);
        }
    }

    #[test]
    fn errors_read_as_the_c_library_words_them() {
        assert_eq!(FilesError::NotFound.strerror(), "No such file or directory");
    }
}
