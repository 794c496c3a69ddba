//! TLS for clients: trust in given authorities or in anybody, by the cluster's time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::clock::Clock;
use crate::net::BoxIo;

/// Whom a client trusts.
#[derive(Debug)]
pub(super) struct Trust {
    /// Anybody.
    pub(super) insecure: bool,
    /// Certificates of authorities, in PEM.
    pub(super) authorities: Vec<u8>,
}

/// Why there is no secure connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// In OpenSSL's words.
    #[error("{0}")]
    Untrusted(String),
    #[error("the certificate is for another name")]
    WrongName,
    #[error("the server does not speak TLS")]
    NotTls,
    #[error("{0}")]
    Broken(io::Error),
}

/// Makes a connection secure.
pub(super) async fn connect(io: BoxIo, name: &str, trust: &Trust, clock: &Clock) -> Result<BoxIo, TlsError> {
    let broken = |error: Error| TlsError::Broken(io::Error::other(error));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let time = Arc::new(ClusterTime(clock.clone()));
    let builder = ClientConfig::builder_with_details(provider.clone(), time)
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let mut roots = RootCertStore::empty();
    // What is no certificate is passed over, as OpenSSL does.
    roots
        .add_parsable_certificates(CertificateDer::pem_slice_iter(&trust.authorities).filter_map(Result::ok));
    let verifier: Arc<dyn ServerCertVerifier> = if trust.insecure {
        Arc::new(Anybody(provider))
    } else if roots.is_empty() {
        return Err(TlsError::Untrusted("unable to get local issuer certificate".to_owned()));
    } else {
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        built.map_err(|error| TlsError::Broken(io::Error::other(error)))?
    };
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let server =
        ServerName::try_from(name.to_owned()).map_err(|error| TlsError::Broken(io::Error::other(error)))?;
    let connected = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(server, io).await;
    match connected {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(translate(error)),
    }
}

fn translate(error: io::Error) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned();
    match inner {
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => TlsError::WrongName,
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => TlsError::Untrusted("certificate has expired".to_owned()),
        Some(Error::InvalidCertificate(_)) => {
            TlsError::Untrusted("unable to get local issuer certificate".to_owned())
        }
        Some(Error::InvalidMessage(_)) => TlsError::NotTls,
        _ => TlsError::Broken(error),
    }
}

/// The cluster's time for the checks of certificates.
#[derive(Debug)]
struct ClusterTime(Clock);

impl TimeProvider for ClusterTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Trusts anybody, as `curl -k` does; signatures are still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
