//! A remote command over SPDY, the client's end. Unlike WebSocket's fourth version it can end the command's input.
//!
//! The containerd runtime calls [`command`] with a connection to containerd's streaming server.
// Models k8s.io/client-go/tools/remotecommand (streamProtocolV4).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connection::{Connection, Reader, Writer};
use super::header_block::Headers;
use crate::net::Io;
use crate::streams::client::ClientStreams;
use crate::streams::protocol::{Outcome, STREAM_TYPE, StreamError, TerminalSize};
use crate::streams::session::{Input, Output};
use crate::watch;

/// Runs a remote command on an upgraded connection to its end. Dropping the future breaks it off.
pub async fn command<T: Io>(io: T, streams: ClientStreams) -> Result<Outcome, StreamError> {
    let mut connection = Connection::client(io)?;
    let ClientStreams { stdin, stdout, stderr, resize } = streams;
    let headers = |kind: &str| Headers::from([(STREAM_TYPE.to_owned(), kind.to_owned())]);
    let mut error = connection.open(headers("error"), true).await?.reader;
    let mut input = None;
    if let Some(stdin) = stdin {
        input = Some((stdin, connection.open(headers("stdin"), false).await?));
    }
    let mut outputs = vec![];
    for (kind, output) in [("stdout", stdout), ("stderr", stderr)] {
        if let Some(output) = output {
            outputs.push((connection.open(headers(kind), true).await?.reader, output));
        }
    }
    let mut sizes = None;
    if let Some(resize) = resize {
        sizes = Some((resize, connection.open(headers("resize"), false).await?));
    }
    let receiving = async {
        let copied = futures::future::join_all(outputs.into_iter().map(|(from, to)| put(from, to)));
        let mut status = vec![];
        let (_, read) = tokio::join!(copied, error.read_to_end(&mut status));
        // A server that closes the connection behind the status need not end the stream first.
        match read {
            Err(error) if status.is_empty() => Err(error),
            _ => Ok(status),
        }
    };
    let sending = async {
        // The streams stay open on the other side until the command has ended.
        let _kept = tokio::join!(
            async {
                match input {
                    Some((from, stream)) => Some((get(from, stream.writer).await, stream.reader)),
                    None => None,
                }
            },
            async {
                match sizes {
                    Some((sizes, stream)) => Some((resized(sizes, stream.writer).await, stream.reader)),
                    None => None,
                }
            }
        );
        std::future::pending::<()>().await
    };
    tokio::select! { biased;
        status = receiving => Ok(Outcome::from_json(&status?)),
        () = sending => Ok(Outcome::Success),
    }
}

/// Carries output until it ends; what nobody takes any more is dropped.
async fn put(mut from: Reader, to: Output) {
    let mut to = Some(to);
    let mut buffer = vec![0; 32 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some(writer) = &mut to
            && (writer.write_all(&buffer[..count]).await.is_err() || writer.flush().await.is_err())
        {
            to = None;
        }
    }
}

/// Carries input until it ends, and passes the end on.
async fn get(mut from: Input, mut to: Writer) {
    let mut buffer = vec![0; 32 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The other end may be gone already, which is as good.
    let _ = to.shutdown().await;
}

async fn resized(mut sizes: watch::Receiver<TerminalSize>, mut to: Writer) {
    loop {
        let size = *sizes.borrow_and_update();
        let text = serde_json::to_vec(&size).unwrap_or_default();
        if to.write_all(&text).await.is_err() {
            return;
        }
        if sizes.changed().await.is_err() {
            // No more sizes, but the stream is not ended: to a server that would be the end of the command.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::streams::protocol::V4;
    use crate::streams::spdy::command as server;
    use crate::streams::testing::{SHOUT, hear, shout};

    #[tokio::test(start_paused = true)]
    async fn a_command_gets_its_input_with_its_end_and_the_client_its_output_and_code() {
        let (near, far) = tokio::io::duplex(4096);
        let serving = tokio::spawn(async move {
            shout(server::serve(far, V4, SHOUT, &Clock::virtual_time()).await.unwrap()).await;
        });
        hear(near, command).await;
        serving.await.unwrap();
    }
}
