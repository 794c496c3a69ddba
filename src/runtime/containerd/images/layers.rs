//! An image's layers: the one with this program, which all have in common, and the one with the image's own files.

use std::io;

use bytes::Bytes;
use tar::{EntryType, Header};

use super::binary::{Binary, beside};
use crate::bash::{Files, MemoryFiles};
use crate::runtime::sim::contained::{IMAGE, PROGRAM, is_program_file};

/// Bytes with their digest.
#[derive(Clone, Debug)]
pub(in crate::runtime::containerd) struct Blob {
    /// `sha256:...`
    pub(in crate::runtime::containerd) digest: String,
    pub(in crate::runtime::containerd) bytes: Bytes,
}

impl Blob {
    /// Bytes, with their digest reckoned.
    pub(in crate::runtime::containerd) fn new(bytes: Vec<u8>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { digest: format!("sha256:{hex}"), bytes: bytes.into() }
    }
}

/// An archive that is being written. Whoever writes the same entries gets the same bytes.
struct Archive(tar::Builder<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(tar::Builder::new(vec![]))
    }

    fn header(kind: EntryType, size: usize, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let path = format!("{}/", path.trim_matches('/'));
        self.0.append_data(&mut Self::header(EntryType::Directory, 0, mode), path, io::empty())
    }

    fn file(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut header = Self::header(EntryType::Regular, bytes.len(), mode);
        self.0.append_data(&mut header, path.trim_start_matches('/'), bytes)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = Self::header(EntryType::Symlink, 0, 0o777);
        self.0.append_link(&mut header, path.trim_start_matches('/'), target)
    }

    fn finish(self) -> io::Result<Blob> {
        Ok(Blob::new(self.0.into_inner()?))
    }
}

/// The layer with this program.
pub(in crate::runtime::containerd) fn program() -> io::Result<Blob> {
    let Binary { program, loader, libraries } = Binary::own()?;
    let mut archive = Archive::new();
    archive.directory(&beside(""), 0o755)?;
    archive.file(PROGRAM, &program, 0o755)?;
    if let Some(loader) = loader {
        archive.file(crate::runtime::sim::contained::LOADER, &std::fs::read(loader)?, 0o755)?;
    }
    for (name, path) in libraries {
        archive.file(&beside(&name), &std::fs::read(path)?, 0o755)?;
    }
    archive.finish()
}

/// The layer with an image's own files. `name` is by what the program in it knows its image.
pub(in crate::runtime::containerd) async fn own(files: &MemoryFiles, name: &str) -> io::Result<Blob> {
    let mut archive = Archive::new();
    archive.file(IMAGE, name.as_bytes(), 0o644)?;
    let mut waiting = vec!["/".to_owned()];
    let failed = |path: &str, error: crate::bash::FilesError| io::Error::other(format!("{path}: {error}"));
    while let Some(directory) = waiting.pop() {
        let names = files.list(&directory).await.map_err(|error| failed(&directory, error))?;
        for name in names {
            let path = format!("{}/{name}", directory.trim_end_matches('/'));
            let metadata = files.link_metadata(&path).await.map_err(|error| failed(&path, error))?;
            if let Some(target) = &metadata.link {
                archive.link(&path, target)?;
            } else if metadata.directory {
                archive.directory(&path, metadata.mode)?;
                waiting.push(path);
            } else {
                let bytes = files.read(&path).await.map_err(|error| failed(&path, error))?;
                if is_program_file(&bytes) {
                    archive.link(&path, PROGRAM)?;
                } else {
                    archive.file(&path, &bytes, metadata.mode)?;
                }
            }
        }
    }
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn programs_are_links_and_the_same_files_make_the_same_layer() {
        let files = MemoryFiles::new(Clock::virtual_time());
        files.put("/bin/ls", b"\x7fELF\x02\x01\x01\0ls\n", 0o755);
        files.put("/etc/motd", b"hi\n", 0o600);
        files.put_link("/var/run", "/run");
        files.put_directory("/tmp", 0o1777);
        let layer = own(&files, "busybox:1").await.unwrap();
        assert_eq!(own(&files, "busybox:1").await.unwrap().digest, layer.digest);
        let mut archive = tar::Archive::new(&layer.bytes[..]);
        let mut seen: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let target = entry.link_name().unwrap().map(|path| path.to_string_lossy().into_owned());
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                format!("{path} {:o} {}", entry.header().mode().unwrap(), target.unwrap_or_default())
            })
            .collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                ".k8s-learn/image 644 ",
                "bin/ 755 ",
                "bin/ls 777 /.k8s-learn/k8s-learn",
                "etc/ 755 ",
                "etc/motd 600 ",
                "tmp/ 1777 ",
                "var/ 755 ",
                "var/run 777 /run",
            ]
        );
    }
}
