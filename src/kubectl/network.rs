//! The network of the place that kubectl runs in: what `proxy` and `port-forward` listen on and URLs are fetched over.

use crate::net::{Dial, Listen};
use futures::future::BoxFuture;
use std::io;
use std::net::SocketAddr;

/// A network that kubectl may listen on, dial on and look names up in.
pub trait Network: Listen + Dial {
    /// The addresses of a host name, with the port put in.
    fn lookup<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}
