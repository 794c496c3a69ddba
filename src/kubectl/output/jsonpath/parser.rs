//! The syntax of templates.
// Models k8s.io/client-go/util/jsonpath (parser.go).

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// `.name`
    Field(String),
    /// `range`, `end`
    Identifier(String),
    /// `[a:b:c]`
    Array([Bound; 3]),
    /// `[?(left operator right)]`
    Filter {
        left: Vec<Node>,
        right: Vec<Node>,
        operator: String,
    },
    Int(i64),
    Float(f64),
    Bool(bool),
    /// `.*`
    Wildcard,
    /// `..`
    Recursive,
    /// `[a,b]`
    Union(Vec<Vec<Node>>),
    /// What is between a pair of braces.
    List(Vec<Node>),
}

/// A bound of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bound {
    pub value: i64,
    pub known: bool,
    /// Whether it follows from the first: `[3]` is `[3:4]`.
    pub derived: bool,
}

/// How deep expressions may be in each other.
const MAX_DEPTH: usize = 32;

/// Parses a template. `Err` is the reason in kubectl's words.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    Parser { input: text.chars().collect(), position: 0, start: 0, depth: 0 }.template()
}

struct Parser {
    input: Vec<char>,
    position: usize,
    start: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.input.get(self.position).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek();
        self.position += usize::from(letter.is_some());
        letter
    }

    fn consume(&mut self) -> String {
        let text = self.input[self.start..self.position].iter().collect();
        self.start = self.position;
        text
    }

    fn at(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(offset, letter)| self.input.get(self.position + offset) == Some(&letter))
    }

    fn template(mut self) -> Result<Vec<Node>, String> {
        let mut nodes = vec![];
        while let Some(letter) = self.peek() {
            if letter != '{' {
                self.position += 1;
                continue;
            }
            if self.position > self.start {
                nodes.push(Node::Text(self.consume()));
            }
            self.position += 1;
            self.consume();
            nodes.push(Node::List(self.action()?));
        }
        if self.position > self.start {
            nodes.push(Node::Text(self.consume()));
        }
        Ok(nodes)
    }

    /// An expression of its own, as if it stood in braces.
    fn inner(&self, text: &str) -> Result<Vec<Node>, String> {
        if self.depth >= MAX_DEPTH {
            return Err("expressions are too deep in each other".to_owned());
        }
        let input = format!("{{{text}}}").chars().collect();
        let nodes = Self { input, position: 0, start: 0, depth: self.depth + 1 }.template()?;
        match nodes.into_iter().next() {
            Some(Node::List(nodes)) => Ok(nodes),
            _ => Err("unclosed action".to_owned()),
        }
    }

    /// What is between braces; the closing one is taken.
    fn action(&mut self) -> Result<Vec<Node>, String> {
        let mut nodes = vec![];
        loop {
            if self.at("}") {
                self.position += 1;
                self.consume();
                return Ok(nodes);
            }
            if self.at("[?(") {
                nodes.push(self.filter()?);
                continue;
            }
            if self.at("..") {
                if nodes.last() == Some(&Node::Recursive) {
                    return Err("invalid multiple recursive descent".to_owned());
                }
                self.position += 2;
                self.consume();
                nodes.push(Node::Recursive);
                if self.peek().is_some_and(is_alphanumeric) {
                    nodes.push(self.field());
                }
                continue;
            }
            match self.next() {
                None | Some('\r' | '\n') => return Err("unclosed action".to_owned()),
                Some(' ' | '@' | '$') => {
                    self.consume();
                }
                Some('[') => self.array(&mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quoted(quote)?),
                Some('.') => nodes.push(self.field()),
                Some(letter) if matches!(letter, '+' | '-') || letter.is_numeric() => {
                    self.position -= 1;
                    nodes.push(self.number()?);
                }
                Some(letter) if is_alphanumeric(letter) => {
                    self.position -= 1;
                    nodes.push(self.identifier());
                }
                Some(letter) => {
                    return Err(format!(
                        "unrecognized character in action: U+{:04X} '{letter}'",
                        u32::from(letter)
                    ));
                }
            }
        }
    }

    fn identifier(&mut self) -> Node {
        while self.peek().is_some_and(|letter| !is_terminator(letter)) {
            self.position += 1;
        }
        match self.consume().as_str() {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            name => Node::Identifier(name.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Node, String> {
        if matches!(self.peek(), Some('+' | '-')) {
            self.position += 1;
        }
        while self.peek().is_some_and(|letter| letter == '.' || letter.is_numeric()) {
            self.position += 1;
        }
        let text = self.consume();
        if let Ok(int) = text.parse() {
            return Ok(Node::Int(int));
        }
        text.parse().map(Node::Float).map_err(|_| format!("cannot parse number {text}"))
    }

    fn field(&mut self) -> Node {
        self.consume();
        while let Some(letter) = self.peek() {
            if letter == '\\' {
                self.position += 1;
            } else if is_terminator(letter) {
                break;
            }
            self.position = (self.position + 1).min(self.input.len());
        }
        match self.consume().as_str() {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Node, String> {
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(letter) if letter == quote && self.input[self.position - 2] != '\\' => break,
                Some(_) => {}
            }
        }
        let text = self.consume();
        unquote(&text).map(Node::Text).ok_or_else(|| format!("unquote string {text} error invalid syntax"))
    }

    /// What follows a bracket.
    fn array(&mut self, nodes: &mut Vec<Node>) -> Result<(), String> {
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated array".to_owned()),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = self.consume();
        let mut text = &text[1..text.len() - 1];
        if text == "*" {
            text = ":";
        }
        if text.contains(',') {
            let parts = text.split(',').map(|part| self.inner(&format!("[{}]", part.trim_matches(' '))));
            nodes.push(Node::Union(parts.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let key = text
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''))
            .filter(|key| !key.contains('\''));
        if let Some(key) = key {
            nodes.extend(self.inner(&format!(".{key}"))?);
            return Ok(());
        }
        nodes.push(Node::Array(slice(text)?));
        Ok(())
    }

    fn filter(&mut self) -> Result<Node, String> {
        self.position += 3;
        self.consume();
        let mut pair = None;
        let mut closed = false;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated filter".to_owned()),
                Some(quote @ ('"' | '\'')) => match pair {
                    None => pair = Some(quote),
                    Some(open) => closed |= self.input[self.position - 2] != '\\' && quote == open,
                },
                Some(')') if pair.is_some() == closed => break,
                Some(_) => {}
            }
        }
        if self.next() != Some(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        let text = self.consume();
        let text = &text[..text.len() - 2];
        let is_operator = |letter: char| matches!(letter, '!' | '<' | '>' | '=');
        let begin = text.find(is_operator).filter(|begin| *begin > 0);
        let parts = begin.and_then(|begin| {
            let length = text[begin..].find(|letter| !is_operator(letter))?;
            Some((&text[..begin], &text[begin..begin + length], &text[begin + length..]))
        });
        match parts {
            None => {
                Ok(Node::Filter { left: self.inner(text)?, right: vec![], operator: "exists".to_owned() })
            }
            Some((left, operator, right)) => Ok(Node::Filter {
                left: self.inner(left)?,
                right: self.inner(right)?,
                operator: operator.to_owned(),
            }),
        }
    }
}

/// The bounds of `a:b:c`.
fn slice(text: &str) -> Result<[Bound; 3], String> {
    let invalid = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &str| part.strip_prefix('-').unwrap_or(part).chars().all(|c| c.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(|part| number(part)) {
        return Err(invalid());
    }
    let mut bounds = [Bound::default(); 3];
    for (index, bound) in bounds.iter_mut().enumerate() {
        match parts.get(index) {
            Some(&"") => {}
            Some(part) => {
                let value = part.parse().map_err(|_| format!("array index {part} is not a number"))?;
                *bound = Bound { value, known: true, derived: false };
            }
            None => {}
        }
    }
    if parts.len() == 1 {
        bounds[1] = Bound { value: bounds[0].value.saturating_add(1), known: true, derived: true };
    }
    Ok(bounds)
}

fn is_terminator(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn is_alphanumeric(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// Takes off quotes and escapes, as Go's strconv does, but for single quotes as well.
fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next()?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    unquote_escapes(inside, quote)
}

fn unquote_escapes(inside: &str, quote: char) -> Option<String> {
    let mut plain = String::new();
    let mut letters = inside.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == quote {
            return None;
        }
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        let escape = letters.next()?;
        let (digits, radix, first) = match escape {
            'x' => (2, 16, String::new()),
            'u' => (4, 16, String::new()),
            'U' => (8, 16, String::new()),
            '0'..='7' => (2, 8, escape.to_string()),
            _ => (0, 0, String::new()),
        };
        if digits > 0 {
            let code: String = first.chars().chain(letters.by_ref().take(digits)).collect();
            plain.push(u32::from_str_radix(&code, radix).ok().and_then(char::from_u32)?);
            continue;
        }
        plain.push(match escape {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            other if other == quote => quote,
            _ => return None,
        });
    }
    Some(plain)
}
