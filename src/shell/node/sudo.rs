//! `sudo` on a node: the same command as root, without being asked for a password.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::bash::{Bash, BashConfig, Program, ProgramContext, User};

/// `sudo [-n] [-E] COMMAND...`
pub(super) struct Sudo {
    /// The table that this is in, which a program must not keep alive itself.
    programs: Weak<BTreeMap<String, Arc<dyn Program>>>,
}

impl Sudo {
    pub(super) fn new(programs: Weak<BTreeMap<String, Arc<dyn Program>>>) -> Self {
        Self { programs }
    }
}

#[async_trait]
impl Program for Sudo {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let words: Vec<String> = context
            .args
            .iter()
            .skip(1)
            .skip_while(|word| ["-n", "-E", "--"].contains(&word.as_str()))
            .cloned()
            .collect();
        match words.first().map(String::as_str) {
            None => {
                context.stdio.err("usage: sudo [-nE] command [arg ...]\n").await;
                return 1;
            }
            Some(option) if option.starts_with('-') => {
                context.stdio.err(format!("sudo: the option {option} is not there on this node\n")).await;
                return 1;
            }
            Some(_) => {}
        }
        let ProgramContext { mut env, cwd, files, stdio, mut system, .. } = context;
        system.user = User::default();
        for (name, value) in
            [("HOME", "/root"), ("LOGNAME", "root"), ("USER", "root"), ("SUDO_USER", "docker")]
        {
            env.insert(name.to_owned(), value.to_owned());
        }
        let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
        let line = words.iter().map(quote).collect::<Vec<_>>().join(" ");
        let programs = self.programs.upgrade().unwrap_or_default();
        Bash::new(BashConfig { files, system, env, cwd, programs }).execute(&line, stdio).await
    }
}
