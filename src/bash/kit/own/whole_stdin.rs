//! Which commands read the terminal to its end before they answer: bashkit's filters, when they are given no file.
//!
//! Used by `shell`, which hands such a command all of its input at once. It looks at the words only: a wrong guess makes a
//! command wait for Ctrl-D, or find no input.

/// A filter: its name, the short options that take the next word, and how many operands stand before its files.
type Filter = (&'static str, &'static str, usize);

/// Every operand is something else than a file to read.
const NO_FILES: usize = usize::MAX;

const FILTERS: &[Filter] = &[
    ("sort", "kto", 0),
    ("wc", "", 0),
    ("head", "nc", 0),
    ("tail", "ncs", 0),
    ("grep", "efmABC", 1),
    ("egrep", "efmABC", 1),
    ("fgrep", "efmABC", 1),
    ("sed", "ef", 1),
    ("awk", "Fvf", 1),
    ("tr", "", NO_FILES),
    ("cut", "dfcb", 0),
    ("uniq", "fsw", 0),
    ("tee", "", NO_FILES),
    ("xargs", "", NO_FILES),
    ("md5sum", "", 0),
    ("sha1sum", "", 0),
    ("sha256sum", "", 0),
    ("base64", "w", 0),
    ("tac", "s", 0),
    ("rev", "", 0),
    ("nl", "bdhfilnsvw", 0),
    ("jq", "", 1),
    ("yq", "", 1),
    ("less", "", 0),
    ("more", "", 0),
    ("od", "ANtjw", 0),
    ("xxd", "lsc", 0),
    ("hexdump", "ns", 0),
    ("paste", "d", 0),
    ("join", "t12o", 0),
    ("fold", "w", 0),
    ("fmt", "w", 0),
    ("column", "ts", 0),
    ("gzip", "", 0),
    ("gunzip", "", 0),
    ("zcat", "", 0),
];

/// Whether a script is such a command alone, or begins with one: it wants its input whole.
pub(in crate::bash) fn wants_whole_stdin(script: &str) -> bool {
    let first = first_command(script);
    let words: Vec<String> = shlex::split(first).unwrap_or_default();
    let Some((name, rest)) = words.split_first() else { return false };
    let name = name.rsplit('/').next().unwrap_or(name);
    match name {
        // A shell that is given its commands reads none.
        "bash" | "sh" => rest.first().is_none_or(|word| word == "-s" || word == "-"),
        "tar" => rest.iter().any(|word| word == "-" || word.ends_with('-')),
        name => FILTERS.iter().any(|filter| filter.0 == name && reads_the_terminal(filter, rest, first)),
    }
}

/// The script up to the first sign that ends a command, outside of quotes.
fn first_command(script: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (index, c) in script.trim_start().char_indices() {
        let after = script.trim_start()[index + c.len_utf8()..].chars().next();
        match (quote, c) {
            (None, '\'' | '"') if before != '\\' => quote = Some(c),
            (Some(open), c) if open == c && before != '\\' => quote = None,
            // `2>&1` and `&> file` end nothing.
            (None, '&') if before == '>' || after == Some('>') => {}
            (None, '|' | ';' | '&' | '\n') => return &script.trim_start()[..index],
            _ => {}
        }
        before = c;
    }
    script.trim_start()
}

fn reads_the_terminal((_, with_value, before_files): &Filter, words: &[String], command: &str) -> bool {
    if is_redirected(command) {
        return false;
    }
    let (mut operands, mut before_files) = (vec![], *before_files);
    let mut words = words.iter();
    let mut options_end = false;
    while let Some(word) = words.next() {
        if let Some((_, target)) =
            word.split_once('>').filter(|(fd, _)| fd.chars().all(|c| c.is_ascii_digit() || c == '&'))
        {
            if target.trim_start_matches('>').is_empty() {
                words.next();
            }
        } else if options_end || word == "-" || !word.starts_with('-') {
            operands.push(word);
        } else if word == "--" {
            options_end = true;
        } else if !word.starts_with("--") {
            // The pattern or the program is given by an option.
            if before_files == 1 && word.contains(['e', 'f']) && with_value.contains('f') {
                before_files = 0;
            }
            if word.chars().last().is_some_and(|letter| with_value.contains(letter)) {
                words.next();
            }
        }
    }
    operands.len() <= before_files || operands.iter().any(|word| *word == "-")
}

/// Whether the input comes from a file or from the script.
fn is_redirected(command: &str) -> bool {
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '<') => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_read_the_terminal_if_they_are_given_nothing_else() {
        for script in [
            "wc",
            "wc -l",
            "head -n 5",
            "head -5",
            "sort -k 2 > out",
            "sort -k 2 2>/dev/null",
            "grep word",
            "grep 'a < b'",
            "grep -i -e word",
            "sed -n 5p",
            "awk -F : '{print $1}' | sort",
            "tr a b",
            "tee file",
            "xargs echo",
            "sort -",
            "bash -s",
            "tar xf -",
            "/usr/bin/wc",
        ] {
            assert!(wants_whole_stdin(script), "{script}");
        }
        for script in [
            "wc -c file",
            "wc -c < file",
            "head -n 5 file",
            "tail -n 3 file",
            "sort file > out",
            "sort <<E\nb\nE",
            "grep word file",
            "grep -e word file",
            "grep -c \"two words\" file",
            "sed -n 5p file",
            "sed -e s/a/b/ file",
            "awk -f program file",
            "awk '{print $1; print $2}' file",
            "less file",
            "jq . file",
            "cut -d , -f 1 file",
            "base64 -d file 2>&1",
            "echo x | wc",
            "ls; wc",
            "bash -c ls",
            "",
        ] {
            assert!(!wants_whole_stdin(script), "{script}");
        }
    }
}
