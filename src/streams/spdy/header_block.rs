//! SPDY's header blocks: names and values, compressed with zlib over SPDY's own dictionary.
//!
//! One compressor and one decompressor live as long as their connection, since each block goes on where the last ended.
// Models golang.org/x/net's spdy framer as moby/spdystream carries it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::streams::protocol::StreamError;

/// The most bytes that a block may have when it is unpacked.
const MAX_BLOCK_BYTES: usize = 64 << 10;

/// Names and values; names are in lower case.
pub(crate) type Headers = BTreeMap<String, String>;

/// The dictionary of the protocol's text, section 2.6.10.1: words with their lengths, then common values.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    const WORDS: &str = "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|\
        accept-ranges|age|allow|authorization|cache-control|connection|content-base|content-encoding|content-language|\
        content-length|content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|\
        if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|\
        proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|\
        user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|\
        keep-alive|origin";
    const VALUES: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
        Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not \
        Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov \
        Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,\
        application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-\
        8859-1,utf-,*,enq=0.";
    let mut bytes = vec![];
    for word in WORDS.split('|') {
        put(&mut bytes, word);
    }
    bytes.extend_from_slice(VALUES.as_bytes());
    bytes
});

fn put(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn protocol(what: &str) -> StreamError {
    StreamError::Protocol(format!("spdy: {what}"))
}

/// Packs blocks.
pub(crate) struct Packer(Compress);

impl Packer {
    pub(crate) fn new() -> Result<Self, StreamError> {
        let mut compress = Compress::new(Compression::default(), true);
        compress.set_dictionary(&DICTIONARY).map_err(|error| protocol(&error.to_string()))?;
        Ok(Self(compress))
    }

    pub(crate) fn pack(&mut self, headers: &Headers) -> Result<Vec<u8>, StreamError> {
        let mut plain = (headers.len() as u32).to_be_bytes().to_vec();
        for (name, value) in headers {
            put(&mut plain, &name.to_ascii_lowercase());
            put(&mut plain, value);
        }
        let mut packed = Vec::with_capacity(plain.len() + 64);
        let start = self.0.total_in();
        loop {
            let used = usize::try_from(self.0.total_in() - start).unwrap_or(plain.len());
            packed.reserve(256);
            let before = packed.len();
            self.0
                .compress_vec(&plain[used..], &mut packed, FlushCompress::Sync)
                .map_err(|error| protocol(&error.to_string()))?;
            let done = self.0.total_in() - start == plain.len() as u64;
            if done && packed.len() < packed.capacity() {
                return Ok(packed);
            }
            if !done && packed.len() == before && packed.len() < packed.capacity() {
                return Err(protocol("the compressor stands still"));
            }
        }
    }
}

/// Unpacks blocks.
pub(crate) struct Unpacker(Decompress);

impl Unpacker {
    pub(crate) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(crate) fn unpack(&mut self, packed: &[u8]) -> Result<Headers, StreamError> {
        let mut plain = Vec::with_capacity(1024);
        let start = self.0.total_in();
        loop {
            let used = usize::try_from(self.0.total_in() - start).unwrap_or(packed.len());
            if used >= packed.len() && plain.len() < plain.capacity() {
                break;
            }
            plain.reserve(1024);
            let before = plain.len();
            match self.0.decompress_vec(&packed[used..], &mut plain, FlushDecompress::Sync) {
                Ok(Status::StreamEnd) => break,
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY).map_err(|error| protocol(&error.to_string()))?;
                    continue;
                }
                Err(error) => return Err(protocol(&error.to_string())),
            }
            let progress = plain.len() > before || self.0.total_in() - start > used as u64;
            if !progress {
                break;
            }
            if plain.len() > MAX_BLOCK_BYTES {
                return Err(protocol("header block too large"));
            }
        }
        parse(&plain)
    }
}

fn parse(plain: &[u8]) -> Result<Headers, StreamError> {
    let mut rest = plain;
    let count = take_length(&mut rest)?;
    let mut headers = Headers::new();
    for _ in 0..count {
        let name = take_text(&mut rest)?.to_ascii_lowercase();
        let value = take_text(&mut rest)?;
        if headers.insert(name, value).is_some() {
            return Err(protocol("a header is given twice"));
        }
    }
    Ok(headers)
}

fn take_length(rest: &mut &[u8]) -> Result<usize, StreamError> {
    let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(|| protocol("header block ends early"))?;
    *rest = tail;
    Ok(u32::from_be_bytes(*length) as usize)
}

fn take_text(rest: &mut &[u8]) -> Result<String, StreamError> {
    let length = take_length(rest)?;
    let (text, tail) = rest.split_at_checked(length).ok_or_else(|| protocol("header block ends early"))?;
    *rest = tail;
    String::from_utf8(text.to_vec()).map_err(|_| protocol("a header is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_protocols() {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        // Every SPDY/3 client announces this checksum.
        assert_eq!((DICTIONARY.len(), b << 16 | a), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn blocks_go_on_where_the_last_ended() {
        let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new());
        for number in 0..50 {
            let headers = Headers::from([
                ("streamtype".to_owned(), "data".to_owned()),
                ("port".to_owned(), number.to_string()),
                ("long".to_owned(), "x".repeat(number * 100)),
            ]);
            let packed = packer.pack(&headers).unwrap();
            assert_eq!(unpacker.unpack(&packed).unwrap(), headers, "block {number}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_unpacker(bytes: Vec<u8>) {
            let _ = Unpacker::new().unpack(&bytes);
            let _ = parse(&bytes);
        }
    }
}
