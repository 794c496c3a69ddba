//! The TLS front: the same service on a socket, for a person's own kubectl. HTTP/1.1 and HTTP/2; clients may show a
//! certificate.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::auth::{CertificateUser, Identity, Pki, PkiError, user_of};
use super::server::ApiServer;
use crate::clock::Clock;

/// How long a client may take to greet.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may stand idle, or take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
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
                        connections.spawn(connection(self.clone(), acceptor.clone(), clock.clone(), stream));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be accepted");
                        clock.sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }
}

/// TLS for a server that is `identity`, and to which clients may show a certificate that `pki` signed.
pub fn server_config(pki: &Pki, identity: &Identity) -> Result<ServerConfig, PkiError> {
    let pem = |error: rustls_pki_types::pem::Error| PkiError::Pem(error.to_string());
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).map_err(pem)?;
    let authority = CertificateDer::from_pem_slice(pki.authority().certificate.as_bytes()).map_err(pem)?;
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

/// One connection from its greeting to its end. What goes wrong is the client's to notice.
async fn connection(server: ApiServer, acceptor: TlsAcceptor, clock: Clock, stream: TcpStream) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = clock.timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else { return };
    let certificates = stream.get_ref().1.peer_certificates();
    let user = certificates.and_then(|certificates| user_of(certificates.first()?)).map(CertificateUser);
    let service = server.service();
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(user) = user.clone() {
            request.extensions_mut().insert(user);
        }
        let mut service = service.clone();
        async move { service.call(request).await }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(250);
    if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, "a connection ended");
    }
}
