//! Exec, attach and forwarded ports through containerd's streaming server.
//!
//! The CRI answers such a call with a URL of that server; the bytes go over SPDY there, which can end a command's input
//! where WebSocket's fourth version, all that containerd has, cannot.
// Models k8s.io/client-go/tools/remotecommand and pkg/kubelet/server (streaming).

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::net::BoxIo;
use crate::runtime::api::{Result, RuntimeError, Streams};
use crate::streams::client::{ClientStreams, Forwarder, upgraded};
use crate::streams::protocol::{PORT_FORWARD, PROTOCOL_HEADER, SPDY_31, V4};
use crate::streams::{Outcome, StreamError, TerminalSize, spdy};
use crate::watch;

/// How many bytes of a forwarded connection wait for their reader.
const BUFFER_BYTES: usize = 64 << 10;

fn lost(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Other(error.to_string())
}

/// A connection to the streaming server that speaks SPDY.
async fn open(url: &str, protocol: &'static str) -> Result<BoxIo> {
    let url: http::Uri = url.parse().map_err(lost)?;
    let authority =
        url.authority().ok_or_else(|| lost(format!("containerd's answer {url} is no address")))?;
    let stream = TcpStream::connect(authority.as_str()).await.map_err(lost)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    // Ends with the connection, which is whoever's has the upgraded side.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to containerd's streaming server ended");
        }
    });
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header("host", authority.as_str())
        .header("connection", "Upgrade")
        .header("upgrade", SPDY_31)
        .header(PROTOCOL_HEADER, protocol)
        .body(Empty::<Bytes>::new())
        .map_err(lost)?;
    let response = sender.send_request(request).await.map_err(lost)?;
    upgraded(response).await.map_err(lost)
}

/// Runs what the URL stands for with the client's streams.
pub(super) async fn run(url: &str, streams: Streams) -> Result<i32> {
    let io = open(url, V4).await?;
    let tty = streams.tty;
    let (sizes, resize) = watch::channel(TerminalSize { width: 80, height: 24 });
    let client = ClientStreams {
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr.filter(|_| !tty),
        resize: tty.then_some(resize),
    };
    let resizing = async move {
        if let Some(mut from) = streams.resize {
            loop {
                let size = *from.borrow_and_update();
                sizes.send_replace(TerminalSize { width: size.width, height: size.height });
                if from.changed().await.is_err() {
                    break;
                }
            }
        }
        std::future::pending::<()>().await;
        drop(sizes);
    };
    let outcome = tokio::select! { biased;
        outcome = spdy::remote::command(io, client) => outcome,
        () = resizing => Ok(Outcome::Success),
    };
    match outcome.map_err(|error: StreamError| lost(error))? {
        Outcome::Success => Ok(0),
        Outcome::ExitCode(code) => Ok(code),
        Outcome::Error(text) => Err(RuntimeError::Start(without_wrapping(&text).to_owned())),
    }
}

/// What containerd's own server puts around an error: the kubelet's puts the same around it again.
fn without_wrapping(text: &str) -> &str {
    let text = text.strip_prefix("Internal error occurred: ").unwrap_or(text);
    let text = ["error executing command in container: ", "error attaching to container: "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    text.trim_end_matches(": unknown")
}

/// A connection to a port of a sandbox.
pub(super) async fn forward(url: &str, port: u16) -> Result<BoxIo> {
    let forwarder = Forwarder::new(open(url, PORT_FORWARD).await?).map_err(lost)?;
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    // Ends when either side does: the near one is dropped with the client.
    tokio::spawn(async move {
        if let Err(error) = forwarder.forward(Box::new(far), port).await {
            tracing::debug!(%error, port, "a forwarded connection ended");
        }
    });
    Ok(Box::new(near))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_once() {
        let text = "Internal error occurred: error executing command in container: failed to exec in container: x: unknown";
        assert_eq!(without_wrapping(text), "failed to exec in container: x");
        assert_eq!(without_wrapping("plain"), "plain");
    }
}
