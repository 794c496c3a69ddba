//! The commands over the job table: `jobs`, `kill`, `wait` and `fg`.

use async_trait::async_trait;

use crate::bash::kit::jobs::{Jobs, state};
use crate::bash::process::signal;
use crate::bash::program::{Program, ProgramContext};

/// `jobs`
pub(super) struct JobsList(pub(super) Jobs);

#[async_trait]
impl Program for JobsList {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let jobs = self.0.list();
        let newest = jobs.last().map(|job| job.number);
        for job in jobs {
            let mark = if Some(job.number) == newest { '+' } else { '-' };
            let ampersand = if job.ended.is_none() { " &" } else { "" };
            stdio
                .out(format!("[{}]{mark}  {:<24}{}{ampersand}\n", job.number, state(job.ended), job.command))
                .await;
        }
        0
    }
}

/// `kill [-SIGNAL] PID | %JOB ...`
pub(super) struct Kill(pub(super) Jobs);

#[async_trait]
impl Program for Kill {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let (mut number, mut targets) = (signal::TERM, vec![]);
        let mut words = context.args.iter().skip(1);
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some("l") => {
                    stdio.out(" 1) HUP  2) INT  3) QUIT  9) KILL 15) TERM\n").await;
                    return 0;
                }
                Some(name) if targets.is_empty() => {
                    let name = if name == "s" || name == "n" {
                        words.next().map_or("", String::as_str)
                    } else {
                        name
                    };
                    let Some(known) = signal::number(name) else {
                        stdio.err(format!("bash: kill: {name}: invalid signal specification\n")).await;
                        return 1;
                    };
                    number = known;
                }
                _ => targets.push(word),
            }
        }
        if targets.is_empty() {
            stdio.err("kill: usage: kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]\n").await;
            return 2;
        }
        let mut code = 0;
        for target in targets {
            if let Some(job) = self.0.find(target) {
                self.0.signal(job, number);
                continue;
            }
            let pid = target.parse::<u32>();
            if !pid.as_ref().is_ok_and(|pid| context.system.processes.kill(*pid, number)) {
                let why = match pid {
                    Ok(pid) => format!("({pid}) - No such process"),
                    Err(_) if target.starts_with('%') => format!("{target}: no such job"),
                    Err(_) => format!("{target}: arguments must be process or job IDs"),
                };
                stdio.err(format!("bash: kill: {why}\n")).await;
                code = 1;
            }
        }
        code
    }
}

/// `wait [PID | %JOB ...]`
pub(super) struct Wait(pub(super) Jobs);

#[async_trait]
impl Program for Wait {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let targets = &context.args[1..];
        if targets.is_empty() {
            for job in self.0.list() {
                self.0.wait(job.number).await;
            }
            return 0;
        }
        let mut code = 0;
        for target in targets {
            code = match self.0.find(target) {
                Some(job) => self.0.wait(job).await.unwrap_or(127),
                None => {
                    let why =
                        if target.starts_with('%') { "no such job" } else { "is not a child of this shell" };
                    stdio.err(format!("bash: wait: {target}: {why}\n")).await;
                    127
                }
            };
        }
        code
    }
}

/// `fg [%JOB]`: waits for a job in the foreground. It goes on without the terminal's input.
pub(super) struct Foreground(pub(super) Jobs);

#[async_trait]
impl Program for Foreground {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let target = context.args.get(1).map_or("%%", String::as_str);
        let Some(number) = self.0.find(target) else {
            let shown = if target == "%%" { "current" } else { target };
            stdio.err(format!("bash: fg: {shown}: no such job\n")).await;
            return 1;
        };
        if let Some(job) = self.0.list().into_iter().find(|job| job.number == number) {
            stdio.out(format!("{}\n", job.command)).await;
        }
        self.0.wait(number).await.unwrap_or(1)
    }
}
