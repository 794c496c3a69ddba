//! Byte streams between addresses, without saying which network carries them.
//!
//! The API server dials kubelets, pods and Services through [`Dial`]; kubectl opens local ports through [`Listen`]. In the
//! simulation both are the fabric in memory (`network::fabric`); for a person's own kubectl they are sockets of the host.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

/// Both directions of a connection.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A connection of any kind.
pub type BoxIo = Box<dyn Io>;

/// A connection of any kind, as a type of its own: futures that hold one can be proven to be `Send`.
pub struct Wire(BoxIo);

impl Wire {
    /// The connection as it is.
    pub fn new(io: impl Io) -> Self {
        Self(Box::new(io))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Opens connections to addresses of a network.
pub trait Dial: Send + Sync + 'static {
    /// Connects to `address`. Errors as a TCP connect does: refused, timed out, unreachable.
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxIo>>;
}

/// Accepts connections on addresses of a network.
pub trait Listen: Send + Sync + 'static {
    /// Listens on `address`; port 0 picks a free one. Errors as a TCP bind does: in use, not available.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;
}

/// A bound address that connections come in on. Dropping it frees the address.
pub trait Listener: Send + 'static {
    /// The address with its port.
    fn local_addr(&self) -> SocketAddr;
    /// Waits for the next connection and tells where it came from.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, SocketAddr)>>;
}

/// Sends and receives datagrams. Dropping it frees the address.
pub trait Datagrams: Send + Sync + 'static {
    /// The address with its port.
    fn local_addr(&self) -> SocketAddr;
    /// Sends one. Nobody says whether it arrives.
    fn send<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>>;
    /// Waits for the next one and tells where it came from. The error may be about one that was sent: nobody takes it.
    fn receive(&self) -> BoxFuture<'_, io::Result<(Bytes, SocketAddr)>>;
}

/// A port of this machine that is open.
#[derive(Debug)]
pub struct HostListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl HostListener {
    /// Opens a port of this machine; number 0 picks one. Fails as the system does.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }
}

impl Listener for HostListener {
    fn local_addr(&self) -> SocketAddr {
        self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, SocketAddr)>> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            Ok((Box::new(stream) as BoxIo, from))
        })
    }
}
