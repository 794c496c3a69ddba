//! Running a command in a container, or joining its process: the connection, the terminal and how it ends.
//!
//! Used by `exec`, `attach`, `run -it` and `cp`.
// Models k8s.io/kubectl/pkg/cmd/exec (StreamOptions.SetupTTY) and client-go/tools/remotecommand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::{KubectlError, Result};
use super::session::Session;
use crate::bash::RawMode;
use crate::streams::client::{self, ClientStreams};
use crate::streams::{Outcome, StreamError, TerminalSize, websocket};
use crate::watch;

/// The protocols of a remote command, the newest first.
const PROTOCOLS: &[&str] = &["v5.channel.k8s.io"];

/// What is run where.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `exec` or `attach`.
    pub subresource: &'static str,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// The command; empty for attach.
    pub command: Vec<String>,
}

/// The near end of a remote command.
#[derive(Default)]
pub struct Ends {
    /// What the command reads.
    pub stdin: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Where it writes.
    pub stdout: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Where it complains.
    pub stderr: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Its terminal's size, as it changes.
    pub resize: Option<watch::Receiver<TerminalSize>>,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// A terminal that passes every key on, until this is dropped.
pub struct TerminalSession {
    _raw: RawMode,
    /// The size, as it changes.
    pub resize: watch::Receiver<TerminalSize>,
    _sizes: tokio::task::JoinHandle<()>,
}

impl Drop for TerminalSession {
    fn drop(&mut self) {
        self._sizes.abort();
    }
}

/// Takes the terminal if both `stdin` and `tty` were asked for. Without one it says so (unless `quiet`) and goes on without.
pub async fn take_terminal(
    session: &Session,
    stdin: bool,
    tty: bool,
    quiet: bool,
) -> Result<Option<TerminalSession>> {
    if !stdin || !tty {
        return Ok(None);
    }
    let Some(terminal) = session.terminal.as_ref().filter(|_| session.stdin_is_terminal) else {
        if !quiet {
            session
                .err
                .line("Unable to use a TTY - input is not a terminal or the right kind of file")
                .await?;
        }
        return Ok(None);
    };
    let mut sizes = terminal.size();
    let convert = |(width, height): (u16, u16)| TerminalSize { width, height };
    let (sender, resize) = watch::channel(convert(*sizes.borrow_and_update()));
    let follow = tokio::spawn(async move {
        while sizes.changed().await.is_ok() {
            sender.send_replace(convert(*sizes.borrow_and_update()));
        }
    });
    Ok(Some(TerminalSession { _raw: terminal.raw(), resize, _sizes: follow }))
}

/// Runs the command to its end. A code other than 0 is an error that ends kubectl with that code.
pub async fn run(session: &Session, target: &Target, ends: Ends) -> Result<()> {
    let client = session.client().await?;
    let path = path(target, &ends);
    let key = BASE64.encode(session.seed.uuid().as_bytes());
    let request = websocket::request(&path, &key, PROTOCOLS).map_err(broken)?;
    let response = client.raw(request.map(|()| kube::client::Body::empty())).await?;
    let connection = client::upgraded(response).await.map_err(broken)?;
    let Ends { stdin, stdout, stderr, resize, .. } = ends;
    match client::command(connection, ClientStreams { stdin, stdout, stderr, resize })
        .await
        .map_err(broken)?
    {
        Outcome::Success => Ok(()),
        Outcome::ExitCode(code) => {
            Err(KubectlError::PlainExit(format!("command terminated with exit code {code}"), code))
        }
        Outcome::Error(text) => Err(KubectlError::message(text)),
    }
}

fn path(target: &Target, ends: &Ends) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut query: Vec<String> =
        target.command.iter().map(|word| format!("command={}", encode(word))).collect();
    query.push(format!("container={}", encode(&target.container)));
    let asked = [
        ("stderr", ends.stderr.is_some()),
        ("stdin", ends.stdin.is_some()),
        ("stdout", ends.stdout.is_some()),
        ("tty", ends.tty),
    ];
    query.extend(asked.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| format!("{name}=true")));
    let Target { subresource, namespace, pod, .. } = target;
    format!("/api/v1/namespaces/{namespace}/pods/{pod}/{subresource}?{}", query.join("&"))
}

/// What a failed upgrade or a broken connection is called.
pub fn broken(error: StreamError) -> KubectlError {
    match error {
        StreamError::Refused { code, message } => refused(code, &message),
        other => KubectlError::message(other.to_string()),
    }
}

/// A refusal before the upgrade: a Status is told as such, bare text as client-go does.
fn refused(code: u16, message: &str) -> KubectlError {
    match serde_json::from_str::<k8s_openapi::apimachinery::pkg::apis::meta::v1::Status>(message) {
        // client-go's fallback from WebSocket to SPDY drops the Status and keeps its message.
        Ok(status) if status.message.is_some() => KubectlError::message(format!(
            "unable to upgrade connection: {}",
            status.message.unwrap_or_default()
        )),
        _ if message.is_empty() => {
            KubectlError::message(format!("unable to upgrade connection: code {code}"))
        }
        _ => KubectlError::message(format!("unable to upgrade connection: {message}")),
    }
}
