//! Logs: the files that containerd writes for each container, read as lines.
//!
//! A line of a file is a time, a stream, `F` or `P` (the line goes on), and the text. A file that is followed is read
//! again when the system says that it has changed; a file that another one has replaced is read to its end first.
// Models k8s.io/cri-client/pkg/logs.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use notify::{RecursiveMode, Watcher};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::runtime::api::{LogLine, LogRequest, Result, RuntimeError};

/// How many lines wait for whoever reads.
const LINES: usize = 64;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// A longer line without an end is not from containerd.
const MAX_LINE_BYTES: usize = 1 << 20;

/// One line of a file.
fn parse(line: &[u8]) -> Option<LogLine> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let stderr = match parts.next()? {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let partial = parts.next()?.split(|byte| *byte == b':').next()? == b"P";
    let mut bytes = parts.next().unwrap_or_default().to_vec();
    if !partial {
        bytes.push(b'\n');
    }
    Some(LogLine { time, stderr, bytes: Bytes::from(bytes) })
}

/// Takes the whole lines out of a buffer.
fn take_lines(buffer: &mut Vec<u8>) -> Vec<LogLine> {
    let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
        if buffer.len() > MAX_LINE_BYTES {
            buffer.clear();
        }
        return vec![];
    };
    let rest = buffer.split_off(end + 1);
    let whole = std::mem::replace(buffer, rest);
    whole[..end].split(|byte| *byte == b'\n').filter_map(parse).collect()
}

/// The last so many whole lines: pieces of one line count once.
fn tail(lines: Vec<LogLine>, count: usize) -> Vec<LogLine> {
    let mut left = count;
    let mut start = lines.len();
    for (index, line) in lines.iter().enumerate().rev() {
        let ends = line.bytes.ends_with(b"\n") || index + 1 == lines.len();
        if ends {
            if left == 0 {
                break;
            }
            left -= 1;
        }
        start = index;
    }
    lines.into_iter().skip(start).collect()
}

/// A file that is being read.
struct Reading {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
}

impl Reading {
    async fn open(path: &Path) -> std::io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::open(path).await?, buffer: vec![] })
    }

    /// The lines that have come since.
    async fn more(&mut self) -> std::io::Result<Vec<LogLine>> {
        let mut lines = vec![];
        let mut chunk = vec![0; CHUNK_BYTES];
        if self.file.metadata().await?.len() < self.file.stream_position().await? {
            self.file.seek(SeekFrom::Start(0)).await?;
            self.buffer.clear();
        }
        loop {
            match self.file.read(&mut chunk).await? {
                0 => return Ok(lines),
                count => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    lines.extend(take_lines(&mut self.buffer));
                }
            }
        }
    }

    /// Whether another file has the name now.
    async fn is_replaced(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let (Ok(own), Ok(there)) = (self.file.metadata().await, tokio::fs::metadata(&self.path).await) else {
            return false;
        };
        own.ino() != there.ino()
    }
}

/// Reads a container's log. `ended` is when its process has ended and nothing more is written.
pub(super) async fn read(
    path: &Path,
    request: LogRequest,
    ended: CancellationToken,
) -> Result<BoxStream<'static, LogLine>> {
    let failed =
        |error: std::io::Error| RuntimeError::Other(format!("failed to read {}: {error}", path.display()));
    // Told of changes before the first look, so that none is missed.
    let changes = request.follow.then(|| Changes::of(path)).transpose().map_err(failed)?;
    let mut reading = Reading::open(path).await.map_err(failed)?;
    let mut lines = reading.more().await.map_err(failed)?;
    if let Some(since) = request.since {
        lines.retain(|line| line.time >= since);
    }
    if let Some(count) = request.tail {
        lines = tail(lines, count);
    }
    let Some(changes) = changes else { return Ok(futures::stream::iter(lines).boxed()) };
    let (sender, receiver) = mpsc::channel(LINES);
    let first = futures::stream::iter(lines);
    tokio::spawn(follow(reading, changes, ended, sender));
    let later = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|line| (line, receiver))
    });
    Ok(first.chain(later).boxed())
}

/// Told by the system when something in a file's directory changes.
struct Changes {
    told: mpsc::Receiver<()>,
    _watcher: notify::RecommendedWatcher,
}

impl Changes {
    fn of(path: &Path) -> std::io::Result<Self> {
        let (sender, told) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |_: notify::Result<notify::Event>| {
            // A word that was not heard yet says the same.
            let _ = sender.try_send(());
        })
        .map_err(std::io::Error::other)?;
        let directory = path.parent().unwrap_or(path);
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(std::io::Error::other)?;
        Ok(Self { told, _watcher: watcher })
    }
}

async fn follow(
    mut reading: Reading,
    mut changes: Changes,
    ended: CancellationToken,
    sender: mpsc::Sender<LogLine>,
) {
    loop {
        // Asked first: what was written before the end is still read.
        let last = ended.is_cancelled();
        let replaced = reading.is_replaced().await;
        let Ok(lines) = reading.more().await else { return };
        for line in lines {
            if sender.send(line).await.is_err() {
                return;
            }
        }
        if replaced {
            let Ok(next) = Reading::open(&reading.path).await else { return };
            reading = next;
            continue;
        }
        if last {
            return;
        }
        tokio::select! { biased;
            () = sender.closed() => return,
            () = ended.cancelled() => {}
            told = changes.told.recv() => if told.is_none() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const FILE: &str = "2026-01-01T00:00:00.1Z stdout F one\n2026-01-01T00:00:01.1Z stderr P tw\n\
                        2026-01-01T00:00:01.2Z stderr F o\n2026-01-01T00:00:02.1Z stdout F three\n";

    fn text(lines: &[LogLine]) -> String {
        lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    #[test]
    fn lines_come_in_pieces_and_whole() {
        let mut buffer = [FILE.as_bytes(), b"2026-01-01T00:00"].concat();
        let lines = take_lines(&mut buffer);
        assert_eq!(text(&lines), "one\ntwo\nthree\n");
        assert_eq!(lines.iter().map(|line| line.stderr).collect::<Vec<_>>(), [false, true, true, false]);
        assert_eq!(buffer, b"2026-01-01T00:00");
        assert_eq!(text(&tail(lines.clone(), 2)), "two\nthree\n");
        assert_eq!(text(&tail(lines, 0)), "");
    }

    #[tokio::test]
    async fn a_log_is_followed_into_its_next_file_until_the_container_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        std::fs::write(&path, FILE).unwrap();
        let all =
            read(&path, LogRequest { tail: Some(1), ..LogRequest::default() }, CancellationToken::new());
        assert_eq!(text(&all.await.unwrap().collect::<Vec<_>>().await), "three\n");
        let ended = CancellationToken::new();
        let request = LogRequest { follow: true, tail: Some(0), since: None };
        let mut lines = read(&path, request, ended.clone()).await.unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "2026-01-01T00:00:03Z stdout F four").unwrap();
        assert_eq!(&lines.next().await.unwrap().bytes[..], b"four\n");
        std::fs::rename(&path, directory.path().join("0.log.1")).unwrap();
        writeln!(file, "2026-01-01T00:00:04Z stdout F five").unwrap();
        std::fs::write(&path, "2026-01-01T00:00:05Z stdout F six\n").unwrap();
        assert_eq!(&lines.next().await.unwrap().bytes[..], b"five\n");
        assert_eq!(&lines.next().await.unwrap().bytes[..], b"six\n");
        ended.cancel();
        assert!(lines.next().await.is_none());
        assert!(read(&directory.path().join("no"), LogRequest::default(), ended).await.is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_line_breaks_it(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = take_lines(&mut bytes.clone());
        }
    }
}
