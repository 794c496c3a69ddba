//! What commands printed, as a terminal emulator shows it, and laid out anew when the width changes.

use std::num::NonZeroU16;

/// How many rows that have left the screen are kept.
const SCROLLBACK: usize = 5000;
/// How much of what was printed is kept to be laid out anew.
const KEPT_BYTES: usize = 128 * 1024;

/// The emulator and the newest bytes that it was given.
pub(super) struct Printed {
    parser: vt100::Parser,
    kept: Vec<u8>,
}

fn parser((columns, rows): (u16, u16)) -> vt100::Parser {
    vt100::Parser::new(at_least_one(rows), at_least_one(columns), SCROLLBACK)
}

fn at_least_one(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN)
}

impl Printed {
    /// Nothing yet, on so many columns and rows.
    pub(super) fn new(size: (u16, u16)) -> Self {
        Self { parser: parser(size), kept: vec![] }
    }

    /// What is seen.
    pub(super) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Sees rows that so many rows ago were the newest.
    pub(super) fn look_back(&mut self, rows: usize) {
        self.parser.screen_mut().set_scrollback(rows);
    }

    /// Takes in bytes, and keeps the newest of them from the beginning of a line.
    pub(super) fn process(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > 2 * KEPT_BYTES {
            let from = self.kept.len() - KEPT_BYTES;
            let line =
                self.kept[from..].iter().position(|byte| *byte == b'\n').map_or(from, |at| from + at + 1);
            self.kept.drain(..line);
        }
    }

    /// Goes to the next row unless this one is empty.
    pub(super) fn fresh_line(&mut self) {
        if self.screen().cursor_position().1 > 0 {
            self.process(b"\r\n");
        }
    }

    /// Takes the screen back from a program that may have been killed: its colours, modes and its own screen go.
    pub(super) fn take_back(&mut self) {
        if self.screen().alternate_screen() {
            self.process(b"\x1b[r\x1b[?1049l");
        }
        self.process(b"\x1b[0m\x1b[?25h\x1b[?1l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l");
        self.fresh_line();
        self.process(b"\x1b[J");
    }

    /// Lays everything out for another size.
    pub(super) fn resize(&mut self, size: (u16, u16)) {
        self.look_back(0);
        if self.screen().alternate_screen() {
            // The program draws itself anew.
            self.parser.set_size(at_least_one(size.1), at_least_one(size.0));
        } else {
            self.parser = parser(size);
            self.parser.process(&self.kept);
        }
    }
}
