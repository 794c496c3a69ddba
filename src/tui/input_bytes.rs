//! What the bytes that a terminal sends stand for: keys, the mouse, the begin of a paste. Pure.
//!
//! Used by `input` for this process's terminal, and by the shell's pane for what a command has not read.
// Models xterm's control sequences (keyboard; mouse in SGR mode).

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

/// The longest sequence that is waited for.
const MAX_SEQUENCE: usize = 64;

/// What begins a paste.
pub const PASTE_BEGIN: &[u8] = b"\x1b[200~";
/// What ends it.
pub const PASTE_END: &[u8] = b"\x1b[201~";

/// What stands at the begin of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// This, in so many bytes.
    Event(Event, usize),
    /// Nothing that is known, in so many bytes.
    Nothing(usize),
    /// The begin of something: more bytes are needed.
    More,
}

impl Parsed {
    fn key(code: KeyCode, modifiers: KeyModifiers, bytes: usize) -> Self {
        Self::Event(Event::Key(KeyEvent::new(code, modifiers)), bytes)
    }
}

/// What these bytes begin with; there is at least one.
pub fn parse(bytes: &[u8]) -> Parsed {
    let Some(first) = bytes.first() else { return Parsed::More };
    let plain = |code| Parsed::key(code, KeyModifiers::NONE, 1);
    let control = |first: char, byte: u8| {
        let letter = char::from(first as u8 + byte);
        Parsed::key(KeyCode::Char(letter), KeyModifiers::CONTROL, 1)
    };
    match *first {
        0x1b => escape(bytes),
        b'\r' => plain(KeyCode::Enter),
        b'\t' => plain(KeyCode::Tab),
        0x7f => plain(KeyCode::Backspace),
        0 => control(' ', 0),
        byte @ 1..=26 => control('a', byte - 1),
        byte @ 28..=31 => control('4', byte - 28),
        _ => character(bytes),
    }
}

fn character(bytes: &[u8]) -> Parsed {
    let most = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(most) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&most[..error.valid_up_to()]).expect("it is valid up to there")
        }
        // The rest of the character is on its way.
        Err(error) if error.error_len().is_none() => return Parsed::More,
        Err(_) => return Parsed::Nothing(1),
    };
    let c = valid.chars().next().expect("there is at least one byte, and it is valid");
    let modifiers = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    Parsed::key(KeyCode::Char(c), modifiers, c.len_utf8())
}

/// A sequence, a key with Alt, or the key Esc, which nothing follows at once.
fn escape(bytes: &[u8]) -> Parsed {
    match bytes.get(1) {
        None | Some(0x1b) => Parsed::key(KeyCode::Esc, KeyModifiers::NONE, 1),
        Some(b'[') => control_sequence(bytes),
        Some(b'O') => match bytes.get(2) {
            None => Parsed::More,
            Some(letter) => match code_of_letter(*letter) {
                Some(code) => Parsed::key(code, KeyModifiers::NONE, 3),
                None => Parsed::Nothing(3),
            },
        },
        Some(_) => match parse(&bytes[1..]) {
            Parsed::Event(Event::Key(key), count) => {
                Parsed::key(key.code, key.modifiers | KeyModifiers::ALT, count + 1)
            }
            Parsed::Event(_, count) | Parsed::Nothing(count) => Parsed::Nothing(count + 1),
            Parsed::More => Parsed::More,
        },
    }
}

fn control_sequence(bytes: &[u8]) -> Parsed {
    // Linux' own F1 to F5.
    if bytes.get(2) == Some(&b'[') {
        return match bytes.get(3) {
            None => Parsed::More,
            Some(letter @ b'A'..=b'E') => Parsed::key(KeyCode::F(letter - b'A' + 1), KeyModifiers::NONE, 4),
            Some(_) => Parsed::Nothing(4),
        };
    }
    let Some(end) = bytes[2..].iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return if bytes.len() > MAX_SEQUENCE { Parsed::Nothing(bytes.len()) } else { Parsed::More };
    };
    let (parameters, last, count) = (&bytes[2..2 + end], bytes[2 + end], end + 3);
    if !(0x40..=0x7e).contains(&last) {
        // It breaks off: what broke it is looked at by itself.
        return Parsed::Nothing(count - 1);
    }
    let parameters = String::from_utf8_lossy(parameters);
    let event = match parameters.strip_prefix('<') {
        Some(mouse) => self::mouse(mouse, last).map(Event::Mouse),
        None => key(&parameters, last).map(Event::Key),
    };
    event.map_or(Parsed::Nothing(count), |event| Parsed::Event(event, count))
}

fn code_of_letter(letter: u8) -> Option<KeyCode> {
    Some(match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P'..=b'S' => KeyCode::F(letter - b'P' + 1),
        _ => return None,
    })
}

fn code_of_number(number: u8) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number - 10),
        17..=21 => KeyCode::F(number - 11),
        23 | 24 => KeyCode::F(number - 12),
        _ => return None,
    })
}

fn key(parameters: &str, last: u8) -> Option<KeyEvent> {
    let mut numbers = parameters.split(';').map(|number| number.parse::<u8>().ok());
    let first = numbers.next().flatten();
    let code = match last {
        b'Z' => return Some(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT)),
        b'~' => code_of_number(first?)?,
        letter => code_of_letter(letter)?,
    };
    let held = numbers.next().flatten().unwrap_or(1).saturating_sub(1);
    let bits = [KeyModifiers::SHIFT, KeyModifiers::ALT, KeyModifiers::CONTROL];
    let modifiers = bits.iter().enumerate().filter(|(bit, _)| held & (1 << bit) != 0);
    Some(KeyEvent::new(code, modifiers.fold(KeyModifiers::NONE, |all, (_, one)| all | *one)))
}

fn mouse(parameters: &str, last: u8) -> Option<MouseEvent> {
    let mut numbers = parameters.split(';').map(|number| number.parse::<u16>().ok());
    let (what, column, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let button = match what & 3 {
        0 => Some(MouseButton::Left),
        1 => Some(MouseButton::Middle),
        2 => Some(MouseButton::Right),
        _ => None,
    };
    let kind = match (what & 64 != 0, what & 32 != 0, last, button) {
        (true, _, b'M', Some(MouseButton::Left)) => MouseEventKind::ScrollUp,
        (true, _, b'M', Some(MouseButton::Middle)) => MouseEventKind::ScrollDown,
        (true, ..) => return None,
        (false, true, _, None) => MouseEventKind::Moved,
        (false, true, _, Some(button)) => MouseEventKind::Drag(button),
        (false, false, b'M', Some(button)) => MouseEventKind::Down(button),
        (false, false, b'm', Some(button)) => MouseEventKind::Up(button),
        _ => return None,
    };
    let bits = [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)];
    let held = bits.iter().filter(|(bit, _)| what & bit != 0);
    let modifiers = held.fold(KeyModifiers::NONE, |all, (_, one)| all | *one);
    // The first column and row are 1.
    Some(MouseEvent { kind, column: column.checked_sub(1)?, row: row.checked_sub(1)?, modifiers })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::components::key_bytes;

    #[test]
    fn what_is_sent_for_a_key_is_that_key_again() {
        use KeyModifiers as Held;
        let keys = [
            (KeyCode::Char('x'), Held::NONE),
            (KeyCode::Char('X'), Held::SHIFT),
            (KeyCode::Char('叢'), Held::NONE),
            (KeyCode::Enter, Held::NONE),
            (KeyCode::Tab, Held::NONE),
            (KeyCode::Backspace, Held::NONE),
            (KeyCode::Esc, Held::NONE),
            (KeyCode::Up, Held::NONE),
            (KeyCode::Home, Held::NONE),
            (KeyCode::PageDown, Held::SHIFT),
            (KeyCode::Char('r'), Held::CONTROL),
            (KeyCode::Char('b'), Held::ALT),
            (KeyCode::Char('3'), Held::ALT),
            (KeyCode::Right, Held::CONTROL),
            (KeyCode::Left, Held::ALT),
            (KeyCode::Delete, Held::SHIFT | Held::ALT),
            (KeyCode::F(1), Held::NONE),
            (KeyCode::F(2), Held::SHIFT),
            (KeyCode::F(5), Held::NONE),
            (KeyCode::F(10), Held::NONE),
            (KeyCode::F(12), Held::NONE),
        ];
        for (code, modifiers) in keys {
            for application_cursor in [false, true] {
                let key = KeyEvent::new(code, modifiers);
                let bytes = key_bytes(&key, application_cursor);
                assert_eq!(parse(&bytes), Parsed::Event(Event::Key(key), bytes.len()), "{bytes:?}");
            }
        }
    }

    #[test]
    fn the_mouse_is_understood() {
        let cases: &[(&[u8], MouseEventKind, (u16, u16))] = &[
            (b"\x1b[<0;10;5M", MouseEventKind::Down(MouseButton::Left), (9, 4)),
            (b"\x1b[<0;10;5m", MouseEventKind::Up(MouseButton::Left), (9, 4)),
            (b"\x1b[<32;200;60M", MouseEventKind::Drag(MouseButton::Left), (199, 59)),
            (b"\x1b[<35;1;1M", MouseEventKind::Moved, (0, 0)),
            (b"\x1b[<64;3;4M", MouseEventKind::ScrollUp, (2, 3)),
            (b"\x1b[<65;3;4M", MouseEventKind::ScrollDown, (2, 3)),
        ];
        for (bytes, kind, (column, row)) in cases {
            let event = MouseEvent { kind: *kind, column: *column, row: *row, modifiers: KeyModifiers::NONE };
            assert_eq!(parse(bytes), Parsed::Event(Event::Mouse(event), bytes.len()));
        }
        assert_eq!(parse(b"\x1b[<0;0;0M"), Parsed::Nothing(9), "there is no column 0");
    }

    #[test]
    fn half_a_sequence_is_waited_for_and_a_broken_one_is_passed_over() {
        for bytes in [&b"\x1b["[..], b"\x1b[1;", b"\x1bO", "叢".as_bytes().split_at(2).0] {
            assert_eq!(parse(bytes), Parsed::More, "{bytes:?}");
        }
        assert_eq!(parse(b"\x1b[1;\x03"), Parsed::Nothing(4), "and Ctrl-C behind it counts");
        assert_eq!(parse(b"\xff"), Parsed::Nothing(1));
        assert_eq!(parse(&[b"\x1b[".as_slice(), &[b'1'; 80]].concat()), Parsed::Nothing(82));
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 1..80)) {
            let mut left = &bytes[..];
            while !left.is_empty() {
                match parse(left) {
                    Parsed::Event(_, taken) | Parsed::Nothing(taken) => {
                        prop_assert!((1..=left.len()).contains(&taken));
                        left = &left[taken..];
                    }
                    Parsed::More => break,
                }
            }
        }
    }
}
