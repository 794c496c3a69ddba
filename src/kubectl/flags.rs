//! Flags as kubectl's own parser reads them: clusters of shorthands, values behind `=` or a space, repeats, `--`.
//!
//! A verb declares [`Flag`]s and reads the parsed [`Flags`]; `command.rs` calls [`parse`]. Error texts are pflag's.
// Models github.com/spf13/pflag.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::meta::age;

/// What a flag's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagType {
    Bool,
    String,
    Int,
    Int32,
    /// Comma-separated, and repeated flags add to it.
    StringSlice,
    /// Repeated flags add to it; commas are part of the value.
    StringArray,
    /// A Go duration like `30s`.
    Duration,
}

/// A flag that a verb knows.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The long name, without dashes.
    pub name: &'static str,
    /// The letter behind one dash.
    pub short: Option<char>,
    /// What its values are.
    pub kind: FlagType,
    /// The value when it is not given; lists are empty.
    pub default: String,
    /// The value when it is given without one, like `unchanged` for `--dry-run`. Set for every bool.
    pub no_value: Option<String>,
    /// What it does, for `--help`.
    pub usage: String,
    /// Whether `--help` leaves it out.
    pub hidden: bool,
    /// What to use instead, printed when it is used.
    pub deprecated: Option<&'static str>,
}

impl Flag {
    fn new(name: &'static str, kind: FlagType, default: impl Into<String>, usage: impl Into<String>) -> Self {
        let no_value = (kind == FlagType::Bool).then(|| "true".to_owned());
        Self {
            name,
            short: None,
            kind,
            default: default.into(),
            no_value,
            usage: usage.into(),
            hidden: false,
            deprecated: None,
        }
    }

    /// `--name`, `--name=true`, `--name=false`.
    pub fn bool(name: &'static str, default: bool, usage: impl Into<String>) -> Self {
        Self::new(name, FlagType::Bool, default.to_string(), usage)
    }

    /// A text.
    pub fn string(name: &'static str, default: &str, usage: impl Into<String>) -> Self {
        Self::new(name, FlagType::String, default, usage)
    }

    /// A whole number of 64 bits.
    pub fn int(name: &'static str, default: i64, usage: impl Into<String>) -> Self {
        Self::new(name, FlagType::Int, default.to_string(), usage)
    }

    /// A whole number of 32 bits.
    pub fn int32(name: &'static str, default: i32, usage: impl Into<String>) -> Self {
        Self::new(name, FlagType::Int32, default.to_string(), usage)
    }

    /// A list whose values may be separated by commas.
    pub fn strings(name: &'static str, usage: impl Into<String>) -> Self {
        Self::new(name, FlagType::StringSlice, "", usage)
    }

    /// A list with one value a flag.
    pub fn string_array(name: &'static str, usage: impl Into<String>) -> Self {
        Self::new(name, FlagType::StringArray, "", usage)
    }

    /// A duration; `default` as Go prints it (`0s`, `1m0s`).
    pub fn duration(name: &'static str, default: &str, usage: impl Into<String>) -> Self {
        Self::new(name, FlagType::Duration, default, usage)
    }

    /// Gives it a shorthand.
    #[must_use]
    pub fn short(self, letter: char) -> Self {
        Self { short: Some(letter), ..self }
    }

    /// Gives it the value that it has when given without one.
    #[must_use]
    pub fn no_value(self, value: &str) -> Self {
        Self { no_value: Some(value.to_owned()), ..self }
    }

    /// Leaves it out of `--help`.
    #[must_use]
    pub fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Marks it deprecated (and hidden, as pflag does).
    #[must_use]
    pub fn deprecated(self, instead: &'static str) -> Self {
        Self { hidden: true, deprecated: Some(instead), ..self }
    }

    /// The default as `--help` prints it.
    pub fn printed_default(&self) -> String {
        match self.kind {
            FlagType::String => format!("'{}'", self.default),
            FlagType::StringSlice | FlagType::StringArray => "[]".to_owned(),
            _ => self.default.clone(),
        }
    }
}

/// What was given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    values: BTreeMap<&'static str, Given>,
    given: Vec<(&'static str, String)>,
    /// Lines about deprecated flags that were used.
    pub warnings: Vec<String>,
    /// Where `--` stood: how many arguments came before it.
    pub dash: Option<usize>,
}

#[derive(Clone, Debug)]
struct Given {
    kind: FlagType,
    values: Vec<String>,
    changed: bool,
}

impl Flags {
    /// The defaults of `flags`, as if nothing had been given.
    pub fn defaults(flags: &[Flag]) -> Self {
        let list = |flag: &Flag| matches!(flag.kind, FlagType::StringSlice | FlagType::StringArray);
        let given = |flag: &Flag| Given {
            kind: flag.kind,
            values: if list(flag) && flag.default.is_empty() { vec![] } else { vec![flag.default.clone()] },
            changed: false,
        };
        Self { values: flags.iter().map(|flag| (flag.name, given(flag))).collect(), ..Self::default() }
    }

    /// Whether the verb knows the flag.
    pub fn knows(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether it was given.
    pub fn changed(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|given| given.changed)
    }

    /// What was given, in its order: names and values.
    pub fn given(&self) -> &[(&'static str, String)] {
        &self.given
    }

    /// The text of a flag; empty if the verb does not know it.
    pub fn string(&self, name: &str) -> &str {
        self.values.get(name).and_then(|given| given.values.last()).map_or("", String::as_str)
    }

    /// Whether a bool flag is set.
    pub fn bool(&self, name: &str) -> bool {
        parse_bool(self.string(name)) == Some(true)
    }

    /// The number of an int flag.
    pub fn int(&self, name: &str) -> i64 {
        parse_int(self.string(name), i64::MIN, i64::MAX).unwrap_or_default()
    }

    /// The values of a list.
    pub fn strings(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], |given| &given.values)
    }

    /// The duration of a duration flag; a negative one is `None`.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        age::parse_go(self.string(name)).ok()
    }

    fn set(&mut self, flag: &Flag, value: &str) -> Result<(), String> {
        let invalid = |why: String| {
            let long = format!("--{}", flag.name);
            let names = flag.short.map_or_else(|| long.clone(), |letter| format!("-{letter}, {long}"));
            format!("invalid argument {value:?} for {names:?} flag: {why}")
        };
        match flag.kind {
            FlagType::Bool => {
                parse_bool(value).ok_or_else(|| {
                    invalid(format!("strconv.ParseBool: parsing {value:?}: invalid syntax"))
                })?;
            }
            FlagType::Int => {
                parse_int(value, i64::MIN, i64::MAX).map_err(invalid)?;
            }
            FlagType::Int32 => {
                parse_int(value, i32::MIN.into(), i32::MAX.into()).map_err(invalid)?;
            }
            FlagType::Duration => {
                age::parse_go(value.strip_prefix('-').unwrap_or(value))
                    .map_err(|_| invalid(age::parse_go(value).err().unwrap_or_default()))?;
            }
            FlagType::String | FlagType::StringSlice | FlagType::StringArray => {}
        }
        let added = match flag.kind {
            FlagType::StringSlice => split_csv(value).map_err(invalid)?,
            _ => vec![value.to_owned()],
        };
        let given =
            self.values.entry(flag.name).or_insert(Given { kind: flag.kind, values: vec![], changed: false });
        match given.kind {
            // The first value takes the default's place.
            FlagType::StringSlice | FlagType::StringArray if given.changed => given.values.extend(added),
            _ => given.values = added,
        }
        given.changed = true;
        self.given.push((flag.name, value.to_owned()));
        if let Some(instead) = flag.deprecated {
            self.warnings.push(format!("Flag --{} has been deprecated, {instead}", flag.name));
        }
        Ok(())
    }
}

// Models strconv.ParseBool.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

// Models strconv.ParseInt with base 0, without underscores.
fn parse_int(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let failed = |why: &str| format!("strconv.ParseInt: parsing {text:?}: {why}");
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.as_str() {
        hex if hex.starts_with("0x") => (&hex[2..], 16),
        octal if octal.starts_with("0o") => (&octal[2..], 8),
        binary if binary.starts_with("0b") => (&binary[2..], 2),
        octal if octal.len() > 1 && octal.starts_with('0') => (&octal[1..], 8),
        other => (other, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(failed("invalid syntax"));
    }
    let value = i128::from_str_radix(digits, radix).unwrap_or(i128::MAX);
    let value = if negative { -value } else { value };
    i64::try_from(value).ok().filter(|v| (min..=max).contains(v)).ok_or_else(|| failed("value out of range"))
}

/// One line of comma-separated values, with quotes as in CSV.
fn split_csv(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(vec![]);
    }
    if !text.contains('"') {
        return Ok(text.split(',').map(str::to_owned).collect());
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    match reader.records().next() {
        Some(Ok(record)) => Ok(record.iter().map(str::to_owned).collect()),
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(vec![]),
    }
}

/// Why the arguments could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagError {
    /// `--help` or `-h`, which the verb does not define itself.
    Help,
    /// The text of pflag's error.
    Message(String),
}

/// Reads `args` (without the command's names): the flags, and what is left over.
pub fn parse(flags: &[Flag], args: &[String]) -> Result<(Flags, Vec<String>), FlagError> {
    let mut given = Flags::defaults(flags);
    let mut rest = vec![];
    let mut queue = args.iter();
    while let Some(arg) = queue.next() {
        if arg == "--" {
            given.dash = Some(rest.len());
            rest.extend(queue.cloned());
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            parse_long(flags, &mut given, arg, long, &mut queue)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            parse_short(flags, &mut given, &arg[1..], &mut queue)?;
        } else {
            rest.push(arg.clone());
        }
    }
    Ok((given, rest))
}

fn parse_long(
    flags: &[Flag],
    given: &mut Flags,
    arg: &str,
    long: &str,
    queue: &mut std::slice::Iter<'_, String>,
) -> Result<(), FlagError> {
    if long.starts_with('-') || long.starts_with('=') {
        return Err(FlagError::Message(format!("bad flag syntax: {arg}")));
    }
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    // pflag's flags may be written with underscores (cliflag.WordSepNormalizeFunc).
    let normal = name.replace('_', "-");
    let Some(flag) = flags.iter().find(|flag| flag.name == normal) else {
        return Err(if normal == "help" {
            FlagError::Help
        } else {
            FlagError::Message(format!("unknown flag: --{name}"))
        });
    };
    let value = match (value, &flag.no_value) {
        (Some(value), _) => value.to_owned(),
        (None, Some(value)) => value.clone(),
        (None, None) => queue
            .next()
            .cloned()
            .ok_or_else(|| FlagError::Message(format!("flag needs an argument: --{name}")))?,
    };
    given.set(flag, &value).map_err(FlagError::Message)
}

fn parse_short(
    flags: &[Flag],
    given: &mut Flags,
    cluster: &str,
    queue: &mut std::slice::Iter<'_, String>,
) -> Result<(), FlagError> {
    let mut letters = cluster;
    while let Some(letter) = letters.chars().next() {
        let rest = &letters[letter.len_utf8()..];
        let Some(flag) = flags.iter().find(|flag| flag.short == Some(letter)) else {
            let unknown = format!("unknown shorthand flag: '{letter}' in -{letters}");
            return Err(if letter == 'h' { FlagError::Help } else { FlagError::Message(unknown) });
        };
        if let Some(value) = rest.strip_prefix('=').filter(|value| !value.is_empty()) {
            return given.set(flag, value).map_err(FlagError::Message);
        }
        if let Some(value) = &flag.no_value {
            given.set(flag, value).map_err(FlagError::Message)?;
            letters = rest;
            continue;
        }
        let value = if rest.is_empty() {
            let needs = || FlagError::Message(format!("flag needs an argument: '{letter}' in -{letters}"));
            queue.next().cloned().ok_or_else(needs)?
        } else {
            rest.to_owned()
        };
        return given.set(flag, &value).map_err(FlagError::Message);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flags() -> Vec<Flag> {
        vec![
            Flag::bool("watch", false, "").short('w'),
            Flag::bool("stdin", false, "").short('i'),
            Flag::bool("tty", false, "").short('t'),
            Flag::string("output", "", "").short('o'),
            Flag::string("dry-run", "none", "").no_value("unchanged"),
            Flag::strings("filename", "").short('f'),
            Flag::string_array("from-literal", ""),
            Flag::int32("replicas", 1, "").short('r'),
            Flag::duration("timeout", "0s", ""),
        ]
    }

    fn read(line: &str) -> Result<(Flags, Vec<String>), FlagError> {
        parse(&flags(), &line.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_list_has_its_default_until_a_value_is_given() {
        let mut address = Flag::strings("address", "");
        address.default = "localhost".to_owned();
        let address = [address];
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            parse(&address, &words).unwrap().0.strings("address").to_vec()
        };
        assert_eq!(read(&[]), ["localhost"]);
        assert_eq!(read(&["--address=10.0.0.1"]), ["10.0.0.1"]);
        assert_eq!(read(&["--address=10.0.0.1,::1", "--address=10.0.0.2"]), ["10.0.0.1", "::1", "10.0.0.2"]);
    }

    #[test]
    fn flags_are_read_in_every_spelling() {
        for line in ["-owide x", "-o wide x", "-o=wide x", "--output wide x", "--output=wide x", "x -owide"] {
            let (given, rest) = read(line).unwrap();
            assert_eq!((given.string("output"), rest), ("wide", vec!["x".to_owned()]), "{line}");
        }
        let (given, rest) = read("-it pod --dry-run -f a,b -f c --from-literal=a,b -- ls -l").unwrap();
        assert!(given.bool("stdin") && given.bool("tty") && !given.bool("watch"));
        assert_eq!(given.string("dry-run"), "unchanged");
        assert_eq!(given.strings("filename"), ["a", "b", "c"]);
        assert_eq!(given.strings("from-literal"), ["a,b"]);
        assert_eq!((rest, given.dash), (vec!["pod".to_owned(), "ls".to_owned(), "-l".to_owned()], Some(1)));
        assert!(!read("-w=false").unwrap().0.bool("watch"));
    }

    #[test]
    fn what_is_wrong_is_told_in_pflags_words() {
        let cases = [
            ("--nosuch", "unknown flag: --nosuch"),
            ("-zx", "unknown shorthand flag: 'z' in -zx"),
            ("-iz", "unknown shorthand flag: 'z' in -z"),
            ("--output", "flag needs an argument: --output"),
            ("-o", "flag needs an argument: 'o' in -o"),
            ("--=x", "bad flag syntax: --=x"),
            (
                "--replicas=x",
                "invalid argument \"x\" for \"-r, --replicas\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                "--replicas=9999999999",
                "invalid argument \"9999999999\" for \"-r, --replicas\" flag: strconv.ParseInt: parsing \"9999999999\": value out of range",
            ),
            (
                "--timeout=5",
                "invalid argument \"5\" for \"--timeout\" flag: time: missing unit in duration \"5\"",
            ),
            (
                "-w=maybe",
                "invalid argument \"maybe\" for \"-w, --watch\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(read(line).unwrap_err(), FlagError::Message(expected.to_owned()), "{line}");
        }
        assert_eq!(read("-h").unwrap_err(), FlagError::Help);
        assert_eq!(read("x --help").unwrap_err(), FlagError::Help);
    }

    proptest! {
        #[test]
        fn any_arguments_are_read_or_refused(args in proptest::collection::vec("[-a-z=, \"é0-9]{0,8}", 0..6)) {
            let _ = parse(&flags(), &args);
        }
    }
}
