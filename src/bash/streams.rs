//! Streams that several commands of a shell share: one standard input, one standard output, however many readers.
//!
//! What a reader took off the source but did not use stays for the next one, so `read a; read b` see two lines. A stream
//! ends when its last clone is dropped, as a file description does.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// How much a shared reader takes at once.
const CHUNK_BYTES: usize = 4096;
/// How much `$(...)` may hold.
pub(crate) const CAPTURE_BYTES: usize = 64 * 1024 * 1024;

/// Everyone who waits for a stream; a stream's own waker wakes them all.
#[derive(Default)]
struct Waiters(Mutex<Vec<Waker>>);

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, waker: &Waker) {
        let mut wakers = self.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        for waker in std::mem::take(&mut *self.lock()) {
            waker.wake();
        }
    }
}

struct Source {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    buffer: Vec<u8>,
    start: usize,
}

/// Standard input, shared.
#[derive(Clone)]
pub struct SharedReader {
    source: Arc<Mutex<Source>>,
    waiters: Arc<Waiters>,
    /// Whether it is a terminal.
    pub terminal: bool,
}

impl SharedReader {
    /// Shares a reader.
    pub fn new(reader: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        let source = Source { reader, buffer: vec![], start: 0 };
        Self { source: Arc::new(Mutex::new(source)), waiters: Arc::default(), terminal: false }
    }

    /// A reader of nothing.
    pub fn empty() -> Self {
        Self::new(Box::new(tokio::io::empty()))
    }

    /// A reader of these bytes.
    pub fn of(bytes: impl AsRef<[u8]> + Send + Unpin + 'static) -> Self {
        Self::new(Box::new(io::Cursor::new(bytes)))
    }

    /// Reads up to and with the next `delimiter`; what is there at the end of input; empty at the end.
    pub async fn read_until(&mut self, delimiter: u8) -> io::Result<Vec<u8>> {
        let mut line = vec![];
        let mut byte = [0];
        while self.read(&mut byte).await? == 1 {
            line.push(byte[0]);
            if byte[0] == delimiter {
                break;
            }
        }
        Ok(line)
    }
}

impl AsyncRead for SharedReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut guard = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let source = &mut *guard;
        if source.start == source.buffer.len() {
            self.waiters.add(cx.waker());
            let waker = Waker::from(self.waiters.clone());
            source.buffer.resize(CHUNK_BYTES, 0);
            let mut chunk = ReadBuf::new(&mut source.buffer);
            let polled = Pin::new(&mut source.reader).poll_read(&mut Context::from_waker(&waker), &mut chunk);
            let filled = chunk.filled().len();
            source.buffer.truncate(filled);
            source.start = 0;
            match polled {
                Poll::Ready(Ok(())) => {}
                other => {
                    source.buffer.clear();
                    return other;
                }
            }
        }
        let count = buf.remaining().min(source.buffer.len() - source.start);
        buf.put_slice(&source.buffer[source.start..source.start + count]);
        source.start += count;
        Poll::Ready(Ok(()))
    }
}

/// Standard output or error, shared.
#[derive(Clone)]
pub struct SharedWriter {
    sink: Arc<Mutex<Box<dyn AsyncWrite + Send + Unpin>>>,
    waiters: Arc<Waiters>,
    /// The size of the terminal that it is.
    pub terminal: Option<super::terminal::Terminal>,
}

impl SharedWriter {
    /// Shares a writer.
    pub fn new(writer: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self { sink: Arc::new(Mutex::new(writer)), waiters: Arc::default(), terminal: None }
    }

    /// A writer that forgets what it is given.
    pub fn null() -> Self {
        Self::new(Box::new(tokio::io::sink()))
    }

    /// A writer that keeps what it is given, to a limit, and where to find it.
    pub fn capture() -> (Self, Arc<Mutex<Vec<u8>>>) {
        let kept = Arc::new(Mutex::new(vec![]));
        (Self::new(Box::new(Capture(kept.clone()))), kept)
    }

    /// Writes all of it at once and flushes.
    pub async fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.clone();
        writer.write_all(bytes).await?;
        writer.flush().await
    }

    /// Whether both write to the same place.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sink, &other.sink)
    }

    fn with<T>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut Box<dyn AsyncWrite + Send + Unpin>>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiters.add(cx.waker());
        let waker = Waker::from(self.waiters.clone());
        act(Pin::new(&mut *sink), &mut Context::from_waker(&waker))
    }
}

impl AsyncWrite for SharedWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(cx, |sink, cx| sink.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(cx, |sink, cx| sink.poll_flush(cx))
    }

    // One of several holders is done; the stream itself ends when the last one is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

struct Capture(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Capture {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + buf.len() > CAPTURE_BYTES {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::OutOfMemory, "cannot allocate memory")));
        }
        kept.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A pipe between two commands.
pub fn pipe() -> (SharedReader, SharedWriter) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    (SharedReader::new(Box::new(far)), SharedWriter::new(Box::new(near)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_reader_leaves_the_next_one_gets() {
        let mut first = SharedReader::of(&b"one\ntwo\nthree"[..]);
        let mut second = first.clone();
        assert_eq!(first.read_until(b'\n').await.unwrap(), b"one\n");
        assert_eq!(second.read_until(b'\n').await.unwrap(), b"two\n");
        assert_eq!(first.read_until(b'\n').await.unwrap(), b"three");
        assert!(second.read_until(b'\n').await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_pipe_breaks_when_its_last_reader_goes() {
        let (reader, writer) = pipe();
        let other = reader.clone();
        drop(reader);
        writer.put(b"x").await.unwrap();
        drop(other);
        assert_eq!(writer.put(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn two_writers_wait_for_room_and_both_go_on() {
        let (mut reader, writer) = pipe();
        let big = vec![b'x'; 100_000];
        let (a, b) = (writer.clone(), writer);
        let (big_a, big_b) = (big.clone(), big);
        let both = tokio::spawn(async move {
            tokio::join!(a.put(&big_a), b.put(&big_b)).0.unwrap();
            drop((a, b));
        });
        let mut all = vec![];
        reader.read_to_end(&mut all).await.unwrap();
        both.await.unwrap();
        assert_eq!(all.len(), 200_000);
    }
}
