//! Label and field selectors: parsing, matching, and the strings they are written as.
// Models k8s.io/apimachinery/pkg/labels (Parse, Requirement) and .../pkg/fields.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// A conjunction of requirements on labels. The empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    DoubleEquals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

impl Selector {
    /// Matches every set of labels.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches no set of labels.
    pub fn nothing() -> Self {
        Self { nothing: true, ..Self::default() }
    }

    /// Matches what has all of these labels; everything if there are none.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let requirement = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.clone()],
        };
        Self::sorted(labels.into_iter().map(requirement).collect())
    }

    /// The selector of an object's spec. An empty one matches everything; an operator nobody knows is an error.
    pub fn from_label_selector(selector: &LabelSelector) -> Result<Self, String> {
        let mut requirements = Self::from_labels(selector.match_labels.iter().flatten()).requirements;
        for r#match in selector.match_expressions.iter().flatten() {
            let operator = match r#match.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            let mut values = r#match.values.clone().unwrap_or_default();
            values.sort();
            requirements.push(Requirement { key: r#match.key.clone(), operator, values });
        }
        Ok(Self::sorted(requirements))
    }

    /// A requirement as node affinity and topology rules write them, which also compare numbers (`Gt`, `Lt`).
    pub fn from_requirement(key: &str, operator: &str, values: &[String]) -> Result<Self, String> {
        let operator = match operator {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::GreaterThan,
            "Lt" => Operator::LessThan,
            other => return Err(format!("{other:?} is not a valid label selector operator")),
        };
        Ok(Self {
            requirements: vec![Requirement { key: key.to_owned(), operator, values: values.to_vec() }],
            nothing: false,
        })
    }

    /// Reads the string form: `a=b,c!=d,e in (f, g),h notin (i),j,!k,l>1`. Errors in Kubernetes' words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let requirements =
            Parser::new(text).requirements().map_err(|e| format!("unable to parse requirement: {e}"))?;
        Ok(Self::sorted(requirements))
    }

    fn sorted(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// [`Selector::matches`] for an object that may have no labels at all.
    pub fn matches_optional(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        match labels {
            Some(labels) => self.matches(labels),
            None => self.matches(&BTreeMap::new()),
        }
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }
}

impl Requirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let among = |value: &String| self.values.contains(value);
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => value.is_some_and(among),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(among),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let number = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok());
                match (number(value), number(self.values.first())) {
                    (Some(have), Some(bound)) if self.operator == Operator::GreaterThan => have > bound,
                    (Some(have), Some(bound)) => have < bound,
                    _ => false,
                }
            }
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.requirements.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join(","))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// A token of the string form: a symbol or a word.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Symbol(&'static str),
    Word(String),
    End,
}

impl Token {
    fn literal(&self) -> &str {
        match self {
            Self::Symbol(symbol) => symbol,
            Self::Word(word) => word,
            Self::End => "",
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn new(text: &str) -> Self {
        let (mut tokens, mut rest) = (vec![], text);
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let Some(first) = rest.chars().next() else { break };
            let symbol = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"]
                .into_iter()
                .find(|symbol| rest.starts_with(symbol));
            let length = match symbol {
                Some(symbol) => {
                    tokens.push(Token::Symbol(symbol));
                    symbol.len()
                }
                None => {
                    let special = |c: char| " \t\r\n=!,()<>".contains(c);
                    let length = rest.find(special).unwrap_or(rest.len()).max(first.len_utf8());
                    tokens.push(Token::Word(rest[..length].to_owned()));
                    length
                }
            };
            rest = &rest[length..];
        }
        Self { tokens, position: 0 }
    }

    fn peek(&self) -> Token {
        self.tokens.get(self.position).cloned().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = vec![];
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                Token::Word(_) | Token::Symbol("!") => requirements.push(self.requirement()?),
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        other.literal()
                    ));
                }
            }
            match self.next() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") => match self.peek() {
                    Token::Word(_) | Token::Symbol("!") => {}
                    other => {
                        return Err(format!("found '{}', expected: identifier after ','", other.literal()));
                    }
                },
                other => {
                    return Err(format!("found '{}', expected: ',' or 'end of string'", other.literal()));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Symbol("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(word) => word,
            other => return Err(format!("found '{}', expected: identifier", other.literal())),
        };
        let errors = super::names::qualified_name(&key);
        if !errors.is_empty() {
            let list: Vec<String> = errors.iter().map(|e| format!("{key:?}: {e}")).collect();
            return Err(format!("key: Invalid value: {}", list.join("; ")));
        }
        if absent {
            return Ok(Requirement { key, operator: Operator::DoesNotExist, values: vec![] });
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok(Requirement { key, operator: Operator::Exists, values: vec![] });
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.value_set()?,
            _ => vec![self.exact_value()?],
        };
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) && values[0].parse::<i64>().is_err()
        {
            return Err(format!(
                "values[0]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer",
                values[0]
            ));
        }
        for (index, value) in values.iter().enumerate() {
            if let Some(error) = super::names::label_value(value).first() {
                return Err(format!("values[{index}][{key}]: Invalid value: {value:?}: {error}"));
            }
        }
        Ok(Requirement { key, operator, values })
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let token = self.next();
        Ok(match token.literal() {
            "=" => Operator::Equals,
            "==" => Operator::DoubleEquals,
            "!=" => Operator::NotEquals,
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn value_set(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            Token::Symbol("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.literal())),
        }
        let mut values = vec![];
        loop {
            match self.peek() {
                Token::Word(word) => {
                    self.next();
                    values.push(word);
                }
                Token::Symbol("," | ")") => values.push(String::new()),
                other => {
                    return Err(format!("found '{}', expected: ',', ')' or identifier", other.literal()));
                }
            }
            match self.next() {
                Token::Symbol(")") => break,
                Token::Symbol(",") => {}
                other => return Err(format!("found '{}', expected: ',' or ')'", other.literal())),
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }

    fn exact_value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(word) => {
                self.next();
                Ok(word)
            }
            other => Err(format!("found '{}', expected: identifier", other.literal())),
        }
    }
}

/// One term of a field selector: the field, whether it must be equal, and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field, like `metadata.name`.
    pub field: String,
    /// `=` or `!=`.
    pub equal: bool,
    /// The value, with escapes undone.
    pub value: String,
}

/// Reads a field selector: `metadata.name=web,status.phase!=Running`.
pub fn parse_fields(text: &str) -> Result<Vec<FieldTerm>, String> {
    let mut terms = vec![];
    for part in split_unescaped(text) {
        if part.is_empty() {
            continue;
        }
        let (field, equal, value) = if let Some((field, value)) = part.split_once("!=") {
            (field, false, value)
        } else if let Some((field, value)) = part.split_once("==") {
            (field, true, value)
        } else if let Some((field, value)) = part.split_once('=') {
            (field, true, value)
        } else {
            return Err(format!("invalid selector: '{part}'; can't understand '{part}'"));
        };
        terms.push(FieldTerm { field: field.to_owned(), equal, value: unescape(value)? });
    }
    Ok(terms)
}

fn split_unescaped(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut escaped) = (vec![], String::new(), false);
    for c in text.chars() {
        if c == ',' && !escaped {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        escaped = c == '\\' && !escaped;
        part.push(c);
    }
    parts.push(part);
    parts
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => out.push(next),
                Some(next) => {
                    return Err(format!("invalid field selector: invalid escape sequence: \\{next}"));
                }
                None => return Err("invalid field selector: invalid escape sequence: \\".to_owned()),
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {c}")),
            other => out.push(other),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_string_form_selects() {
        let have = labels(&[("app", "web"), ("tier", "front"), ("n", "5")]);
        for yes in [
            "",
            "app=web",
            "app==web,tier!=back",
            "app in (web, db)",
            "tier notin (back)",
            "app,!gone",
            "n>4,n<6",
        ] {
            assert!(Selector::parse(yes).unwrap().matches(&have), "{yes}");
        }
        for no in ["app=db", "!app", "gone", "app notin (web)", "n>5"] {
            assert!(!Selector::parse(no).unwrap().matches(&have), "{no}");
        }
        assert!(!Selector::nothing().matches(&have));
    }

    #[test]
    fn nonsense_is_refused_in_kubernetes_words() {
        assert_eq!(
            Selector::parse("app in web").unwrap_err(),
            "unable to parse requirement: found 'web' expected: '('"
        );
        assert_eq!(
            Selector::parse("a=b,").unwrap_err(),
            "unable to parse requirement: found '', expected: identifier after ','"
        );
    }

    #[test]
    fn a_selector_is_written_as_it_is_read() {
        for text in ["app=web", "a in (x,y),b!=c", "!a,b"] {
            assert_eq!(Selector::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn field_selectors_have_terms_and_escapes() {
        let terms = parse_fields("metadata.name=a\\,b,status.phase!=Running").unwrap();
        assert_eq!(terms[0].value, "a,b");
        assert_eq!((terms[1].field.as_str(), terms[1].equal), ("status.phase", false));
        assert!(parse_fields("nonsense").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*") {
            let _ = Selector::parse(&text);
            let _ = parse_fields(&text);
        }

        #[test]
        fn what_is_written_reads_back(text in "[a-z!=,() <>0-9notin]{0,30}") {
            if let Ok(selector) = Selector::parse(&text) {
                prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
            }
        }
    }
}
