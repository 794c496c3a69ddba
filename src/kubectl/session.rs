//! What a verb runs in: streams, files, environment, clock, the kubeconfig that was asked for.
//!
//! `program.rs` builds one [`Session`] a call of kubectl. Verbs get a shared reference; everything in it may be used from
//! several futures at once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, OnceCell};

use super::client::Client;
use super::command::{self, Verb};
use super::diff_program::DiffProgram;
use super::editor::Editor;
use super::error::{KubectlError, Result};
use super::factory::Factory;
use super::klog;
use super::mapper::Mapper;
use super::network::Network;
use super::writer::SharedWriter;
use crate::bash::{Files, FilesError, Terminal};
use crate::clock::Clock;
use crate::seed::Seed;

/// How often kubectl asks a server for its API that nobody serves.
const DISCOVERY_TRIES: usize = 5;
/// The largest number of a process on Linux, unless it was raised; those below 1000 belong to what started with the machine.
const MAX_PID: u64 = 32_768;

/// One call of kubectl.
pub struct Session {
    /// Standard output.
    pub out: Output,
    /// Standard error.
    pub err: Output,
    stdin: Mutex<Option<Box<dyn AsyncRead + Send + Unpin>>>,
    /// Whether standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// The terminal, if standard output is one.
    pub terminal: Option<Terminal>,
    /// The exported variables.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub cwd: String,
    /// The file system.
    pub files: Arc<dyn Files>,
    /// The network of the place that kubectl runs in.
    pub network: Arc<dyn Network>,
    /// The editor of the place that kubectl runs in.
    pub editor: Arc<dyn Editor>,
    /// What compares files for `diff`.
    pub diff_program: Arc<dyn DiffProgram>,
    /// The cluster's time.
    pub clock: Clock,
    /// The cluster's chance.
    pub seed: Seed,
    /// The words that were typed to get to the verb, like `kubectl create configmap`.
    pub command_path: String,
    /// The verb that runs; `None` is kubectl itself.
    pub verb: Option<&'static dyn Verb>,
    /// The command line, if `--record` asks to keep it in what it changes.
    pub change_cause: Option<String>,
    /// The kubeconfig and the flags that override it.
    pub factory: Factory,
    pub(crate) client: OnceCell<Client>,
    pub(crate) mapper: OnceCell<Arc<Mapper>>,
    pub(crate) process_number: OnceLock<u64>,
}

/// What a [`Session`] is made of that comes from outside.
pub struct SessionParts {
    pub stdio: crate::bash::Stdio,
    pub env: BTreeMap<String, String>,
    pub cwd: String,
    pub files: Arc<dyn Files>,
    pub network: Arc<dyn Network>,
    pub editor: Arc<dyn Editor>,
    pub diff_program: Arc<dyn DiffProgram>,
    pub clock: Clock,
    pub seed: Seed,
    pub command_path: String,
    pub verb: Option<&'static dyn Verb>,
    pub change_cause: Option<String>,
    pub factory: Factory,
}

impl Session {
    /// A session with these streams and surroundings.
    pub fn new(parts: SessionParts) -> Self {
        let stdio = parts.stdio;
        Self {
            out: Output::new(stdio.stdout),
            err: Output::new(stdio.stderr),
            stdin: Mutex::new(Some(stdio.stdin)),
            stdin_is_terminal: stdio.stdin_is_terminal,
            terminal: stdio.terminal,
            env: parts.env,
            cwd: parts.cwd,
            files: parts.files,
            network: parts.network,
            editor: parts.editor,
            diff_program: parts.diff_program,
            clock: parts.clock,
            seed: parts.seed,
            command_path: parts.command_path,
            verb: parts.verb,
            change_cause: parts.change_cause,
            factory: parts.factory,
            client: OnceCell::new(),
            mapper: OnceCell::new(),
            process_number: OnceLock::new(),
        }
    }

    /// The client of the cluster that the kubeconfig and flags name.
    pub async fn client(&self) -> Result<Client> {
        let client = self.client.get_or_try_init(|| self.factory.client(self.err.clone())).await?;
        Ok(client.clone())
    }

    /// The number under which the machine runs this call.
    pub fn process_number(&self) -> u64 {
        *self.process_number.get_or_init(|| 1000 + self.seed.below(MAX_PID - 1000))
    }

    /// What the cluster's API has.
    pub async fn mapper(&self) -> Result<Arc<Mapper>> {
        let discovered = async {
            let client = self.client().await?;
            Mapper::discover(&client).await.map(Arc::new)
        };
        let mapper = self.mapper.get_or_try_init(|| discovered).await;
        if let Err(KubectlError::Refused(_)) = &mapper {
            self.complain_of_refusal().await?;
        }
        mapper.cloned()
    }

    /// Writes down that discovery was refused, once for each time that kubectl tries.
    // Models client-go/discovery/cached/memory (refreshLocked).
    async fn complain_of_refusal(&self) -> Result<()> {
        let server = self.factory.cluster_config().await?.server;
        let server = server.trim_end_matches('/');
        let host = server.split("://").last().unwrap_or_default().split('/').next().unwrap_or_default();
        let address = host.replace("localhost", "127.0.0.1");
        let text = format!(
            "couldn't get current server API group list: Get \"{server}/api?timeout=32s\": dial tcp {address}: connect: \
             connection refused"
        );
        for _ in 0..DISCOVERY_TRIES {
            self.err.line(klog::unhandled(self, "memcache.go:265", &text)).await?;
        }
        Ok(())
    }

    /// Forgets what the API has, so that kinds defined in this call are found.
    pub async fn rediscover(&self) -> Result<Arc<Mapper>> {
        Ok(Arc::new(Mapper::discover(&self.client().await?).await?))
    }

    /// The namespace to work in, and whether it was named on the command line.
    pub fn namespace(&self) -> Result<(String, bool)> {
        self.factory.namespace()
    }

    /// Takes standard input, for verbs that read it as it comes. Empty the second time.
    pub async fn take_stdin(&self) -> Box<dyn AsyncRead + Send + Unpin> {
        self.stdin.lock().await.take().unwrap_or_else(|| Box::new(tokio::io::empty()))
    }

    /// Standard input for a while, for an editor that may be run several times.
    pub async fn lend_stdin(&self) -> tokio::sync::MutexGuard<'_, Option<Box<dyn AsyncRead + Send + Unpin>>> {
        self.stdin.lock().await
    }

    /// Reads standard input to its end.
    pub async fn read_stdin(&self) -> Result<Bytes> {
        let mut content = vec![];
        self.take_stdin()
            .await
            .read_to_end(&mut content)
            .await
            .map_err(|e| KubectlError::message(e.to_string()))?;
        Ok(content.into())
    }

    /// The absolute path of a path as typed.
    pub fn absolute(&self, path: &str) -> String {
        absolute(&self.cwd, path)
    }

    /// Reads a file. Fails as Go's os.ReadFile: `open x: no such file or directory`.
    pub async fn read_file(&self, path: &str) -> Result<Bytes> {
        let read = self.files.read(&self.absolute(path)).await;
        read.map_err(|error| KubectlError::message(open_error(path, &error)))
    }

    /// The verb's help.
    pub fn help(&self) -> String {
        self.verb.map(|verb| command::help(verb, &self.command_path)).unwrap_or_default()
    }

    /// Prints the verb's help and gives the error of arguments that it cannot take.
    // Models helpErrorf of k8s.io/kubectl/pkg/cmd/config.
    pub async fn help_and_fail(&self, text: impl Into<String>) -> KubectlError {
        match self.out.write(self.help()).await {
            Ok(()) => KubectlError::Message(text.into()),
            Err(error) => error,
        }
    }

    /// A variable of the environment; `None` if unset or empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// What Go says when a file cannot be opened.
pub fn open_error(path: &str, error: &FilesError) -> String {
    match error {
        FilesError::IsDirectory => format!("read {path}: is a directory"),
        other => format!("open {path}: {other}"),
    }
}

/// `path` seen from `cwd`, without `.` and `..`.
pub fn absolute(cwd: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{cwd}/{path}") };
    let mut parts: Vec<&str> = vec![];
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Standard output or error. Cheap to clone; clones write to one stream.
#[derive(Clone)]
pub struct Output {
    stream: Arc<Mutex<Box<dyn AsyncWrite + Send + Unpin>>>,
}

impl Output {
    /// An output onto a stream.
    pub fn new(stream: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self { stream: Arc::new(Mutex::new(stream)) }
    }

    /// Writes bytes and flushes. Ends the verb with code 1 without a word if the reader is gone, as a signal would.
    pub async fn write(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let mut stream = self.stream.lock().await;
        let written = async {
            stream.write_all(bytes.as_ref()).await?;
            stream.flush().await
        };
        written.await.map_err(|_| KubectlError::Exit(1))
    }

    /// The stream itself, for those who hand bytes on as they come. Whole writes of others may come in between.
    pub fn writer(&self) -> Box<dyn AsyncWrite + Send + Unpin> {
        Box::new(SharedWriter::new(self.stream.clone()))
    }

    /// Writes a line.
    pub async fn line(&self, text: impl AsRef<str>) -> Result<()> {
        self.write(format!("{}\n", text.as_ref())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_working_directory() {
        for (path, expected) in
            [("a.yaml", "/home/a.yaml"), ("./b/../a", "/home/a"), ("/x/./y", "/x/y"), ("../..", "/")]
        {
            assert_eq!(absolute("/home", path), expected);
        }
    }
}
