//! The server's view of a remote command: plain streams, whatever carries them.
//!
//! [`super::channels::serve`] and [`super::spdy::command::serve`] make a [`Session`]; the kubelet connects it to a process
//! and says how that ended. Dropping a session breaks the connection off.

use std::future::Future;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::protocol::{Outcome, TerminalSize};
use crate::watch;

/// How many bytes of a stream wait between the connection and the process.
pub(super) const PIPE_BYTES: usize = 32 << 10;
/// The most bytes of resize messages that are kept while one is incomplete.
const MAX_RESIZE_BYTES: usize = 4 << 10;

/// What the process reads from.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;
/// What the process writes to.
pub type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// One remote command at its server.
pub struct Session {
    /// Standard input, if the client has one.
    pub stdin: Option<Input>,
    /// Standard output, if the client wants it.
    pub stdout: Option<Output>,
    /// Standard error, if the client wants it apart.
    pub stderr: Option<Output>,
    /// The terminal's size, if there is a terminal.
    pub resize: Option<watch::Receiver<TerminalSize>>,
    pub(super) outcome: Option<oneshot::Sender<Outcome>>,
    pub(super) gone: watch::Receiver<bool>,
    pub(super) pump: Pump,
}

/// The task behind a session; ends with it.
pub(super) struct Pump(pub(super) JoinHandle<()>);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// Waits until the client has gone away.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut gone = self.gone.clone();
        async move {
            // An error means that the pump has ended, which is the same news.
            let _ = gone.wait_for(|gone| *gone).await;
        }
    }

    /// Tells the client how the command ended, after all that it wrote, and waits until the connection is closed.
    pub async fn finish(mut self, outcome: Outcome) {
        self.stdin = None;
        self.stdout = None;
        self.stderr = None;
        if let Some(sender) = self.outcome.take() {
            // No receiver: the client is gone.
            let _ = sender.send(outcome);
        }
        let _ = Pin::new(&mut self.pump.0).await;
    }
}

/// Takes complete sizes out of the bytes of a resize stream.
#[derive(Default)]
pub(super) struct ResizeDecoder {
    pending: Vec<u8>,
}

impl ResizeDecoder {
    /// The last complete size in what has come so far.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<TerminalSize> {
        self.pending.extend_from_slice(bytes);
        let mut last = None;
        let mut stream = serde_json::Deserializer::from_slice(&self.pending).into_iter::<TerminalSize>();
        let mut used = 0;
        let mut broken = false;
        while let Some(next) = stream.next() {
            match next {
                Ok(size) => {
                    last = Some(size);
                    used = stream.byte_offset();
                }
                Err(error) => {
                    broken = !error.is_eof();
                    break;
                }
            }
        }
        drop(stream);
        if broken || self.pending.len() - used > MAX_RESIZE_BYTES {
            self.pending.clear();
        } else {
            self.pending.drain(..used);
        }
        last
    }
}

/// Reads a piece of a stream that may not exist: an absent one never yields.
pub(super) async fn read_piece<R: AsyncRead + Unpin>(stream: &mut Option<R>) -> Option<Vec<u8>> {
    let Some(reader) = stream else { return std::future::pending().await };
    let mut buffer = Vec::with_capacity(PIPE_BYTES);
    match reader.read_buf(&mut buffer).await {
        Ok(count) if count > 0 => Some(buffer),
        _ => {
            *stream = None;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_out_of_pieces() {
        let mut decoder = ResizeDecoder::default();
        assert_eq!(decoder.push(b"{\"Width\":80,"), None);
        assert_eq!(decoder.push(b"\"Height\":24}\n"), Some(TerminalSize { width: 80, height: 24 }));
        assert_eq!(
            decoder.push(b"{\"Width\":1,\"Height\":2}{\"Width\":3,\"Height\":4}"),
            Some(TerminalSize { width: 3, height: 4 })
        );
        assert_eq!(decoder.push(b"rubbish"), None);
        assert_eq!(decoder.push(b"{\"Width\":5,\"Height\":6}"), Some(TerminalSize { width: 5, height: 6 }));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_decoder(pieces: Vec<Vec<u8>>) {
            let mut decoder = ResizeDecoder::default();
            for piece in pieces {
                decoder.push(&piece);
                assert!(decoder.pending.len() <= MAX_RESIZE_BYTES + piece.len());
            }
        }
    }
}
