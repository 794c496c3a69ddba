//! The disk on which volumes are directories, as the controllers of storage see it. The cluster gives one.

use async_trait::async_trait;

/// Where volumes are directories.
#[async_trait]
pub trait VolumeDirectories: Send + Sync + 'static {
    /// The directory that new volumes are made in, absolute.
    fn root(&self) -> String;
    /// Makes a directory that everybody may write to. The error is in the words of the machine.
    async fn make(&self, path: &str) -> Result<(), String>;
    /// Takes a directory away with what is in it; nothing happens if it is not there.
    async fn remove(&self, path: &str) -> Result<(), String>;
}
