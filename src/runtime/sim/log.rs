//! What a container wrote, line by line with the time, for `kubectl logs`.
//!
//! A log keeps its newest [`MAX_BYTES`]; older lines go, as they do when a real log file is rotated.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use crate::clock::Clock;
use crate::runtime::api::{LogLine, LogRequest};
use crate::watch;

/// The most that a log holds: the kubelet's `containerLogMaxSize`.
const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The longest line; a longer one is cut into several, as containerd does.
const MAX_LINE_BYTES: usize = 16 * 1024;

#[derive(Default)]
struct State {
    lines: VecDeque<LogLine>,
    /// How many lines have been dropped from the front.
    dropped: u64,
    bytes: usize,
    /// What has been written without a newline yet: standard output, standard error.
    partial: [Vec<u8>; 2],
}

/// A container's log. Cheap to clone.
#[derive(Clone)]
pub(super) struct ContainerLog {
    clock: Clock,
    state: Arc<Mutex<State>>,
    /// Whether it is closed; changes with every line.
    changes: Arc<watch::Sender<bool>>,
}

impl ContainerLog {
    /// An empty log.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default(), changes: Arc::new(watch::Sender::new(false)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the process wrote.
    pub(super) fn write(&self, stderr: bool, bytes: &[u8]) {
        let now = self.clock.now();
        let mut state = self.lock();
        let mut partial = std::mem::take(&mut state.partial[usize::from(stderr)]);
        partial.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(length) = line_length(&partial[start..]) {
            state.push(LogLine {
                time: now,
                stderr,
                bytes: Bytes::copy_from_slice(&partial[start..start + length]),
            });
            start += length;
        }
        partial.drain(..start);
        state.partial[usize::from(stderr)] = partial;
        drop(state);
        if start > 0 {
            self.changes.send_modify(|_| {});
        }
    }

    /// Takes the unfinished lines too; nothing more will be written.
    pub(super) fn close(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        for (stderr, partial) in std::mem::take(&mut state.partial).into_iter().enumerate() {
            if !partial.is_empty() {
                state.push(LogLine { time: now, stderr: stderr == 1, bytes: partial.into() });
            }
        }
        drop(state);
        self.changes.send_modify(|closed| *closed = true);
    }

    /// The lines that were asked for, and with `follow` those to come until the log is closed.
    pub(super) fn read(&self, request: &LogRequest) -> BoxStream<'static, LogLine> {
        let since = request.since;
        let wanted = move |line: &LogLine| since.is_none_or(|since| line.time >= since);
        let (first, next) = {
            let state = self.lock();
            let lines: Vec<LogLine> = state.lines.iter().filter(|line| wanted(line)).cloned().collect();
            let skip = request.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
            (lines.into_iter().skip(skip).collect::<Vec<_>>(), state.dropped + state.lines.len() as u64)
        };
        let first = stream::iter(first);
        if !request.follow {
            return first.boxed();
        }
        let more = stream::unfold(
            (self.clone(), self.changes.subscribe(), next),
            |(log, mut changes, next)| async move {
                loop {
                    let closed = *changes.borrow_and_update();
                    if let Some((line, at)) = log.line(next) {
                        return Some((line, (log, changes, at + 1)));
                    }
                    if closed || changes.changed().await.is_err() {
                        return None;
                    }
                }
            },
        );
        first.chain(more.filter(move |line| std::future::ready(wanted(line)))).boxed()
    }

    /// The line with number `at`, or the oldest one kept if that is gone; with its number.
    fn line(&self, at: u64) -> Option<(LogLine, u64)> {
        let state = self.lock();
        let at = at.max(state.dropped);
        let index = usize::try_from(at - state.dropped).ok()?;
        Some((state.lines.get(index)?.clone(), at))
    }
}

impl State {
    fn push(&mut self, line: LogLine) {
        self.bytes += line.bytes.len();
        self.lines.push_back(line);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.bytes.len();
            self.dropped += 1;
        }
    }
}

/// How long the first line is, if it is whole or too long to wait for its end.
fn line_length(bytes: &[u8]) -> Option<usize> {
    let window = &bytes[..bytes.len().min(MAX_LINE_BYTES)];
    match window.iter().position(|byte| *byte == b'\n') {
        Some(end) => Some(end + 1),
        None => (bytes.len() >= MAX_LINE_BYTES).then_some(MAX_LINE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn text(log: &ContainerLog, request: LogRequest) -> String {
        let lines: Vec<LogLine> = log.read(&request).collect().await;
        lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_kept_whole_and_can_be_cut_by_number_and_time() {
        let clock = Clock::virtual_time();
        let log = ContainerLog::new(clock.clone());
        log.write(false, b"one\ntw");
        clock.sleep(Duration::from_secs(5)).await;
        let later = clock.now();
        log.write(false, b"o\nthree\nend");
        assert_eq!(text(&log, LogRequest::default()).await, "one\ntwo\nthree\n");
        log.close();
        assert_eq!(text(&log, LogRequest { tail: Some(2), ..LogRequest::default() }).await, "three\nend");
        assert_eq!(
            text(&log, LogRequest { since: Some(later), ..LogRequest::default() }).await,
            "two\nthree\nend"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn following_ends_when_the_container_does() {
        let clock = Clock::virtual_time();
        let log = ContainerLog::new(clock.clone());
        log.write(true, b"before\n");
        let follower = tokio::spawn({
            let log = log.clone();
            async move { text(&log, LogRequest { follow: true, tail: Some(0), ..LogRequest::default() }).await }
        });
        clock.sleep(Duration::from_secs(1)).await;
        log.write(false, b"after\n");
        log.close();
        assert_eq!(follower.await.unwrap(), "after\n");
    }

    #[test]
    fn an_old_log_loses_its_beginning() {
        let state = &mut State::default();
        let line = || LogLine {
            time: crate::clock::VIRTUAL_START,
            stderr: false,
            bytes: vec![b'x'; 1 << 20].into(),
        };
        (0..12).for_each(|_| state.push(line()));
        assert_eq!((state.lines.len(), state.dropped), (10, 2));
    }
}
