//! Volumes in the machine's memory: mounts of our own, which are taken away again whoever left them there.

use std::path::{Path, PathBuf};

use tokio::fs;

use crate::clock::Clock;
use crate::network::kernel::run;

/// The mount points below a directory, the innermost first.
async fn mounted_below(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").await.unwrap_or_default();
    let mut found = points(&table, &real(directory).await);
    found.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    found
}

/// A directory as the mount table has it: without links on the way.
async fn real(directory: &Path) -> PathBuf {
    fs::canonicalize(directory).await.unwrap_or_else(|_| directory.to_owned())
}

/// The mount points of a mount table that are the directory or below it.
fn points(table: &str, directory: &Path) -> Vec<PathBuf> {
    let field = |line: &str| line.split(' ').nth(4).map(unescaped);
    table.lines().filter_map(field).map(PathBuf::from).filter(|path| path.starts_with(directory)).collect()
}

/// A path of the mount table, which writes blanks and the like in octal.
fn unescaped(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// Mounts memory on a directory, unless there is some already. `size` is the most that fits in, in bytes.
pub(super) async fn mount(clock: &Clock, directory: &Path, size: Option<u64>) -> Result<(), String> {
    let directory = real(directory).await;
    if mounted_below(&directory).await.contains(&directory) {
        return Ok(());
    }
    let path = directory.to_string_lossy();
    let size = size.map(|bytes| format!("size={bytes}"));
    let mut words = vec!["mount", "-t", "tmpfs"];
    if let Some(size) = &size {
        words.extend(["-o", size]);
    }
    words.extend(["tmpfs", &path]);
    run(clock, &words, "").await.map(drop)
}

/// Takes away what is mounted on a directory and below it.
pub(super) async fn unmount(clock: &Clock, directory: &Path) -> Result<(), String> {
    for path in mounted_below(directory).await {
        run(clock, &["umount", &path.to_string_lossy()], "").await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found_below_a_directory() {
        let table = "36 35 98:0 / /var/lib/x rw - ext3 /dev/root rw\n\
                     37 36 0:5 / /var/lib/x/nodes/a\\040b rw - tmpfs tmpfs rw\n\
                     38 35 0:6 / /var/lib/xy rw - tmpfs tmpfs rw\n";
        let found = points(table, Path::new("/var/lib/x"));
        assert_eq!(found, [Path::new("/var/lib/x"), Path::new("/var/lib/x/nodes/a b")]);
    }
}
