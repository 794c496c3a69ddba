//! A byte stream inside a WebSocket: binary messages one after the other, without their borders.
//!
//! kubectl's port-forward speaks SPDY through it ([`super::protocol::PORT_FORWARD_TUNNEL`]).
// Models k8s.io/client-go/tools/portforward (TunnelingConnection).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::websocket;
use crate::net::Io;

/// The most bytes that go into one message.
const MAX_PIECE_BYTES: usize = 32 << 10;

/// Bytes through a WebSocket. Shutting it down closes the connection as it should be closed (1000).
pub struct Tunnel<T> {
    socket: WebSocketStream<T>,
    unread: Bytes,
    closing: bool,
}

impl<T: Io> Tunnel<T> {
    /// A tunnel through an open connection.
    pub fn new(socket: WebSocketStream<T>) -> Self {
        Self { socket, unread: Bytes::new(), closing: false }
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

impl<T: Io> AsyncRead for Tunnel<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "invalid message type received",
                    )));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: Io> AsyncWrite for Tunnel<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let count = bytes.len().min(MAX_PIECE_BYTES);
        let message = Message::Binary(Bytes::copy_from_slice(&bytes[..count]));
        Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            match ready!(Pin::new(&mut self.socket).poll_ready(cx)) {
                Ok(()) => {
                    let _ = Pin::new(&mut self.socket).start_send(websocket::normal_close());
                }
                // The other end has closed already.
                Err(_) => return Poll::Ready(Ok(())),
            }
            self.closing = true;
        }
        let _ = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_pass_whole_and_an_end_is_an_end() {
        let (near, far) = tokio::io::duplex(1000);
        let mut client = Tunnel::new(websocket::client(near).await);
        let mut server = Tunnel::new(websocket::server(far).await);
        let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.flush().await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        let mut seen = vec![];
        server.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, expected);
        drop(writer.await.unwrap());
    }
}
