//! Runs the machine's own tools: `ip` and `nft`, `mount` and `umount`.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::clock::Clock;

/// How long a tool may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs a tool with a text to read. The error is what it complained.
pub(crate) async fn run(clock: &Clock, words: &[&str], input: &str) -> Result<String, String> {
    let Some((program, args)) = words.split_first() else { return Ok(String::new()) };
    let failed = |why: String| format!("{}: {}", words.join(" "), why.trim());
    let mut command = Command::new(program);
    // Debian keeps them where a user's PATH does not look.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not want to read says why in its complaint.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = clock.timeout(TIMEOUT, child.wait_with_output()).await;
    let output = output
        .map_err(|_| failed("it takes too long".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tool_reads_and_answers_or_is_named_in_the_complaint() {
        let clock = Clock::real();
        assert_eq!(run(&clock, &["cat"], "hello").await.unwrap(), "hello");
        assert!(run(&clock, &["false"], "").await.unwrap_err().starts_with("false:"));
        assert!(run(&clock, &["no-such-tool", "x"], "").await.unwrap_err().starts_with("no-such-tool x:"));
    }
}
