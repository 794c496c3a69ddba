//! Whether two recordings say the same, once what differs from run to run is made alike: random name parts, UIDs, times,
//! ages, IPs, ports, resource versions, hashes, column widths.

use std::sync::LazyLock;

use regex::Regex;

use super::{chance, host};

/// A command with what it printed and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The command as it was typed.
    pub command: String,
    /// Its standard output and standard error.
    pub output: String,
    /// `exit N`, or `background`.
    pub end: String,
}

const RULES: &[(&str, &str)] = &[
    ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    ("sha256:[0-9a-f]{8,64}", "SHA"),
    ("containerd://[0-9a-f]{64}", "CID"),
    (r"\b[0-9a-f]{64}\b", "CID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d)?", "TIME"),
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d ([+-]\d{4}|GMT)", "TIME"),
    (r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r#"ETag: "[0-9a-f]+-"#, "ETag: \"TIME-"),
    (r"\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+", "..TIME"),
    (r"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d\b", "TIME"),
    (r"^[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "KLOG "),
    (r"kubectl-edit-\d+", "kubectl-edit-RAND"),
    (r"\[::1\]:\d+", "IP"),
    // curl tells the speed of its transfer.
    (r"(100 +\d+ +100 +\d+ +0 +0 +)\d+( +0( +--:--:--){3} +)\d+", "${1}SPEED${2}SPEED"),
    (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b(:\d+)?", "IP"),
    (r"https?://localhost:\d+", "URL"),
    (r#"(resourceVersion"?: )"?\d+"?"#, "${1}RV"),
    (r#"\b(pod-template-hash|controller-revision-hash)([=:"]+ ?"?)[\w-]+"#, "${1}${2}HASH"),
    (r"-[bcdf0-9][bcdfghjklmnpqrstvwxz2456789]{7,9}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-HASH-RAND"),
    (r#"-[bcdfghjklmnpqrstvwxz2456789]{8,10}-?([ ",/)]|$)"#, "-HASH$1"),
    (r"App Uptime: \d+(\.\d+)? seconds", "App Uptime"),
    (r#"([a-z0-9])-[bcdfghjklmnpqrstvwxz2456789]{5}([ ",/):]|$)"#, "${1}-RAND$2"),
    (r"\b(\d+d)?(\d+h)?(\d+m)?\d+(\.\d+)?s\b|\b\d+m(\s|$)|<invalid>", "AGE$5"),
    (r"\bx\d+ over AGE", "xN over AGE"),
    (r"(/tmp/)(LIVE|MERGED)-\d+", "$2"),
    (r"\b3[0-2]\d{3}\b", "NODEPORT"),
    (r"kube-api-access-\w{5}", "kube-api-access-RAND"),
    (r"v1\.36\.\d+\S*", "VERSION"),
    (r"e[0-9a-zA-Z_-]{15,}\.[\w-]{20,}\.[\w-]{20,}", "JWT"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    RULES
        .iter()
        .map(|(rule, to)| {
            (Regex::new(&format!("(?m){rule}")).expect("the rules are regular expressions"), *to)
        })
        .collect()
});

/// The text with everything that differs from run to run made alike.
pub fn normal(text: &str) -> String {
    let mut text = host::without(text);
    for (rule, to) in COMPILED.iter() {
        text = rule.replace_all(&text, *to).into_owned();
    }
    let lines = text.lines().map(|line| {
        line.split([' ', '\t']).filter(|word| !word.is_empty()).fold(
            // Leading space is kept as one blank, as it marks nesting.
            if line.starts_with([' ', '\t']) { " ".to_owned() } else { String::new() },
            |line, word| if line.trim().is_empty() { line + word } else { line + " " + word },
        )
    });
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Reads a recording.
pub fn read(text: &str) -> Vec<Entry> {
    let mut entries = vec![];
    let mut open: Option<Entry> = None;
    for line in text.lines() {
        match &mut open {
            None => {
                if let Some(command) = line.strip_prefix("$ ") {
                    open = Some(Entry { command: command.to_owned(), ..Entry::default() });
                }
            }
            Some(entry) => match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(end) if end == "background" || end.starts_with("exit ") => {
                    entry.end = end.to_owned();
                    entries.extend(open.take());
                }
                _ => {
                    entry.output.push_str(line);
                    entry.output.push('\n');
                }
            },
        }
    }
    entries
}

/// Writes a recording.
pub fn write(entries: &[Entry]) -> String {
    entries.iter().map(|entry| format!("$ {}\n{}[{}]\n", entry.command, entry.output, entry.end)).collect()
}

/// The first lines of each side that the other lacks; empty if they say the same.
pub fn difference(expected: &Entry, actual: &Entry) -> String {
    let [want, got] = [expected, actual].map(settled);
    if want == got && expected.end == actual.end {
        return String::new();
    }
    let mut lines = vec![];
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    if expected.end != actual.end {
        lines.push(format!("  ends with [{}], not [{}]", actual.end, expected.end));
    }
    lines.extend(want.iter().filter(|line| !got.contains(line)).take(6).map(|line| format!("  - {line}")));
    lines.extend(got.iter().filter(|line| !want.contains(line)).take(6).map(|line| format!("  + {line}")));
    if lines.is_empty() {
        lines.push("  the same lines in another order or number".to_owned());
    }
    lines.join("\n")
}

/// What a command printed, with all that is chance made alike.
pub fn settled(entry: &Entry) -> String {
    chance::settle(&entry.command, &normal(&entry.output))
}

#[test]
fn what_differs_from_run_to_run_is_made_alike() {
    let pairs = [
        ("web-66d5c96cb-85fdk   1/1   5s", "web-79bf577f4d-x2v5q 1/1  3m2s"),
        ("kube-api-access-8nclj", "kube-api-access-zzzzz"),
        ("10.244.0.40:8080", "10.1.2.3:1"),
        ("  a:   b", " a: b"),
    ];
    for (a, b) in pairs {
        assert_eq!(normal(a), normal(b));
    }
    assert_ne!(normal("0/1"), normal("1/1"));
}
