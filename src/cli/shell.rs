//! `k8s-learn shell`
use super::command_line::ShellArgs;
pub(super) fn run(_: ShellArgs) -> anyhow::Result<i32> { anyhow::bail!("not built in") }
pub(super) fn interactive() -> anyhow::Result<i32> { anyhow::bail!("not built in") }
