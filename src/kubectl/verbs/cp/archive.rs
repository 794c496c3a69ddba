//! Packing: files of this machine as a tar archive, written as they are read.
// Models k8s.io/kubectl/pkg/cmd/cp (makeTar, recursiveTar).

use futures::future::BoxFuture;
use tar::{EntryType, Header};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::paths::{base, clean, dir, join};
use crate::bash::{FilesError, Metadata};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::resources::glob;
use crate::kubectl::session::Session;

/// The size of everything in an archive.
pub(super) const BLOCK_BYTES: usize = 512;
/// The longest name that a header has room for.
const NAME_BYTES: usize = 100;

/// Writes what is at `from` and below, under the name that `to` ends with.
pub(super) async fn pack<W>(session: &Session, from: &str, to: &str, out: &mut W) -> Result<()>
where
    W: AsyncWrite + Send + Unpin,
{
    let from = clean(from);
    let mut packing = Packing { session, directory: dir(&from), out };
    packing.add(base(&from), base(&clean(to))).await?;
    // Two blocks of zeros end an archive.
    packing.write(&[0; 2 * BLOCK_BYTES]).await;
    Ok(())
}

struct Packing<'a, W> {
    session: &'a Session,
    /// The directory that paths are seen from.
    directory: String,
    out: &'a mut W,
}

impl<W: AsyncWrite + Send + Unpin> Packing<'_, W> {
    fn add<'a>(&'a mut self, path: &'a str, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let pattern = join(&self.directory, path);
            // kubectl takes the path as a pattern once more, and a file ends it.
            for found in matches(self.session, &pattern).await {
                let absolute = self.session.absolute(&found);
                let metadata = self.session.files.link_metadata(&absolute).await;
                let metadata = metadata.map_err(|error| failed("lstat", &found, &error))?;
                if let Some(target) = &metadata.link {
                    self.write(&entry(name, EntryType::Symlink, &metadata, target)).await;
                } else if metadata.directory {
                    return self.add_directory(&found, path, name, &metadata).await;
                } else {
                    let content = self.session.files.read(&absolute).await;
                    let content = content.map_err(|error| failed("open", &found, &error))?;
                    let metadata = Metadata { size: content.len() as u64, ..metadata };
                    self.write(&entry(name, EntryType::Regular, &metadata, "")).await;
                    self.write(&content).await;
                    self.write(&padding(content.len())).await;
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    /// A directory is in the archive by what is in it; an empty one by itself.
    async fn add_directory(
        &mut self,
        found: &str,
        path: &str,
        name: &str,
        metadata: &Metadata,
    ) -> Result<()> {
        let names = self.session.files.list(&self.session.absolute(found)).await;
        let names = names.map_err(|error| failed("open", found, &error))?;
        if names.is_empty() {
            self.write(&entry(name, EntryType::Directory, metadata, "")).await;
        }
        for inner in names {
            self.add(&join(path, &inner), &join(name, &inner)).await?;
        }
        Ok(())
    }

    /// Writes what the far end may have stopped reading: then its own complaint counts.
    async fn write(&mut self, bytes: &[u8]) {
        let _ = self.out.write_all(bytes).await;
    }
}

/// The paths that a pattern means; a path without `*`, `?` or `[` means itself.
async fn matches(session: &Session, pattern: &str) -> Vec<String> {
    if pattern.contains(['*', '?', '[']) { glob(session, pattern).await } else { vec![pattern.to_owned()] }
}

fn failed(what: &str, path: &str, error: &FilesError) -> KubectlError {
    KubectlError::message(format!("{what} {path}: {error}"))
}

/// What fills the last block of a content of that length.
fn padding(length: usize) -> Vec<u8> {
    vec![0; length.next_multiple_of(BLOCK_BYTES) - length]
}

/// The blocks before a content. Long names and targets come before the header in blocks of their own, as GNU's tar has it.
fn entry(name: &str, kind: EntryType, metadata: &Metadata, target: &str) -> Vec<u8> {
    let mut blocks = vec![];
    for (kind, text) in [(EntryType::GNULongName, name), (EntryType::GNULongLink, target)] {
        if text.len() > NAME_BYTES {
            let mut content = text.as_bytes().to_vec();
            content.push(0);
            let mut header = header(kind, &Metadata { size: content.len() as u64, ..Metadata::default() });
            put(&mut header.as_old_mut().name, "././@LongLink");
            header.set_cksum();
            blocks.extend_from_slice(header.as_bytes());
            blocks.extend_from_slice(&content);
            blocks.extend(padding(content.len()));
        }
    }
    let size = if kind == EntryType::Regular { metadata.size } else { 0 };
    let mut header = header(kind, &Metadata { size, ..metadata.clone() });
    put(&mut header.as_old_mut().name, name);
    put(&mut header.as_old_mut().linkname, target);
    header.set_cksum();
    blocks.extend_from_slice(header.as_bytes());
    blocks
}

fn header(kind: EntryType, metadata: &Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(metadata.size);
    header.set_mode(metadata.mode);
    header.set_mtime(metadata.modified_seconds.max(0).unsigned_abs());
    header.set_uid(metadata.uid.into());
    header.set_gid(metadata.gid.into());
    header
}

/// Puts as much of a text into a field as it has room for.
fn put(field: &mut [u8; NAME_BYTES], text: &str) {
    let length = text.len().min(NAME_BYTES);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn entries_are_read_by_others() {
        let long = format!("{}/x.txt", "d".repeat(150));
        let file = Metadata { size: 3, mode: 0o640, modified_seconds: 7, ..Metadata::default() };
        let mut bytes = entry(&long, EntryType::Regular, &file, "");
        bytes.extend_from_slice(b"abc");
        bytes.extend(padding(3));
        bytes.extend(entry("../up", EntryType::Symlink, &file, &long));
        bytes.extend(entry("empty", EntryType::Directory, &file, ""));
        bytes.extend([0; 2 * BLOCK_BYTES]);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut found = vec![];
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let link = entry.link_name().unwrap().map(|link| link.to_string_lossy().into_owned());
            found.push((entry.path().unwrap().to_string_lossy().into_owned(), content, link));
        }
        let expected = [
            (long.clone(), "abc".to_owned(), None),
            ("../up".to_owned(), String::new(), Some(long)),
            ("empty".to_owned(), String::new(), None),
        ];
        assert_eq!(found, expected);
    }
}
