//! kubectl's streams: exec, attach and port-forward over whatever an HTTP connection was upgraded to.
//!
//! Two carriers, WebSocket ([`websocket`], [`channels`], [`tunnel`]) and SPDY/3.1 ([`spdy`]), and two uses of each: a
//! remote command ([`session`]) and forwarded ports ([`port_forward`]). The kubelet is the server of all of them; our own
//! kubectl is a client ([`client`]) of WebSocket only, as today's kubectl is. Nothing here knows pods or HTTP servers: it
//! is given an upgraded connection.

pub mod channels;
pub mod client;
pub mod port_forward;
pub mod protocol;
pub mod session;
pub mod spdy;
#[cfg(test)]
mod testing;
pub mod tunnel;
pub mod websocket;

pub use protocol::{Outcome, StreamError, StreamOptions, TerminalSize};
pub use session::Session;
