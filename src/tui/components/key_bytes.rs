//! The bytes that a terminal sends for a key, for programs that run in the pane; and the keys that bytes stand for, for what
//! such a program has not read.
// Models xterm's keyboard (normal and application cursor keys).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The bytes of a key; none for keys that no program expects.
pub fn key_bytes(key: &KeyEvent, application_cursor: bool) -> Vec<u8> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let mut bytes = match key.code {
        KeyCode::Char(c) if control => match control_byte(c) {
            Some(byte) => vec![byte],
            None => return vec![],
        },
        KeyCode::Char(c) => c.to_string().into_bytes(),
        KeyCode::Enter => vec![b'\r'],
        KeyCode::Tab => vec![b'\t'],
        KeyCode::Backspace => vec![0x7f],
        KeyCode::Esc => vec![0x1b],
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        code => return special(code, key.modifiers, application_cursor),
    };
    if key.modifiers.contains(KeyModifiers::ALT) {
        bytes.insert(0, 0x1b);
    }
    bytes
}

fn control_byte(c: char) -> Option<u8> {
    match c.to_ascii_lowercase() {
        c @ 'a'..='z' => Some(c as u8 - b'a' + 1),
        ' ' | '@' | '2' => Some(0),
        '[' | '3' => Some(0x1b),
        '\\' | '4' => Some(0x1c),
        ']' | '5' => Some(0x1d),
        '^' | '6' => Some(0x1e),
        '_' | '7' | '/' => Some(0x1f),
        '?' | '8' => Some(0x7f),
        _ => None,
    }
}

fn special(code: KeyCode, modifiers: KeyModifiers, application_cursor: bool) -> Vec<u8> {
    let held = 1
        + u8::from(modifiers.contains(KeyModifiers::SHIFT))
        + 2 * u8::from(modifiers.contains(KeyModifiers::ALT))
        + 4 * u8::from(modifiers.contains(KeyModifiers::CONTROL));
    let letter = |letter: char| match (held, application_cursor) {
        (1, true) => format!("\x1bO{letter}"),
        (1, false) => format!("\x1b[{letter}"),
        _ => format!("\x1b[1;{held}{letter}"),
    };
    let number =
        |number: u8| if held == 1 { format!("\x1b[{number}~") } else { format!("\x1b[{number};{held}~") };
    let text = match code {
        KeyCode::Up => letter('A'),
        KeyCode::Down => letter('B'),
        KeyCode::Right => letter('C'),
        KeyCode::Left => letter('D'),
        KeyCode::End => letter('F'),
        KeyCode::Home => letter('H'),
        KeyCode::Insert => number(2),
        KeyCode::Delete => number(3),
        KeyCode::PageUp => number(5),
        KeyCode::PageDown => number(6),
        KeyCode::F(n @ 1..=4) if held == 1 => format!("\x1bO{}", char::from(b'P' + n - 1)),
        KeyCode::F(n @ 1..=4) => format!("\x1b[1;{held}{}", char::from(b'P' + n - 1)),
        KeyCode::F(n @ 5..=12) => number([15, 17, 18, 19, 20, 21, 23, 24][usize::from(n - 5)]),
        _ => return vec![],
    };
    text.into_bytes()
}

/// The first key of these bytes, and how many of them it takes. No key: bytes that stand for none.
pub fn next_key(bytes: &[u8]) -> (Option<KeyEvent>, usize) {
    let Some(first) = bytes.first() else { return (None, 0) };
    let plain = |code| Some(KeyEvent::new(code, KeyModifiers::NONE));
    match first {
        0x1b => escape(bytes),
        b'\r' | b'\n' => (plain(KeyCode::Enter), 1),
        b'\t' => (plain(KeyCode::Tab), 1),
        0x7f => (plain(KeyCode::Backspace), 1),
        byte @ 1..=26 => {
            (Some(KeyEvent::new(KeyCode::Char(char::from(b'a' + byte - 1)), KeyModifiers::CONTROL)), 1)
        }
        0..=31 => (None, 1),
        _ => match character(bytes) {
            Some(c) => (plain(KeyCode::Char(c)), c.len_utf8()),
            None => (None, 1),
        },
    }
}

fn character(bytes: &[u8]) -> Option<char> {
    let most = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(most) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&most[..error.valid_up_to()]).ok()?,
    };
    valid.chars().next()
}

/// A key that begins with an escape.
fn escape(bytes: &[u8]) -> (Option<KeyEvent>, usize) {
    let plain = |code| Some(KeyEvent::new(code, KeyModifiers::NONE));
    match bytes.get(1) {
        None => (plain(KeyCode::Esc), 1),
        Some(b'[' | b'O') => {
            let Some(end) = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
                return (None, bytes.len());
            };
            let (parameters, last) = (&bytes[2..2 + end], bytes[2 + end]);
            (sequence(&String::from_utf8_lossy(parameters), last), 3 + end)
        }
        Some(_) => match character(&bytes[1..]) {
            Some(c) if !c.is_control() => {
                (Some(KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT)), 1 + c.len_utf8())
            }
            Some('\x7f') => (Some(KeyEvent::new(KeyCode::Backspace, KeyModifiers::ALT)), 2),
            _ => (plain(KeyCode::Esc), 1),
        },
    }
}

fn sequence(parameters: &str, last: u8) -> Option<KeyEvent> {
    let mut numbers = parameters.split(';').map(|number| number.parse::<u8>().ok());
    let first = numbers.next().flatten();
    let code = match (last, first) {
        (b'A', _) => KeyCode::Up,
        (b'B', _) => KeyCode::Down,
        (b'C', _) => KeyCode::Right,
        (b'D', _) => KeyCode::Left,
        (b'F', _) => KeyCode::End,
        (b'H', _) => KeyCode::Home,
        (b'Z', _) => KeyCode::BackTab,
        (b'~', Some(2)) => KeyCode::Insert,
        (b'~', Some(3)) => KeyCode::Delete,
        (b'~', Some(5)) => KeyCode::PageUp,
        (b'~', Some(6)) => KeyCode::PageDown,
        _ => return None,
    };
    let held = numbers.next().flatten().unwrap_or(1).saturating_sub(1);
    let bits = [KeyModifiers::SHIFT, KeyModifiers::ALT, KeyModifiers::CONTROL];
    let modifiers = bits.iter().enumerate().filter(|(bit, _)| held & (1 << bit) != 0);
    Some(KeyEvent::new(code, modifiers.fold(KeyModifiers::NONE, |all, (_, one)| all | *one)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_sent_as_xterm_sends_them() {
        let cases: &[(KeyCode, KeyModifiers, &[u8])] = &[
            (KeyCode::Char('c'), KeyModifiers::CONTROL, b"\x03"),
            (KeyCode::Char('x'), KeyModifiers::ALT, b"\x1bx"),
            (KeyCode::Char('叢'), KeyModifiers::NONE, "叢".as_bytes()),
            (KeyCode::Enter, KeyModifiers::NONE, b"\r"),
            (KeyCode::Up, KeyModifiers::NONE, b"\x1b[A"),
            (KeyCode::Right, KeyModifiers::CONTROL, b"\x1b[1;5C"),
            (KeyCode::Delete, KeyModifiers::NONE, b"\x1b[3~"),
            (KeyCode::F(1), KeyModifiers::NONE, b"\x1bOP"),
            (KeyCode::F(5), KeyModifiers::NONE, b"\x1b[15~"),
        ];
        for (code, modifiers, bytes) in cases {
            assert_eq!(key_bytes(&KeyEvent::new(*code, *modifiers), false), *bytes, "{code:?}");
        }
        assert_eq!(key_bytes(&KeyEvent::new(KeyCode::Up, KeyModifiers::NONE), true), b"\x1bOA");
    }

    #[test]
    fn what_is_sent_for_a_key_is_that_key_again() {
        let codes = [
            KeyCode::Char('x'),
            KeyCode::Char('叢'),
            KeyCode::Enter,
            KeyCode::Tab,
            KeyCode::Backspace,
            KeyCode::Esc,
            KeyCode::Up,
            KeyCode::Left,
            KeyCode::Home,
            KeyCode::Delete,
            KeyCode::PageDown,
        ];
        for code in codes {
            for application_cursor in [false, true] {
                let key = KeyEvent::new(code, KeyModifiers::NONE);
                let bytes = key_bytes(&key, application_cursor);
                assert_eq!(next_key(&bytes), (Some(key), bytes.len()));
            }
        }
        for (code, modifiers) in [
            (KeyCode::Char('r'), KeyModifiers::CONTROL),
            (KeyCode::Char('b'), KeyModifiers::ALT),
            (KeyCode::Right, KeyModifiers::CONTROL),
            (KeyCode::Delete, KeyModifiers::SHIFT | KeyModifiers::ALT),
        ] {
            let key = KeyEvent::new(code, modifiers);
            let bytes = key_bytes(&key, false);
            assert_eq!(next_key(&bytes), (Some(key), bytes.len()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut left = &bytes[..];
            while !left.is_empty() {
                let (_, taken) = next_key(left);
                prop_assert!((1..=left.len()).contains(&taken));
                left = &left[taken..];
            }
        }
    }
}
