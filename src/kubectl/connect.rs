//! How kubectl gets at a cluster once its kubeconfig is read: sockets on the host, a call in process in the sandbox.
//!
//! [`Connect`] is what `cluster.rs` implements for its own API server; [`HostConnect`] is for everything else.

use async_trait::async_trait;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::error::{KubectlError, Result};

/// Where the API server is and who one is there, as the kubeconfig and flags say. Certificates and keys are PEM.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterConfig {
    /// The server's URL, like `https://127.0.0.1:6443`.
    pub server: String,
    /// The authorities that may have signed the server's certificate.
    pub certificate_authority: Option<Vec<u8>>,
    /// Whether to trust any certificate.
    pub insecure_skip_tls_verify: bool,
    /// The name that the server's certificate is for, if not the URL's.
    pub tls_server_name: Option<String>,
    /// The client's certificate.
    pub client_certificate: Option<Vec<u8>>,
    /// The client's key.
    pub client_key: Option<Vec<u8>>,
    /// A bearer token.
    pub token: Option<String>,
    /// Basic authentication.
    pub username: Option<String>,
    /// Basic authentication.
    pub password: Option<String>,
    /// A program that gives credentials, as in the kubeconfig.
    pub exec: Option<serde_json::Value>,
    /// A proxy on the way.
    pub proxy_url: Option<String>,
    /// Who to act as, with groups, UID and extras.
    pub impersonate: Impersonation,
}

/// Whom to act as.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impersonation {
    pub user: String,
    pub uid: String,
    pub groups: Vec<String>,
    /// Keys with values.
    pub extra: Vec<(String, String)>,
}

/// Makes clients for clusters.
#[async_trait]
pub trait Connect: Send + Sync + 'static {
    /// A client for that cluster. The impersonation headers are added by kubectl itself.
    async fn connect(&self, config: &ClusterConfig) -> Result<kube::Client>;
}

/// Connects over the host's sockets with TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostConnect;

#[async_trait]
impl Connect for HostConnect {
    async fn connect(&self, config: &ClusterConfig) -> Result<kube::Client> {
        let wrong = |why: String| KubectlError::message(why);
        let uri: http::Uri = config
            .server
            .parse()
            .map_err(|_| wrong(format!("host must be a URL or a host:port pair: {:?}", config.server)))?;
        let mut settings = kube::Config::new(uri);
        settings.default_retry = false;
        settings.accept_invalid_certs = config.insecure_skip_tls_verify;
        settings.tls_server_name.clone_from(&config.tls_server_name);
        if let Some(pem) = &config.certificate_authority {
            let certificates: Result<Vec<CertificateDer<'_>>, _> =
                CertificateDer::pem_slice_iter(pem).collect();
            let certificates =
                certificates.map_err(|e| wrong(format!("unable to load root certificates: {e}")))?;
            if certificates.is_empty() {
                return Err(wrong(
                    "unable to load root certificates: unable to parse bytes as PEM block".to_owned(),
                ));
            }
            settings.root_cert =
                Some(certificates.into_iter().map(|certificate| certificate.to_vec()).collect());
        }
        if let Some(proxy) = &config.proxy_url {
            settings.proxy_url =
                Some(proxy.parse().map_err(|_| wrong(format!("invalid proxy-url {proxy:?}")))?);
        }
        settings.auth_info = auth_info(config)?;
        // Only the first call in a process finds no provider yet.
        let _ = rustls::crypto::ring::default_provider().install_default();
        kube::Client::try_from(settings).map_err(|error| wrong(error.to_string()))
    }
}

fn auth_info(config: &ClusterConfig) -> Result<kube::config::AuthInfo> {
    use base64::Engine;
    let encode = |bytes: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(bytes);
    let value = serde_json::json!({
        "token": config.token,
        "username": config.username,
        "password": config.password,
        "client-certificate-data": config.client_certificate.as_ref().map(encode),
        "client-key-data": config.client_key.as_ref().map(encode),
        "exec": config.exec,
    });
    serde_json::from_value(value)
        .map_err(|error| KubectlError::message(format!("invalid user in kubeconfig: {error}")))
}
