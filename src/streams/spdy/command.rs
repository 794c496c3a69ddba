//! A remote command over SPDY, for kubectl before 1.31: one stream each for errors, input, output and terminal sizes.
//!
//! The kubelet calls [`serve`] with an upgraded connection.
// Models k8s.io/cri-streaming/pkg/streaming/remotecommand/httpstream.go.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::connection::{Connection, Reader, Stream, Writer};
use crate::clock::Clock;
use crate::net::Io;
use crate::streams::protocol::{OLDER, Outcome, STREAM_TYPE, StreamError, StreamOptions, TerminalSize, V4};
use crate::streams::session::{Pump, ResizeDecoder, Session};
use crate::watch;

/// How long a client may take to open its streams.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take to close after everything was sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is spoken, the best first.
pub const PROTOCOLS: [&str; 4] = [V4, OLDER[0], OLDER[1], OLDER[2]];

/// Serves a remote command on an upgraded connection, in the protocol that was chosen.
pub async fn serve<T: Io>(
    io: T,
    protocol: &str,
    options: StreamOptions,
    clock: &Clock,
) -> Result<Session, StreamError> {
    let mut connection = Connection::server(io)?;
    let resizes = options.tty && (protocol == V4 || protocol == OLDER[0]);
    let expected =
        1 + [options.stdin, options.stdout, options.stderr, resizes].iter().filter(|wanted| **wanted).count();
    let mut streams = Streams::default();
    let collected = clock.timeout(CREATION_TIMEOUT, streams.collect(&mut connection, expected)).await;
    collected.map_err(|_| StreamError::TimedOut)??;
    let (outcome_sender, outcome) = oneshot::channel();
    let (gone_sender, gone) = watch::channel(false);
    let (resize_sender, resize) = watch::channel(TerminalSize::default());
    let end = End { error: streams.error, json: protocol == V4, clock: clock.clone(), gone: gone_sender };
    let pump = tokio::spawn(end.run(connection, streams.resize, resize_sender, outcome));
    Ok(Session {
        stdin: streams.stdin.map(|stream| Box::new(stream) as _),
        stdout: streams.stdout.map(|stream| Box::new(stream) as _),
        stderr: streams.stderr.map(|stream| Box::new(stream) as _),
        resize: options.tty.then_some(resize),
        outcome: Some(outcome_sender),
        gone,
        pump: Pump(pump),
    })
}

#[derive(Default)]
struct Streams {
    error: Option<Writer>,
    stdin: Option<Reader>,
    stdout: Option<Writer>,
    stderr: Option<Writer>,
    resize: Option<Reader>,
    /// Halves that are not used but must not end before the command does.
    idle: Vec<Writer>,
}

impl Streams {
    async fn collect(&mut self, connection: &mut Connection, expected: usize) -> Result<(), StreamError> {
        for _ in 0..expected {
            let lost =
                || StreamError::Protocol("the client went away before it had opened its streams".to_owned());
            let Stream { headers, reader, writer, .. } = connection.accept().await.ok_or_else(lost)?;
            match headers.get(STREAM_TYPE).map(String::as_str) {
                Some("error") => self.error = Some(writer),
                Some("stdin") => {
                    self.stdin = Some(reader);
                    self.idle.push(writer);
                }
                Some("stdout") => self.stdout = Some(writer),
                Some("stderr") => self.stderr = Some(writer),
                Some("resize") => {
                    self.resize = Some(reader);
                    self.idle.push(writer);
                }
                other => {
                    let kind = other.unwrap_or_default();
                    return Err(StreamError::Protocol(format!("unexpected stream type: {kind:?}")));
                }
            }
        }
        // The client reads nothing from these: ending them now is what tells it so.
        self.idle.clear();
        Ok(())
    }
}

struct End {
    error: Option<Writer>,
    json: bool,
    clock: Clock,
    gone: watch::Sender<bool>,
}

impl End {
    async fn run(
        mut self,
        connection: Connection,
        resize: Option<Reader>,
        sizes: watch::Sender<TerminalSize>,
        outcome: oneshot::Receiver<Outcome>,
    ) {
        let closed = connection.closed();
        tokio::pin!(closed);
        let resizing = forward_sizes(resize, sizes);
        tokio::pin!(resizing);
        tokio::pin!(outcome);
        let mut alive = true;
        let ended = loop {
            tokio::select! { biased;
                result = &mut outcome => break result,
                () = &mut closed, if alive => {
                    alive = false;
                    self.gone.send_replace(true);
                }
                () = &mut resizing, if alive => {}
            }
        };
        let Ok(outcome) = ended else { return };
        if let Some(mut error) = self.error.take() {
            let bytes = match (&outcome, self.json) {
                (_, true) => outcome.to_json(false),
                (Outcome::Success, false) => vec![],
                (_, false) => outcome.to_status(false).message.unwrap_or_default().into_bytes(),
            };
            let _ = error.write_all(&bytes).await;
            let _ = error.shutdown().await;
        }
        // The client closes when it has read every stream to its end.
        if alive {
            let _ = self.clock.timeout(CLOSE_TIMEOUT, &mut closed).await;
        }
        let _ = self.clock.timeout(CLOSE_TIMEOUT, connection.close()).await;
        self.gone.send_replace(true);
    }
}

/// Never ends, so that it can be waited for beside others.
async fn forward_sizes(resize: Option<Reader>, sizes: watch::Sender<TerminalSize>) {
    if let Some(mut reader) = resize {
        let mut decoder = ResizeDecoder::default();
        let mut buffer = [0; 512];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            if let Some(size) = decoder.push(&buffer[..count]) {
                sizes.send_replace(size);
            }
        }
    }
    // `sizes` stays alive: a receiver must not take the end of the stream for the end of the terminal.
    std::future::pending::<()>().await;
    drop(sizes);
}

#[cfg(test)]
mod tests {
    use super::super::header_block::Headers;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_runs_over_four_streams() {
        let clock = Clock::virtual_time();
        let (near, far) = tokio::io::duplex(4096);
        let server = tokio::spawn({
            let clock = clock.clone();
            async move {
                let options = StreamOptions { stdin: true, stdout: true, stderr: false, tty: true };
                let mut session = serve(far, V4, options, &clock).await.unwrap();
                let mut line = vec![0; 5];
                session.stdin.as_mut().unwrap().read_exact(&mut line).await.unwrap();
                session.stdout.as_mut().unwrap().write_all(&line).await.unwrap();
                let mut resize = session.resize.clone().unwrap();
                let size = *resize.wait_for(|size| size.width > 0).await.unwrap();
                session.finish(Outcome::ExitCode(3)).await;
                size
            }
        });
        let mut client = Connection::client(near).unwrap();
        let mut open = async |kind: &str| {
            client.open(Headers::from([(STREAM_TYPE.to_owned(), kind.to_owned())]), false).await.unwrap()
        };
        let mut error = open("error").await;
        let mut stdin = open("stdin").await;
        let mut stdout = open("stdout").await;
        let mut resize = open("resize").await;
        stdin.writer.write_all(b"hello").await.unwrap();
        resize.writer.write_all(b"{\"Width\":80,\"Height\":24}").await.unwrap();
        let mut output = vec![];
        stdout.reader.read_to_end(&mut output).await.unwrap();
        let mut status = vec![];
        error.reader.read_to_end(&mut status).await.unwrap();
        assert_eq!((&output[..], Outcome::from_json(&status)), (&b"hello"[..], Outcome::ExitCode(3)));
        drop(client);
        assert_eq!(server.await.unwrap(), TerminalSize { width: 80, height: 24 });
    }
}
