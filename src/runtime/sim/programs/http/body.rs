//! The body of a message: by its length, in chunks, or up to the end of the stream.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::message::Headers;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    UntilClose,
}

/// How much is read at once.
const PIECE_BYTES: usize = 32 * 1024;

impl Body {
    /// The body of a request with these headers: none if they do not say.
    pub(super) fn of_request(headers: &Headers) -> Self {
        if headers.has("Transfer-Encoding", "chunked") {
            return Self::Chunked;
        }
        Self::Length(headers.get("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// The body of an answer.
    pub(super) fn of_answer(headers: &Headers, code: u16, method: &str) -> Self {
        if method == "HEAD" || code < 200 || code == 204 || code == 304 {
            return Self::Length(0);
        }
        if headers.has("Transfer-Encoding", "chunked") {
            return Self::Chunked;
        }
        headers
            .get("Content-Length")
            .and_then(|text| text.parse().ok())
            .map_or(Self::UntilClose, Self::Length)
    }

    /// The next piece; `None` at the end, after which it says so again.
    pub(super) async fn read(
        &mut self,
        from: &mut (dyn AsyncBufRead + Send + Unpin),
    ) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Length(0) => Ok(None),
            Self::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                let piece = read_some(from, most).await?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= piece.len() as u64;
                Ok(Some(piece))
            }
            Self::UntilClose => {
                let piece = read_some(from, PIECE_BYTES).await?;
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
            Self::Chunked => {
                let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a chunk without a size");
                let line = read_line(from).await?;
                let size = line.split(';').next().unwrap_or_default().trim().to_owned();
                let size = u64::from_str_radix(&size, 16).map_err(|_| wrong())?;
                if size == 0 {
                    while !read_line(from).await?.is_empty() {}
                    *self = Self::Length(0);
                    return Ok(None);
                }
                if size > 64 << 20 {
                    return Err(wrong());
                }
                let mut piece = vec![];
                (&mut *from).take(size).read_to_end(&mut piece).await?;
                if piece.len() as u64 != size || !read_line(from).await?.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(Some(piece))
            }
        }
    }

    /// All of it, to a bound.
    pub(super) async fn read_all(
        mut self,
        from: &mut (dyn AsyncBufRead + Send + Unpin),
        most: usize,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = vec![];
        while let Some(piece) = self.read(from).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > most {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the body is too large"));
            }
        }
        Ok(bytes)
    }
}

async fn read_some(from: &mut (dyn AsyncBufRead + Send + Unpin), most: usize) -> io::Result<Vec<u8>> {
    let chunk = from.fill_buf().await?;
    let piece = chunk[..chunk.len().min(most)].to_vec();
    from.consume(piece.len());
    Ok(piece)
}

async fn read_line(from: &mut (dyn AsyncBufRead + Send + Unpin)) -> io::Result<String> {
    let mut line = vec![];
    (&mut *from).take(4096).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn all(body: Body, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut from = io::Cursor::new(bytes.to_vec());
        body.read_all(&mut from, 1 << 20).now_or_never().unwrap()
    }

    #[test]
    fn bodies_end_where_they_say() {
        assert_eq!(all(Body::Length(3), b"abcdef").unwrap(), b"abc");
        assert_eq!(all(Body::UntilClose, b"abc").unwrap(), b"abc");
        assert_eq!(all(Body::Chunked, b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n").unwrap(), b"abcde");
        assert!(all(Body::Length(3), b"ab").is_err() && all(Body::Chunked, b"zz\r\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_chunks_break_it(bytes: Vec<u8>) {
            let _ = all(Body::Chunked, &bytes);
        }
    }
}
