//! Volumes as directories of this machine.
//!
//! What the kubelet projects is replaced in one moment, as the kubelet's own writer does: the files are links through
//! `..data`, which leads to a directory that is made anew for each content. A volume with the id `hostpath/NODE/PATH` is
//! that path of this machine.
// Models pkg/volume/util/atomic_writer.go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::fs;

use super::{ownership, tmpfs};
use crate::clock::Clock;
use crate::runtime::api::{HostFile, Result, RuntimeError, VolumeContent, VolumeSource, host_path_of};
use crate::seed::Seed;

/// The link to what is there now.
const DATA: &str = "..data";

/// The volumes of one node.
#[derive(Clone, Debug)]
pub(super) struct Volumes {
    root: PathBuf,
    clock: Clock,
}

fn failed(path: &Path, error: &std::io::Error) -> RuntimeError {
    RuntimeError::Other(format!("{}: {error}", path.display()))
}

impl Volumes {
    /// Volumes below `root`.
    pub(super) fn new(root: PathBuf, clock: Clock) -> Self {
        Self { root, clock }
    }

    /// Where a volume is.
    fn directory(&self, volume: &str) -> Result<PathBuf> {
        if let Some(path) = host_path_of(volume) {
            return Ok(PathBuf::from(path));
        }
        let harmless = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !volume.split('/').all(harmless) {
            return Err(RuntimeError::Other(format!("a volume cannot be called {volume:?}")));
        }
        Ok(self.root.join(volume))
    }

    /// The path of this machine that a mount shows.
    pub(super) async fn source(&self, source: &VolumeSource) -> Result<PathBuf> {
        let directory = self.directory(&source.volume)?;
        if source.sub_path.is_empty() {
            return Ok(directory);
        }
        let path = directory.join(&source.sub_path);
        if fs::metadata(&path).await.is_err() {
            // As the kubelet does: what is not there becomes a directory.
            fs::create_dir_all(&path).await.map_err(|error| failed(&path, &error))?;
        }
        // A mount of a link would be a mount of what it leads to when the container starts; it must stay in the volume.
        let real = fs::canonicalize(&path).await.map_err(|error| failed(&path, &error))?;
        let inside = fs::canonicalize(&directory).await.map_err(|error| failed(&directory, &error))?;
        if !real.starts_with(&inside) {
            return Err(RuntimeError::Create(format!(
                "failed to prepare subPath for volumeMount: subpath {:?} not within volume path {:?}",
                real, inside
            )));
        }
        Ok(real)
    }

    /// Sets what is in a volume.
    pub(super) async fn write(&self, volume: &str, content: &VolumeContent, seed: &Seed) -> Result<()> {
        let directory = self.directory(volume)?;
        let of_node = host_path_of(volume).is_some();
        if !of_node {
            fs::create_dir_all(&directory).await.map_err(|error| failed(&directory, &error))?;
            if content.in_memory {
                let mounted = tmpfs::mount(&self.clock, &directory, content.size_limit).await;
                mounted.map_err(RuntimeError::Other)?;
            }
        }
        let result = async {
            if content.writable && !of_node {
                set_mode(&directory, 0o777).await?;
                write_plain(&directory, content).await?;
            } else if !of_node {
                write_at_once(&directory, content, &seed.hex(5)).await?;
            }
            match content.group {
                Some(group) => ownership::give(&directory, group, !content.writable).await,
                None => Ok(()),
            }
        };
        result.await.map_err(|error: std::io::Error| failed(&directory, &error))
    }

    /// How much a volume holds, in bytes.
    pub(super) async fn usage(&self, volume: &str) -> Result<u64> {
        let directory = self.directory(volume)?;
        ownership::usage(&directory).await.map_err(|error| failed(&directory, &error))
    }

    /// What is at a path of this machine.
    pub(super) async fn host_file(path: &str) -> Result<Option<HostFile>> {
        use std::io::ErrorKind;
        use std::os::unix::fs::FileTypeExt;
        let kind = match fs::metadata(path).await {
            Ok(found) => found.file_type(),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(Path::new(path), &error)),
        };
        Ok(Some(match kind {
            kind if kind.is_dir() => HostFile::Directory,
            kind if kind.is_socket() => HostFile::Socket,
            kind if kind.is_char_device() => HostFile::CharDevice,
            kind if kind.is_block_device() => HostFile::BlockDevice,
            _ => HostFile::File,
        }))
    }

    /// Makes a directory or an empty file of this machine.
    pub(super) async fn make_host_file(path: &str, kind: HostFile) -> Result<()> {
        let path = Path::new(path);
        let directory = if kind == HostFile::Directory { Some(path) } else { path.parent() };
        let made = async {
            if let Some(directory) = directory {
                fs::create_dir_all(directory).await?;
            }
            match kind {
                HostFile::Directory => Ok(()),
                HostFile::File => fs::write(path, b"").await,
                _ => Err(std::io::Error::other("cannot be made")),
            }
        };
        made.await.map_err(|error: std::io::Error| failed(path, &error))
    }

    /// Takes a volume away; a path of the machine stays.
    pub(super) async fn remove(&self, volume: &str) -> Result<()> {
        if host_path_of(volume).is_some() {
            return Ok(());
        }
        let directory = self.directory(volume)?;
        tmpfs::unmount(&self.clock, &directory).await.map_err(RuntimeError::Other)?;
        match fs::remove_dir_all(&directory).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&directory, &error)),
            _ => {
                // The pod's last volume takes its directory along; before that it is not empty.
                if let Some(pod) = directory.parent().filter(|parent| *parent != self.root) {
                    let _ = fs::remove_dir(pod).await;
                }
                Ok(())
            }
        }
    }
}

async fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).await
}

/// Writes files in place: they may be mounted one by one.
async fn write_plain(directory: &Path, content: &VolumeContent) -> std::io::Result<()> {
    for (path, (bytes, mode)) in &content.files {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).await?;
        }
        fs::write(&path, bytes).await?;
        set_mode(&path, *mode).await?;
    }
    Ok(())
}

/// Replaces all files in one moment.
async fn write_at_once(directory: &Path, content: &VolumeContent, unique: &str) -> std::io::Result<()> {
    let data = directory.join(DATA);
    let before = fs::read_link(&data).await.ok();
    let version = format!("..{unique}");
    let new = directory.join(&version);
    fs::create_dir(&new).await?;
    write_plain(&new, content).await?;
    set_mode(&new, 0o755).await?;
    let next = directory.join("..data_tmp");
    fs::symlink(&version, &next).await?;
    fs::rename(&next, &data).await?;
    let tops: BTreeSet<&str> =
        content.files.keys().map(|path| path.split('/').next().unwrap_or(path)).collect();
    for top in &tops {
        let link = directory.join(top);
        if fs::symlink_metadata(&link).await.is_err() {
            fs::symlink(Path::new(DATA).join(top), &link).await?;
        }
    }
    let mut entries = fs::read_dir(directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !tops.contains(name.as_str()) {
            fs::remove_file(entry.path()).await?;
        }
    }
    match before {
        Some(before) => fs::remove_dir_all(directory.join(before)).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn content(files: &[(&str, &'static str)], writable: bool) -> VolumeContent {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (Bytes::from(*text), 0o644)));
        VolumeContent { files: files.collect(), writable, ..VolumeContent::default() }
    }

    #[tokio::test]
    async fn projected_files_are_replaced_as_a_whole_and_empty_dirs_keep_theirs() {
        let root = tempfile::tempdir().unwrap();
        let volumes = Volumes::new(root.path().to_owned(), Clock::real());
        let seed = Seed::new(1);
        volumes.write("u/config", &content(&[("a", "1"), ("x/y", "2")], false), &seed).await.unwrap();
        let at = |path: &str| root.path().join("u/config").join(path);
        assert_eq!(std::fs::read_to_string(at("x/y")).unwrap(), "2");
        assert_eq!(std::fs::read_link(at("a")).unwrap(), Path::new("..data/a"));
        volumes.write("u/config", &content(&[("a", "3"), ("b", "4")], false), &seed).await.unwrap();
        assert_eq!(std::fs::read_to_string(at("a")).unwrap(), "3");
        assert!(!at("x").exists());
        let names = std::fs::read_dir(root.path().join("u/config")).unwrap().count();
        assert_eq!(names, 4, "a, b, ..data and where that leads");
        volumes.write("u/empty", &content(&[], true), &seed).await.unwrap();
        let of = |volume: &str, sub_path: &str| VolumeSource {
            volume: volume.to_owned(),
            sub_path: sub_path.to_owned(),
        };
        let file = volumes.source(&of("u/config", "b")).await.unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "4");
        assert!(volumes.source(&of("u/empty", "new")).await.unwrap().is_dir());
        std::os::unix::fs::symlink("/etc", root.path().join("u/empty/out")).unwrap();
        assert!(volumes.source(&of("u/empty", "out/passwd")).await.is_err(), "a link leads out");
        assert!(volumes.source(&of("u/../..", "")).await.is_err());
        assert_eq!(volumes.source(&of("hostpath/node/etc", "")).await.unwrap(), Path::new("/etc"));
        volumes.remove("u/config").await.unwrap();
        volumes.remove("u/config").await.unwrap();
        volumes.remove("hostpath/node/etc").await.unwrap();
        volumes.remove("u/empty").await.unwrap();
        assert!(!root.path().join("u").exists() && Path::new("/etc").exists());
    }
}
