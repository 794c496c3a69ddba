//! HTTP/1.1 as bytes: what is sent is what was written, to the case of a header's name, since learners see it.

mod body;
mod client;
mod message;
mod server;

pub(super) use client::{Answer, Client, ClientError};
pub(super) use message::{Head, Headers};
pub(super) use server::{Handler, Request, Response, reason, serve};
