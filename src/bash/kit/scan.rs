//! Looks at a script without running it: whether more must be typed, and which parts go into the background.
//!
//! bashkit waits for background commands at the end of a script, so the shell takes them off before it hands the rest on.

use bashkit::parser::Parser;

/// Whether a script can run as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It can, or it is wrong however it goes on.
    Complete,
    /// Something is open: a quote, a here-document, a loop, a line that ends in a backslash.
    NeedsMore,
}

/// Whether an interactive shell would ask for another line.
pub fn completeness(script: &str) -> Completeness {
    let continued = script.trim_end_matches('\n').chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
    let trailing = script.trim_end();
    let open_list = (trailing.ends_with("&&") || trailing.ends_with('|')) && Lexer::new(script).code_at_end();
    if continued || open_list || Lexer::new(script).has_open_here_document() {
        return Completeness::NeedsMore;
    }
    let Err(error) = Parser::new(script).parse() else { return Completeness::Complete };
    let text = error.to_string();
    let open = ["unexpected end of file", "unexpected EOF", "unterminated", "unexpected end of input"];
    if open.iter().any(|words| text.contains(words)) {
        Completeness::NeedsMore
    } else {
        Completeness::Complete
    }
}

/// What makes a command more than words.
const SYNTAX: &[char] = &[
    '$', '`', '"', '\'', '\\', '|', '&', ';', '<', '>', '(', ')', '*', '?', '[', ']', '{', '}', '~', '#',
    '=', '!', '\n',
];

/// Whether a script is one command without any of the shell's own syntax.
pub fn is_plain_command(script: &str) -> bool {
    let script = script.trim();
    !script.is_empty() && !script.contains(SYNTAX)
}

/// A part of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::bash) enum Part {
    Foreground(String),
    /// One list that ended in `&`.
    Background(String),
}

/// Takes the lists that end in `&` out of a script. Inside groups, loops and substitutions they stay where they are.
pub(in crate::bash) fn parts(script: &str) -> Vec<Part> {
    let mut lexer = Lexer::new(script);
    let (mut parts, mut foreground_start, mut list_start) = (vec![], 0, 0);
    while let Some((index, separator)) = lexer.next_separator() {
        let end = index + separator.len();
        if separator == "&" {
            push_foreground(&mut parts, &script[foreground_start..list_start]);
            parts.push(Part::Background(script[list_start..index].trim().to_owned()));
            foreground_start = end;
        }
        list_start = end;
    }
    push_foreground(&mut parts, &script[foreground_start..]);
    parts
}

fn push_foreground(parts: &mut Vec<Part>, text: &str) {
    if !text.trim().is_empty() {
        parts.push(Part::Foreground(text.to_owned()));
    }
}

/// Walks over a script knowing quotes, substitutions, groups, compound commands and here-documents.
struct Lexer<'a> {
    script: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many groups, substitutions and compound commands are open.
    depth: usize,
    /// Whether the next word is in a place where a command begins.
    command_position: bool,
    /// Here-documents whose bodies begin at the next line.
    here_documents: Vec<(String, bool)>,
    open_quote: bool,
    open_here_document: bool,
    /// Whether the text ends in a comment.
    ends_in_comment: bool,
}

impl<'a> Lexer<'a> {
    fn new(script: &'a str) -> Self {
        Self {
            script,
            bytes: script.as_bytes(),
            at: 0,
            depth: 0,
            command_position: true,
            here_documents: vec![],
            open_quote: false,
            open_here_document: false,
            ends_in_comment: false,
        }
    }

    fn has_open_here_document(mut self) -> bool {
        while self.next_separator().is_some() {}
        self.open_here_document || !self.here_documents.is_empty()
    }

    fn code_at_end(mut self) -> bool {
        while self.next_separator().is_some() {}
        !self.open_quote && !self.open_here_document && !self.ends_in_comment
    }

    /// The next `;`, `&` or newline that is not inside anything.
    fn next_separator(&mut self) -> Option<(usize, &'a str)> {
        while self.at < self.bytes.len() {
            let start = self.at;
            match self.bytes[start] {
                b'\\' => self.at = self.after_character(start + 1),
                b'\'' => self.skip_to(b'\''),
                b'"' => self.skip_double_quotes(),
                b'#' if self.at_word_start() => {
                    self.at = self.script[start..].find('\n').map_or(self.bytes.len(), |n| start + n);
                    self.ends_in_comment = self.script[self.at..].trim().is_empty();
                }
                b'(' | b'{' if self.bytes[start] == b'(' || self.is_brace_word() => self.open(),
                b')' => self.close(),
                b'}' if self.command_position && self.depth > 0 => self.close(),
                b'<' if self.script[start..].starts_with("<<")
                    && !self.script[start..].starts_with("<<<") =>
                {
                    self.here_document()
                }
                b'\n' => {
                    self.at += 1;
                    self.command_position = true;
                    self.skip_here_documents();
                    if self.depth == 0 {
                        return Some((start, &self.script[start..self.at]));
                    }
                }
                b';' | b'&' | b'|' => {
                    let rest = &self.script[start..];
                    let redirection = rest.starts_with("&>")
                        || (start > 0
                            && matches!(self.bytes[start - 1], b'>' | b'<')
                            && rest.starts_with('&'));
                    let pair = ["&&", "||", ";;", "|&"].into_iter().find(|pair| rest.starts_with(pair));
                    self.at += pair.map_or(1, str::len);
                    if redirection {
                        continue;
                    }
                    self.command_position = true;
                    if self.depth == 0 && pair.is_none() && self.bytes[start] != b'|' {
                        return Some((start, &self.script[start..self.at]));
                    }
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.word(),
            }
        }
        None
    }

    fn after_character(&self, index: usize) -> usize {
        self.script[index.min(self.script.len())..]
            .chars()
            .next()
            .map_or(self.bytes.len(), |c| index + c.len_utf8())
    }

    fn at_word_start(&self) -> bool {
        self.at == 0 || matches!(self.bytes[self.at - 1], b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(')
    }

    fn is_brace_word(&self) -> bool {
        self.command_position && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_whitespace)
    }

    fn open(&mut self) {
        self.depth += 1;
        self.at += 1;
        self.command_position = true;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
        self.command_position = false;
    }

    fn skip_to(&mut self, quote: u8) {
        let found = self.bytes[self.at + 1..].iter().position(|byte| *byte == quote);
        self.open_quote |= found.is_none();
        self.at = found.map_or(self.bytes.len(), |n| self.at + n + 2);
        self.command_position = false;
    }

    fn skip_double_quotes(&mut self) {
        let mut index = self.at + 1;
        while index < self.bytes.len() {
            match self.bytes[index] {
                b'\\' => index += 1,
                b'"' => {
                    self.at = index + 1;
                    self.command_position = false;
                    return;
                }
                _ => {}
            }
            index += 1;
        }
        self.open_quote = true;
        self.at = self.bytes.len();
    }

    /// A word without quotes. Words that begin or end a compound command count as its brackets.
    fn word(&mut self) {
        let start = self.at;
        let ends = |byte: u8| byte.is_ascii_whitespace() || b";&|()<\"'\\".contains(&byte);
        while self.at < self.bytes.len() && !ends(self.bytes[self.at]) {
            let dollar = self.bytes[self.at] == b'$'
                && self.bytes.get(self.at + 1).is_some_and(|next| b"({".contains(next));
            if dollar && self.bytes[self.at + 1] == b'{' {
                let length = self.script[self.at..].find('}').map_or(self.bytes.len() - self.at, |n| n + 1);
                self.at += length;
            } else {
                self.at = self.after_character(self.at);
            }
        }
        self.at = self.at.max(start + 1);
        let word = &self.script[start..self.at.min(self.script.len())];
        if !std::mem::take(&mut self.command_position) {
            return;
        }
        match word {
            "if" | "for" | "while" | "until" | "case" | "select" => {
                self.depth += 1;
                self.command_position = word != "for" && word != "case" && word != "select";
            }
            "fi" | "done" | "esac" => self.depth = self.depth.saturating_sub(1),
            "then" | "else" | "elif" | "do" | "!" | "time" => self.command_position = true,
            _ => self.command_position = word.contains('=') && !word.starts_with('='),
        }
    }

    fn here_document(&mut self) {
        self.at += 2;
        let strip = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(strip);
        let rest = &self.script[self.at..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let length = rest[blank..]
            .find(|c: char| c.is_whitespace() || ";&|<>()".contains(c))
            .unwrap_or(rest.len() - blank);
        let tag: String = rest[blank..blank + length].chars().filter(|c| !"'\"\\".contains(*c)).collect();
        self.at += blank + length;
        if !tag.is_empty() {
            self.here_documents.push((tag, strip));
        }
    }

    /// Steps over the bodies of here-documents that begin on this line.
    fn skip_here_documents(&mut self) {
        for (tag, strip) in std::mem::take(&mut self.here_documents) {
            loop {
                if self.at >= self.bytes.len() {
                    self.open_here_document = true;
                    return;
                }
                let end = self.script[self.at..].find('\n').map_or(self.bytes.len(), |n| self.at + n);
                let line = &self.script[self.at..end];
                self.at = (end + 1).min(self.bytes.len());
                if (if strip { line.trim_start_matches('\t') } else { line }) == tag {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_open_needs_more() {
        for open in [
            "echo 'a",
            "echo \"a",
            "a \\",
            "a &&",
            "a |",
            "for i in 1 2; do",
            "if true; then\n  echo",
            "cat <<EOF\nx",
            "f() {",
            "echo $(ls",
            "case $x in",
        ] {
            assert_eq!(completeness(open), Completeness::NeedsMore, "{open:?}");
        }
        for complete in [
            "",
            "ls",
            "echo 'a'",
            "cat <<EOF\nx\nEOF",
            "echo )",
            "for i in 1; do echo $i; done",
            "echo 'a &&'",
            "# a |",
        ] {
            assert_eq!(completeness(complete), Completeness::Complete, "{complete:?}");
        }
    }

    fn fg(text: &str) -> Part {
        Part::Foreground(text.to_owned())
    }

    fn bg(text: &str) -> Part {
        Part::Background(text.to_owned())
    }

    #[test]
    fn lists_that_end_in_an_ampersand_go_into_the_background() {
        let cases: &[(&str, &[Part])] = &[
            ("kubectl proxy &", &[bg("kubectl proxy")]),
            ("a; b & c", &[fg("a;"), bg("b"), fg(" c")]),
            ("a && b &\nc", &[bg("a && b"), fg("\nc")]),
            ("a 2>&1 | b", &[fg("a 2>&1 | b")]),
            ("a &> x", &[fg("a &> x")]),
            ("echo 'a & b' \"c & d\" e\\&f", &[fg("echo 'a & b' \"c & d\" e\\&f")]),
            ("(a & b)", &[fg("(a & b)")]),
            ("for i in 1; do a & done", &[fg("for i in 1; do a & done")]),
            ("x=$(a & wait)", &[fg("x=$(a & wait)")]),
            ("cat <<E\na & b\nE\nc &", &[fg("cat <<E\na & b\nE\n"), bg("c")]),
            ("# a & b", &[fg("# a & b")]),
        ];
        for (script, expected) in cases {
            assert_eq!(parts(script), *expected, "{script:?}");
        }
    }

    proptest! {
        #[test]
        fn no_script_makes_it_panic(script in "[ \\\\a-z'\"$(){}<>|&;#\n=é]{0,60}") {
            parts(&script);
            completeness(&script);
        }
    }
}
