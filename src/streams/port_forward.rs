//! Forwarded ports over SPDY: for each connection a pair of streams, one with bytes and one with an error.
//!
//! The kubelet calls [`serve`] with an upgraded connection, a [`super::tunnel::Tunnel`] or the bare one. The client's side is
//! in [`super::client`].
// Models k8s.io/cri-streaming/pkg/streaming/portforward/httpstream.go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::protocol::{PORT, REQUEST_ID, STREAM_TYPE, StreamError};
use super::spdy::{Connection, Stream};
use crate::clock::Clock;
use crate::net::{BoxIo, Io};

/// How long a client may take to open the second stream of a pair.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens connections to the ports of one pod.
pub trait Connect: Send + Sync + 'static {
    /// Connects to a port. The error is the whole text that the client is told.
    fn connect(&self, port: u16) -> BoxFuture<'_, Result<BoxIo, String>>;
}

/// Serves forwarded ports until the client closes the connection. Dropping the future breaks every connection off.
pub async fn serve<T: Io>(io: T, connect: Arc<dyn Connect>, clock: Clock) -> Result<(), StreamError> {
    let mut connection = Connection::server(io)?;
    let closed = connection.closed();
    tokio::pin!(closed);
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    let mut forwards = JoinSet::new();
    loop {
        let stream = tokio::select! { biased;
            stream = connection.accept() => stream,
            () = &mut closed => None,
            Some(_) = forwards.join_next() => continue,
        };
        let Some(stream) = stream else { return Ok(()) };
        let request = request_id(&stream);
        let pair = pairs.entry(request.clone()).or_default();
        match stream.headers.get(STREAM_TYPE).map(String::as_str) {
            Some("error") => pair.error = Some(stream),
            Some("data") => pair.data = Some(stream),
            _ => {
                let mut stream = stream;
                stream.writer.reset().await;
                continue;
            }
        }
        pair.since = Some(clock.now());
        if pair.error.is_some() && pair.data.is_some() {
            let pair = pairs.remove(&request).unwrap_or_default();
            let (Some(error), Some(data)) = (pair.error, pair.data) else { continue };
            forwards.spawn(forward(data, error, connect.clone()));
        }
        // Halves that have waited too long go with the next stream that comes: nothing else is held by them.
        let now = clock.now();
        pairs.retain(|_, pair| {
            pair.since.is_none_or(|since| now.duration_since(since).unsigned_abs() < CREATION_TIMEOUT)
        });
    }
}

#[derive(Default)]
struct Pair {
    error: Option<Stream>,
    data: Option<Stream>,
    since: Option<jiff::Timestamp>,
}

/// Pairs streams. Clients that give no number are taken to open the error stream just before the data stream.
fn request_id(stream: &Stream) -> String {
    if let Some(id) = stream.headers.get(REQUEST_ID).filter(|id| !id.is_empty()) {
        return id.clone();
    }
    match stream.headers.get(STREAM_TYPE).map(String::as_str) {
        Some("data") => stream.id.saturating_sub(2).to_string(),
        _ => stream.id.to_string(),
    }
}

async fn forward(data: Stream, error: Stream, connect: Arc<dyn Connect>) {
    let (mut data, mut error) = (data, error);
    let port = data.headers.get(PORT).cloned().unwrap_or_default();
    let target = match port.parse::<u16>() {
        Ok(number @ 1..) => connect.connect(number).await,
        Ok(_) => Err(format!("port {port:?} must be > 0")),
        Err(_) => Err(format!("unable to parse {port:?} as a port")),
    };
    let target = match target {
        Ok(target) => target,
        Err(text) => {
            let _ = error.writer.write_all(text.as_bytes()).await;
            let _ = error.writer.shutdown().await;
            data.writer.reset().await;
            return;
        }
    };
    let _ = copy_both(data, target).await;
    let _ = error.writer.shutdown().await;
}

/// Copies in both directions until both have ended, ending each as it ends.
pub(super) async fn copy_both(stream: Stream, io: BoxIo) -> std::io::Result<()> {
    let Stream { mut reader, mut writer, .. } = stream;
    let (mut from, mut to) = tokio::io::split(io);
    let inward = async {
        let result = tokio::io::copy(&mut reader, &mut to).await;
        let _ = to.shutdown().await;
        result
    };
    let outward = async {
        let result = tokio::io::copy(&mut from, &mut writer).await;
        let _ = writer.shutdown().await;
        result
    };
    let (inward, outward) = tokio::join!(inward, outward);
    inward.and(outward).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::client::Forwarder;
    use super::*;
    use tokio::io::AsyncReadExt;

    struct Echo;

    impl Connect for Echo {
        fn connect(&self, port: u16) -> BoxFuture<'_, Result<BoxIo, String>> {
            Box::pin(async move {
                if port != 80 {
                    return Err(format!("nobody listens on {port}"));
                }
                let (near, far) = tokio::io::duplex(1024);
                tokio::spawn(async move {
                    let (mut from, mut to) = tokio::io::split(far);
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                    let _ = to.shutdown().await;
                });
                Ok(Box::new(near) as BoxIo)
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_go_through_and_errors_come_back() {
        let (near, far) = tokio::io::duplex(4096);
        let server = tokio::spawn(serve(far, Arc::new(Echo), Clock::virtual_time()));
        let forwarder = Forwarder::new(near).unwrap();
        let (local, mut remote) = tokio::io::duplex(1024);
        let connection = tokio::spawn({
            let forwarder = forwarder.clone();
            async move { forwarder.forward(Box::new(local), 80).await }
        });
        remote.write_all(b"ping").await.unwrap();
        remote.shutdown().await.unwrap();
        let mut back = vec![];
        remote.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"ping");
        assert!(connection.await.unwrap().is_ok());
        let (local, _remote) = tokio::io::duplex(1024);
        let error = forwarder.forward(Box::new(local), 99).await.unwrap_err();
        assert_eq!(error.to_string(), "nobody listens on 99");
        drop(forwarder);
        server.await.unwrap().unwrap();
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]
        #[test]
        fn no_bytes_make_it_panic_and_a_client_that_goes_ends_it(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            kind in 0_u8..10,
            length in 0_u8..30,
        ) {
            struct Nobody;
            impl Connect for Nobody {
                fn connect(&self, _: u16) -> BoxFuture<'_, Result<BoxIo, String>> {
                    Box::pin(async { Err("nobody".to_owned()) })
                }
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                use tokio::io::AsyncWriteExt;
                let (mut near, far) = tokio::io::duplex(1000);
                let serving = tokio::spawn(serve(far, Arc::new(Nobody), Clock::real()));
                // A control frame's head, then anything.
                let head = [0x80, 3, 0, kind, 0, 0, 0, length];
                let _ = near.write_all(&[&head[..], &bytes].concat()).await;
                drop(near);
                let _ = serving.await.expect("it does not panic");
            });
        }
    }
}
