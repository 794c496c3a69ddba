//! Reading a tar archive as it comes: one entry after another, never more than a block of content at a time.
//!
//! `from_pod.rs` unpacks with it. Links and devices are told, not made. Sparse files are refused.
// Models Go's archive/tar (Reader) as far as what `tar cf -` writes.

use async_trait::async_trait;
use tar::{EntryType, Header, PaxExtensions};

use super::archive::BLOCK_BYTES;
use crate::kubectl::error::{KubectlError, Result};

/// The longest content of a header's extension.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// Where the bytes of an archive come from.
#[async_trait]
pub(super) trait Source: Send {
    /// Reads some bytes; 0 is the end.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
}

/// What an archive says of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name, as it stands there.
    pub name: String,
    /// Whether it is a directory.
    pub directory: bool,
    /// Where it leads, if it is a symbolic link.
    pub symlink: Option<String>,
}

/// An archive that is being read.
pub(super) struct TarReader<S> {
    source: S,
    /// How much of the entry's content is still to come.
    left: u64,
    /// How many zeros stand behind it.
    padding: u64,
}

/// What extensions said about the next entry.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl<S: Source> TarReader<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, left: 0, padding: 0 }
    }

    /// The source, when the archive has been read.
    pub(super) fn into_source(self) -> S {
        self.source
    }

    /// Goes on to the next entry; `None` at the archive's end.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>> {
        let mut extended = Extended::default();
        loop {
            self.skip().await?;
            let Some(header) = self.header().await? else { return Ok(None) };
            let kind = header.entry_type();
            let size = header.entry_size().map_err(|_| invalid())?;
            match kind {
                EntryType::GNULongName => extended.name = Some(text(&self.extension(size).await?)),
                EntryType::GNULongLink => extended.link = Some(text(&self.extension(size).await?)),
                EntryType::XHeader => extended.read(&self.extension(size).await?)?,
                EntryType::XGlobalHeader => drop(self.extension(size).await?),
                EntryType::GNUSparse => {
                    return Err(KubectlError::message("archive/tar: sparse files are not supported"));
                }
                kind => return Ok(Some(self.entry(&header, kind, extended, size))),
            }
        }
    }

    fn entry(&mut self, header: &Header, kind: EntryType, extended: Extended, size: u64) -> Entry {
        let name = extended.name.unwrap_or_else(|| text(&header.path_bytes()));
        let link = extended.link.or_else(|| header.link_name_bytes().map(|bytes| text(&bytes)));
        let header_only = kind.is_symlink()
            || kind.is_hard_link()
            || kind.is_dir()
            || kind.is_character_special()
            || kind.is_block_special()
            || kind.is_fifo();
        self.content(if header_only { 0 } else { extended.size.unwrap_or(size) });
        let directory = kind.is_dir() || (header.as_old().linkflag == [0] && name.ends_with('/'));
        Entry { name, directory, symlink: kind.is_symlink().then(|| link.unwrap_or_default()) }
    }

    /// Reads some of the entry's content; 0 is its end.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        let count = self.source.read(&mut buffer[..length]).await?;
        if count == 0 {
            return Err(unexpected_end());
        }
        self.left -= count as u64;
        Ok(count)
    }

    fn content(&mut self, size: u64) {
        let block = BLOCK_BYTES as u64;
        self.left = size;
        self.padding = (block - size % block) % block;
    }

    /// The whole content of an extension.
    async fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION_BYTES {
            return Err(KubectlError::message("archive/tar: header field too long"));
        }
        self.content(size);
        let mut content = vec![];
        let mut buffer = [0; BLOCK_BYTES];
        loop {
            match self.read(&mut buffer).await? {
                0 => return Ok(content),
                count => content.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Passes over what is left of an entry.
    async fn skip(&mut self) -> Result<()> {
        self.left = self.left.saturating_add(std::mem::take(&mut self.padding));
        let mut buffer = [0; 16 * BLOCK_BYTES];
        while self.read(&mut buffer).await? > 0 {}
        Ok(())
    }

    /// The next header; `None` behind the last one.
    async fn header(&mut self) -> Result<Option<Header>> {
        let Some(block) = self.block().await? else { return Ok(None) };
        if block == [0; BLOCK_BYTES] {
            return match self.block().await? {
                Some(block) if block != [0; BLOCK_BYTES] => Err(invalid()),
                _ => Ok(None),
            };
        }
        let header = Header::from_byte_slice(&block);
        let sum: u32 = block
            .iter()
            .enumerate()
            // The sum is reckoned as if its own field were blank.
            .map(|(index, byte)| u32::from(if (148..156).contains(&index) { b' ' } else { *byte }))
            .sum();
        if header.cksum().ok() != Some(sum) {
            return Err(invalid());
        }
        Ok(Some(header.clone()))
    }

    async fn block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>> {
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.source.read(&mut block[filled..]).await? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(unexpected_end()),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }
}

impl Extended {
    fn read(&mut self, content: &[u8]) -> Result<()> {
        for record in PaxExtensions::new(content) {
            let record = record.map_err(|_| invalid())?;
            let value = text(record.value_bytes());
            match record.key().map_err(|_| invalid())? {
                "path" => self.name = Some(value),
                "linkpath" => self.link = Some(value),
                "size" => self.size = Some(value.parse().map_err(|_| invalid())?),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A field's text, up to the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn invalid() -> KubectlError {
    KubectlError::message("archive/tar: invalid tar header")
}

fn unexpected_end() -> KubectlError {
    KubectlError::message("unexpected EOF")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[async_trait]
    impl Source for &[u8] {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            // A few bytes at a time: blocks come in pieces.
            let count = buffer.len().min(self.len()).min(100);
            buffer[..count].copy_from_slice(&self[..count]);
            *self = &self[count..];
            Ok(count)
        }
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, String> {
        futures::executor::block_on(async {
            let mut reader = TarReader::new(bytes);
            let mut found = vec![];
            while let Some(entry) = reader.next().await? {
                let (mut content, mut buffer) = (vec![], [0; 64]);
                loop {
                    match reader.read(&mut buffer).await? {
                        0 => break,
                        count => content.extend_from_slice(&buffer[..count]),
                    }
                }
                found.push((entry, content));
            }
            Ok(found)
        })
        .map_err(|error: KubectlError| error.to_string())
    }

    fn sample() -> Vec<u8> {
        let mut archive = tar::Builder::new(vec![]);
        let mut header = Header::new_gnu();
        header.set_size(700);
        archive.append_data(&mut header, format!("{}/a", "x".repeat(180)), &[7; 700][..]).unwrap();
        header.set_size(0);
        header.set_entry_type(EntryType::Directory);
        archive.append_data(&mut header, "d/", &b""[..]).unwrap();
        header.set_entry_type(EntryType::Symlink);
        archive.append_link(&mut header, "l", "y".repeat(130)).unwrap();
        archive.append_pax_extensions([("path", "from/pax".as_bytes())]).unwrap();
        let mut header = Header::new_ustar();
        header.set_size(2);
        archive.append_data(&mut header, "short", &b"ok"[..]).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn entries_come_one_after_another() {
        let found = read_all(&sample()).unwrap();
        let names: Vec<&str> = found.iter().map(|(entry, _)| entry.name.as_str()).collect();
        assert_eq!(names[1..], ["d/", "l", "from/pax"]);
        assert_eq!(
            (found[0].0.name.len(), &found[0].1[..], found[1].0.directory),
            (182, &[7; 700][..], true)
        );
        assert_eq!((found[2].0.symlink.clone(), &found[3].1[..]), (Some("y".repeat(130)), &b"ok"[..]));
    }

    #[test]
    fn what_is_broken_is_called_so() {
        let mut bytes = sample();
        assert_eq!(read_all(&bytes[..1000]).unwrap_err(), "unexpected EOF");
        assert_eq!(read_all(&[]).unwrap(), []);
        bytes[0] ^= 1;
        assert_eq!(read_all(&bytes).unwrap_err(), "archive/tar: invalid tar header");
    }

    proptest! {
        /// No bytes break it, and it always ends.
        #[test]
        fn any_bytes_are_read_or_refused(at in 0_usize..4096, with: u8, end in 0_usize..4096) {
            let mut bytes = sample();
            let (at, end) = (at % bytes.len(), end % bytes.len());
            bytes[at] = with;
            let _ = read_all(&bytes);
            let _ = read_all(&bytes[..end]);
        }
    }
}
