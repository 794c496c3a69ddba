//! The head of a message: its first line and headers, read from a stream within bounds.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The largest head.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Headers in their order and with their own spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime::sim::programs) struct Headers(
    pub(in crate::runtime::sim::programs) Vec<(String, String)>,
);

/// The first line and the headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime::sim::programs) struct Head {
    pub(in crate::runtime::sim::programs) first: String,
    pub(in crate::runtime::sim::programs) headers: Headers,
}

impl Headers {
    /// The value of a header, whichever way its name is spelled.
    pub(in crate::runtime::sim::programs) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a header has a word among its values.
    pub(in crate::runtime::sim::programs) fn has(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
    }

    /// Adds a header.
    pub(in crate::runtime::sim::programs) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }
}

impl Head {
    /// The bytes that go over the wire.
    pub(in crate::runtime::sim::programs) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers.0 {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Reads a head; `None` if the other side closes before it begins one.
    pub(in crate::runtime::sim::programs) async fn read(
        from: &mut (dyn AsyncBufRead + Send + Unpin),
    ) -> io::Result<Option<Self>> {
        let mut head = Self::default();
        let mut total = 0;
        loop {
            let mut line = vec![];
            loop {
                let chunk = from.fill_buf().await?;
                if chunk.is_empty() {
                    let clean = total == 0 && line.is_empty();
                    return if clean { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
                }
                let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                let count = end.unwrap_or(chunk.len());
                line.extend_from_slice(&chunk[..count]);
                from.consume(count);
                if total + line.len() > MAX_HEAD_BYTES {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "the head is too large"));
                }
                if end.is_some() {
                    break;
                }
            }
            total += line.len();
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if head.first.is_empty() {
                // Empty lines before a request are skipped, as servers do.
                text.clone_into(&mut head.first);
            } else if text.is_empty() {
                return Ok(Some(head));
            } else if let Some((name, value)) = text.split_once(':') {
                head.headers.add(name.trim(), value.trim());
            } else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a header without a colon"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn read(bytes: &[u8]) -> io::Result<Option<Head>> {
        let mut from = io::Cursor::new(bytes.to_vec());
        Head::read(&mut from).now_or_never().unwrap()
    }

    #[test]
    fn heads_survive_the_wire() {
        let mut head = Head { first: "GET / HTTP/1.1".into(), ..Head::default() };
        head.headers.add("Host", "web");
        head.headers.add("ETag", "\"a:b\"");
        assert_eq!(read(&head.bytes()).unwrap(), Some(head));
        assert_eq!(read(b"").unwrap(), None);
        assert!(read(b"GET / HTTP/1.1\r\n").is_err());
        assert!(read(&[b'x'; 100_000]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
