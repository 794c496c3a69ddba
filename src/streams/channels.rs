//! A remote command over WebSocket: the first byte of a message is its channel (`v4.channel.k8s.io`, `v5.channel.k8s.io`).
//!
//! The kubelet calls [`serve`] with an upgraded connection. The client's side is [`super::client`].
// Models k8s.io/apiserver/pkg/util/proxy (StreamTranslatorHandler) and cri-streaming's remotecommand/websocket.go.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::protocol::{Outcome, StreamOptions, TerminalSize, V5, channel};
use super::session::{PIPE_BYTES, Pump, ResizeDecoder, Session, read_piece};
use super::websocket;
use crate::clock::Clock;
use crate::net::Io;
use crate::watch;

/// How long a client may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long output may still come after the command has ended (a child of it may hold the pipe).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// The two protocols, the best first.
pub const PROTOCOLS: [&str; 2] = [V5, super::protocol::V4];

/// Serves a remote command on an upgraded connection, in the protocol that was chosen.
pub async fn serve<T: Io>(io: T, protocol: &'static str, options: StreamOptions, clock: Clock) -> Session {
    let socket = websocket::server(io).await;
    let (stdin_near, stdin_far) = pipe(options.stdin);
    let (stdout_near, stdout_far) = pipe(options.stdout);
    let (stderr_near, stderr_far) = pipe(options.stderr && !options.tty);
    let (outcome_sender, outcome) = oneshot::channel();
    let (gone_sender, gone) = watch::channel(false);
    let (resize_sender, resize) = watch::channel(TerminalSize::default());
    let server = Server { v5: protocol == V5, gone: gone_sender, resize: resize_sender, clock };
    let pump = tokio::spawn(server.run(socket, stdin_far, stdout_far, stderr_far, outcome));
    Session {
        stdin: stdin_near.map(|pipe| Box::new(pipe) as _),
        stdout: stdout_near.map(|pipe| Box::new(pipe) as _),
        stderr: stderr_near.map(|pipe| Box::new(pipe) as _),
        resize: options.tty.then_some(resize),
        outcome: Some(outcome_sender),
        gone,
        pump: Pump(pump),
    }
}

fn pipe(wanted: bool) -> (Option<DuplexStream>, Option<DuplexStream>) {
    if !wanted {
        return (None, None);
    }
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    (Some(near), Some(far))
}

struct Server {
    v5: bool,
    gone: watch::Sender<bool>,
    resize: watch::Sender<TerminalSize>,
    clock: Clock,
}

impl Server {
    async fn run<T: Io>(
        self,
        socket: WebSocketStream<T>,
        stdin: Option<DuplexStream>,
        stdout: Option<DuplexStream>,
        stderr: Option<DuplexStream>,
        outcome: oneshot::Receiver<Outcome>,
    ) {
        let (mut sink, mut messages) = socket.split();
        let first = match (&stdout, &stderr) {
            (Some(_), _) => channel::STDOUT,
            (None, Some(_)) => channel::STDERR,
            (None, None) => channel::ERROR,
        };
        // An empty message tells the client that the connection stands.
        if sink.send(Message::Binary(Bytes::copy_from_slice(&[first]))).await.is_err() {
            self.gone.send_replace(true);
            return;
        }
        let reading = async {
            self.read(&mut messages, stdin).await;
            self.gone.send_replace(true);
            std::future::pending::<()>().await;
        };
        // A client that goes away ends the session, whose drop ends this task; the writer's end is the proper one.
        tokio::select! { biased;
            () = self.write(&mut sink, stdout, stderr, outcome) => {}
            () = reading => {}
        }
    }

    async fn read<S>(&self, messages: &mut S, stdin: Option<DuplexStream>)
    where
        S: futures::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
    {
        let mut stdin = stdin;
        let mut sizes = ResizeDecoder::default();
        while let Some(Ok(message)) = messages.next().await {
            let data = match message {
                Message::Binary(data) => data,
                Message::Close(_) => return,
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            match data.split_first() {
                Some((&channel::STDIN, bytes)) => {
                    // A process that no longer reads loses what comes, as with a broken pipe.
                    if let Some(pipe) = &mut stdin
                        && pipe.write_all(bytes).await.is_err()
                    {
                        stdin = None;
                    }
                }
                Some((&channel::RESIZE, bytes)) => {
                    if let Some(size) = sizes.push(bytes) {
                        self.resize.send_replace(size);
                    }
                }
                Some((&channel::CLOSE, &[channel::STDIN])) if self.v5 => stdin = None,
                _ => {}
            }
        }
    }

    async fn write<S>(
        &self,
        sink: &mut S,
        mut stdout: Option<DuplexStream>,
        mut stderr: Option<DuplexStream>,
        outcome: oneshot::Receiver<Outcome>,
    ) where
        S: futures::Sink<Message> + Unpin,
    {
        let mut outcome = outcome;
        let mut ended = None;
        let mut deadline = None;
        while ended.is_none() || stdout.is_some() || stderr.is_some() {
            let drained = async {
                match deadline {
                    Some(deadline) => self.clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! { biased;
                piece = read_piece(&mut stdout) => piece.map(|piece| (channel::STDOUT, piece)),
                piece = read_piece(&mut stderr) => piece.map(|piece| (channel::STDERR, piece)),
                result = &mut outcome, if ended.is_none() => {
                    // The session was dropped without a word: break off.
                    let Ok(result) = result else { return };
                    ended = Some(result);
                    deadline = Some(self.clock.after(DRAIN_TIMEOUT));
                    None
                }
                () = drained => break,
            };
            let Some((number, piece)) = message else { continue };
            if send(sink, number, &piece).await.is_err() {
                return;
            }
        }
        let outcome = ended.unwrap_or(Outcome::Success);
        let _ = send(sink, channel::ERROR, &outcome.to_json(self.v5)).await;
        let _ = sink.send(websocket::normal_close()).await;
        // The reader sees the client's own close; one that never comes is not waited for.
        let mut gone = self.gone.subscribe();
        let _ = self.clock.timeout(CLOSE_TIMEOUT, gone.wait_for(|gone| *gone)).await;
        self.gone.send_replace(true);
    }
}

async fn send<S: futures::Sink<Message> + Unpin>(
    sink: &mut S,
    number: u8,
    bytes: &[u8],
) -> Result<(), S::Error> {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(number);
    message.extend_from_slice(bytes);
    sink.send(Message::Binary(message.into())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]
        #[test]
        fn no_bytes_make_it_panic_and_a_client_that_goes_is_noticed(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            start in 0x80_u8..0x90,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (mut near, far) = tokio::io::duplex(1000);
                let query = "stdin=1&stdout=1&tty=1";
                let options = StreamOptions::from_query(query).unwrap();
                let session = serve(far, V5, options, Clock::real()).await;
                // Half of the time the first byte looks like a frame's.
                let _ = near.write_all(&[&[start][..], &bytes].concat()).await;
                drop(near);
                session.gone().await;
            });
        }
    }
}
