//! The editor of the place that kubectl runs in: `vi` of the sandbox shell, or a program of the host.
//!
//! `edit` writes a file, has it edited, and reads it again; how an editor runs is the environment's own affair.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::bash::{Files, Terminal};

/// The terminal that an editor may use.
pub struct EditTerminal<'a> {
    /// The keys.
    pub stdin: &'a mut (dyn AsyncRead + Send + Unpin),
    /// The screen.
    pub stdout: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its size and mode.
    pub terminal: Terminal,
}

/// A file to edit.
pub struct EditRequest<'a> {
    /// The command line as `KUBE_EDITOR` or `EDITOR` says it, like `vi` or `sed -i s/a/b/`. The path goes behind it.
    pub command: &'a str,
    /// The path of the file, absolute.
    pub path: &'a str,
    /// The file system that it is in.
    pub files: Arc<dyn Files>,
    /// The exported variables.
    pub env: &'a BTreeMap<String, String>,
    /// The working directory.
    pub cwd: &'a str,
    /// The terminal, if there is one to edit on.
    pub terminal: Option<EditTerminal<'a>>,
}

/// Runs editors.
#[async_trait]
pub trait Editor: Send + Sync + 'static {
    /// Has a file edited and comes back when the editor has ended. Errors say why it could not run or that it failed.
    async fn edit(&self, request: EditRequest<'_>) -> Result<(), String>;
}

/// For places without an editor: says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEditor;

#[async_trait]
impl Editor for NoEditor {
    async fn edit(&self, request: EditRequest<'_>) -> Result<(), String> {
        Err(format!("unable to launch the editor {:?}", request.command))
    }
}
