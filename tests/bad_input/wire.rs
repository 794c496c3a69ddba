//! What comes over the socket and is no request, or only half of one.

use std::sync::Arc;
use std::time::Duration;

use k8s_learn::api::auth::Pki;
use k8s_learn::api::server::{ApiServer, Config};
use k8s_learn::api::server_config;
use k8s_learn::clock::Clock;
use k8s_learn::net::Wire;
use k8s_learn::seed::Seed;
use k8s_learn::store::Store;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::client::TlsStream;

use super::fixture::{Address, eventually, kubectl, metric, open_files, read_all};
use crate::parity::server::Server;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Does something to a server's socket, then looks that the server answers and has forgotten it.
fn check(what: impl AsyncFnOnce(&Address)) {
    let server = Server::start();
    let (files, tasks) = (open_files(&server), metric(&server, "k8s_learn_tasks", ""));
    let maps = kubectl(&server, &["get", "configmaps", "-A", "-o", "json"]);
    runtime().block_on(what(&Address::of(&server)));
    assert_eq!(kubectl(&server, &["get", "--raw", "/readyz"]), "ok");
    assert_eq!(kubectl(&server, &["get", "configmaps", "-A", "-o", "json"]), maps, "nothing was written");
    eventually("its files are closed", || open_files(&server) <= files);
    eventually("its tasks have ended", || metric(&server, "k8s_learn_tasks", "") <= tasks);
    eventually("its requests are over", || metric(&server, "apiserver_current_inflight_requests", "") <= 1.0);
}

#[test]
fn garbage_on_the_tls_port() {
    check(async |address| {
        for garbage in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 5000], &[0x16, 3, 1, 0xff, 0xff, 1], &[0xff; 70_000]]
        {
            let mut stream = TcpStream::connect(&address.host).await.unwrap();
            let _ = stream.write_all(garbage).await;
            let _ = stream.shutdown().await;
            let mut answer = vec![];
            let _ = stream.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        }
    });
}

#[test]
fn garbage_inside_tls() {
    check(async |address| {
        for (protocol, garbage) in [
            ("http/1.1", &b"\x00\x01\x02\x03\r\n\r\n"[..]),
            ("http/1.1", b"GET /api HTTP/9.9\r\n\r\n"),
            ("http/1.1", b"GET /api HTTP/1.1\r\nContent-Length: minus\r\n\r\n"),
            ("http/1.1", b"POST /api/v1/namespaces HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            ("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("h2", b"GET / HTTP/1.1\r\n"),
        ] {
            let mut stream = address.connect(protocol).await;
            stream.write_all(garbage).await.unwrap();
            let _ = stream.shutdown().await;
            let answer = read_all(&mut stream).await;
            assert!(!answer.contains(" 200 ") && !answer.contains(" 201 "), "{answer}");
        }
    });
}

#[test]
fn half_a_body_and_then_nobody() {
    check(async |address| {
        for _ in 0..20 {
            let mut stream = address.connect("http/1.1").await;
            let head = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                        Content-Length: 1000\r\n\r\n{\"apiVersion\":\"v1\",";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            drop(stream);
        }
    });
}

/// An API server in this process, on a clock that moves when everybody waits.
struct Served {
    server: ApiServer,
    acceptor: TlsAcceptor,
    client: rustls::ClientConfig,
    clock: Clock,
}

impl Served {
    fn start() -> Self {
        let clock = Clock::virtual_time();
        let server = ApiServer::new(Config::new(Store::new(clock.clone()), clock.clone(), Seed::new(1)));
        server.bootstrap(None).unwrap();
        let pki = Pki::generate(Seed::new(7)).unwrap();
        let identity = pki.server(&["localhost".to_owned()], &[]).unwrap();
        let mut config = server_config(&pki, &identity).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pki.certificate().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server, acceptor: TlsAcceptor::from(Arc::new(config)), client, clock }
    }

    /// The client's end of a connection on which nothing was said.
    fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(64 << 10);
        let (api, acceptor, clock) = (self.server.clone(), self.acceptor.clone(), self.clock.clone());
        tokio::spawn(api.serve_connection(acceptor, clock, Wire::new(server)));
        client
    }

    /// A connection on which both sides have greeted.
    async fn greet(&self, protocol: &str) -> TlsStream<DuplexStream> {
        let mut config = self.client.clone();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect("localhost".try_into().unwrap(), self.connect()).await.unwrap()
    }

    /// Says nothing more, and gives what the server says before it hangs up, within `seconds`.
    async fn silence(&self, seconds: u64, stream: &mut (impl AsyncReadExt + Unpin)) -> String {
        let mut answer = vec![];
        let read = self.clock.timeout(Duration::from_secs(seconds), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the connection is still open after {seconds} s");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_nothing() {
    let served = Served::start();
    served.silence(11, &mut served.connect()).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_greets_and_sends_nothing_or_half_a_head() {
    let served = Served::start();
    for protocol in ["http/1.1", "h2"] {
        for sent in ["", "P", "PRI * HTTP/2.0\r\n\r\n", "GET /version HTTP/1.1\r\nHost: a\r\nX-Half"] {
            let mut stream = served.greet(protocol).await;
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            served.silence(102, &mut stream).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_half_a_body() {
    let served = Served::start();
    let mut stream = served.greet("http/1.1").await;
    let head = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Content-Length: 1000\r\n\r\n{\"apiVersion\":\"v1\",";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let answer = served.silence(61, &mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(
        answer.contains("\"message\":\"Timeout: request did not complete within the allotted timeout\""),
        "{answer}"
    );
}
