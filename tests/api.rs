//! The API server as its components see it: kube clients without a socket, informers, and a client over TLS.

use std::time::Duration;

use k8s_learn::api::auth::{Pki, UserInfo};
use k8s_learn::api::server::{ApiServer, Config};
use k8s_learn::client;
use k8s_learn::clock::Clock;
use k8s_learn::informer::{Change, Informers};
use k8s_learn::seed::Seed;
use k8s_learn::store::Store;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use tokio_util::sync::CancellationToken;

fn server(clock: Clock) -> ApiServer {
    let server = ApiServer::new(Config::new(Store::new(clock.clone()), clock, Seed::new(1)));
    server.bootstrap(None).unwrap();
    server
}

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_writes_and_an_informer_follows() {
    let clock = Clock::virtual_time();
    let server = server(clock.clone());
    let client = client::component(&server.service(), "test-controller", UserInfo::admin());
    let informer = Informers::new(client.clone(), clock).of::<ConfigMap>();
    informer.synced().await;
    let mut changes = informer.subscribe();
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    client::because_of(Some(3), maps.create(&PostParams::default(), &map("a"))).await.unwrap();
    let store = server.rest().store();
    let record = store.history(store.revision(), store.revision()).remove(0);
    assert_eq!((&*record.author.component, record.author.cause), ("test-controller", Some(3)));
    let patch = serde_json::json!({"data": {"k": "v"}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(matches!(changes.recv().await, Some(Change::Added(_))));
    let Some(Change::Modified(_, new)) = changes.recv().await else { panic!("a change follows") };
    assert_eq!(new.data.as_ref().unwrap()["k"], "v");
    let last = changes.recv().await;
    assert!(matches!(last, Some(Change::Deleted(_))), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn an_informer_lives_through_the_ends_of_its_watches() {
    let clock = Clock::virtual_time();
    let server = server(clock.clone());
    let client = client::component(&server.service(), "test", UserInfo::admin());
    let informer = Informers::new(client.clone(), clock.clone()).of::<ConfigMap>();
    informer.synced().await;
    let mut changes = informer.subscribe();
    clock.sleep(Duration::from_secs(3600)).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    maps.create(&PostParams::default(), &map("late")).await.unwrap();
    assert!(matches!(changes.recv().await, Some(Change::Added(_))));
}

/// Sends one request over a TLS connection of its own and gives back everything that is answered.
async fn over_tls(address: std::net::SocketAddr, config: rustls::ClientConfig, head: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![];
    // The server closes without a close_notify when it is asked to close.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_client_certificate_makes_a_user_and_stopping_ends_connections() {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let server = server(Clock::real());
    let pki = Pki::generate(Seed::new(7)).unwrap();
    let identity = pki.server(&["localhost".to_owned()], &[[127, 0, 0, 1].into()]).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, pki, stop) = (server.clone(), pki.clone(), stop.clone());
        async move { server.serve_tls(listener, &pki, &identity, stop).await }
    });
    let client = pki.client("mara", &["brewers"]).unwrap();
    let config = |authenticated: bool| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pki.certificate().as_bytes()).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = builder.with_root_certificates(roots);
        if !authenticated {
            return builder.with_no_client_auth();
        }
        let certificate = CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap();
        builder.with_client_auth_cert(vec![certificate], key).unwrap()
    };
    let whoami = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\nhost: localhost\r\n\
                  content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    let mara = over_tls(address, config(true), whoami).await;
    assert!(mara.contains("\"username\":\"mara\"") && mara.contains("\"brewers\""), "{mara}");
    let nobody = over_tls(address, config(false), whoami).await;
    assert!(nobody.contains("\"username\":\"system:anonymous\""), "{nobody}");
    let wrong = "GET /version HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer nonsense\r\nconnection: close\r\n\r\n";
    assert!(over_tls(address, config(false), wrong).await.starts_with("HTTP/1.1 401"));

    let watch = "GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let watching = tokio::spawn(over_tls(address, config(true), watch));
    tokio::task::yield_now().await;
    stop.cancel();
    serving.await.unwrap().unwrap();
    // Either it never got in or it was cut off; it must not hang.
    let _ = watching.await;
}
