//! `k8s-learn doctor`: what this machine lacks for real containers.

use std::io::{Write, stdout};

use super::command_line::{RuntimeArgs, live_runtime};
use crate::clock::Clock;
use crate::runtime::containerd::{Finding, examine};

/// Tells what is there and what is not. The code is 1 if something is missing.
pub(super) fn run(args: &RuntimeArgs) -> anyhow::Result<i32> {
    let findings = live_runtime()?.block_on(examine(&args.containerd(), &Clock::real()));
    writeln!(stdout(), "--runtime sim        works on every machine")?;
    for line in findings.iter().map(line) {
        writeln!(stdout(), "{line}")?;
    }
    let missing = findings.iter().filter(|finding| finding.mend.is_some()).count();
    match missing {
        0 => writeln!(stdout(), "--runtime containerd works here")?,
        1 => writeln!(stdout(), "--runtime containerd: 1 thing is missing")?,
        many => writeln!(stdout(), "--runtime containerd: {many} things are missing")?,
    }
    Ok(i32::from(missing > 0))
}

fn line(finding: &Finding) -> String {
    let sign = if finding.mend.is_some() { "✗" } else { "✓" };
    let line = format!("  {sign} {:<16} {}", finding.what, finding.found);
    match &finding.mend {
        Some(mend) => format!("{line}\n    {:<16} → {mend}", ""),
        None => line,
    }
}
