//! SPDY/3.1's frames as they lie on the wire.
//!
//! Reads and writes single frames; what they mean for streams is in `connection`.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::header_block::{Headers, Packer, Unpacker};
use crate::streams::protocol::StreamError;

/// The most bytes of a control frame that are read.
const MAX_CONTROL_BYTES: usize = 64 << 10;
/// The most bytes of data that are handed on in one piece.
const MAX_PIECE_BYTES: usize = 32 << 10;

const FLAG_FIN: u8 = 1;

mod kind {
    pub(super) const SYN_STREAM: u16 = 1;
    pub(super) const SYN_REPLY: u16 = 2;
    pub(super) const RST_STREAM: u16 = 3;
    pub(super) const PING: u16 = 6;
    pub(super) const GOAWAY: u16 = 7;
    pub(super) const HEADERS: u16 = 8;
}

/// Why a stream was broken off.
pub(super) mod reset {
    pub(in super::super) const PROTOCOL_ERROR: u32 = 1;
    pub(in super::super) const REFUSED_STREAM: u32 = 3;
    pub(in super::super) const CANCEL: u32 = 5;
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    SynStream {
        id: u32,
        headers: Headers,
        fin: bool,
    },
    SynReply {
        id: u32,
        headers: Headers,
        fin: bool,
    },
    Reset {
        id: u32,
        status: u32,
    },
    Ping {
        id: u32,
    },
    GoAway {
        last: u32,
    },
    Data {
        id: u32,
        bytes: Bytes,
        fin: bool,
    },
    /// SETTINGS, WINDOW_UPDATE and HEADERS: nothing here depends on them.
    Other,
}

/// Reads frames; a large data frame comes in several pieces.
pub(super) struct FrameReader<R> {
    transport: R,
    unpacker: Unpacker,
    /// What is left of a data frame: stream, bytes, and whether it ends the stream.
    rest: Option<(u32, usize, bool)>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(transport: R) -> Self {
        Self { transport, unpacker: Unpacker::new(), rest: None }
    }

    /// The next frame; `None` when the transport has ended between two frames.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        if let Some((id, left, fin)) = self.rest.take() {
            return self.data(id, left, fin).await.map(Some);
        }
        let mut head = [0; 8];
        match self.transport.read(&mut head[..1]).await? {
            0 => return Ok(None),
            _ => self.transport.read_exact(&mut head[1..]).await?,
        };
        let flags = head[4];
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        if first & 0x8000_0000 == 0 {
            return self.data(first, length, flags & FLAG_FIN != 0).await.map(Some);
        }
        let version = (first >> 16) & 0x7fff;
        if version != 3 {
            return Err(StreamError::Protocol(format!("spdy: version {version} is not 3")));
        }
        if length > MAX_CONTROL_BYTES {
            return Err(StreamError::Protocol("spdy: control frame too large".to_owned()));
        }
        let mut body = vec![0; length];
        self.transport.read_exact(&mut body).await?;
        self.control((first & 0xffff) as u16, flags, &body).map(Some)
    }

    async fn data(&mut self, id: u32, length: usize, fin: bool) -> Result<Frame, StreamError> {
        let size = length.min(MAX_PIECE_BYTES);
        let mut bytes = vec![0; size];
        self.transport.read_exact(&mut bytes).await?;
        if length > size {
            self.rest = Some((id, length - size, fin));
        }
        Ok(Frame::Data { id, bytes: bytes.into(), fin: fin && length == size })
    }

    fn control(&mut self, kind: u16, flags: u8, body: &[u8]) -> Result<Frame, StreamError> {
        let number = |at: usize| -> Result<u32, StreamError> {
            let bytes = body.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>());
            let bytes =
                bytes.ok_or_else(|| StreamError::Protocol("spdy: control frame ends early".to_owned()))?;
            Ok(u32::from_be_bytes(*bytes))
        };
        let fin = flags & FLAG_FIN != 0;
        let block = |at: usize| body.get(at..).unwrap_or_default();
        Ok(match kind {
            kind::SYN_STREAM => {
                number(4)?;
                Frame::SynStream {
                    id: number(0)? & 0x7fff_ffff,
                    headers: self.unpacker.unpack(block(10))?,
                    fin,
                }
            }
            kind::SYN_REPLY => Frame::SynReply {
                id: number(0)? & 0x7fff_ffff,
                headers: self.unpacker.unpack(block(4))?,
                fin,
            },
            kind::RST_STREAM => Frame::Reset { id: number(0)? & 0x7fff_ffff, status: number(4)? },
            kind::PING => Frame::Ping { id: number(0)? },
            kind::GOAWAY => Frame::GoAway { last: number(0)? & 0x7fff_ffff },
            kind::HEADERS => {
                // The block must be unpacked all the same: later ones build on it.
                self.unpacker.unpack(block(4))?;
                Frame::Other
            }
            _ => Frame::Other,
        })
    }
}

/// Turns frames into bytes.
pub(super) struct FrameWriter {
    packer: Packer,
}

impl FrameWriter {
    pub(super) fn new() -> Result<Self, StreamError> {
        Ok(Self { packer: Packer::new()? })
    }

    pub(super) fn encode(&mut self, frame: &Frame) -> Result<Vec<u8>, StreamError> {
        let flags = |fin: bool| if fin { FLAG_FIN } else { 0 };
        Ok(match frame {
            Frame::SynStream { id, headers, fin } => {
                let mut body = id.to_be_bytes().to_vec();
                body.extend_from_slice(&[0; 6]);
                body.extend(self.packer.pack(headers)?);
                control(kind::SYN_STREAM, flags(*fin), &body)
            }
            Frame::SynReply { id, headers, fin } => {
                let mut body = id.to_be_bytes().to_vec();
                body.extend(self.packer.pack(headers)?);
                control(kind::SYN_REPLY, flags(*fin), &body)
            }
            Frame::Reset { id, status } => {
                control(kind::RST_STREAM, 0, &[id.to_be_bytes(), status.to_be_bytes()].concat())
            }
            Frame::Ping { id } => control(kind::PING, 0, &id.to_be_bytes()),
            Frame::GoAway { last } => control(kind::GOAWAY, 0, &[last.to_be_bytes(), [0; 4]].concat()),
            Frame::Data { id, bytes, fin } => {
                let mut out = id.to_be_bytes().to_vec();
                out.extend_from_slice(&((bytes.len() as u32) | u32::from(flags(*fin)) << 24).to_be_bytes());
                out.extend_from_slice(bytes);
                out
            }
            Frame::Other => vec![],
        })
    }
}

fn control(kind: u16, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut out = [0x8003_u16.to_be_bytes(), kind.to_be_bytes()].concat();
    out.extend_from_slice(&((body.len() as u32) | u32::from(flags) << 24).to_be_bytes());
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_survive_the_wire() {
        let headers = Headers::from([("streamtype".to_owned(), "error".to_owned())]);
        let frames = [
            Frame::SynStream { id: 1, headers: headers.clone(), fin: true },
            Frame::SynReply { id: 1, headers: Headers::new(), fin: false },
            Frame::Ping { id: 7 },
            Frame::Data { id: 1, bytes: Bytes::from_static(b"hello"), fin: true },
            Frame::Reset { id: 1, status: reset::CANCEL },
            Frame::GoAway { last: 5 },
        ];
        let mut writer = FrameWriter::new().unwrap();
        let wire: Vec<u8> = frames.iter().flat_map(|frame| writer.encode(frame).unwrap()).collect();
        let mut reader = FrameReader::new(&wire[..]);
        for frame in frames {
            assert_eq!(reader.next().await.unwrap(), Some(frame));
        }
        assert_eq!(reader.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn large_data_comes_in_pieces_and_ends_once() {
        let bytes = Bytes::from(vec![1; 100_000]);
        let wire = FrameWriter::new().unwrap().encode(&Frame::Data { id: 3, bytes, fin: true }).unwrap();
        let mut reader = FrameReader::new(&wire[..]);
        let (mut total, mut ends) = (0, 0);
        while let Some(Frame::Data { bytes, fin, .. }) = reader.next().await.unwrap() {
            total += bytes.len();
            ends += usize::from(fin);
        }
        assert_eq!((total, ends), (100_000, 1));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes: Vec<u8>) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut reader = FrameReader::new(&bytes[..]);
                while let Ok(Some(_)) = reader.next().await {}
            });
        }
    }
}
