//! `stress`: takes memory and burns CPU time, to see limits at work.

use std::time::Duration;

use async_trait::async_trait;

use super::Machine;
use crate::bash::{Program, ProgramContext};

/// `stress [--cpu N] [--vm N] [--vm-bytes B] [--timeout T]`; of `vish/stress` also `-cpus N -mem-total B`.
pub(super) struct Stress {
    machine: Machine,
}

impl Stress {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine }
    }
}

/// `150M`, `1g`, `100Mi`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().ok()?;
    let shift = match text[digits.len()..].to_ascii_lowercase().chars().next() {
        None | Some('b') => 0,
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some(_) => return None,
    };
    number.checked_shl(shift)
}

#[async_trait]
impl Program for Stress {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let value = |names: &[&str]| {
            let mut words = context.args.iter();
            while let Some(word) = words.next() {
                let bare = word.trim_start_matches('-');
                let (name, attached) =
                    bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
                if names.contains(&name) && word.starts_with('-') {
                    return attached.map(str::to_owned).or_else(|| words.next().cloned());
                }
            }
            None
        };
        let number = |names: &[&str]| value(names).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let (cpu, vm) = (number(&["cpu", "c", "cpus"]), number(&["vm", "m"]));
        let each = value(&["vm-bytes"]).and_then(|text| bytes(&text)).unwrap_or(256 << 20);
        let total = value(&["mem-total"]).and_then(|text| bytes(&text)).unwrap_or(0);
        let timeout = value(&["timeout", "t"]).and_then(|text| crate::bash::interval_seconds(&text));
        let (io, hdd) = (number(&["io", "i"]), number(&["hdd", "d"]));
        context
            .stdio
            .out(format!("stress: info: [1] dispatching hogs: {cpu} cpu, {io} io, {vm} vm, {hdd} hdd\n"))
            .await;
        let _burn = self.machine.cgroup.burn(cpu.saturating_add(vm).saturating_mul(1000));
        let mut held = vec![self.machine.cgroup.allocate(total).await];
        for _ in 0..vm {
            held.push(self.machine.cgroup.allocate(each).await);
        }
        match timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(timeout) => {
                context.system.clock.sleep(timeout).await;
                context
                    .stdio
                    .out(format!("stress: info: [1] successful run completed in {}s\n", timeout.as_secs()))
                    .await;
                0
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("150M", Some(150 << 20)),
            ("1g", Some(1 << 30)),
            ("100Mi", Some(100 << 20)),
            ("7", Some(7)),
            ("x", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
