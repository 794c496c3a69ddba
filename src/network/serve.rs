//! An HTTP server on the fabric, as the components' own ports are: plain or behind TLS, answering as Go's server does.
//!
//! Used by kube-proxy's ports here, by the control plane's health ports (`cluster`) and, for TLS, by the kubelet.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::net::{BoxIo, Listener};

/// The first byte of a TLS greeting.
const TLS_HANDSHAKE: u8 = 0x16;
/// What a server behind TLS says to those who come without it.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The TLS side of a server. Keys and certificates are made when the first connection comes.
pub struct ServerTls {
    make: Box<dyn Fn() -> Option<ServerConfig> + Send + Sync>,
    acceptor: OnceLock<Option<TlsAcceptor>>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// TLS as `make` configures it. `None` from it closes every connection.
    pub fn new(make: impl Fn() -> Option<ServerConfig> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { make: Box::new(make), acceptor: OnceLock::new() })
    }

    /// Greets a client. `None`: the connection is over.
    pub async fn greet(&self, mut io: BoxIo) -> Option<Greeting> {
        let make = || (self.make)().map(|config| TlsAcceptor::from(Arc::new(config)));
        let mut first = [0];
        io.read_exact(&mut first).await.ok()?;
        let (reader, writer) = tokio::io::split(io);
        let whole = tokio::io::join(std::io::Cursor::new(first).chain(reader), writer);
        if first[0] != TLS_HANDSHAKE {
            return Some(Greeting::Plain(Box::new(whole)));
        }
        let stream = self.acceptor.get_or_init(make).as_ref()?.accept(whole).await.ok()?;
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|all| Some(all.first()?.to_vec()));
        Some(Greeting::Secure(Box::new(stream), certificate))
    }
}

/// How a client came.
pub enum Greeting {
    /// Over TLS, with the certificate that it showed.
    Secure(BoxIo, Option<Vec<u8>>),
    /// Without TLS.
    Plain(BoxIo),
}

/// An answer in plain text, with the header that Go's `http.Error` sets.
pub fn plain(code: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Go's answer to a path that nobody serves.
pub fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// Answers requests on `listener` with `answer` until the future is dropped, which closes every connection.
pub async fn serve<A>(mut listener: Box<dyn Listener>, tls: Option<Arc<ServerTls>>, clock: Clock, answer: A)
where
    A: Fn(&Request<Incoming>) -> Response<Body> + Clone + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! { biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((io, _)) => {
                    connections.spawn(connection(io, tls.clone(), clock.clone(), answer.clone()));
                }
                // The network is gone.
                Err(_) => return,
            },
        }
    }
}

async fn connection<A>(io: BoxIo, tls: Option<Arc<ServerTls>>, clock: Clock, answer: A)
where
    A: Fn(&Request<Incoming>) -> Response<Body> + Send + Sync + 'static,
{
    let io = match tls {
        None => io,
        Some(tls) => match tls.greet(io).await {
            Some(Greeting::Secure(io, _)) => io,
            Some(Greeting::Plain(mut io)) => {
                // The client may be gone already.
                let _ = io.write_all(NOT_TLS).await;
                let _ = io.shutdown().await;
                return;
            }
            None => return,
        },
    };
    let handler = hyper::service::service_fn(|request: Request<Incoming>| {
        let mut response = answer(&request);
        let date = clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::from_str(&date) {
            response.headers_mut().insert(header::DATE, date);
        }
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The date is the cluster's, and headers are written as Go writes them.
    builder.auto_date_header(false).title_case_headers(true);
    // What goes wrong is the client's to notice.
    let _ = builder.serve_connection(TokioIo::new(io), handler).await;
}
