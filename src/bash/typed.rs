//! What was typed at a terminal and is not read yet: the queue between a person's keys and a program.
//!
//! Whoever owns the terminal pushes keys; `tty`'s line discipline makes lines of them; the program takes lines. What is left
//! when the program has ended is the owner's again, to be typed at whatever comes next.
// Models Linux' n_tty, whose input queue outlives the program that had the terminal.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

/// How many bytes of finished lines wait for the program.
const FINISHED_BYTES: usize = 64 * 1024;
/// How many bytes wait in all before no more are taken.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The queue. Cheap to clone; all clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Typed(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    /// What the program may read, oldest first.
    finished: VecDeque<u8>,
    /// After so many bytes of `finished` the input ends for the program.
    ends_after: Option<usize>,
    /// The line that is being typed.
    line: Vec<u8>,
    /// What the line discipline has not come to.
    keys: VecDeque<u8>,
    /// Nothing is taken any more.
    closed: bool,
    program: Option<Waker>,
    discipline: Option<Waker>,
}

impl Typed {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // For the terminal's owner

    /// Types bytes. `false`: too much waits unread, and these are not taken.
    pub fn push(&self, bytes: &[u8]) -> bool {
        let mut queue = self.lock();
        if queue.closed {
            return true;
        }
        if queue.keys.len() + queue.finished.len() + bytes.len() > MAX_BYTES {
            return false;
        }
        queue.keys.extend(bytes);
        wake(&mut queue.discipline);
        true
    }

    /// Whether so much waits that the next key, even Ctrl-C, may have to wait behind what nobody reads.
    pub fn is_stuck(&self) -> bool {
        let queue = self.lock();
        queue.keys.len() + queue.finished.len() >= FINISHED_BYTES
    }

    /// Forgets what is not read.
    pub fn clear(&self) {
        let mut queue = self.lock();
        queue.forget();
        queue.keys.clear();
    }

    /// Takes back what is not read, in the order in which it was typed. From now on nothing is taken or given out.
    pub fn close(&self) -> Vec<u8> {
        let mut queue = self.lock();
        queue.closed = true;
        wake(&mut queue.discipline);
        wake(&mut queue.program);
        let mut unread: Vec<u8> = std::mem::take(&mut queue.finished).into();
        unread.append(&mut queue.line);
        unread.extend(std::mem::take(&mut queue.keys));
        unread
    }

    // For the line discipline

    /// Waits until there are keys and room for what they lead to, and takes one that `stands_alone`, or as many others as
    /// there are up to a limit: a paste is thousands. `None`: the queue is closed.
    pub(super) async fn next_keys(
        &self,
        stands_alone: impl Fn(u8) -> bool,
        at_most: usize,
    ) -> Option<Vec<u8>> {
        poll_fn(|context| {
            let mut queue = self.lock();
            if queue.closed {
                return Poll::Ready(None);
            }
            if queue.keys.is_empty() || queue.finished.len() >= FINISHED_BYTES {
                return wait(&mut queue.discipline, context);
            }
            let others = queue.keys.iter().take(at_most).take_while(|byte| !stands_alone(**byte)).count();
            Poll::Ready(Some(queue.keys.drain(..others.max(1)).collect()))
        })
        .await
    }

    /// Whether no keys wait.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().keys.is_empty()
    }

    /// Adds to the line that is being typed, and returns its length.
    pub(super) fn add(&self, bytes: &[u8]) -> usize {
        let mut queue = self.lock();
        queue.line.extend(bytes);
        queue.line.len()
    }

    /// Takes the last character off the line. `false`: there is none.
    pub(super) fn erase(&self) -> bool {
        let line = &mut self.lock().line;
        let mut last = line.pop();
        let any = last.is_some();
        // The rest of a character of several bytes.
        while last.is_some_and(|byte| byte & 0xc0 == 0x80) {
            last = line.pop();
        }
        any
    }

    /// The line that is being typed.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(&self.lock().line).into_owned()
    }

    /// Hands the line to the program.
    pub(super) fn finish(&self) {
        let mut queue = self.lock();
        if !queue.closed {
            let line = std::mem::take(&mut queue.line);
            queue.finished.extend(line);
            wake(&mut queue.program);
        }
    }

    /// Ends the program's input behind what it was handed.
    pub(super) fn end(&self) {
        let mut queue = self.lock();
        let after = queue.finished.len();
        queue.ends_after.get_or_insert(after);
        wake(&mut queue.program);
    }

    /// A signal was typed: what came before it is not read any more.
    pub(super) fn flush(&self) {
        self.lock().forget();
    }

    // For the program

    /// Reads what was handed on: at most one line if `by_lines`, as a program at a terminal gets them. Reads nothing at the
    /// end of input.
    pub(super) fn poll_read(
        &self,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
        by_lines: bool,
    ) -> Poll<()> {
        let mut queue = self.lock();
        if !by_lines {
            // A line that was begun before the program took the keys one by one.
            let line = std::mem::take(&mut queue.line);
            queue.finished.extend(line);
        }
        let until_end = queue.ends_after.unwrap_or(usize::MAX);
        if queue.closed || until_end == 0 {
            return Poll::Ready(());
        }
        if queue.finished.is_empty() {
            return wait(&mut queue.program, context);
        }
        let at_most = buffer.remaining().min(queue.finished.len()).min(until_end);
        let line = queue.finished.iter().take(at_most).position(|byte| *byte == b'\n' && by_lines);
        let count = line.map_or(at_most, |end| end + 1);
        for byte in queue.finished.drain(..count) {
            buffer.put_slice(&[byte]);
        }
        queue.ends_after = queue.ends_after.map(|after| after - count);
        wake(&mut queue.discipline);
        Poll::Ready(())
    }
}

impl Queue {
    /// Forgets what the discipline has come to.
    fn forget(&mut self) {
        self.finished.clear();
        self.line.clear();
        if let Some(after) = &mut self.ends_after {
            *after = 0;
        }
        wake(&mut self.discipline);
        wake(&mut self.program);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn wait<T>(waker: &mut Option<Waker>, context: &Context<'_>) -> Poll<T> {
    *waker = Some(context.waker().clone());
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &Typed, by_lines: bool) -> Option<String> {
        let mut bytes = [0; 16];
        let mut buffer = ReadBuf::new(&mut bytes);
        let polled = typed.poll_read(&Context::from_waker(Waker::noop()), &mut buffer, by_lines);
        polled.is_ready().then(|| String::from_utf8_lossy(buffer.filled()).into_owned())
    }

    /// Types it and does with it what a discipline does with plain letters.
    async fn typed(text: &str) -> Typed {
        let typed = Typed::default();
        assert!(typed.push(text.as_bytes()));
        while !typed.is_empty() {
            let keys = typed.next_keys(|byte| byte == b'\n', 100).await.unwrap();
            typed.add(&keys);
            if keys == b"\n" {
                typed.finish();
            }
        }
        typed
    }

    #[tokio::test]
    async fn a_program_gets_one_line_a_read_and_the_rest_comes_back() {
        let typed = typed("one\ntwo\nthr").await;
        typed.push("ee叢".as_bytes());
        assert_eq!(read(&typed, true).unwrap(), "one\n");
        assert_eq!(typed.close(), "two\nthree叢".as_bytes());
        assert_eq!(read(&typed, true).unwrap(), "", "whoever still reads finds the end");
        assert_eq!(typed.next_keys(|_| false, 100).await, None);
        assert!(typed.push(b"x"), "and what is typed at nobody is nobody's");
        assert_eq!(typed.close(), b"");
    }

    #[tokio::test]
    async fn the_end_of_input_comes_behind_what_was_typed_before_it() {
        let typed = typed("a\n").await;
        typed.end();
        typed.add(b"b");
        typed.finish();
        assert_eq!(read(&typed, false).unwrap(), "a\n");
        assert_eq!(read(&typed, false).unwrap(), "");
        assert_eq!(read(&typed, false).unwrap(), "");
        assert_eq!(typed.close(), b"b", "what was typed after it is for the next one");
    }

    #[tokio::test]
    async fn a_program_that_wants_single_keys_gets_those_of_a_line_that_was_begun() {
        let typed = typed("x").await;
        assert_eq!(read(&typed, true), None);
        assert_eq!(read(&typed, false).unwrap(), "x");
    }

    #[tokio::test]
    async fn a_signal_drops_what_was_typed_before_it() {
        let typed = typed("a\nb").await;
        typed.flush();
        assert_eq!(read(&typed, true), None);
        assert_eq!(typed.close(), b"");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_says_when_nothing_goes_on() {
        let typed = typed(&"x\n".repeat(FINISHED_BYTES / 2 - 1)).await;
        assert!(!typed.is_stuck());
        typed.push(b"x\nx\n");
        assert!(typed.is_stuck());
        assert!(!typed.push(&vec![b'x'; MAX_BYTES]));
        typed.clear();
        assert!(!typed.is_stuck());
        assert!(typed.push(&vec![b'x'; MAX_BYTES]));
    }
}
