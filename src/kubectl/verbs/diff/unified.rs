//! `diff -u -N` of two directories, for places that have no such program: the same bytes.
//!
//! `verb.rs` calls it where the machine's own `diff` cannot be reached, as in the sandbox shell.

use jiff::Timestamp;
use similar::TextDiff;

use crate::bash::{Files, FilesError};

/// How many lines stand around a change.
const CONTEXT_LINES: usize = 3;

/// The differences of the files of two directories, in the order of their names; empty if there are none.
pub(super) async fn directories(files: &dyn Files, from: &str, to: &str) -> Result<String, FilesError> {
    let mut names = files.list(from).await?;
    names.extend(files.list(to).await?);
    names.sort();
    names.dedup();
    let mut text = String::new();
    for name in names {
        let (old, new) = (Side::read(files, from, &name).await?, Side::read(files, to, &name).await?);
        if old.content != new.content {
            text += &format!("diff -u -N {} {}\n{}", old.path, new.path, compare(&old, &new));
        }
    }
    Ok(text)
}

struct Side {
    path: String,
    content: String,
    modified_seconds: i64,
}

impl Side {
    /// A file that is not there counts as an empty one from long ago.
    async fn read(files: &dyn Files, directory: &str, name: &str) -> Result<Self, FilesError> {
        let path = format!("{directory}/{name}");
        let (content, modified_seconds) = match files.read(&path).await {
            Ok(content) => {
                let modified = files.metadata(&path).await?.modified_seconds;
                (String::from_utf8_lossy(&content).into_owned(), modified)
            }
            Err(FilesError::NotFound) => (String::new(), 0),
            Err(error) => return Err(error),
        };
        Ok(Self { path, content, modified_seconds })
    }

    fn title(&self) -> String {
        let time = Timestamp::from_second(self.modified_seconds).unwrap_or_default();
        format!("{}\t{}", self.path, time.strftime("%Y-%m-%d %H:%M:%S.%9f +0000"))
    }
}

fn compare(old: &Side, new: &Side) -> String {
    let diff = TextDiff::from_lines(&old.content, &new.content);
    let mut unified = diff.unified_diff();
    unified.context_radius(CONTEXT_LINES).header(&old.title(), &new.title()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::MemoryFiles;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn differences_are_told_as_diff_tells_them() {
        let clock = Clock::virtual_time();
        let files = MemoryFiles::new(clock.clone());
        let lines = |numbers: &[u32]| numbers.iter().map(|n| format!("{n}\n")).collect::<String>();
        files.put("/tmp/A/same", b"x\n", 0o600);
        files.put("/tmp/B/same", b"x\n", 0o600);
        files.put("/tmp/A/one", lines(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).as_bytes(), 0o600);
        files.put("/tmp/B/one", lines(&[1, 2, 3, 4, 50, 6, 7, 8, 9]).as_bytes(), 0o600);
        files.put("/tmp/B/two", b"new", 0o600);
        let said = directories(&files, "/tmp/A", "/tmp/B").await.unwrap();
        let now = clock.now().strftime("%Y-%m-%d %H:%M:%S.000000000 +0000");
        let never = "1970-01-01 00:00:00.000000000 +0000";
        assert_eq!(
            said,
            format!(
                "diff -u -N /tmp/A/one /tmp/B/one\n--- /tmp/A/one\t{now}\n+++ /tmp/B/one\t{now}\n@@ -2,7 +2,7 @@\n \
                 2\n 3\n 4\n-5\n+50\n 6\n 7\n 8\ndiff -u -N /tmp/A/two /tmp/B/two\n--- /tmp/A/two\t{never}\n+++ \
                 /tmp/B/two\t{now}\n@@ -0,0 +1 @@\n+new\n\\ No newline at end of file\n"
            )
        );
    }
}
