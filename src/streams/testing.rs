//! A remote command for the tests of both carriers: it gives its input back in capitals, complains and ends with code 7.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::client::ClientStreams;
use super::{Outcome, Session, StreamError, StreamOptions};

/// How much goes in: more than a pipe or a window holds.
const BYTES: usize = 100_000;

/// The streams that it wants.
pub const SHOUT: StreamOptions = StreamOptions { stdin: true, stdout: true, stderr: true, tty: false };

/// The server's part.
pub async fn shout(mut session: Session) {
    let mut text = String::new();
    session.stdin.take().unwrap().read_to_string(&mut text).await.unwrap();
    session.stdout.as_mut().unwrap().write_all(text.to_uppercase().as_bytes()).await.unwrap();
    session.stderr.as_mut().unwrap().write_all(b"oops").await.unwrap();
    session.finish(Outcome::ExitCode(7)).await;
}

/// The client's part; `command` speaks to the server. Everything must come through, with the ends of all streams.
pub async fn hear<F>(near: DuplexStream, command: impl FnOnce(DuplexStream, ClientStreams) -> F)
where
    F: Future<Output = Result<Outcome, StreamError>>,
{
    let (out_near, mut out) = tokio::io::duplex(1 << 20);
    let (err_near, mut err) = tokio::io::duplex(1 << 20);
    let streams = ClientStreams {
        stdin: Some(Box::new(std::io::Cursor::new(vec![b'a'; BYTES]))),
        stdout: Some(Box::new(out_near)),
        stderr: Some(Box::new(err_near)),
        resize: None,
    };
    assert_eq!(command(near, streams).await.unwrap(), Outcome::ExitCode(7));
    let (mut stdout, mut stderr) = (vec![], vec![]);
    out.read_to_end(&mut stdout).await.unwrap();
    err.read_to_end(&mut stderr).await.unwrap();
    assert_eq!((stdout, &stderr[..]), (vec![b'A'; BYTES], &b"oops"[..]));
}
