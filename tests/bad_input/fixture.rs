//! What these tests look at and talk through: the server's own counts, the system's counts of its process, connections
//! over TLS of any shape.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::parity::server::{self, Server};

/// How often a condition is looked at, and how many times: a quarter of a minute, on a machine that is busy.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: usize = 300;

/// Looks at another process until `done`.
pub(super) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if done() {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("it did not come about: {what}");
}

/// Runs our kubectl as the administrator and returns what it printed.
pub(super) fn kubectl(server: &Server, args: &[&str]) -> String {
    let output = Command::new(server::binary())
        .arg("kubectl")
        .args(args)
        .env("KUBECONFIG", server.directory.path().join("kubeconfig"))
        .output()
        .unwrap();
    assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The sum of a metric over its series whose text holds `part`.
pub(super) fn metric(server: &Server, name: &str, part: &str) -> f64 {
    let text = kubectl(server, &["get", "--raw", "/metrics"]);
    let series = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(part)
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// How many requests are open that last: of clients and of the cluster's own components.
pub(super) fn open_requests(server: &Server) -> f64 {
    metric(server, "apiserver_longrunning_requests", "")
}

/// How many files and sockets the server's process has open.
pub(super) fn open_files(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

/// How much memory the server's process has in use.
pub(super) fn memory_bytes(server: &Server) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", server.id())).unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// What a kubeconfig says of where the server is and who the client is.
pub(super) struct Address {
    pub(super) host: String,
    config: Arc<rustls::ClientConfig>,
}

impl Address {
    /// Of a server in a process of its own.
    pub(super) fn of(server: &Server) -> Self {
        Self::read(&server.directory.path().join("kubeconfig"))
    }

    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let config: Value = serde_saphyr::from_str(&text).unwrap();
        let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
        let pem =
            |text: &Value| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        let authority = pem(&cluster["certificate-authority-data"]);
        roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(&pem(&user["client-certificate-data"])).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&pem(&user["client-key-data"])).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .unwrap();
        let host = cluster["server"].as_str().unwrap().trim_start_matches("https://").to_owned();
        Self { host, config: Arc::new(config) }
    }

    /// A connection on which `protocol` is spoken.
    pub(super) async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut config = rustls::ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(&self.host).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap()
    }

    /// Sends the head of a request, and a body if there is one.
    pub(super) async fn send(&self, head: &str, body: &[u8]) -> TlsStream<TcpStream> {
        let mut stream = self.connect("http/1.1").await;
        let text = format!("{head}\r\nHost: {}\r\nConnection: close\r\n", self.host);
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        stream.write_all(format!("{text}{length}\r\n").as_bytes()).await.unwrap();
        // A server that has seen enough may close before it has all.
        let _ = stream.write_all(body).await;
        stream
    }

    /// The whole answer to a request, head and all.
    pub(super) async fn ask(&self, head: &str, body: &[u8]) -> String {
        read_all(&mut self.send(head, body).await).await
    }
}

/// Everything until the other end closes.
pub(super) async fn read_all(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = vec![];
    // The server closes without a close_notify.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
