//! A server: listens, reads requests, writes what a handler answers. It ends, with its connections, when it is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::task::JoinSet;

use super::body::Body;
use super::message::{Head, Headers};
use crate::clock::Clock;
use crate::net::{BoxIo, Listener};

/// The largest body of a request.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How long a connection waits for the next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A request.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime::sim::programs) struct Request {
    pub(in crate::runtime::sim::programs) method: String,
    /// The target as it was written.
    pub(in crate::runtime::sim::programs) target: String,
    /// Like `HTTP/1.1`.
    pub(in crate::runtime::sim::programs) version: String,
    pub(in crate::runtime::sim::programs) headers: Headers,
    pub(in crate::runtime::sim::programs) body: Vec<u8>,
    pub(in crate::runtime::sim::programs) peer: Option<SocketAddr>,
    /// The address that it came in on.
    pub(in crate::runtime::sim::programs) local_port: u16,
}

impl Request {
    /// The path, decoded.
    pub(in crate::runtime::sim::programs) fn path(&self) -> String {
        let path = self.target.split(['?', '#']).next().unwrap_or_default();
        percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
    }

    /// A parameter of the query, decoded.
    pub(in crate::runtime::sim::programs) fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| {
                percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
            };
            (decode(key) == name).then(|| decode(value))
        })
    }

    /// Whether the connection stays open after the answer.
    fn keeps_alive(&self) -> bool {
        if self.version == "HTTP/1.0" {
            self.headers.has("Connection", "keep-alive")
        } else {
            !self.headers.has("Connection", "close")
        }
    }
}

/// An answer. The headers are sent as they are; a length is added if none is there.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime::sim::programs) struct Response {
    pub(in crate::runtime::sim::programs) code: u16,
    pub(in crate::runtime::sim::programs) headers: Headers,
    pub(in crate::runtime::sim::programs) body: Vec<u8>,
    /// The connection ends after it.
    pub(in crate::runtime::sim::programs) close: bool,
}

impl Response {
    /// An answer of text.
    pub(in crate::runtime::sim::programs) fn text(code: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { code, body: body.into(), ..Self::default() }
    }

    /// With a header more.
    pub(in crate::runtime::sim::programs) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.add(name, value);
        self
    }
}

/// The words behind a status code.
pub(in crate::runtime::sim::programs) fn reason(code: u16) -> &'static str {
    http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason()).unwrap_or("Unknown")
}

/// Answers requests.
#[async_trait]
pub(in crate::runtime::sim::programs) trait Handler:
    Send + Sync + 'static
{
    /// The answer to a request.
    async fn answer(&self, request: &Request) -> Response;
    /// The answer to bytes that are no request; `None` closes the connection.
    fn bad_request(&self) -> Option<Response> {
        Some(
            Response { close: true, ..Response::text(400, "400 Bad Request") }
                .with("Content-Type", "text/plain; charset=utf-8"),
        )
    }
}

/// Serves until it is dropped.
pub(in crate::runtime::sim::programs) async fn serve(
    mut listener: Box<dyn Listener>,
    handler: Arc<dyn Handler>,
    clock: Clock,
) {
    let mut connections = JoinSet::new();
    let local_port = listener.local_addr().port();
    loop {
        tokio::select! { biased;
            accepted = listener.accept() => {
                let Ok((io, peer)) = accepted else { return };
                let (handler, clock) = (handler.clone(), clock.clone());
                connections.spawn(async move {
                    // A connection that breaks is the client's affair.
                    let _ = connection(io, peer, local_port, &*handler, &clock).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    io: BoxIo,
    peer: SocketAddr,
    local_port: u16,
    handler: &dyn Handler,
    clock: &Clock,
) -> io::Result<()> {
    let mut io = BufReader::new(io);
    loop {
        let head = match clock.timeout(KEEP_ALIVE, Head::read(&mut io)).await {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(_)) => return refuse(&mut io, handler).await,
        };
        let words: Vec<&str> = head.first.split(' ').collect();
        let [method, target, version] = words[..] else { return refuse(&mut io, handler).await };
        if !version.starts_with("HTTP/") {
            return refuse(&mut io, handler).await;
        }
        if head.headers.has("Expect", "100-continue") {
            io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = Body::of_request(&head.headers).read_all(&mut io, MAX_BODY_BYTES).await?;
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            version: version.to_owned(),
            headers: head.headers,
            body,
            peer: Some(peer),
            local_port,
        };
        let response = handler.answer(&request).await;
        let keep = request.keeps_alive() && !response.close;
        write(&mut io, response, &request.method, keep).await?;
        if !keep {
            return io.shutdown().await;
        }
    }
}

async fn refuse(io: &mut BufReader<BoxIo>, handler: &dyn Handler) -> io::Result<()> {
    if let Some(response) = handler.bad_request() {
        write(io, response, "GET", false).await?;
    }
    io.shutdown().await
}

async fn write(io: &mut BufReader<BoxIo>, response: Response, method: &str, keep: bool) -> io::Result<()> {
    let mut head = Head {
        first: format!("HTTP/1.1 {} {}", response.code, reason(response.code)),
        headers: response.headers,
    };
    let bodiless = response.code == 204 || response.code == 304;
    if !bodiless
        && head.headers.get("Content-Length").is_none()
        && head.headers.get("Transfer-Encoding").is_none()
    {
        head.headers.add("Content-Length", response.body.len().to_string());
    }
    if !keep && head.headers.get("Connection").is_none() {
        head.headers.add("Connection", "close");
    }
    io.write_all(&head.bytes()).await?;
    if method != "HEAD" && !bodiless {
        if head.headers.has("Transfer-Encoding", "chunked") {
            io.write_all(format!("{:x}\r\n", response.body.len()).as_bytes()).await?;
            io.write_all(&response.body).await?;
            io.write_all(if response.body.is_empty() { b"\r\n" } else { b"\r\n0\r\n\r\n" }).await?;
        } else {
            io.write_all(&response.body).await?;
        }
    }
    io.flush().await
}
