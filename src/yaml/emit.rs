//! YAML out of JSON values, byte for byte as Go's sigs.k8s.io/yaml writes it.
//!
//! Block style, two spaces, lists at the level of their key, keys in natural order, lines folded behind column 80, quotes
//! only where a word would mean something else.
// Models go-yaml v2 (encode.go, sorter.go, emitterc.go: yaml_emitter_analyze_scalar and the writers).

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::resolve;
use crate::meta::number::{go_float, go_number};

/// The column behind which lines are folded.
const BEST_WIDTH: usize = 80;
/// Keys that are longer, in bytes, are written behind a question mark.
const MAX_SIMPLE_KEY: usize = 128;

/// A value as a YAML document.
pub fn to_string(value: &Value) -> String {
    let mut emitter = Emitter::default();
    match value {
        Value::Object(map) if !map.is_empty() => emitter.mapping(map, 0, true),
        Value::Array(items) if !items.is_empty() => emitter.sequence(items, 0, true),
        other => emitter.scalar(other, 0, false),
    }
    emitter.out.push('\n');
    // A block scalar has ended its last line already.
    if emitter.out.ends_with("\n\n") && emitter.fresh_line {
        emitter.out.pop();
    }
    emitter.out
}

#[derive(Default)]
struct Emitter {
    out: String,
    column: usize,
    /// Whether a block scalar has just ended its line.
    fresh_line: bool,
}

impl Emitter {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
        self.fresh_line = false;
    }

    /// Starts a line at a column, unless the cursor is there.
    fn indent(&mut self, column: usize) {
        if !self.fresh_line {
            self.out.push('\n');
        }
        self.fresh_line = false;
        self.out.extend(std::iter::repeat_n(' ', column));
        self.column = column;
    }

    /// The entries of a mapping at a column; `inline` if the first goes where the cursor is.
    fn mapping(&mut self, map: &Map<String, Value>, column: usize, inline: bool) {
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.sort_by(|a, b| natural_order(a.0, b.0));
        for (number, (key, value)) in entries.into_iter().enumerate() {
            if number > 0 || !inline {
                self.indent(column);
            }
            let simple = key.len() <= MAX_SIMPLE_KEY && !key.contains('\n');
            if !simple {
                self.put("? ");
            }
            self.string(key, column + 2, simple);
            if !simple {
                self.indent(column);
            }
            self.put(":");
            self.value(value, column);
        }
    }

    /// What stands behind a key that is at a column.
    fn value(&mut self, value: &Value, column: usize) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, column + 2, false),
            Value::Array(items) if !items.is_empty() => self.sequence(items, column, false),
            other => {
                self.put(" ");
                self.scalar(other, column + 2, false);
            }
        }
    }

    /// The items of a list whose dashes are at a column.
    fn sequence(&mut self, items: &[Value], column: usize, inline: bool) {
        for (number, item) in items.iter().enumerate() {
            if number > 0 || !inline {
                self.indent(column);
            }
            self.put("- ");
            match item {
                Value::Object(map) if !map.is_empty() => self.mapping(map, column + 2, true),
                Value::Array(items) if !items.is_empty() => self.sequence(items, column + 2, true),
                other => self.scalar(other, column + 2, false),
            }
        }
    }

    fn scalar(&mut self, value: &Value, column: usize, key: bool) {
        match value {
            Value::String(text) => self.string(text, column, key),
            Value::Number(number) if number.is_f64() => {
                let text = go_number(number);
                let whole = !text.contains(['.', 'e'])
                    && (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok());
                self.put(&if whole { text } else { go_float(number.as_f64().unwrap_or_default()) });
            }
            Value::Object(_) => self.put("{}"),
            Value::Array(_) => self.put("[]"),
            other => self.put(&other.to_string()),
        }
    }

    /// A text; its further lines start at a column.
    fn string(&mut self, text: &str, column: usize, key: bool) {
        let allowed = analyze(text);
        if text.contains('\n') && allowed.block && !key {
            return self.literal(text, column);
        }
        if !text.contains('\n') && resolve::is_text(text) {
            if allowed.plain {
                return self.plain(text, column, key);
            }
            if allowed.single {
                return self.single_quoted(text, column, key);
            }
        }
        self.double_quoted(text, column, key);
    }

    fn plain(&mut self, text: &str, column: usize, key: bool) {
        self.folded(text, column, key, |emitter, letter| emitter.letter(letter));
    }

    fn single_quoted(&mut self, text: &str, column: usize, key: bool) {
        self.put("'");
        self.folded(text, column, key, |emitter, letter| {
            if letter == '\'' {
                emitter.letter('\'');
            }
            emitter.letter(letter);
        });
        self.put("'");
    }

    fn letter(&mut self, letter: char) {
        self.out.push(letter);
        self.column += 1;
        self.fresh_line = false;
    }

    /// Writes letters; a single space behind the best width becomes a line break.
    fn folded(&mut self, text: &str, column: usize, key: bool, write: impl Fn(&mut Self, char)) {
        let mut letters = text.chars().peekable();
        let mut after_space = false;
        let mut first = true;
        while let Some(letter) = letters.next() {
            let breakable = letter == ' ' && !key && !after_space && self.column > BEST_WIDTH;
            if breakable && !first && letters.peek().is_some_and(|next| *next != ' ') {
                self.indent(column);
            } else {
                write(self, letter);
            }
            after_space = letter == ' ';
            first = false;
        }
    }

    fn double_quoted(&mut self, text: &str, column: usize, key: bool) {
        self.put("\"");
        let mut letters = text.chars().peekable();
        let mut after_space = false;
        let mut first = true;
        while let Some(letter) = letters.next() {
            if letter == ' ' {
                let last = letters.peek().is_none();
                if !key && !after_space && self.column > BEST_WIDTH && !first && !last {
                    self.indent(column);
                    if letters.peek() == Some(&' ') {
                        self.put("\\");
                    }
                } else {
                    self.letter(' ');
                }
                after_space = true;
            } else {
                self.escaped(letter);
                after_space = false;
            }
            first = false;
        }
        self.put("\"");
    }

    fn escaped(&mut self, letter: char) {
        let short = match letter {
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\u{1b}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{a0}' => return self.letter(letter),
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            other if printable(other) => return self.letter(other),
            other => {
                let code = u32::from(other);
                let escape = match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                return self.put(&escape);
            }
        };
        self.put(short);
    }

    fn literal(&mut self, text: &str, column: usize) {
        self.put("|");
        if text.starts_with([' ', '\n']) {
            self.put("2");
        }
        if !text.ends_with('\n') {
            self.put("-");
        } else if text == "\n" || text.ends_with("\n\n") {
            self.put("+");
        }
        self.out.push('\n');
        for line in text.split_inclusive('\n') {
            let content = line.strip_suffix('\n').unwrap_or(line);
            if !content.is_empty() {
                self.out.extend(std::iter::repeat_n(' ', column));
                self.out.push_str(content);
            }
            if line.ends_with('\n') {
                self.out.push('\n');
            }
        }
        self.column = 0;
        self.fresh_line = text.ends_with('\n');
    }
}

struct Allowed {
    plain: bool,
    single: bool,
    block: bool,
}

/// Which styles a text can be written in.
fn analyze(text: &str) -> Allowed {
    if text.is_empty() {
        return Allowed { plain: true, single: true, block: false };
    }
    let letters: Vec<char> = text.chars().collect();
    let blank = |letter: Option<&char>| letter.is_none_or(|c| matches!(c, ' ' | '\t' | '\0') || is_break(*c));
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let mut after_blank = true;
    let (mut special, mut breaks, mut break_space, mut space_break) = (false, false, false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    for (index, letter) in letters.iter().enumerate() {
        let before_blank = blank(letters.get(index + 1));
        indicators |= match (index, letter) {
            (
                0,
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`',
            ) => true,
            (0, '?' | '-') => before_blank,
            (_, ':') => before_blank,
            (1.., '#') => after_blank,
            _ => false,
        };
        special |= !printable(*letter) && *letter != '\n';
        if *letter == ' ' {
            break_space |= previous_break;
            (previous_space, previous_break) = (true, false);
        } else if is_break(*letter) {
            breaks = true;
            space_break |= previous_space;
            (previous_space, previous_break) = (false, true);
        } else {
            (previous_space, previous_break) = (false, false);
        }
        after_blank = blank(Some(letter));
    }
    let ends = |letter: Option<&char>| letter.is_some_and(|c| *c == ' ' || is_break(*c));
    let edges = ends(letters.first()) || ends(letters.last());
    let broken = space_break || special;
    Allowed {
        plain: !(edges || breaks || broken || indicators),
        single: !(break_space || broken),
        block: !(letters.last() == Some(&' ') || broken),
    }
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a letter is written as it is.
fn printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether a key comes before another: numbers in keys count as numbers, letters come last.
pub fn natural_less(a: &str, b: &str) -> bool {
    natural_order(a, b) == Ordering::Less
}

fn natural_order(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    for index in 0..a.len().min(b.len()) {
        if a[index] == b[index] {
            continue;
        }
        let (a_letter, b_letter) = (a[index].is_alphabetic(), b[index].is_alphabetic());
        match (a_letter, b_letter) {
            (true, true) => return a[index].cmp(&b[index]),
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        // A zero behind other digits is part of the number that they began.
        let begun = (a[index] == '0' || b[index] == '0') && {
            a[..index].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0')
        };
        let number = |letters: &[char]| {
            let start = if begun { 1_i64 } else { 0 };
            let digits = letters[index..].iter().take_while(|c| c.is_ascii_digit());
            let value = digits
                .clone()
                .fold(start, |n, c| n.wrapping_mul(10).wrapping_add(i64::from(u32::from(*c)) - 48));
            (value, digits.count())
        };
        return number(&a).cmp(&number(&b)).then(a[index].cmp(&b[index]));
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value, expected: &str) {
        assert_eq!(to_string(value), expected);
    }

    #[test]
    fn structures_are_laid_out_as_go_does() {
        check(
            &json!({"list": ["a", ["c", ["d"]], {"x": 1, "y": ["z"]}], "e": [], "m": {}, "n": null}),
            "e: []\nlist:\n- a\n- - c\n  - - d\n- x: 1\n  \"y\":\n  - z\nm: {}\n\"n\": null\n",
        );
        check(&json!([{"a": {"b": 1}}]), "- a:\n    b: 1\n");
        check(&json!("x"), "x\n");
    }

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        let cases = [
            ("it's: x", "'it''s: x'"),
            ("a #b", "'a #b'"),
            ("a\tb", "\"a\\tb\""),
            ("", "\"\""),
            ("yes", "\"yes\""),
            ("=x", "=x"),
            ("- a", "'- a'"),
            ("-", "'-'"),
            ("-a", "-a"),
            ("a\\b", "a\\b"),
            (" x", "' x'"),
            ("😀", "\"\\U0001F600\""),
            ("é", "é"),
            ("a:b", "a:b"),
            ("a: b", "'a: b'"),
            ("---", "'---'"),
            ("@x", "'@x'"),
            ("?x", "?x"),
            ("<<", "<<"),
            ("1.2.3", "1.2.3"),
            ("trailing space \nline", "\"trailing space \\nline\""),
        ];
        for (text, expected) in cases {
            assert_eq!(to_string(&json!({"a": text})), format!("a: {expected}\n"), "{text:?}");
        }
    }

    #[test]
    fn lines_are_blocks() {
        let value = json!({"s": "multi\nline\n", "t": "multi\nline", "u": "multi\n\nline\n\n", "v": " lead\nx", "w": "\n", "z": 1});
        check(
            &value,
            "s: |\n  multi\n  line\nt: |-\n  multi\n  line\nu: |+\n  multi\n\n  line\n\nv: |2-\n   lead\n  x\nw: |2+\n\nz: 1\n",
        );
        check(&json!({"a": ["x\ny\n"]}), "a:\n- |\n  x\n  y\n");
    }

    #[test]
    fn long_lines_are_folded() {
        let long = "a very long line that goes on and on and on and on and on and on beyond eighty columns for sure it does";
        check(
            &json!({"data": {"ag": long}}),
            "data:\n  ag: a very long line that goes on and on and on and on and on and on beyond eighty\n    columns for sure it does\n",
        );
    }

    #[test]
    fn keys_are_in_natural_order_and_numbers_as_go_has_them() {
        check(
            &json!({"a10": 1, "a2": 2, "B": 3, "1": 4, "_x": 12, "": 13, "a b": 9, "a.b": 11}),
            "\"\": 13\n_x: 12\n\"1\": 4\nB: 3\na b: 9\na.b: 11\na2: 2\na10: 1\n",
        );
        check(
            &json!({"e": 1e30, "f": 1.5, "g": 1e-7, "h": 12345678901234567890_u64, "i": 1234567.5}),
            "e: 1e+30\nf: 1.5\ng: 1e-07\nh: 12345678901234567890\ni: 1.2345675e+06\n",
        );
    }
}
