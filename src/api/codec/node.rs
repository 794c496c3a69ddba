//! A JSON reader that sees what `serde_json` hides: repeated keys and how numbers were written. Errors are in the words of
//! Go's `encoding/json`, since they reach clients.
//!
//! `decode` walks the [`Node`]s by the schema; `yaml` makes the same nodes from YAML.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Deeper nesting is refused: far more than any object of the API has, and safe for a recursive reader.
pub(super) const MAX_DEPTH: usize = 256;

/// A JSON value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    /// The literal, like `1e3`.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    /// In the order of the text, repeated keys included.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// The value, the last of repeated keys.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Number(literal) => number(literal),
            Self::String(text) => Value::String(text.clone().into_owned()),
            Self::Array(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Self::Object(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.clone().into_owned(), node.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The last entry of that name in an object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().rev().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }
}

/// A number: whole if it was written so and fits, else a float, as `UnmarshalCaseSensitivePreserveInts` has it.
pub(super) fn number(literal: &str) -> Value {
    if let Ok(whole) = literal.parse::<i64>() {
        return whole.into();
    }
    // Beyond the largest float Go refuses; the largest float is what comes closest.
    let float: f64 = literal.parse().unwrap_or(0.0);
    float.clamp(f64::MIN, f64::MAX).into()
}

/// Reads one JSON text.
pub(super) fn read(text: &[u8]) -> Result<Node<'_>, String> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let node = reader.value()?;
    match reader.peek_token() {
        None => Ok(node),
        Some(byte) => Err(invalid(byte, "after top-level value")),
    }
}

fn invalid(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => "\\'".to_owned(),
        b'"' => "\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        0x08 => "\\b".to_owned(),
        0x0c => "\\f".to_owned(),
        0x07 => "\\a".to_owned(),
        0x0b => "\\v".to_owned(),
        0..0x20 | 0x7f => format!("\\x{byte:02x}"),
        0x80..0xa0 => format!("\\u{:04x}", u32::from(byte)),
        _ => char::from(byte).to_string(),
    };
    format!("invalid character '{shown}' {context}")
}

const UNEXPECTED_END: &str = "unexpected end of JSON input";

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn peek_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    fn value(&mut self) -> Result<Node<'a>, String> {
        match self.peek_token().ok_or(UNEXPECTED_END)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => Ok(Node::String(self.string()?)),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true", Node::Bool(true)),
            b'f' => self.literal("false", Node::Bool(false)),
            b'n' => self.literal("null", Node::Null),
            byte => Err(invalid(byte, "looking for beginning of value")),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Node<'a>, String>,
    ) -> Result<Node<'a>, String> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn object(&mut self) -> Result<Node<'a>, String> {
        let mut entries = vec![];
        if self.peek_token() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(entries));
        }
        loop {
            match self.peek_token().ok_or(UNEXPECTED_END)? {
                b'"' => {}
                byte => return Err(invalid(byte, "looking for beginning of object key string")),
            }
            let key = self.string()?;
            match self.peek_token().ok_or(UNEXPECTED_END)? {
                b':' => self.at += 1,
                byte => return Err(invalid(byte, "after object key")),
            }
            entries.push((key, self.value()?));
            let byte = self.peek_token().ok_or(UNEXPECTED_END)?;
            self.at += 1;
            match byte {
                b',' => {}
                b'}' => return Ok(Node::Object(entries)),
                byte => return Err(invalid(byte, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self) -> Result<Node<'a>, String> {
        let mut items = vec![];
        if self.peek_token() == Some(b']') {
            self.at += 1;
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value()?);
            let byte = self.peek_token().ok_or(UNEXPECTED_END)?;
            self.at += 1;
            match byte {
                b',' => {}
                b']' => return Ok(Node::Array(items)),
                byte => return Err(invalid(byte, "after array element")),
            }
        }
    }

    fn literal(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, String> {
        for expected in word.bytes() {
            let byte = self.peek().ok_or(UNEXPECTED_END)?;
            if byte != expected {
                return Err(invalid(
                    byte,
                    &format!("in literal {word} (expecting '{}')", char::from(expected)),
                ));
            }
            self.at += 1;
        }
        Ok(node)
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    /// At least one digit, or an error that says where it was missed.
    fn some_digits(&mut self, context: &str) -> Result<(), String> {
        match self.peek().ok_or(UNEXPECTED_END)? {
            b'0'..=b'9' => self.digits(),
            byte => return Err(invalid(byte, context)),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Node<'a>, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.some_digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(Node::Number(String::from_utf8_lossy(&self.text[start..self.at])))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek().ok_or(UNEXPECTED_END)? {
                b'"' => break,
                b'\\' => return self.escaped(start),
                byte @ 0..0x20 => return Err(invalid(byte, "in string literal")),
                _ => self.at += 1,
            }
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        self.at += 1;
        Ok(text)
    }

    /// The rest of a string in which an escape was met.
    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>, String> {
        let mut bytes = self.text[start..self.at].to_vec();
        loop {
            let byte = self.peek().ok_or(UNEXPECTED_END)?;
            self.at += 1;
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&bytes).into_owned().into()),
                b'\\' => self.escape(&mut bytes)?,
                byte @ 0..0x20 => return Err(invalid(byte, "in string literal")),
                byte => bytes.push(byte),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let byte = self.peek().ok_or(UNEXPECTED_END)?;
        self.at += 1;
        bytes.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = self.unicode()?;
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            byte => return Err(invalid(byte, "in string escape code")),
        });
        Ok(())
    }

    fn unicode(&mut self) -> Result<char, String> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) || !self.text[self.at..].starts_with(b"\\u") {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        self.at += 2;
        let second = self.hex()?;
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = before;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.peek().ok_or(UNEXPECTED_END)?;
            let digit = char::from(byte).to_digit(16);
            code = code * 16 + digit.ok_or_else(|| invalid(byte, "in \\u hexadecimal character escape"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn errors_are_in_gos_words() {
        let cases = [
            ("{bad json", "invalid character 'b' looking for beginning of object key string"),
            ("", "unexpected end of JSON input"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 2}", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("trie", "invalid character 'i' in literal true (expecting 'u')"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
        assert_eq!(read("[".repeat(1000).as_bytes()).unwrap_err(), "exceeded max depth");
    }

    #[test]
    fn repeated_keys_and_literals_are_kept() {
        let node = read(br#"{"a":1e3,"a":"\ud83d\ude00\u0041"}"#).unwrap();
        let expected =
            vec![("a".into(), Node::Number("1e3".into())), ("a".into(), Node::String("\u{1f600}A".into()))];
        assert_eq!(node, Node::Object(expected));
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_reads(value in crate::api::testing::any_json()) {
            let text = value.to_string();
            prop_assert_eq!(read(text.as_bytes()).unwrap().to_value(), value);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn nothing_like_json_makes_it_panic(text in "[\\[\\]{}\",:0-9eE.+ a-z\\\\-]{0,40}") {
            prop_assert_eq!(read(text.as_bytes()).is_ok(), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }
    }
}
