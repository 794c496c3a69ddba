//! One output stream for several writers, as `AsyncWrite`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWrite;
use tokio::sync::{Mutex, OwnedMutexGuard};

type Stream = Box<dyn AsyncWrite + Send + Unpin>;

/// A writer that takes the stream for each write and gives it back.
pub(super) struct SharedWriter {
    stream: Arc<Mutex<Stream>>,
    waiting: Option<BoxFuture<'static, OwnedMutexGuard<Stream>>>,
    held: Option<OwnedMutexGuard<Stream>>,
}

impl SharedWriter {
    pub(super) fn new(stream: Arc<Mutex<Stream>>) -> Self {
        Self { stream, waiting: None, held: None }
    }

    /// Does `step` with the stream, which is kept as long as the step is not done.
    fn with<T>(
        &mut self,
        context: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.held.is_none() {
            let stream = &self.stream;
            let waiting = self.waiting.get_or_insert_with(|| stream.clone().lock_owned().boxed());
            let guard = ready!(waiting.poll_unpin(context));
            self.waiting = None;
            self.held = Some(guard);
        }
        let Some(guard) = &mut self.held else { return Poll::Pending };
        let result = ready!(step(Pin::new(&mut **guard), context));
        self.held = None;
        Poll::Ready(result)
    }
}

impl AsyncWrite for SharedWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The stream goes on for the others.
        self.poll_flush(context)
    }
}
