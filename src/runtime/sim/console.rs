//! The standard streams of a container's first process: its log, and whoever is attached.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{self, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::log::ContainerLog;

/// How many pieces of output wait for somebody who is attached before they are let go.
const WAITING_PIECES: usize = 1024;
/// How much input waits for the process.
const INPUT_BYTES: usize = 64 * 1024;

/// A piece of output: whether it went to standard error, and the bytes.
pub(super) type Piece = (bool, Bytes);

#[derive(Default)]
struct State {
    attached: Vec<mpsc::Sender<Piece>>,
    input: Option<DuplexStream>,
    closed: bool,
}

/// A container's console. Cheap to clone.
#[derive(Clone)]
pub(super) struct Console {
    log: ContainerLog,
    state: Arc<Mutex<State>>,
}

impl Console {
    pub(super) fn new(log: ContainerLog) -> Self {
        Self { log, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process's end of its standard input, which stays open until [`Console::take_input`] is dropped.
    pub(super) fn open_input(&self) -> DuplexStream {
        let (near, far) = io::duplex(INPUT_BYTES);
        self.lock().input = Some(near);
        far
    }

    /// Our end of the standard input, if it is open and nobody else has it.
    pub(super) fn take_input(&self) -> Option<DuplexStream> {
        self.lock().input.take()
    }

    /// Gives it back for the next one.
    pub(super) fn give_input(&self, input: DuplexStream) {
        let mut state = self.lock();
        if !state.closed {
            state.input = Some(input);
        }
    }

    /// What the process writes from now on. Ends with the process, or when the reader is too slow.
    pub(super) fn attach(&self) -> mpsc::Receiver<Piece> {
        let (sender, receiver) = mpsc::channel(WAITING_PIECES);
        let mut state = self.lock();
        if !state.closed {
            state.attached.push(sender);
        }
        receiver
    }

    /// Output of the process.
    pub(super) fn write(&self, stderr: bool, bytes: &[u8]) {
        self.log.write(stderr, bytes);
        let mut state = self.lock();
        if !state.attached.is_empty() {
            let bytes = Bytes::copy_from_slice(bytes);
            state.attached.retain(|sender| sender.try_send((stderr, bytes.clone())).is_ok());
        }
    }

    /// The process has ended.
    pub(super) fn close(&self) {
        self.log.close();
        let mut state = self.lock();
        *state = State { closed: true, ..State::default() };
    }

    /// A writer for the process.
    pub(super) fn writer(&self, stderr: bool) -> ConsoleWriter {
        ConsoleWriter { console: self.clone(), stderr }
    }
}

/// Standard output or error of a container's first process.
pub(super) struct ConsoleWriter {
    console: Console,
    stderr: bool,
}

impl AsyncWrite for ConsoleWriter {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.console.write(self.stderr, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Writes what a process writes to its two streams until it ends or nobody reads any more.
pub(super) async fn pump(
    mut pieces: mpsc::Receiver<Piece>,
    mut stdout: Option<crate::runtime::api::BoxWrite>,
    mut stderr: Option<crate::runtime::api::BoxWrite>,
) {
    while let Some((to_stderr, bytes)) = pieces.recv().await {
        let stream = if to_stderr { &mut stderr } else { &mut stdout };
        if let Some(writer) = stream
            && (writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err())
        {
            return;
        }
    }
}
