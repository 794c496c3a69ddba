//! A file system, whichever: in memory for containers and the sandbox shell, the host's for a person's own kubectl.

use async_trait::async_trait;
use bytes::Bytes;

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Whether it is a directory.
    pub directory: bool,
    /// The size in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// When it was last written, in seconds since 1970.
    pub modified_seconds: i64,
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
    #[error("{0}")]
    Other(String),
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
}
