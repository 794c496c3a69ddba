//! What a shell complains of, in the words of the shell that it stands for: busybox's and dash's `sh` word it otherwise than
//! bash. Put over standard error by `shell.rs`; what programs write is not touched.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::bash::Dialect;
use crate::bash::streams::SharedWriter;

/// Standard error whose complaints are reworded.
pub(in crate::bash) struct Complaints {
    writer: SharedWriter,
    dialect: Dialect,
    /// Reworded, and not yet written.
    pending: Vec<u8>,
}

impl Complaints {
    pub(in crate::bash) fn new(writer: SharedWriter, dialect: Dialect) -> Self {
        Self { writer, dialect, pending: vec![] }
    }

    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.writer).poll_write(cx, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Complaints {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.drain(cx))?;
        self.pending = match std::str::from_utf8(buf) {
            Ok(text) => {
                text.split_inclusive('\n').map(|line| reworded(line, self.dialect)).collect::<String>().into()
            }
            Err(_) => buf.to_vec(),
        };
        // What does not go through at once goes with the next write or flush.
        match self.drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(buf.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// One line, as the shell of the dialect puts it.
fn reworded(line: &str, dialect: Dialect) -> String {
    try_reword(line, dialect).unwrap_or_else(|| line.to_owned())
}

fn try_reword(line: &str, dialect: Dialect) -> Option<String> {
    // bashkit's complaints begin with `$0`.
    let rest = line.strip_prefix("bash: ").or_else(|| line.strip_prefix("sh: line ").map(|_| &line[4..]))?;
    let numbered = rest.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    let (number, rest) = numbered.filter(|(n, _)| n.parse::<u32>().is_ok()).unwrap_or(("1", rest));
    let (what, why) = rest.strip_suffix('\n').unwrap_or(rest).rsplit_once(": ")?;
    // bashkit guesses what was meant, and puts the guess behind another colon.
    let (what, why) = match what.strip_suffix(": command not found. Did you mean") {
        Some(what) => (what, "command not found"),
        None => (what, why),
    };
    let mut letters = why.chars();
    let capital: String = letters.next().map(|first| first.to_uppercase().chain(letters).collect())?;
    // Of a file that may not be run bashkit itself complains, with a capital.
    let cannot_write =
        capital == "Read-only file system" || capital == "Is a directory" || why == "permission denied";
    let text = match (dialect, what.strip_prefix("cd: ")) {
        (Dialect::Gnu, _) if why == "command not found" => format!("bash: {what}: {why}"),
        (Dialect::Gnu, None) if capital == "No such file or directory" && line.starts_with("bash: line ") => {
            format!("bash: line {number}: {what}: {capital}")
        }
        (Dialect::Gnu, _) if cannot_write => format!("bash: {what}: {capital}"),
        (Dialect::Busybox, Some(path)) => format!("sh: cd: can't cd to {path}: {capital}"),
        (Dialect::Dash, Some(path)) => format!("sh: {number}: cd: can't cd to {path}"),
        (Dialect::Busybox, None) if cannot_write => format!("sh: can't create {what}: {capital}"),
        (Dialect::Dash, None) if cannot_write => format!("sh: {number}: cannot create {what}: {capital}"),
        (Dialect::Busybox, None) if why == "command not found" => format!("sh: {what}: not found"),
        (Dialect::Dash, None) if why == "command not found" => format!("sh: {number}: {what}: not found"),
        _ => return None,
    };
    Some(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_its_own_words() {
        for (line, dialect, expected) in [
            (
                "bash: line 1: /a: read-only file system\n",
                Dialect::Busybox,
                "sh: can't create /a: Read-only file system\n",
            ),
            (
                "bash: line 2: /a: read-only file system\n",
                Dialect::Dash,
                "sh: 2: cannot create /a: Read-only file system\n",
            ),
            ("bash: line 1: /a: read-only file system\n", Dialect::Gnu, "bash: /a: Read-only file system\n"),
            (
                "sh: line 1: /a: read-only file system\n",
                Dialect::Busybox,
                "sh: can't create /a: Read-only file system\n",
            ),
            ("bash: nosuch: command not found\n", Dialect::Busybox, "sh: nosuch: not found\n"),
            (
                "bash: line 1: nosuch: command not found. Did you mean: touch?\n",
                Dialect::Gnu,
                "bash: nosuch: command not found\n",
            ),
            ("bash: nosuch: command not found\n", Dialect::Dash, "sh: 1: nosuch: not found\n"),
            ("bash: nosuch: command not found\n", Dialect::Gnu, "bash: nosuch: command not found\n"),
            ("bash: cd: /a: No such file or directory\n", Dialect::Dash, "sh: 1: cd: can't cd to /a\n"),
            ("ls: /a: No such file or directory\n", Dialect::Busybox, "ls: /a: No such file or directory\n"),
        ] {
            assert_eq!(reworded(line, dialect), expected);
        }
    }
}
