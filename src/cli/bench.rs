//! `k8s-learn bench`: how fast the cluster is on this machine, beside the numbers to keep.
//!
//! A look at one machine, not a test: machines are noisy, so compare ratios within one run.
#![allow(clippy::disallowed_methods)] // Measuring is about the machine's time, not the cluster's.

use std::io::{Write, stdout};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::command_line::live_runtime;
use crate::cluster::scenarios;
use crate::cluster::{Cluster, ClusterConfig};
use crate::runtime::sim::Pace;

/// How long an idle cluster is looked at.
const IDLE: Duration = Duration::from_secs(20);
/// How often the quick scenarios run; the middle one counts.
const RUNS: usize = 5;

/// Measures and prints a table.
pub(super) fn run() -> anyhow::Result<()> {
    live_runtime()?.block_on(async {
        writeln!(stdout(), "{:<58} {:>12} {:>12}", "what", "measured", "keep")?;
        let mut starts = vec![];
        for _ in 0..RUNS {
            let (process, took) = start_process().await?;
            starts.push(took);
            drop(process);
        }
        row("process start to a Ready cluster (3 nodes)", &millis(middle(&mut starts)), "100 ms")?;
        let (mut first, mut more) = (vec![], vec![]);
        for _ in 0..RUNS {
            let cluster = Cluster::start(config()).await?;
            cluster.ready().await;
            let begin = Instant::now();
            scenarios::create_deployment(&cluster, "web", 1).await?;
            first.push(begin.elapsed());
            let begin = Instant::now();
            scenarios::scale_deployment(&cluster, "web", 31).await?;
            more.push(begin.elapsed());
            cluster.stop().await;
        }
        row("one-replica Deployment to Available, pace instant", &millis(middle(&mut first)), "20 ms")?;
        row("30 more replicas", &millis(middle(&mut more)), "100 ms")?;
        let (process, _) = start_process().await?;
        let (cpu_percent, resident_mb) = idle(process.id().context("the process has ended")?).await?;
        row("idle: CPU of a 3-node cluster, whole process", &format!("{cpu_percent:.2} %"), "< 0.5 %")?;
        row("idle: RSS of a 3-node cluster, whole process", &format!("{resident_mb:.0} MB"), "40 MB")?;
        Ok(())
    })
}

fn config() -> ClusterConfig {
    ClusterConfig { nodes: 3, pace: Pace::Instant, ..ClusterConfig::default() }
}

fn row(what: &str, measured: &str, keep: &str) -> std::io::Result<()> {
    writeln!(stdout(), "{what:<58} {measured:>12} {keep:>12}")
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

fn middle(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Starts `k8s-learn up` and waits for its `ready`.
async fn start_process() -> anyhow::Result<(tokio::process::Child, Duration)> {
    let begin = Instant::now();
    let mut process = tokio::process::Command::new(std::env::current_exe()?)
        .args(["up", "--nodes", "3"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("standard output is piped")?;
    let line = BufReader::new(stdout).lines().next_line().await?;
    if !line.as_deref().is_some_and(|line| line.starts_with("ready ")) {
        bail!("`k8s-learn up` said {line:?}");
    }
    Ok((process, begin.elapsed()))
}

/// The share of a core that a process uses while nothing happens, in percent, and its resident memory in MB.
async fn idle(pid: u32) -> anyhow::Result<(f64, f64)> {
    // What came with the start shall be over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begin, ticks) = (Instant::now(), cpu_ticks(pid)?);
    tokio::time::sleep(IDLE).await;
    let seconds = (cpu_ticks(pid)? - ticks) as f64 / 100.0;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("this needs Linux' /proc")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS is missing")?;
    let kilobytes: f64 = resident.trim().trim_end_matches(" kB").parse()?;
    Ok((100.0 * seconds / begin.elapsed().as_secs_f64(), kilobytes / 1024.0))
}

/// User and system time of a process, in hundredths of a second.
fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("this needs Linux' /proc")?;
    // The name in parentheses may hold anything; the numbers come behind it.
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("an odd /proc/PID/stat")?.1.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}
