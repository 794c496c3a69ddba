//! The TLS front: the same service on a socket, for a person's own kubectl. HTTP/1.1 and HTTP/2; clients may show a
//! certificate.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::auth::{CertificateUser, Identity, Pki, PkiError, user_of};
use super::guarded::guarded;
use super::handler::HostTime;
use super::server::ApiServer;
use crate::clock::Clock;
use crate::net::Wire;
use crate::watch;

/// How long a client may take to greet.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may stand idle, or take to send the head of a request.
// Models k8s.io/apiserver/pkg/server (SecureServingInfo.Serve).
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How many requests one HTTP/2 connection may carry at a time.
const MAX_STREAMS: u32 = 250;
/// How long the head of a request may be.
const MAX_HEAD_BYTES: usize = 1 << 20;
/// How long to wait when the system has no more connections to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl ApiServer {
    /// Serves on `listener` as `identity` until `stop` is cancelled or the future is dropped; then every connection ends.
    /// Clients whose certificate `pki` signed are the users that it names. Fails only before the first connection.
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        pki: &Pki,
        identity: &Identity,
        stop: CancellationToken,
    ) -> Result<(), PkiError> {
        let mut config = server_config(pki, identity)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        // Host connections take the host's time, whatever the cluster's clock says.
        let clock = Clock::real();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! { biased;
                () = stop.cancelled() => return Ok(()),
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Small answers go out at once.
                        let _ = stream.set_nodelay(true);
                        let (acceptor, clock) = (acceptor.clone(), clock.clone());
                        connections.spawn(self.clone().serve_connection(acceptor, clock, Wire::new(stream)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be accepted");
                        clock.sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// Serves one connection, from its greeting to its end, on the time of `clock`. What goes wrong is the client's to notice.
    pub async fn serve_connection(self, acceptor: TlsAcceptor, clock: Clock, stream: Wire) {
        connection(self, acceptor, clock, stream).await;
    }
}

/// TLS for a server that is `identity`, and to which clients may show a certificate that `pki` signed.
pub fn server_config(pki: &Pki, identity: &Identity) -> Result<ServerConfig, PkiError> {
    let pem = |error: rustls_pki_types::pem::Error| PkiError::Pem(error.to_string());
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).map_err(pem)?;
    let authority = CertificateDer::from_pem_slice(pki.certificate().as_bytes()).map_err(pem)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let verifier =
        verifier.allow_unauthenticated().build().map_err(|error| PkiError::Pem(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)?;
    Ok(config)
}

async fn connection(server: ApiServer, acceptor: TlsAcceptor, clock: Clock, stream: Wire) {
    let host = clock.clone();
    let Ok(Ok(stream)) = clock.timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else { return };
    let certificates = stream.get_ref().1.peer_certificates();
    let user = certificates.and_then(|certificates| user_of(certificates.first()?)).map(CertificateUser);
    let (service, requests) = (server.service(), Requests::default());
    let counted = requests.clone();
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(user) = user.clone() {
            request.extensions_mut().insert(user);
        }
        request.extensions_mut().insert(HostTime(host.clone()));
        let (mut service, request_is_open) = (service.clone(), counted.open());
        async move { service.call(request).await.map(|response| guarded(response, request_is_open)) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
    builder.http2().max_header_list_size(MAX_HEAD_BYTES as u32);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), answer));
    let ended = tokio::select! { biased;
        ended = connection.as_mut() => ended,
        () = requests.idle(&clock) => {
            connection.as_mut().graceful_shutdown();
            clock.timeout(HANDSHAKE_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// How many requests of a connection are open: from the head to the end of the answer.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<watch::Sender<usize>>);

/// One that is.
struct Open(Requests);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open -= 1);
    }
}

impl Requests {
    fn open(&self) -> Open {
        self.0.send_modify(|open| *open += 1);
        Open(self.clone())
    }

    /// Returns when nothing has been asked for too long: by HTTP/1.1 or 2, or before it was said which it is.
    async fn idle(&self, clock: &Clock) {
        let mut open = self.0.subscribe();
        // The sender is in `self`, so that waiting does not fail.
        while open.wait_for(|open| *open == 0).await.is_ok() {
            if clock.timeout(IDLE_TIMEOUT, open.wait_for(|open| *open > 0)).await.is_err() {
                return;
            }
        }
    }
}
