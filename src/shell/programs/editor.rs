//! `vi`, `nano` and their like for the sandbox shell: the host's own editor on a copy of the file.
//!
//! Works where the sandbox shell runs on a real terminal; elsewhere it says so.

use std::io::IsTerminal;
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;

use crate::bash::{Files, FilesError, Program, ProgramContext, resolve};

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
        match edit_on_host(&name, context.files, &path).await {
            Ok(()) => 0,
            Err(why) => {
                stdio.err(format!("{name}: {why}\n")).await;
                1
            }
        }
    }
}

/// Copies the file to the host, runs the editor of that name there, or another that the host has, and copies it back.
pub async fn edit_on_host(name: &str, files: Arc<dyn Files>, path: &str) -> Result<(), String> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err("there is no terminal to edit on".to_owned());
    }
    let content = match files.read(path).await {
        Ok(content) => content,
        Err(FilesError::NotFound) => bytes::Bytes::new(),
        Err(error) => return Err(error.to_string()),
    };
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let copy = directory.path().join(path.rsplit('/').next().unwrap_or("file"));
    tokio::fs::write(&copy, &content).await.map_err(|error| error.to_string())?;
    for editor in std::iter::once(name).chain(["vi", "nano", "vim"]) {
        let mut command = tokio::process::Command::new(editor);
        command
            .arg(&copy)
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .kill_on_drop(true);
        match command.status().await {
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
