//! The lines that were typed, kept in the file that the plain shell (rustyline) keeps, too.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// The first line of the file: new lines and backslashes in what follows are escaped.
const HEAD: &str = "#V2";

/// The lines of the file, oldest first; none if it is not there or cannot be read.
pub fn read(path: Option<&Path>) -> Vec<String> {
    let bytes = path.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
    parse(&String::from_utf8_lossy(&bytes))
}

fn parse(text: &str) -> Vec<String> {
    let escaped = text.starts_with(HEAD);
    let lines = text.lines().skip(usize::from(escaped)).filter(|line| !line.is_empty());
    lines.map(|line| if escaped { unescape(line) } else { line.to_owned() }).collect()
}

fn unescape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some('n')) => {
                chars.next();
                out.push('\n');
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            _ => out.push(c),
        }
    }
    out
}

/// Adds a line. A history that cannot be kept is no reason to stop.
pub fn append(path: Option<&Path>, line: &str) {
    let Some(path) = path.filter(|_| !line.starts_with(' ')) else { return };
    let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) else { return };
    let head = if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        format!("{HEAD}\n")
    } else {
        String::new()
    };
    let _ = file.write_all(format!("{head}{}\n", escape(line)).as_bytes());
}

fn escape(line: &str) -> String {
    line.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_come_back_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        assert!(read(Some(&path)).is_empty());
        for line in ["kubectl get pods", "echo 'a\nb' \\n", " secret"] {
            append(Some(&path), line);
        }
        assert_eq!(read(Some(&path)), ["kubectl get pods", "echo 'a\nb' \\n"]);
        std::fs::write(&path, b"\xff\xfe broken\nls\n").unwrap();
        assert_eq!(read(Some(&path)).last().unwrap(), "ls");
    }

    proptest! {
        #[test]
        fn escaping_is_undone(line in "[a-z\\\\\n]{0,30}") {
            prop_assert_eq!(unescape(&escape(&line)), line);
        }
    }
}
