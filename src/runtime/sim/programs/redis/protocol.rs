//! RESP: commands as arrays of strings (or a line of words), and what answers look like on the wire.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest string and the most words of a command.
const MAX_BYTES: u64 = 16 << 20;
const MAX_WORDS: usize = 1 << 16;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

impl Reply {
    /// The bytes on the wire.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Simple(text) => format!("+{text}\r\n").into_bytes(),
            Self::Error(text) => format!("-{text}\r\n").into_bytes(),
            Self::Integer(number) => format!(":{number}\r\n").into_bytes(),
            Self::Bulk(bytes) => [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
            Self::Nil => b"$-1\r\n".to_vec(),
            Self::Array(items) => {
                let mut bytes = format!("*{}\r\n", items.len()).into_bytes();
                items.iter().for_each(|item| bytes.extend(item.bytes()));
                bytes
            }
        }
    }

    /// Reads an answer; arrays no deeper than two.
    pub(super) async fn read(from: &mut (dyn AsyncBufRead + Send + Unpin)) -> io::Result<Self> {
        match Self::read_flat(from).await? {
            Ok(reply) => Ok(reply),
            Err(count) => {
                let mut items = vec![];
                for _ in 0..count.min(MAX_WORDS) {
                    items.push(Self::read_flat(from).await?.unwrap_or(Self::Array(vec![])));
                }
                Ok(Self::Array(items))
            }
        }
    }

    /// An answer that is no array, or how long the array is.
    async fn read_flat(from: &mut (dyn AsyncBufRead + Send + Unpin)) -> io::Result<Result<Self, usize>> {
        let line = line(from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let text = String::from_utf8_lossy(line.get(1..).unwrap_or_default()).into_owned();
        Ok(match line.first() {
            Some(b'+') => Ok(Self::Simple(text)),
            Some(b'-') => Ok(Self::Error(text)),
            Some(b':') => Ok(Self::Integer(text.parse().map_err(|_| wrong())?)),
            Some(b'$') => match text.parse::<i64>().map_err(|_| wrong())? {
                length @ 0.. => Ok(Self::Bulk(bulk(from, length.unsigned_abs()).await?)),
                _ => Ok(Self::Nil),
            },
            Some(b'*') => Err(usize::try_from(text.parse::<i64>().map_err(|_| wrong())?).unwrap_or(0)),
            _ => return Err(wrong()),
        })
    }
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "Protocol error")
}

async fn line(from: &mut (dyn AsyncBufRead + Send + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = vec![];
    (&mut *from).take(64 * 1024).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(wrong());
    }
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(line))
}

async fn bulk(from: &mut (dyn AsyncBufRead + Send + Unpin), length: u64) -> io::Result<Vec<u8>> {
    if length > MAX_BYTES {
        return Err(wrong());
    }
    let mut bytes = vec![];
    (&mut *from).take(length + 2).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 != length + 2 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(bytes.len() - 2);
    Ok(bytes)
}

/// Reads a command; `None` at the end of the stream.
pub(super) async fn command(
    from: &mut (dyn AsyncBufRead + Send + Unpin),
) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Some(first) = line(from).await? else { return Ok(None) };
    let Some(count) = first.strip_prefix(b"*") else {
        return Ok(Some(
            first
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
                .map(<[u8]>::to_vec)
                .collect(),
        ));
    };
    let number = |text: &[u8]| String::from_utf8_lossy(text).parse::<usize>().map_err(|_| wrong());
    let count = number(count)?;
    if count > MAX_WORDS {
        return Err(wrong());
    }
    let mut words = vec![];
    for _ in 0..count {
        let head = line(from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = number(head.strip_prefix(b"$").ok_or_else(wrong)?)?;
        words.push(bulk(from, length as u64).await?);
    }
    Ok(Some(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn commands_come_as_arrays_or_as_lines() {
        let read = |bytes: &'static [u8]| command(&mut io::Cursor::new(bytes)).now_or_never().unwrap();
        assert_eq!(
            read(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n").unwrap(),
            Some(vec![b"GET".to_vec(), b"a".to_vec()])
        );
        assert_eq!(read(b"PING\r\n").unwrap(), Some(vec![b"PING".to_vec()]));
        assert_eq!(read(b"").unwrap(), None);
        assert!(read(b"*1\r\n$9\r\nGET\r\n").is_err());
    }

    #[test]
    fn answers_survive_the_wire() {
        let reply = Reply::Array(vec![
            Reply::Bulk(b"a\r\nb".to_vec()),
            Reply::Nil,
            Reply::Integer(-1),
            Reply::Simple("OK".into()),
        ]);
        let mut wire = io::Cursor::new(reply.bytes());
        assert_eq!(Reply::read(&mut wire).now_or_never().unwrap().unwrap(), reply);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            let _ = command(&mut io::Cursor::new(bytes.clone())).now_or_never();
            let _ = Reply::read(&mut io::Cursor::new(bytes)).now_or_never();
        }
    }
}
