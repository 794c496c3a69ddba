//! Whether the certificate and the key of a TLS Secret belong together, in the words of Go's `tls.X509KeyPair`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The warning that a TLS Secret gets whose parts do not fit.
pub(crate) fn pair_warning(secret: &Secret) -> Option<String> {
    let bytes =
        |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let (certificate, key) = (bytes("tls.crt").unwrap_or_default(), bytes("tls.key").unwrap_or_default());
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificate).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Some("tls: failed to find any PEM data in certificate input".to_owned());
    }
    let Ok(key) = PrivateKeyDer::from_pem_slice(key) else {
        return Some("tls: failed to find any PEM data in key input".to_owned());
    };
    let Ok(signing) = rustls::crypto::ring::sign::any_supported_type(&key) else {
        return Some("tls: failed to parse private key".to_owned());
    };
    match CertifiedKey::new(chain, Arc::clone(&signing)).keys_match() {
        // What the library cannot tell is no mismatch.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => None,
        Err(rustls::Error::InconsistentKeys(_)) => {
            Some("tls: private key does not match public key".to_owned())
        }
        Err(_) => Some("x509: malformed certificate".to_owned()),
    }
}
