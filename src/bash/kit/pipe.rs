//! The pipe between a program and bashkit: whoever flushes waits until the other end has handed on what was written.
//!
//! Standard output and standard error are two pipes to what is often one terminal. As on a real terminal, what was written
//! first must stand first, so a flush is more than a wish here. Made by `command.rs`.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWrite;

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// Whether the reader still has something in hand.
    in_hand: bool,
    writer_gone: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The end that a program writes to.
pub(super) struct PipeWriter {
    state: Arc<Mutex<State>>,
    capacity: usize,
}

/// The end that is handed on.
pub(super) struct PipeReader(Arc<Mutex<State>>);

/// A pipe in which this many bytes wait at most.
pub(super) fn pipe(capacity: usize) -> (PipeReader, PipeWriter) {
    let state = Arc::new(Mutex::new(State::default()));
    (PipeReader(state.clone()), PipeWriter { state, capacity })
}

impl PipeReader {
    /// Takes what is there, and says that what was taken before has been handed on. `None` is the end.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        std::future::poll_fn(|context| {
            let mut state = lock(&self.0);
            state.in_hand = false;
            if !state.buffer.is_empty() {
                state.in_hand = true;
                let taken = std::mem::take(&mut state.buffer);
                wake(&mut state.writer);
                return Poll::Ready(Some(taken));
            }
            wake(&mut state.writer);
            if state.writer_gone {
                return Poll::Ready(None);
            }
            state.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.reader_gone = true;
        wake(&mut state.writer);
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.state);
        if state.reader_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(self.capacity.saturating_sub(state.buffer.len()));
        if count == 0 && !bytes.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.buffer.extend_from_slice(&bytes[..count]);
        wake(&mut state.reader);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.state);
        if state.reader_gone || (state.buffer.is_empty() && !state.in_hand) {
            // That nobody reads any more is told to the next write, as a pipe does.
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.state);
        state.writer_gone = true;
        wake(&mut state.reader);
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.writer_gone = true;
        wake(&mut state.reader);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_is_flushed_first_arrives_first() {
        let (mut out_reader, mut out) = pipe(4);
        let (mut err_reader, mut err) = pipe(4);
        let seen = Mutex::new(String::new());
        let writing = async move {
            err.write_all(b"a warning;").await.expect("a reader");
            err.flush().await.expect("a reader");
            out.write_all(b"the answer").await.expect("a reader");
        };
        let pump = async |reader: &mut PipeReader| {
            while let Some(bytes) = reader.next().await {
                seen.lock().expect("no panic").push_str(&String::from_utf8_lossy(&bytes));
            }
        };
        tokio::join!(writing, pump(&mut out_reader), pump(&mut err_reader));
        assert_eq!(*seen.lock().expect("no panic"), "a warning;the answer");
    }

    #[tokio::test]
    async fn a_writer_without_a_reader_is_told() {
        let (reader, mut out) = pipe(4);
        out.write_all(b"abc").await.expect("there is room");
        drop(reader);
        out.flush().await.expect("a flush asks for nothing more");
        assert_eq!(out.write_all(b"d").await.map_err(|e| e.kind()), Err(io::ErrorKind::BrokenPipe));
    }
}
