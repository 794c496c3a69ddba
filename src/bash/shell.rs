//! The shell: scripts in, bytes and exit codes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::Files;
use super::program::{Program, Stdio, System};

/// Programs by the name that calls them.
pub type Programs = Arc<BTreeMap<String, Arc<dyn Program>>>;

/// What a shell is made of.
#[derive(Clone)]
pub struct BashConfig {
    /// The file system.
    pub files: Arc<dyn Files>,
    /// The machine or container.
    pub system: System,
    /// The exported variables.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub cwd: String,
    /// Programs besides bash's own commands; they win over those of the same name.
    pub programs: Programs,
}

/// A shell with its state: variables, functions, working directory, jobs.
pub struct Bash {
    config: BashConfig,
}

impl Bash {
    /// A fresh shell.
    pub fn new(config: BashConfig) -> Self {
        Self { config }
    }

    /// Runs a script to its end and returns the exit code. Bytes reach the streams as they are written. Dropping the
    /// future kills what runs, except background jobs, which live as long as the shell.
    pub async fn execute(&mut self, _script: &str, _stdio: Stdio) -> i32 {
        let _ = &self.config;
        unreachable!("the adaptor lands next")
    }
}
