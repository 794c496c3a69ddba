//! Logs that have grown too large are set aside, packed, and at last taken away, so that no container fills the disk.
//!
//! containerd writes on into the file that it has open until it is told to open the name anew. Where `kubectl logs` reads
//! is `logs`: as on a real node, it reads the newest file only.
// Models pkg/kubelet/logs (containerLogManager).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::container;
use super::proto::cri;
use super::runtime::Shared;
use crate::runtime::api::ContainerState;

/// `containerLogMaxSize`.
const MAX_BYTES: u64 = 10 << 20;
/// `containerLogMaxFiles`, with the one that is written.
const MAX_FILES: usize = 5;
/// `containerLogMonitorInterval`.
const PERIOD: Duration = Duration::from_secs(10);
/// How much is packed at once.
const CHUNK_BYTES: usize = 64 << 10;

const PACKED: &str = ".gz";
const UNFINISHED: &str = ".tmp";

/// Looks after a node's logs for as long as the runtime lives.
pub(super) async fn keep(shared: Arc<Shared>) {
    loop {
        shared.config.clock.sleep(PERIOD).await;
        for log in large(&shared.config.state.join("logs")).await {
            if let Err(error) = rotate(&shared, &log).await {
                tracing::warn!(log = %log.display(), error, "a log cannot be rotated");
            }
        }
    }
}

/// The files of a directory; none if it cannot be read.
async fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let Ok(mut entries) = tokio::fs::read_dir(directory).await else { return found };
    while let Ok(Some(entry)) = entries.next_entry().await {
        found.push(entry.path());
    }
    found.sort();
    found
}

/// The logs that have become too large: `POD/CONTAINER/ATTEMPT.log` below `logs`.
async fn large(logs: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for pod in entries(logs).await {
        for container in entries(&pod).await {
            for log in entries(&container).await {
                let is_log = log.extension().is_some_and(|end| end == "log");
                let size = tokio::fs::metadata(&log).await.map_or(0, |metadata| metadata.len());
                if is_log && size >= MAX_BYTES {
                    found.push(log);
                }
            }
        }
    }
    found
}

/// What is done with the files beside a log before the log itself is set aside.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    remove: Vec<PathBuf>,
    pack: Vec<PathBuf>,
}

/// `aside` are the names that begin with the log's and a point.
fn plan(mut aside: Vec<PathBuf>) -> Plan {
    let ends = |path: &Path, end: &str| path.to_string_lossy().ends_with(end);
    aside.sort();
    let is_packed_too = |path: &Path| aside.contains(&PathBuf::from(format!("{}{PACKED}", path.display())));
    let is_used = |path: &PathBuf| !ends(path, UNFINISHED) && (ends(path, PACKED) || !is_packed_too(path));
    let (mut used, mut remove): (Vec<_>, Vec<_>) = aside.clone().into_iter().partition(is_used);
    // The one that is written and the one that is set aside next are two of them.
    let excess = used.len().saturating_sub(MAX_FILES - 2);
    remove.extend(used.drain(..excess));
    Plan { remove, pack: used.into_iter().filter(|path| !ends(path, PACKED)).collect() }
}

/// The files that a log's older lines are in, and what an interrupted rotation left of them.
async fn aside(log: &Path) -> Vec<PathBuf> {
    let start = format!("{}.", log.display());
    let beside = entries(log.parent().unwrap_or(log)).await;
    beside.into_iter().filter(|path| path.to_string_lossy().starts_with(&start)).collect()
}

/// Takes away what was set aside of a log.
pub(super) async fn remove_aside(log: &Path) {
    for file in aside(log).await {
        // Another look may have taken it away.
        let _ = tokio::fs::remove_file(file).await;
    }
}

async fn rotate(shared: &Shared, log: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    // A container that has ended writes no more.
    let Some(container) = writer(shared, log).await else { return Ok(()) };
    let Plan { remove, pack: unpacked } = plan(aside(log).await);
    for file in remove {
        tokio::fs::remove_file(file).await.map_err(failed)?;
    }
    for file in unpacked {
        pack(&file).await.map_err(failed)?;
    }
    let now = shared.config.clock.now().strftime("%Y%m%d-%H%M%S").to_string();
    let set_aside = PathBuf::from(format!("{}.{now}", log.display()));
    tokio::fs::rename(log, &set_aside).await.map_err(failed)?;
    let request = cri::ReopenContainerLogRequest { container_id: container };
    if let Err(status) = shared.client.runtime().reopen_container_log(request).await {
        // So that it is tried again: containerd still writes into it.
        tokio::fs::rename(&set_aside, log).await.map_err(failed)?;
        return Err(status.message().to_owned());
    }
    Ok(())
}

/// The running container that writes a log.
async fn writer(shared: &Shared, log: &Path) -> Option<String> {
    for listed in shared.list(None).await.ok()? {
        if container::state(listed.state) != ContainerState::Running {
            continue;
        }
        let status = shared.raw_status(&listed.id).await.ok();
        if status.is_some_and(|status| Path::new(&status.log_path) == log) {
            return Some(listed.id);
        }
    }
    None
}

/// Packs a file, piece by piece, so that nobody else waits for it.
async fn pack(file: &Path) -> std::io::Result<()> {
    let unfinished = PathBuf::from(format!("{}{UNFINISHED}", file.display()));
    let mut from = tokio::fs::File::open(file).await?;
    let mut to = tokio::fs::File::create(&unfinished).await?;
    let mut packer = GzEncoder::new(vec![], Compression::default());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            break;
        }
        packer.write_all(&chunk[..count])?;
        to.write_all(&std::mem::take(packer.get_mut())).await?;
    }
    to.write_all(&packer.finish()?).await?;
    to.flush().await?;
    tokio::fs::rename(&unfinished, format!("{}{PACKED}", file.display())).await?;
    tokio::fs::remove_file(file).await
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| PathBuf::from(format!("/l/0.log.{name}"))).collect()
    }

    #[test]
    fn at_most_five_files_are_kept_and_what_is_half_done_goes() {
        let found = plan(paths(&["3", "2.gz", "1.gz", "2", "x.tmp"]));
        // `2` is in `2.gz` already.
        assert_eq!(found, Plan { remove: paths(&["2", "x.tmp"]), pack: paths(&["3"]) });
        let found = plan(paths(&["1.gz", "2.gz", "3.gz", "4.gz", "5"]));
        assert_eq!(found, Plan { remove: paths(&["1.gz", "2.gz"]), pack: paths(&["5"]) });
        assert_eq!(plan(vec![]), Plan::default());
    }

    #[tokio::test]
    async fn a_packed_file_has_what_the_file_had() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("0.log.1");
        let text = "2026-01-01T00:00:00Z stdout F a line\n".repeat(10_000);
        std::fs::write(&file, &text).unwrap();
        assert_eq!(aside(&directory.path().join("0.log")).await, std::slice::from_ref(&file));
        pack(&file).await.unwrap();
        assert!(!file.exists());
        let packed = std::fs::File::open(directory.path().join("0.log.1.gz")).unwrap();
        let mut back = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
    }

    #[tokio::test]
    async fn only_large_logs_are_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let container = directory.path().join("default_web_1/nginx");
        std::fs::create_dir_all(&container).unwrap();
        std::fs::write(container.join("0.log"), "small").unwrap();
        let file = std::fs::File::create(container.join("1.log")).unwrap();
        file.set_len(MAX_BYTES).unwrap();
        std::fs::File::create(container.join("1.log.20260101-000000")).unwrap().set_len(MAX_BYTES).unwrap();
        assert_eq!(large(directory.path()).await, [container.join("1.log")]);
    }
}
