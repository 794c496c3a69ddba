//! Files at URLs, fetched over the network of the place that kubectl runs in.

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;

use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::session::Session;

/// The largest file that is read.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Reads what is at a URL.
pub(super) async fn fetch(session: &Session, url: &str) -> Result<Bytes> {
    let unable = |why: String| KubectlError::message(format!("unable to read URL {url:?}, {why}"));
    let uri: Uri = url.parse().map_err(|error| unable(format!("invalid URL: {error}")))?;
    if uri.scheme_str() != Some("http") {
        return Err(unable(
            "only http is fetched by this kubectl: there are no certificate authorities to trust".to_owned(),
        ));
    }
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let addresses = session
        .network
        .lookup(&host, port)
        .await
        .map_err(|error| unable(format!("dial tcp: lookup {host}: {error}")))?;
    let address =
        *addresses.first().ok_or_else(|| unable(format!("dial tcp: lookup {host}: no such host")))?;
    let stream = session
        .network
        .dial(address)
        .await
        .map_err(|error| unable(format!("dial tcp {address}: connect: {error}")))?;
    let exchange = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path).header(header::HOST, uri.authority().map_or("", |a| a.as_str()));
        let request =
            request.body(Empty::<Bytes>::new()).map_err(|error| -> tower::BoxError { error.into() })?;
        let answer = async move {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await?.to_bytes();
            Ok::<_, tower::BoxError>((status, body))
        };
        // The connection is driven only as long as the answer is waited for: nothing is left running.
        let (_, answer) = futures::future::join(connection, answer).await;
        answer
    };
    let (status, body) = exchange.await.map_err(|error: tower::BoxError| unable(error.to_string()))?;
    if !status.is_success() {
        return Err(unable(format!("server reported {status}, status code={}", status.as_u16())));
    }
    Ok(body)
}
