//! `ps` and `top`: the processes of the container.

use std::time::Duration;

use async_trait::async_trait;

use super::Machine;
use crate::bash::{Dialect, ProcessInfo, Program, ProgramContext, signal};

/// `ps [aux|-ef]` and `top [-b] [-n N] [-d S]`.
pub(super) struct Ps {
    machine: Machine,
}

impl Ps {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine }
    }

    fn top(&self, context: &ProgramContext) -> String {
        let processes = context.system.processes.list();
        let limit = self.machine.cgroup.memory_limit_bytes() >> 10;
        let mut text = format!(
            "Mem: {limit}K total\nCPU:   0% usr   0% sys   0% nic 100% idle   0% io   0% irq   0% sirq\nLoad average: 0.00 0.00 0.00 1/{} {}\n  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND\n",
            processes.len(),
            processes.last().map_or(0, |process| process.pid)
        );
        for process in &processes {
            text.push_str(&format!(
                "{:>5} {:>5} {:<8} S     4400   0%   0   0% {}\n",
                process.pid,
                process.parent,
                process.user,
                process.command.join(" ")
            ));
        }
        text
    }
}

/// These processes as `ps` shows them to who called it like that.
pub fn process_table(context: &ProgramContext, processes: &[ProcessInfo]) -> String {
    let full = context.args.iter().skip(1).any(|word| word.contains('f') || word.contains("aux"));
    let user =
        |name: &str| if name.is_empty() { context.system.user.uid.to_string() } else { name.to_owned() };
    let short = |command: &[String]| {
        let first = command.first().map_or("", String::as_str);
        first.rsplit('/').next().unwrap_or(first).chars().take(15).collect::<String>()
    };
    match context.system.dialect {
        Dialect::Busybox => {
            let mut text = "PID   USER     TIME  COMMAND\n".to_owned();
            for process in processes {
                text.push_str(&format!(
                    "{:>5} {:<8}  0:00 {}\n",
                    process.pid,
                    user(&process.user),
                    process.command.join(" ")
                ));
            }
            text
        }
        _ if full => {
            let mut text = "UID          PID    PPID  C STIME TTY          TIME CMD\n".to_owned();
            for process in processes {
                let started = process.started.strftime("%H:%M");
                text.push_str(&format!(
                    "{:<10} {:>5} {:>7}  0 {started} ?        00:00:00 {}\n",
                    user(&process.user),
                    process.pid,
                    process.parent,
                    process.command.join(" ")
                ));
            }
            text
        }
        _ => {
            let mut text = "    PID TTY          TIME CMD\n".to_owned();
            for process in processes {
                text.push_str(&format!("{:>7} ?        00:00:00 {}\n", process.pid, short(&process.command)));
            }
            text
        }
    }
}

#[async_trait]
impl Program for Ps {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        if context.name() == "ps" {
            let text = process_table(&context, &context.system.processes.list());
            context.stdio.out(text).await;
            return 0;
        }
        let value = |name: &str| {
            let at = context.args.iter().position(|word| word == name)?;
            crate::bash::interval_seconds(context.args.get(at + 1)?)
        };
        let batch = context.args.iter().any(|word| word.starts_with("-b"));
        let times = value("-n").map_or(if batch { u64::MAX } else { 1 }, |times| times as u64);
        let pause = Duration::try_from_secs_f64(value("-d").unwrap_or(5.0)).unwrap_or(Duration::from_secs(5));
        for time in 0..times {
            if time > 0 {
                context.system.clock.sleep(pause).await;
            }
            let text = self.top(&context);
            if !context.stdio.out(text).await {
                return 128 + signal::PIPE;
            }
        }
        0
    }
}
