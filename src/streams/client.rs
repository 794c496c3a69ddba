//! The client's ends: a remote command over WebSocket, and forwarded ports.
//!
//! Our own kubectl calls these with a connection that its `kube::Client` upgraded ([`upgraded`]).
// Models k8s.io/client-go/tools/remotecommand/websocket.go and .../portforward/portforward.go.

use std::sync::Arc;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;

use super::port_forward::copy_both;
use super::protocol::{Outcome, PORT, REQUEST_ID, STREAM_TYPE, StreamError, TerminalSize, channel};
use super::session::{Input, Output, PIPE_BYTES};
use super::spdy::Connection;
use super::websocket;
use crate::net::{BoxIo, Io};
use crate::watch;

/// Where a remote command's bytes come from and go to.
#[derive(Default)]
pub struct ClientStreams {
    /// Standard input; its end is passed on.
    pub stdin: Option<Input>,
    /// Standard output.
    pub stdout: Option<Output>,
    /// Standard error.
    pub stderr: Option<Output>,
    /// The terminal's size, as it changes.
    pub resize: Option<watch::Receiver<TerminalSize>>,
}

/// The connection behind an answer with code 101; any other answer is an error with its body.
pub async fn upgraded<B>(response: http::Response<B>) -> Result<BoxIo, StreamError>
where
    B: http_body::Body,
{
    let mut response = response;
    if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
        let upgraded =
            hyper::upgrade::on(&mut response).await.map_err(|e| StreamError::Protocol(e.to_string()))?;
        return Ok(Box::new(TokioIo::new(upgraded)));
    }
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Err(StreamError::Refused { code, message: String::from_utf8_lossy(&body).trim_end().to_owned() })
}

/// Runs a remote command on an upgraded connection (v5) to its end. Dropping the future breaks it off.
pub async fn command<T: Io>(io: T, streams: ClientStreams) -> Result<Outcome, StreamError> {
    let (mut sink, mut messages) = websocket::client(io).await.split();
    let ClientStreams { mut stdin, mut stdout, mut stderr, resize } = streams;
    let mut status = vec![];
    let receiving = async {
        while let Some(message) = messages.next().await {
            let data = match message {
                Ok(Message::Binary(data)) => data,
                Ok(Message::Close(_)) => break,
                Ok(_) => continue,
                Err(error) => return Err(StreamError::Protocol(format!("next reader: {error}"))),
            };
            let Some((number, bytes)) = data.split_first() else { continue };
            match *number {
                channel::STDOUT => put(&mut stdout, bytes).await,
                channel::STDERR => put(&mut stderr, bytes).await,
                channel::ERROR => status.extend_from_slice(bytes),
                _ => {}
            }
        }
        Ok(())
    };
    let sending = async {
        let mut resize = resize;
        let mut buffer = vec![0; PIPE_BYTES];
        if let Some(sizes) = &mut resize {
            let size = *sizes.borrow_and_update();
            let _ = sink.send(frame(channel::RESIZE, &serde_json::to_vec(&size).unwrap_or_default())).await;
        }
        loop {
            let message = tokio::select! { biased;
                size = next_size(&mut resize) => frame(channel::RESIZE, &serde_json::to_vec(&size).unwrap_or_default()),
                count = read(&mut stdin, &mut buffer) => match count {
                    0 => {
                        stdin = None;
                        frame(channel::CLOSE, &[channel::STDIN])
                    }
                    count => frame(channel::STDIN, &buffer[..count]),
                },
            };
            if sink.send(message).await.is_err() {
                // What the server had to say comes with the messages still to be read.
                return std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! { biased;
        result = receiving => result?,
        () = sending => {}
    }
    Ok(Outcome::from_json(&status))
}

fn frame(number: u8, bytes: &[u8]) -> Message {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(number);
    message.extend_from_slice(bytes);
    Message::Binary(Bytes::from(message))
}

async fn put(output: &mut Option<Output>, bytes: &[u8]) {
    if let Some(writer) = output
        && (writer.write_all(bytes).await.is_err() || writer.flush().await.is_err())
    {
        *output = None;
    }
}

async fn read(input: &mut Option<Input>, buffer: &mut [u8]) -> usize {
    match input {
        Some(reader) => reader.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn next_size(sizes: &mut Option<watch::Receiver<TerminalSize>>) -> TerminalSize {
    if let Some(receiver) = sizes {
        if receiver.changed().await.is_ok() {
            return *receiver.borrow_and_update();
        }
        *sizes = None;
    }
    std::future::pending().await
}

/// The client's end of forwarded ports. Cheap to clone; the connection closes with the last clone.
#[derive(Clone)]
pub struct Forwarder {
    shared: Arc<Mutex<(Connection, u64)>>,
    closed: futures::future::Shared<futures::future::BoxFuture<'static, ()>>,
}

impl Forwarder {
    /// Speaks over an upgraded connection: a tunnel's, or the bare one.
    pub fn new<T: Io>(io: T) -> Result<Self, StreamError> {
        let connection = Connection::client(io)?;
        let closed: futures::future::BoxFuture<'static, ()> = Box::pin(connection.closed());
        Ok(Self { shared: Arc::new(Mutex::new((connection, 0))), closed: futures::FutureExt::shared(closed) })
    }

    /// Waits until the server has closed the connection: `lost connection to pod`.
    pub async fn closed(&self) {
        self.closed.clone().await;
    }

    /// Connects `local` with a port of the pod until both sides have ended. The error is the server's text.
    pub async fn forward(&self, local: BoxIo, port: u16) -> Result<(), StreamError> {
        let (mut error, data) = {
            let mut shared = self.shared.lock().await;
            let id = shared.1;
            shared.1 += 1;
            let headers = |kind: &str| {
                [(STREAM_TYPE, kind.to_owned()), (PORT, port.to_string()), (REQUEST_ID, id.to_string())]
                    .map(|(name, value)| (name.to_owned(), value))
                    .into()
            };
            let error = shared.0.open(headers("error"), true).await?;
            (error, shared.0.open(headers("data"), false).await?)
        };
        let mut text = vec![];
        let failed = async {
            let _ = error.reader.read_to_end(&mut text).await;
            if text.is_empty() {
                std::future::pending().await
            } else {
                String::from_utf8_lossy(&text).into_owned()
            }
        };
        tokio::select! { biased;
            text = failed => Err(StreamError::Protocol(text)),
            result = copy_both(data, local) => Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{StreamOptions, V5};
    use super::super::testing::{SHOUT, hear, shout};
    use super::super::{Session, channels};
    use super::*;
    use crate::clock::Clock;

    async fn pair(options: StreamOptions) -> (tokio::io::DuplexStream, Session) {
        let (near, far) = tokio::io::duplex(4096);
        (near, channels::serve(far, V5, options, Clock::virtual_time()).await)
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_gets_its_input_and_the_client_its_output_and_code() {
        let (near, session) = pair(SHOUT).await;
        let server = tokio::spawn(shout(session));
        hear(near, command).await;
        server.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_notices_a_client_that_goes_away() {
        let (near, session) =
            pair(StreamOptions { stdin: true, stdout: true, ..StreamOptions::default() }).await;
        let gone = session.gone();
        drop(near);
        gone.await;
        session.finish(Outcome::Success).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_terminals_size_is_passed_on() {
        let (near, session) =
            pair(StreamOptions { stdin: true, stdout: true, stderr: false, tty: true }).await;
        let (sizes, resize) = watch::channel(TerminalSize { width: 80, height: 24 });
        let client =
            tokio::spawn(command(near, ClientStreams { resize: Some(resize), ..ClientStreams::default() }));
        let mut seen = session.resize.clone().unwrap();
        seen.wait_for(|size| size.width == 80).await.unwrap();
        sizes.send_replace(TerminalSize { width: 100, height: 30 });
        seen.wait_for(|size| size.height == 30).await.unwrap();
        session.finish(Outcome::Success).await;
        assert_eq!(client.await.unwrap().unwrap(), Outcome::Success);
    }
}
