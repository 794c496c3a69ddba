//! What comes over the socket and is no request, or only half of one.

use std::time::Duration;

use k8s_learn::api::auth::Pki;
use k8s_learn::api::server::{ApiServer, Config};
use k8s_learn::clock::Clock;
use k8s_learn::seed::Seed;
use k8s_learn::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

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

/// A server on a socket, in this process, so that its time can be moved.
async fn served()
-> (std::net::SocketAddr, rustls::ClientConfig, tokio::task::JoinHandle<()>, CancellationToken) {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let clock = Clock::real();
    let server = ApiServer::new(Config::new(Store::new(clock.clone()), clock, Seed::new(1)));
    server.bootstrap(None).unwrap();
    let pki = Pki::generate(Seed::new(7)).unwrap();
    let identity = pki.server(&["localhost".to_owned()], &[[127, 0, 0, 1].into()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.certificate().as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let serving = tokio::spawn({
        let stop = stop.clone();
        async move { server.serve_tls(listener, &pki, &identity, stop).await.unwrap() }
    });
    (address, client, serving, stop)
}

async fn greeted(
    address: std::net::SocketAddr,
    mut config: rustls::ClientConfig,
    protocol: &str,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

/// Lets `seconds` pass in which nothing comes, and gives what the server did about it.
async fn after(seconds: u64, stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    // What was sent has to arrive before the time is moved, which the system does while other threads run.
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::resume();
    let mut answer = vec![];
    let read = k8s_learn::clock::Clock::real()
        .timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
        .await;
    assert!(read.is_ok(), "the connection is still open after {seconds} s");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_connection_that_sends_nothing() {
    let (address, _, _serving, stop) = served().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    after(11, &mut stream).await;
    stop.cancel();
}

#[tokio::test]
async fn a_connection_that_greets_and_sends_nothing_or_half_a_head() {
    let (address, config, _serving, stop) = served().await;
    for protocol in ["http/1.1", "h2"] {
        for sent in ["", "P", "PRI * HTTP/2.0\r\n\r\n", "GET /version HTTP/1.1\r\nHost: a\r\nX-Half"] {
            let mut stream = greeted(address, config.clone(), protocol).await;
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            after(102, &mut stream).await;
        }
    }
    stop.cancel();
}

#[tokio::test]
async fn a_connection_that_sends_half_a_body() {
    let (address, config, _serving, stop) = served().await;
    let mut stream = greeted(address, config, "http/1.1").await;
    let head = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Content-Length: 1000\r\n\r\n{\"apiVersion\":\"v1\",";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let answer = after(61, &mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(
        answer.contains("\"message\":\"Timeout: request did not complete within the allotted timeout\""),
        "{answer}"
    );
    stop.cancel();
}

#[test]
fn many_streams_on_one_http2_connection() {
    check(async |address| {
        let io = hyper_util::rt::TokioIo::new(address.connect("h2").await);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = |path: &str| {
            http::Request::get(format!("https://{}{path}", address.host))
                .body(http_body_util::Empty::<bytes::Bytes>::new())
                .unwrap()
        };
        // More than the server takes at a time; those that it takes stay open.
        let path = "/api/v1/configmaps?watch=1&resourceVersion=0&timeoutSeconds=1";
        let open: Vec<_> =
            (0..1000).map(|_| tokio::spawn(sender.clone().send_request(request(path)))).collect();
        for answer in open {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!(answer.status(), 200);
            // To its end: an answer that is let go of is a stream that is reset, and that comes below.
            http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
        }
        // A thousand that are given up at once.
        let open: Vec<_> =
            (0..1000).map(|_| tokio::spawn(sender.clone().send_request(request(path)))).collect();
        open.iter().for_each(tokio::task::JoinHandle::abort);
        // The server may have had enough of such a connection (rapid resets), but not of its client.
        if let Ok(answer) = sender.clone().send_request(request("/readyz")).await {
            assert_eq!(answer.status(), 200);
        }
        connection.abort();
        assert!(address.ask("GET /readyz HTTP/1.1", b"").await.starts_with("HTTP/1.1 200 "));
    });
}
