//! The bytes that a terminal sends for a key: for programs that run in the pane.
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

#[cfg(test)]
mod tests {
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
}
