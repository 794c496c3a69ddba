//! The program that compares files for `kubectl diff`, where the place that kubectl runs in has one.
//!
//! On a person's own machine it is `diff`, or what `KUBECTL_EXTERNAL_DIFF` names. In the sandbox shell there is none, and
//! the verb compares by itself.
// Models k8s.io/kubectl/pkg/cmd/diff (DiffProgram).

use std::collections::BTreeMap;
use std::io::ErrorKind;

use async_trait::async_trait;

/// Runs programs that compare. They write where kubectl writes.
#[async_trait]
pub trait DiffProgram: Send + Sync + 'static {
    /// Runs a program with its arguments and gives its exit code; `None` if there is no such program.
    async fn run(
        &self,
        words: &[String],
        env: &BTreeMap<String, String>,
        cwd: &str,
    ) -> Result<Option<i32>, String>;
}

/// For places without programs.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDiffProgram;

#[async_trait]
impl DiffProgram for NoDiffProgram {
    async fn run(&self, _: &[String], _: &BTreeMap<String, String>, _: &str) -> Result<Option<i32>, String> {
        Ok(None)
    }
}

/// The programs of the host, on its own standard output and error.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostDiffProgram;

#[async_trait]
impl DiffProgram for HostDiffProgram {
    async fn run(
        &self,
        words: &[String],
        env: &BTreeMap<String, String>,
        cwd: &str,
    ) -> Result<Option<i32>, String> {
        let Some((program, args)) = words.split_first() else { return Ok(None) };
        let mut command = tokio::process::Command::new(program);
        command.args(args).envs(env).current_dir(cwd).kill_on_drop(true);
        match command.status().await {
            Ok(status) => Ok(Some(status.code().unwrap_or(-1))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}
