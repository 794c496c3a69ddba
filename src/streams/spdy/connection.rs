//! One end of a SPDY connection: opens streams, takes those that the other end opens, answers pings.
//!
//! A [`Stream`] splits into a [`Reader`] and a [`Writer`]. Two tasks carry the frames; they end with the [`Connection`] or
//! the transport.
// Models github.com/moby/spdystream, as far as Kubernetes uses it.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::frame::{Frame, FrameReader, FrameWriter, reset};
use super::header_block::Headers;
use crate::net::Io;
use crate::streams::protocol::StreamError;
use crate::watch;

/// How many frames wait to be written.
const OUTGOING: usize = 32;
/// How many pieces of data wait for a stream's reader before the connection waits for it.
const PIECES: usize = 256;
/// How many streams may be open at once.
const MAX_STREAMS: usize = 2048;
/// The most bytes that a write takes at once.
const MAX_WRITE_BYTES: usize = 32 << 10;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// One end of a connection.
pub struct Connection {
    frames: mpsc::Sender<Frame>,
    incoming: mpsc::Receiver<Stream>,
    streams: Streams,
    next: u32,
    closed: watch::Receiver<bool>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The open streams by number.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<BTreeMap<u32, Pieces>>>);

impl Streams {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Pieces>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream of a connection.
pub struct Stream {
    /// Its number.
    pub id: u32,
    /// What it was opened with.
    pub headers: Headers,
    /// What the other end sends.
    pub reader: Reader,
    /// What this end sends.
    pub writer: Writer,
}

/// The receiving half of a stream.
pub struct Reader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    unread: Bytes,
}

/// The sending half of a stream. Shutting it down, or dropping it, tells the other end that no more comes.
pub struct Writer {
    id: u32,
    frames: PollSender<Frame>,
    finished: bool,
}

impl Connection {
    /// The server's end.
    pub fn server<T: Io>(io: T) -> Result<Self, StreamError> {
        Self::new(io, 2)
    }

    /// The client's end.
    pub fn client<T: Io>(io: T) -> Result<Self, StreamError> {
        Self::new(io, 1)
    }

    fn new<T: Io>(io: T, first: u32) -> Result<Self, StreamError> {
        let (read, write) = tokio::io::split(io);
        let (frames, outgoing) = mpsc::channel(OUTGOING);
        let (accepted, incoming) = mpsc::channel(MAX_STREAMS);
        let (closed_sender, closed) = watch::channel(false);
        let streams = Streams::default();
        let writer = FrameWriter::new()?;
        let demux = Demux { streams: streams.clone(), frames: frames.clone(), accepted, parity: first % 2 };
        let reading = tokio::spawn(async move {
            demux.run(read).await;
            closed_sender.send_replace(true);
        });
        let writing = tokio::spawn(write_frames(write, writer, outgoing));
        Ok(Self { frames, incoming, streams, next: first, closed, tasks: [reading, writing] })
    }

    /// The next stream that the other end opens; `None` when the connection is closed.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.incoming.recv().await
    }

    /// Opens a stream. With `fin` nothing will be written to it.
    pub async fn open(&mut self, headers: Headers, fin: bool) -> Result<Stream, StreamError> {
        let id = self.next;
        self.next += 2;
        let (sender, pieces) = mpsc::channel(PIECES);
        self.streams.lock().insert(id, sender);
        let frame = Frame::SynStream { id, headers: headers.clone(), fin };
        if self.frames.send(frame).await.is_err() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        Ok(stream(id, headers, pieces, &self.frames, fin))
    }

    /// Waits until the other end has closed the connection, or it broke.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut closed = self.closed.clone();
        async move {
            // An error means that the reading task is gone, which is the same news.
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }

    /// Closes the connection after everything that was written has gone out.
    pub async fn close(mut self) {
        let last = self.next.saturating_sub(2);
        let _ = self.frames.send(Frame::GoAway { last }).await;
        // The writing task ends when every sender is gone; the reading task holds one.
        self.tasks[0].abort();
        self.frames = mpsc::channel(1).0;
        let _ = (&mut self.tasks[1]).await;
    }
}

fn stream(
    id: u32,
    headers: Headers,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    frames: &mpsc::Sender<Frame>,
    fin: bool,
) -> Stream {
    let writer = Writer { id, frames: PollSender::new(frames.clone()), finished: fin };
    Stream { id, headers, reader: Reader { pieces, unread: Bytes::new() }, writer }
}

async fn write_frames<T: Io>(
    mut transport: WriteHalf<T>,
    mut writer: FrameWriter,
    mut frames: mpsc::Receiver<Frame>,
) {
    while let Some(frame) = frames.recv().await {
        let Ok(bytes) = writer.encode(&frame) else { break };
        if transport.write_all(&bytes).await.is_err()
            || (frames.is_empty() && transport.flush().await.is_err())
        {
            return;
        }
    }
    let _ = transport.shutdown().await;
}

/// Hands what comes in to the streams.
struct Demux {
    streams: Streams,
    frames: mpsc::Sender<Frame>,
    accepted: mpsc::Sender<Stream>,
    /// Whether this end's own numbers are odd.
    parity: u32,
}

impl Demux {
    async fn run<T: Io>(self, transport: ReadHalf<T>) {
        let mut reader = FrameReader::new(transport);
        while let Ok(Some(frame)) = reader.next().await {
            let goes_on = match frame {
                Frame::SynStream { id, headers, fin } => self.opened(id, headers, fin).await,
                Frame::SynReply { id, fin: true, .. } => {
                    self.streams.lock().remove(&id);
                    true
                }
                Frame::Reset { id, .. } => {
                    let pieces = self.streams.lock().remove(&id);
                    if let Some(pieces) = pieces {
                        let _ = pieces.send(Err(io::ErrorKind::ConnectionReset.into())).await;
                    }
                    true
                }
                // A ping of ours coming back needs no answer.
                Frame::Ping { id } if id % 2 != self.parity => self.send(Frame::Ping { id }).await,
                Frame::Data { id, bytes, fin } => {
                    self.data(id, bytes, fin).await;
                    true
                }
                Frame::GoAway { .. } => false,
                Frame::SynReply { .. } | Frame::Ping { .. } | Frame::Other => true,
            };
            if !goes_on {
                break;
            }
        }
        // Readers see the end of their streams.
        self.streams.lock().clear();
    }

    async fn send(&self, frame: Frame) -> bool {
        self.frames.send(frame).await.is_ok()
    }

    async fn opened(&self, id: u32, headers: Headers, fin: bool) -> bool {
        let count = self.streams.lock().len();
        if id % 2 == self.parity || id == 0 || self.streams.lock().contains_key(&id) {
            return self.send(Frame::Reset { id, status: reset::PROTOCOL_ERROR }).await;
        }
        if count >= MAX_STREAMS {
            return self.send(Frame::Reset { id, status: reset::REFUSED_STREAM }).await;
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        if !fin {
            self.streams.lock().insert(id, sender);
        }
        if !self.send(Frame::SynReply { id, headers: Headers::new(), fin: false }).await {
            return false;
        }
        self.accepted.send(stream(id, headers, pieces, &self.frames, false)).await.is_ok()
    }

    async fn data(&self, id: u32, bytes: Bytes, fin: bool) {
        let pieces =
            if fin { self.streams.lock().remove(&id) } else { self.streams.lock().get(&id).cloned() };
        let Some(pieces) = pieces else { return };
        // A reader that has gone loses what comes.
        if !bytes.is_empty() && pieces.send(Ok(bytes)).await.is_err() {
            self.streams.lock().remove(&id);
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.pieces.poll_recv(cx)) {
                Some(Ok(bytes)) => self.unread = bytes,
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

fn broken<E>(_: E) -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl AsyncWrite for Writer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.frames.poll_reserve(cx)).map_err(broken)?;
        let count = bytes.len().min(MAX_WRITE_BYTES);
        let frame = Frame::Data { id: self.id, bytes: Bytes::copy_from_slice(&bytes[..count]), fin: false };
        self.frames.send_item(frame).map_err(broken)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            ready!(self.frames.poll_reserve(cx)).map_err(broken)?;
            let frame = Frame::Data { id: self.id, bytes: Bytes::new(), fin: true };
            self.finished = true;
            self.frames.send_item(frame).map_err(broken)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Writer {
    /// Breaks the stream off.
    pub async fn reset(&mut self) {
        self.finished = true;
        if let Some(frames) = self.frames.get_ref().cloned() {
            let _ = frames.send(Frame::Reset { id: self.id, status: reset::CANCEL }).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let Some(frames) = self.frames.get_ref().cloned() else { return };
        let frame = Frame::Data { id: self.id, bytes: Bytes::new(), fin: true };
        let Err(mpsc::error::TrySendError::Full(frame)) = frames.try_send(frame) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Ends when there is room or the connection is gone.
            runtime.spawn(async move { frames.send(frame).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn headers(kind: &str) -> Headers {
        Headers::from([("streamtype".to_owned(), kind.to_owned())])
    }

    #[tokio::test]
    async fn streams_carry_bytes_both_ways_and_end_apart() {
        let (near, far) = tokio::io::duplex(4096);
        let mut client = Connection::client(near).unwrap();
        let mut server = Connection::server(far).unwrap();
        let mut ours = client.open(headers("data"), false).await.unwrap();
        let mut theirs = server.accept().await.unwrap();
        assert_eq!(theirs.headers, headers("data"));
        let sent = vec![7; 300_000];
        let echo = tokio::spawn(async move {
            let mut all = vec![];
            theirs.reader.read_to_end(&mut all).await.unwrap();
            theirs.writer.write_all(&all).await.unwrap();
            theirs.writer.shutdown().await.unwrap();
        });
        ours.writer.write_all(&sent).await.unwrap();
        ours.writer.shutdown().await.unwrap();
        let mut back = vec![];
        ours.reader.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, sent);
        echo.await.unwrap();
        drop(client);
        assert!(server.accept().await.is_none());
        server.closed().await;
    }

    #[tokio::test]
    async fn a_reset_is_an_error_for_the_reader() {
        let (near, far) = tokio::io::duplex(4096);
        let mut client = Connection::client(near).unwrap();
        let mut server = Connection::server(far).unwrap();
        let mut ours = client.open(headers("data"), true).await.unwrap();
        let mut theirs = server.accept().await.unwrap();
        theirs.writer.reset().await;
        let error = ours.reader.read_to_end(&mut vec![]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
