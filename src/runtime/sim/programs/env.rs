//! `env` and `printenv`, in the order in which the container was given its environment.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::super::launcher::Launcher;
use crate::bash::{Program, ProgramContext};

/// `env [-i] [-u NAME] [NAME=VALUE ...] [COMMAND ...]` and `printenv [NAME ...]`.
pub(super) struct Env {
    order: Vec<String>,
    launcher: Launcher,
}

impl Env {
    pub(super) fn new(env: Vec<(String, String)>, launcher: Launcher) -> Self {
        Self { order: env.into_iter().map(|(key, _)| key).collect(), launcher }
    }

    /// The variables as lines: first those that the container began with.
    fn lines(&self, env: &BTreeMap<String, String>) -> String {
        let first = self.order.iter().filter_map(|key| env.get_key_value(key));
        let rest = env.iter().filter(|(key, _)| !self.order.contains(key));
        first.chain(rest).map(|(key, value)| format!("{key}={value}\n")).collect()
    }
}

#[async_trait]
impl Program for Env {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        if context.name() == "printenv" && context.args.len() > 1 {
            let mut code = 0;
            for name in &context.args[1..] {
                match context.env.get(name) {
                    Some(value) => drop(context.stdio.out(format!("{value}\n")).await),
                    None => code = 1,
                }
            }
            return code;
        }
        let mut at = 1;
        while let Some(word) = context.args.get(at).cloned() {
            match word.as_str() {
                "-i" | "-" | "--ignore-environment" => context.env.clear(),
                "-u" => {
                    at += 1;
                    if let Some(name) = context.args.get(at) {
                        context.env.remove(name);
                    }
                }
                "--" => {}
                word => match word.split_once('=') {
                    Some((key, value)) if !key.starts_with('-') => {
                        drop(context.env.insert(key.into(), value.into()))
                    }
                    _ => break,
                },
            }
            at += 1;
        }
        let command = context.args.split_off(at.min(context.args.len()));
        if command.is_empty() {
            let lines = self.lines(&context.env);
            context.stdio.out(lines).await;
            return 0;
        }
        self.launcher.exec(context, command).await
    }
}
