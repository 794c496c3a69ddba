//! What the learner does at this process's terminal: keys, the mouse, pastes, and another size.
//!
//! Not crossterm's event stream: that one takes in a kilobyte at a time and hears of the rest only with the next key, so that
//! the end of a long paste without brackets stays away, and a Ctrl-C behind it.

use std::collections::VecDeque;
use std::io;

use crossterm::event::Event;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::input_bytes::{PASTE_BEGIN, PASTE_END, Parsed, parse};
use crate::bash::TtyInput;

/// How many bytes are taken in at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// The longest paste that is kept; of a longer one the begin is.
const MAX_PASTE: usize = 16 * 1024 * 1024;

/// The terminal's events.
pub struct Input {
    terminal: TtyInput,
    resized: Signal,
    bytes: Bytes,
    chunk: Vec<u8>,
}

impl Input {
    /// Reads this process's terminal.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminal: TtyInput::open()?,
            resized: signal(SignalKind::window_change())?,
            bytes: Bytes::default(),
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    /// Waits for the next event. `None`: the terminal is gone. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(event) = self.bytes.next() {
                return Ok(Some(event));
            }
            let count = tokio::select! { biased;
                count = self.terminal.read(&mut self.chunk) => count?,
                _ = self.resized.recv() => {
                    let (columns, rows) = crossterm::terminal::size()?;
                    return Ok(Some(Event::Resize(columns, rows)));
                }
            };
            if count == 0 {
                return Ok(None);
            }
            self.bytes.add(&self.chunk[..count]);
        }
    }

    /// The next event of those that have come with it.
    pub fn waiting(&mut self) -> Option<Event> {
        self.bytes.next()
    }
}

/// Bytes that have come, and the paste that is on its way.
#[derive(Debug, Default)]
struct Bytes {
    bytes: VecDeque<u8>,
    paste: Option<Vec<u8>>,
}

impl Bytes {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            if self.paste.is_some() {
                return self.end_of_paste().map(Event::Paste);
            }
            let bytes = self.bytes.make_contiguous();
            if bytes.is_empty() {
                return None;
            }
            if bytes.starts_with(PASTE_BEGIN) {
                self.bytes.drain(..PASTE_BEGIN.len());
                self.paste = Some(vec![]);
                continue;
            }
            match parse(bytes) {
                Parsed::Event(event, count) => {
                    self.bytes.drain(..count);
                    return Some(event);
                }
                Parsed::Nothing(count) => drop(self.bytes.drain(..count)),
                Parsed::More => return None,
            }
        }
    }

    /// Takes in what has come of a paste; the whole of it when its end has come.
    fn end_of_paste(&mut self) -> Option<String> {
        let paste = self.paste.as_mut()?;
        let bytes = self.bytes.make_contiguous();
        let end = bytes.windows(PASTE_END.len()).position(|window| window == PASTE_END);
        // Without the end, its first bytes may be the last that are here.
        let count = end.unwrap_or((bytes.len() + 1).saturating_sub(PASTE_END.len()));
        let room = MAX_PASTE - paste.len();
        paste.extend(&bytes[..count.min(room)]);
        self.bytes.drain(..count);
        end?;
        self.bytes.drain(..PASTE_END.len());
        self.paste.take().map(|paste| String::from_utf8_lossy(&paste).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use proptest::prelude::*;

    use super::*;

    fn events(bytes: &mut Bytes) -> Vec<Event> {
        std::iter::from_fn(|| bytes.next()).collect()
    }

    fn key(c: char) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))
    }

    #[test]
    fn a_key_that_comes_in_pieces_is_one_key() {
        let mut bytes = Bytes::default();
        for piece in [&b"\x1b["[..], b"1", b";5"] {
            bytes.add(piece);
            assert_eq!(events(&mut bytes), []);
        }
        bytes.add(b"Cx");
        let right = Event::Key(KeyEvent::new(KeyCode::Right, KeyModifiers::CONTROL));
        assert_eq!(events(&mut bytes), [right, key('x')]);
    }

    proptest! {
        #[test]
        fn a_paste_is_whole_however_it_comes(text in "[a-z\n叢\x1b\\[201]{0,60}", piece in 1usize..20) {
            prop_assume!(!text.contains("\x1b[201~"));
            let (mut bytes, mut found) = (Bytes::default(), vec![]);
            bytes.add(PASTE_BEGIN);
            for piece in format!("{text}\x1b[201~y").as_bytes().chunks(piece) {
                bytes.add(piece);
                found.extend(events(&mut bytes));
            }
            let last = found.pop();
            prop_assert_eq!(last, Some(key('y')));
            prop_assert_eq!(found.pop(), Some(Event::Paste(text)));
        }
    }
}
