//! Sends a request on to a server that is reached through `net::Dial`, and hands a connection over when it is upgraded.
//!
//! `connect` (kubelets) and `proxy` (pods, Services, nodes) decide where to and under which path.
// Models k8s.io/apimachinery/pkg/util/proxy (UpgradeAwareHandler).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use crate::api::metrics::Running;
use crate::api::server::{ApiServer, CAUSE_HEADER};
use crate::net::BoxIo;

/// Headers that are about one connection, or about this server, and go no further.
const DROPPED: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "authorization",
];

/// Why a request could not be sent on.
#[derive(Debug, thiserror::Error)]
pub(in crate::api) enum ForwardError {
    /// Nobody is there. Reads as Go's net package says it.
    #[error("dial tcp {address}: {why}")]
    Dial {
        /// Where to.
        address: SocketAddr,
        /// What came of it.
        why: String,
    },
    /// The other side speaks something else, or hung up.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// The request does not fit on the wire.
    #[error("{0}")]
    Request(#[from] http::Error),
}

/// Whether a request asks for another protocol on its connection.
pub(super) fn is_upgrade<B>(request: &Request<B>) -> bool {
    let connection = request.headers().get_all(header::CONNECTION).iter();
    let mut words = connection.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
}

/// Connects to an address of the cluster's network.
pub(in crate::api) async fn dial(server: &ApiServer, address: SocketAddr) -> Result<BoxIo, ForwardError> {
    let failed = |why: String| ForwardError::Dial { address, why };
    let dialer = server.dialer().ok_or_else(|| failed("connect: network is unreachable".to_owned()))?;
    dialer.dial(address).await.map_err(|error| failed(go_words(&error)))
}

fn go_words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        ErrorKind::TimedOut => "i/o timeout".to_owned(),
        ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// Sends the request to `address` under `target` (path and query) and gives the answer back. If both sides agree to
/// another protocol, the bytes go through as they are until one side ends.
pub(super) async fn send(
    server: &ApiServer,
    address: SocketAddr,
    target: &str,
    mut request: Request<Body>,
) -> Result<Response<Body>, ForwardError> {
    let upgrade = is_upgrade(&request);
    let near = upgrade.then(|| hyper::upgrade::on(&mut request));
    let io = dial(server, address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    // Ends with the answer's body, or with the upgraded connection.
    tokio::spawn(connection.with_upgrades());
    let (mut parts, body) = request.into_parts();
    let mut onward =
        Request::builder().method(parts.method).uri(target.parse::<Uri>().map_err(http::Error::from)?);
    if let Some(headers) = onward.headers_mut() {
        *headers = onward_headers(&parts.headers, upgrade);
        let host = address.to_string().parse().ok().filter(|_| !headers.contains_key(header::HOST));
        if let Some(host) = host {
            headers.insert(header::HOST, host);
        }
    }
    let mut answer = sender.send_request(onward.body(body)?).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(near) = near
    {
        let far = hyper::upgrade::on(&mut answer);
        let running = parts.extensions.remove::<Arc<Running>>();
        let joined = join(near, far, server.streams());
        tokio::spawn(async move {
            joined.await;
            drop(running);
        });
        return Ok(answer.map(|_| Body::empty()));
    }
    let mut answer = answer.map(Body::new);
    for name in ["connection", "keep-alive", "transfer-encoding"] {
        answer.headers_mut().remove(name);
    }
    Ok(answer)
}

fn onward_headers(headers: &HeaderMap, upgrade: bool) -> HeaderMap {
    let mut onward = HeaderMap::new();
    for (name, value) in headers {
        let own =
            |name: &HeaderName| name.as_str() == CAUSE_HEADER || name.as_str().starts_with("impersonate-");
        let needed = upgrade && name == header::CONNECTION;
        let upgrades = name == header::UPGRADE && !upgrade;
        if (DROPPED.contains(&name.as_str()) && !needed) || own(name) || upgrades {
            continue;
        }
        onward.append(name, value.clone());
    }
    onward
}

/// Copies both ways until one side ends, the server stops, or the upgrade does not come about.
async fn join(near: hyper::upgrade::OnUpgrade, far: hyper::upgrade::OnUpgrade, stop: CancellationToken) {
    let both = async {
        let (near, far) = tokio::try_join!(near, far).ok()?;
        let (mut from_near, mut to_near) = tokio::io::split(TokioIo::new(near));
        let (mut from_far, mut to_far) = tokio::io::split(TokioIo::new(far));
        tokio::select! { biased;
            _ = tokio::io::copy(&mut from_far, &mut to_near) => {}
            _ = tokio::io::copy(&mut from_near, &mut to_far) => {}
        }
        // What is still in a buffer goes out before the ends are dropped.
        let _ = to_near.shutdown().await;
        let _ = to_far.shutdown().await;
        Some(())
    };
    tokio::select! { biased;
        () = stop.cancelled() => {}
        _ = both => {}
    }
}
