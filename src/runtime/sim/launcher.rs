//! From words to a running program: looks an executable up as `execve` does, and runs what the file says it is.
//!
//! Used for a container's first process, for exec, and by programs that start others (`env`, `timeout`, entrypoints).
//! Failures are in runc's words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use tokio::io::AsyncReadExt;

use super::DEFAULT_PATH;
use super::images::ELF;
use super::spawned::{self, Spawned};
use crate::bash::{Bash, BashConfig, Files, FilesError, Program, ProgramContext, Programs, resolve};

/// How many interpreters a script may lead through.
const MAX_INTERPRETERS: usize = 4;
/// The exit code of a file that no kernel can run.
const CANNOT_RUN: i32 = 255;

/// What a file turned out to be.
pub(super) enum Executable {
    /// A program, by name.
    Program(String),
    /// A script: its interpreter's words, and its own path.
    Script(Vec<String>, String),
    /// Neither.
    Unknown,
}

/// Runs programs in one container. Cheap to clone.
#[derive(Clone)]
pub struct Launcher {
    programs: WeakPrograms,
    /// The programs that are processes of the kernel's when a shell starts them; `None` where everything runs in here.
    real: Option<Arc<BTreeSet<String>>>,
}

/// The table of programs: the programs in it hold launchers, so a launcher does not hold the table.
type WeakPrograms = Weak<BTreeMap<String, Arc<dyn Program>>>;

impl Launcher {
    pub(super) fn new(programs: WeakPrograms, real: Option<Arc<BTreeSet<String>>>) -> Self {
        Self { programs, real }
    }

    /// The programs of the container, for a shell; none when it is gone.
    pub(super) fn programs(&self) -> Programs {
        let inside = self.programs.upgrade().unwrap_or_default();
        let Some(real) = &self.real else { return inside };
        let as_process = |(name, program): (&String, &Arc<dyn Program>)| {
            let program: Arc<dyn Program> = match real.contains(name) {
                true => Arc::new(Spawned::new(program.clone())),
                false => program.clone(),
            };
            (name.clone(), program)
        };
        Arc::new(inside.iter().map(as_process).collect())
    }

    /// Runs the command in `context.args`, found before as `executable`.
    pub(super) async fn run(&self, mut executable: Executable, mut context: ProgramContext) -> i32 {
        for _ in 0..MAX_INTERPRETERS {
            match executable {
                Executable::Program(name) => return self.run_program(&name, context).await,
                Executable::Unknown => break,
                Executable::Script(interpreter, path) => {
                    let rest = context.args.split_off(context.args.len().min(1));
                    context.args = interpreter.into_iter().chain([path]).chain(rest).collect();
                    executable =
                        match look_up(&*context.files, &context.env, &context.cwd, &context.args[0]).await {
                            Ok(found) => found,
                            Err(why) => {
                                context.stdio.err(format!("{why}\n")).await;
                                return 127;
                            }
                        };
                }
            }
        }
        let name = context.args.first().cloned().unwrap_or_default();
        context.stdio.err(format!("exec {name}: exec format error\n")).await;
        CANNOT_RUN
    }

    async fn run_program(&self, name: &str, context: ProgramContext) -> i32 {
        let inside = self.programs.upgrade().unwrap_or_default();
        if let Some(program) = inside.get(name) {
            return program.run(context).await;
        }
        // One of bash's own small commands, called without a shell.
        let mut words = vec![name.to_owned()];
        words.extend(context.args.iter().skip(1).cloned());
        let ProgramContext { env, cwd, files, stdio, system, .. } = context;
        let mut bash = Bash::new(BashConfig { files, system, env, cwd, programs: self.programs() });
        bash.execute(&quoted(&words), stdio).await
    }

    /// Runs another command in place of the program that `context` is of. Not found: 127, as a shell answers.
    pub(super) async fn exec(&self, mut context: ProgramContext, args: Vec<String>) -> i32 {
        let name = context.name().to_owned();
        let Some(first) = args.first() else { return 0 };
        match look_up(&*context.files, &context.env, &context.cwd, first).await {
            Ok(executable) => {
                context.args = args;
                if self.real.is_some() {
                    context = spawned::replace(context);
                }
                if let Some(pid) = context.system.pid {
                    context.system.processes.rename(pid, context.args.clone());
                }
                self.run(executable, context).await
            }
            Err(_) => {
                context.stdio.err(format!("{name}: {first}: not found\n")).await;
                127
            }
        }
    }
}

/// Looks a command up. The error is what Go's `exec.LookPath` says behind `exec: "name": `.
pub(super) async fn look_up(
    files: &dyn Files,
    env: &BTreeMap<String, String>,
    cwd: &str,
    command: &str,
) -> Result<Executable, String> {
    if command.contains('/') {
        let path = resolve(cwd, command);
        return match read_executable(files, &path).await {
            Ok(found) => Ok(found),
            Err(FilesError::NotFound | FilesError::NotDirectory) => {
                Err(format!("stat {command}: no such file or directory"))
            }
            Err(other) => Err(other.to_string()),
        };
    }
    let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    for directory in path.split(':') {
        if let Ok(found) = read_executable(files, &resolve(directory, command)).await {
            return Ok(found);
        }
    }
    Err("executable file not found in $PATH".to_owned())
}

async fn read_executable(files: &dyn Files, path: &str) -> Result<Executable, FilesError> {
    let metadata = files.metadata(path).await?;
    if metadata.directory {
        return Err(FilesError::IsDirectory);
    }
    if metadata.mode & 0o111 == 0 {
        return Err(FilesError::PermissionDenied);
    }
    let content = files.read(path).await?;
    if let Some(name) = content.strip_prefix(ELF) {
        let name = name.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return Ok(Executable::Program(String::from_utf8_lossy(name).into_owned()));
    }
    let Some(rest) = content.strip_prefix(b"#!") else { return Ok(Executable::Unknown) };
    let line =
        String::from_utf8_lossy(rest.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let words: Vec<String> =
        line.trim().splitn(2, char::is_whitespace).map(|word| word.trim().to_owned()).collect();
    if words.first().is_none_or(String::is_empty) {
        return Ok(Executable::Unknown);
    }
    Ok(Executable::Script(words, path.to_owned()))
}

/// The words as a line of shell that means just them.
pub(super) fn quoted(words: &[String]) -> String {
    let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Reads all of standard input, to a bound.
pub(super) async fn read_all(stdin: &mut (dyn tokio::io::AsyncRead + Send + Unpin), most: u64) -> Vec<u8> {
    let mut bytes = vec![];
    // What came before an error counts; the stream ends there either way.
    let _ = stdin.take(most).read_to_end(&mut bytes).await;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::MemoryFiles;
    use crate::clock::Clock;

    #[tokio::test]
    async fn commands_are_found_or_refused_in_runcs_words() {
        let files = MemoryFiles::new(Clock::virtual_time());
        files.put("/bin/ls", &[ELF, b"ls\n"].concat(), 0o755);
        files.put("/app/start.sh", b"#!/bin/sh -e\necho hi\n", 0o755);
        files.put("/app/plain", b"echo hi\n", 0o644);
        let env = BTreeMap::new();
        let look = |command: &'static str| look_up(&files, &env, "/app", command);
        assert!(matches!(look("ls").await, Ok(Executable::Program(name)) if name == "ls"));
        assert!(
            matches!(look("./start.sh").await, Ok(Executable::Script(words, path)) if words == ["/bin/sh", "-e"] && path == "/app/start.sh")
        );
        for (command, expected) in [
            ("nosuch", "executable file not found in $PATH"),
            ("/nosuch", "stat /nosuch: no such file or directory"),
            ("/app/plain", "permission denied"),
            ("/app", "is a directory"),
        ] {
            assert_eq!(look(command).await.err().as_deref(), Some(expected), "{command}");
        }
    }

    #[test]
    fn words_stay_words_in_a_shell() {
        assert_eq!(quoted(&["a b".into(), "it's".into()]), "'a b' 'it'\\''s'");
    }
}
