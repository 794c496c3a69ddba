//! SPDY/3.1, as far as kubectl and the kubelet speak it: many streams over one connection.
//!
//! [`Connection`] is either end; [`command`] and [`remote`] are the two ends of a remote command on it; forwarded ports are in [`super::port_forward`].
//! Flow control is left out on purpose: the library that every kubectl uses neither sends window updates nor minds them, so
//! that waiting for one would wait for ever. A reader that is slow holds up its connection.

pub mod command;
mod connection;
mod frame;
mod header_block;
pub mod remote;

pub use connection::{Connection, Reader, Stream, Writer};
