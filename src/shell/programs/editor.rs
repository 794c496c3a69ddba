//! `vi`, `nano` and their like for the sandbox shell: the host's own editor on a copy of the file.
//!
//! The editor gets a pseudo-terminal of its own whose keys and screen are the session's, so that it runs on a real
//! terminal as well as in a pane of the TUI. Where a session has no terminal, it says so.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bash::{Files, FilesError, Program, ProgramContext, resolve};
use crate::kubectl::EditTerminal;

/// The names that call it.
pub const EDITORS: &[&str] = &["vi", "vim", "nano", "emacs", "nvim"];

/// An editor by its name.
#[derive(Clone, Copy, Debug)]
pub struct EditFile;

/// Whether the shell runs that command as an editor.
pub fn is_editor(name: &str) -> bool {
    EDITORS.contains(&name)
}

#[async_trait]
impl Program for EditFile {
    async fn run(&self, context: ProgramContext) -> i32 {
        let name = context.name().to_owned();
        let mut stdio = context.stdio;
        let Some(file) = context.args.iter().skip(1).find(|word| !word.starts_with('-')) else {
            stdio.err(format!("{name}: which file?\n")).await;
            return 1;
        };
        let path = resolve(&context.cwd, file);
        let terminal = stdio.terminal.clone().filter(|_| stdio.stdin_is_terminal);
        let terminal = terminal.map(|terminal| EditTerminal {
            stdin: &mut *stdio.stdin,
            stdout: std::mem::replace(&mut stdio.stdout, Box::new(tokio::io::sink())),
            terminal,
        });
        match edit_on_host(&name, context.files, &path, terminal).await {
            Ok(()) => 0,
            Err(why) => {
                stdio.err(format!("{name}: {why}\n")).await;
                1
            }
        }
    }
}

/// Copies the file to the host, runs the editor of that name there, or another that the host has, and copies it back.
pub async fn edit_on_host(
    name: &str,
    files: Arc<dyn Files>,
    path: &str,
    terminal: Option<EditTerminal<'_>>,
) -> Result<(), String> {
    let Some(mut terminal) = terminal else { return Err("there is no terminal to edit on".to_owned()) };
    let content = match files.read(path).await {
        Ok(content) => content,
        Err(FilesError::NotFound) => bytes::Bytes::new(),
        Err(error) => return Err(error.to_string()),
    };
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let copy = directory.path().join(path.rsplit('/').next().unwrap_or("file"));
    tokio::fs::write(&copy, &content).await.map_err(|error| error.to_string())?;
    for editor in std::iter::once(name).chain(["vi", "nano", "vim"]) {
        match run_on(&mut terminal, editor, &copy).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.to_string()),
            Ok(status) if !status.success() => return Err(format!("the editor ended with {status}")),
            Ok(_) => {
                let edited = tokio::fs::read(&copy).await.map_err(|error| error.to_string())?;
                return files.write(path, &edited).await.map_err(|error| error.to_string());
            }
        }
    }
    Err("this machine has neither vi nor nano".to_owned())
}

/// Runs a program of the host on a pseudo-terminal between it and the session's terminal, to its end.
async fn run_on(terminal: &mut EditTerminal<'_>, program: &str, file: &Path) -> std::io::Result<ExitStatus> {
    let plain = |error: pty_process::Error| match error {
        pty_process::Error::Io(error) => error,
        other => std::io::Error::other(other.to_string()),
    };
    let (mut pty, pts) = pty_process::open().map_err(plain)?;
    let mut sizes = terminal.terminal.size();
    let (columns, rows) = *sizes.borrow_and_update();
    pty.resize(pty_process::Size::new(rows, columns)).map_err(plain)?;
    let command =
        pty_process::Command::new(program).arg(file).env("TERM", "xterm-256color").kill_on_drop(true);
    let mut child = command.spawn(pts).map_err(plain)?;
    let _raw = terminal.terminal.raw();
    let (mut shown, mut typed) = (vec![0; 16 * 1024], vec![0; 4096]);
    let mut keys_go_on = true;
    loop {
        tokio::select! { biased;
            count = pty.read(&mut shown) => match count {
                Ok(count @ 1..) => {
                    terminal.stdout.write_all(&shown[..count]).await?;
                    terminal.stdout.flush().await?;
                }
                // The program has closed its terminal (Linux says EIO): it is over.
                _ => return child.wait().await,
            },
            count = terminal.stdin.read(&mut typed), if keys_go_on => match count {
                Ok(count @ 1..) => pty.write_all(&typed[..count]).await?,
                _ => keys_go_on = false,
            },
            Ok(()) = sizes.changed() => {
                let (columns, rows) = *sizes.borrow_and_update();
                // A size that is not taken leaves the old one.
                let _ = pty.resize(pty_process::Size::new(rows, columns));
            }
        }
    }
}
