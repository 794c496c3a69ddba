//! `ls`: what is in a directory, one name a line, or long.
//!
//! It sorts by bytes, as in the C locale that containers have. Columns are left out: it cannot see whether a pipe follows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::bash::files::{Files, FilesError, Metadata, resolve, split};
use crate::bash::program::{Dialect, Program, ProgramContext};

/// `ls`.
pub(super) struct Ls;

/// After half a year the time of a file gives way to its year.
const HALF_A_YEAR_SECONDS: i64 = 31_556_952 / 2;
/// What a directory or a file's block takes.
const BLOCK_BYTES: u64 = 4096;

#[derive(Clone, Default)]
struct Options {
    all: bool,
    almost_all: bool,
    long: bool,
    numeric: bool,
    follow: bool,
    itself: bool,
    human: bool,
    recursive: bool,
    by_time: bool,
    by_size: bool,
    reverse: bool,
    classify: bool,
    slash: bool,
}

impl Options {
    fn set(&mut self, letter: char) -> bool {
        let option = match letter {
            'a' => &mut self.all,
            'A' => &mut self.almost_all,
            'l' => &mut self.long,
            'L' | 'H' => &mut self.follow,
            'd' => &mut self.itself,
            'h' => &mut self.human,
            'R' => &mut self.recursive,
            't' => &mut self.by_time,
            'S' => &mut self.by_size,
            'r' => &mut self.reverse,
            'F' => &mut self.classify,
            'p' => &mut self.slash,
            'n' => {
                self.long = true;
                &mut self.numeric
            }
            // One name a line is how it is.
            '1' => return true,
            _ => return false,
        };
        *option = true;
        true
    }

    /// Sets a long option, or the letters of a short one; what is not known comes back.
    fn read(&mut self, word: &str) -> Result<(), String> {
        let known = match word {
            "--all" => self.set('a'),
            "--almost-all" => self.set('A'),
            "--dereference" => self.set('L'),
            "--directory" => self.set('d'),
            "--human-readable" => self.set('h'),
            "--recursive" => self.set('R'),
            "--reverse" => self.set('r'),
            "--classify" => self.set('F'),
            word if word.starts_with("--color") => true,
            word if word.starts_with("--") => false,
            letters => match letters[1..].chars().find(|letter| !self.set(*letter)) {
                Some(letter) => return Err(letter.to_string()),
                None => true,
            },
        };
        if known { Ok(()) } else { Err(word.to_owned()) }
    }
}

/// One line of a listing.
struct Item {
    name: String,
    is: Metadata,
    links: usize,
}

/// The names of users or groups by number.
type Names = BTreeMap<u32, String>;

struct Listing {
    files: Arc<dyn Files>,
    options: Options,
    users: Names,
    groups: Names,
    now: Timestamp,
}

#[async_trait]
impl Program for Ls {
    async fn run(&self, context: ProgramContext) -> i32 {
        let (mut options, mut names, mut ended) = (Options::default(), vec![], false);
        let ProgramContext { args, cwd, files, mut stdio, system, .. } = context;
        for word in &args[1..] {
            match word.as_str() {
                "--" if !ended => ended = true,
                word if !ended && word.len() > 1 && word.starts_with('-') => {
                    if let Err(unknown) = options.read(word) {
                        stdio.err(refusal(&unknown, system.dialect)).await;
                        return if system.dialect == Dialect::Busybox { 1 } else { 2 };
                    }
                }
                word => names.push(word.to_owned()),
            }
        }
        if names.is_empty() {
            names.push(".".to_owned());
        }
        let users = numbered(&*files, "/etc/passwd").await;
        let groups = numbered(&*files, "/etc/group").await;
        let listing = Listing { files, options, users, groups, now: system.clock.now() };
        let (text, complaints) = listing.show(&cwd, &names).await;
        for (name, why) in &complaints {
            stdio
                .err(match system.dialect {
                    Dialect::Busybox => format!("ls: {name}: {}\n", why.strerror()),
                    _ if *why == FilesError::PermissionDenied => {
                        format!("ls: cannot open directory '{name}': {}\n", why.strerror())
                    }
                    _ => format!("ls: cannot access '{name}': {}\n", why.strerror()),
                })
                .await;
        }
        if !stdio.out(text).await {
            return 141;
        }
        match (complaints.is_empty(), system.dialect) {
            (true, _) => 0,
            (false, Dialect::Busybox) => 1,
            (false, _) => 2,
        }
    }
}

fn refusal(unknown: &str, dialect: Dialect) -> String {
    let what = if unknown.starts_with("--") { "unrecognized" } else { "invalid" };
    match (dialect, what) {
        (Dialect::Busybox, "unrecognized") => format!("ls: unrecognized option: {}\n", &unknown[2..]),
        (Dialect::Busybox, _) => format!("ls: unrecognized option: {unknown}\n"),
        (_, "unrecognized") => {
            format!("ls: unrecognized option '{unknown}'\nTry 'ls --help' for more information.\n")
        }
        _ => format!("ls: invalid option -- '{unknown}'\nTry 'ls --help' for more information.\n"),
    }
}

/// The names by number of a file like `/etc/passwd`; none if it cannot be read.
async fn numbered(files: &dyn Files, path: &str) -> Names {
    let text = files.read(path).await.unwrap_or_default();
    let lines = String::from_utf8_lossy(&text).into_owned();
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, (*fields.first()?).to_owned()))
    };
    lines.lines().filter_map(entry).collect()
}

impl Listing {
    async fn show(&self, cwd: &str, names: &[String]) -> (String, Vec<(String, FilesError)>) {
        let (mut alone, mut directories, mut complaints) = (vec![], vec![], vec![]);
        for name in names {
            let path = resolve(cwd, name);
            match self.look(&path, self.options.follow || !self.options.long).await {
                Ok(is) if is.directory && !self.options.itself => directories.push((name.clone(), path)),
                Ok(is) => alone.push(self.item(name.clone(), &path, is).await),
                Err(error) => complaints.push((name.clone(), error)),
            }
        }
        let mut parts = vec![];
        if !alone.is_empty() {
            self.sort(&mut alone);
            parts.push(self.lines(&alone));
        }
        directories.sort();
        let headed = names.len() > 1 || self.options.recursive;
        let mut left = VecDeque::from(directories);
        while let Some((name, path)) = left.pop_front() {
            match self.directory(&path).await {
                Ok(items) => {
                    let head = if headed { format!("{name}:\n") } else { String::new() };
                    parts.push(head + &self.total(&items) + &self.lines(&items));
                    if self.options.recursive {
                        for item in items.iter().rev().filter(|item| item.is.directory) {
                            if item.name != "." && item.name != ".." {
                                let below = format!("{}/{}", name.trim_end_matches('/'), item.name);
                                left.push_front((below, format!("{path}/{}", item.name)));
                            }
                        }
                    }
                }
                Err(error) => complaints.push((name, error)),
            }
        }
        (parts.join("\n"), complaints)
    }

    async fn look(&self, path: &str, follow: bool) -> Result<Metadata, FilesError> {
        if follow && let Ok(is) = self.files.metadata(path).await {
            return Ok(is);
        }
        self.files.link_metadata(path).await
    }

    async fn item(&self, name: String, path: &str, is: Metadata) -> Item {
        let mut links = 1;
        // A container's root is an overlay, which tells of one link.
        if is.directory && self.options.long && path != "/" {
            links = 2;
            for name in self.files.list(path).await.unwrap_or_default() {
                let below = self.files.link_metadata(&format!("{path}/{name}")).await;
                links += usize::from(below.is_ok_and(|below| below.directory));
            }
        }
        Item { name, is, links }
    }

    async fn directory(&self, path: &str) -> Result<Vec<Item>, FilesError> {
        let mut items = vec![];
        for name in self.files.list(path).await? {
            if name.starts_with('.') && !self.options.all && !self.options.almost_all {
                continue;
            }
            let at = format!("{}/{name}", path.trim_end_matches('/'));
            // What is gone by now is not shown.
            if let Ok(is) = self.look(&at, self.options.follow).await {
                items.push(self.item(name, &at, is).await);
            }
        }
        if self.options.all {
            for (name, at) in [(".", path), ("..", split(path).0)] {
                if let Ok(is) = self.files.metadata(at).await {
                    items.push(self.item(name.to_owned(), at, is).await);
                }
            }
        }
        self.sort(&mut items);
        Ok(items)
    }

    fn sort(&self, items: &mut [Item]) {
        items.sort_by(|a, b| a.name.cmp(&b.name));
        if self.options.by_time {
            items.sort_by_key(|item| std::cmp::Reverse(item.is.modified_seconds));
        }
        if self.options.by_size {
            items.sort_by_key(|item| std::cmp::Reverse(size(&item.is)));
        }
        if self.options.reverse {
            items.reverse();
        }
    }

    fn total(&self, items: &[Item]) -> String {
        if !self.options.long {
            return String::new();
        }
        let blocks = |is: &Metadata| if is.link.is_some() { 0 } else { size(is).div_ceil(BLOCK_BYTES) };
        let bytes: u64 = items.iter().map(|item| blocks(&item.is) * BLOCK_BYTES).sum();
        if self.options.human {
            format!("total {}\n", human(bytes))
        } else {
            format!("total {}\n", bytes / 1024)
        }
    }

    fn lines(&self, items: &[Item]) -> String {
        if !self.options.long {
            return items.iter().map(|item| format!("{}{}\n", item.name, self.mark(&item.is))).collect();
        }
        let rows: Vec<[String; 4]> = items.iter().map(|item| self.columns(item)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
        let [links, user, group, bytes] = [0, 1, 2, 3].map(width);
        let mut text = String::new();
        for (item, row) in items.iter().zip(&rows) {
            let target = item.is.link.as_ref().map(|link| format!(" -> {link}")).unwrap_or_default();
            text += &format!(
                "{} {:>links$} {:<user$} {:<group$} {:>bytes$} {} {}{}{target}\n",
                mode(&item.is),
                row[0],
                row[1],
                row[2],
                row[3],
                self.time(item.is.modified_seconds),
                item.name,
                self.mark(&item.is),
            );
        }
        text
    }

    fn columns(&self, item: &Item) -> [String; 4] {
        let named = |names: &Names, number: u32| match names.get(&number) {
            Some(name) if !self.options.numeric => name.clone(),
            _ => number.to_string(),
        };
        let bytes = size(&item.is);
        [
            item.links.to_string(),
            named(&self.users, item.is.uid),
            named(&self.groups, item.is.gid),
            if self.options.human { human(bytes) } else { bytes.to_string() },
        ]
    }

    fn mark(&self, is: &Metadata) -> &'static str {
        match is {
            is if is.directory && (self.options.classify || self.options.slash) => "/",
            is if is.link.is_some() && self.options.classify && !self.options.long => "@",
            is if is.mode & 0o111 != 0 && is.link.is_none() && !is.directory && self.options.classify => "*",
            _ => "",
        }
    }

    fn time(&self, seconds: i64) -> String {
        let Ok(time) = Timestamp::from_second(seconds) else { return "?".to_owned() };
        let age = self.now.as_second() - seconds;
        let recent = (0..HALF_A_YEAR_SECONDS).contains(&age);
        let format = if recent { "%b %e %H:%M" } else { "%b %e  %Y" };
        time.to_zoned(TimeZone::UTC).strftime(format).to_string()
    }
}

fn size(is: &Metadata) -> u64 {
    match &is.link {
        Some(link) => link.len() as u64,
        None if is.directory => BLOCK_BYTES,
        None => is.size,
    }
}

fn mode(is: &Metadata) -> String {
    if is.link.is_some() {
        return "lrwxrwxrwx".to_owned();
    }
    let kind = if is.directory { 'd' } else { '-' };
    let bit = |bit: usize| {
        let set = is.mode & (0o400 >> bit) != 0;
        // The last bit of three tells of a further one: of the user, of the group, of who may remove.
        let further = bit % 3 == 2 && is.mode & (0o4000 >> (bit / 3)) != 0;
        match (further, set) {
            (true, set) => [['S', 's'], ['T', 't']][bit / 8][usize::from(set)],
            (false, true) => ['r', 'w', 'x'][bit % 3],
            (false, false) => '-',
        }
    };
    std::iter::once(kind).chain((0..9).map(bit)).collect()
}

/// `4.0K`, as `-h` shows sizes.
fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G", "T"] {
        if value < 1024.0 || unit == "T" {
            return match unit {
                "" => bytes.to_string(),
                unit if value < 10.0 => format!("{:.1}{unit}", (value * 10.0).ceil() / 10.0),
                unit => format!("{:.0}{unit}", value.ceil()),
            };
        }
        value /= 1024.0;
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::memory_files::MemoryFiles;
    use crate::bash::program::{Stdio, System};
    use crate::bash::streams::SharedWriter;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn it_lists_as_the_real_one() {
        let clock = Clock::virtual_time();
        let files = MemoryFiles::new(clock.clone());
        for (path, content) in
            [("/b/two", "xx"), ("/b/.hidden", ""), ("/a/one", "1"), ("/etc/passwd", "root:x:0:0:")]
        {
            files.make_directory(split(path).0).await.unwrap();
            files.write(path, content.as_bytes()).await.unwrap();
        }
        files.symlink("two", "/b/link").await.unwrap();
        files.put_directory("/c/group", 0o2770);
        files.put_directory("/c/tmp", 0o1777);
        let files: Arc<dyn Files> = Arc::new(files);
        for (words, expected) in [
            ("ls /b /a", "/a:\none\n\n/b:\nlink\ntwo\n"),
            ("ls -A /b", ".hidden\nlink\ntwo\n"),
            ("ls /b/two /a", "/b/two\n\n/a:\none\n"),
            ("ls -d /b", "/b\n"),
            (
                "ls -l /b",
                "total 4\nlrwxrwxrwx 1 root 0 3 Jan  1 00:00 link -> two\n-rw-r--r-- 1 root 0 2 Jan  1 00:00 two\n",
            ),
            (
                "ls -l /c",
                "total 8\ndrwxrws--- 2 root 0 4096 Jan  1 00:00 group\ndrwxrwxrwt 2 root 0 4096 Jan  1 00:00 tmp\n",
            ),
            ("ls /nope", "ls: cannot access '/nope': No such file or directory\n"),
            ("ls -Z", "ls: invalid option -- 'Z'\nTry 'ls --help' for more information.\n"),
        ] {
            let (writer, kept) = SharedWriter::capture();
            let stdio = Stdio { stdout: Box::new(writer.clone()), stderr: Box::new(writer), ..Stdio::null() };
            let context = ProgramContext {
                args: words.split(' ').map(str::to_owned).collect(),
                env: BTreeMap::new(),
                cwd: "/".to_owned(),
                files: files.clone(),
                stdio,
                system: System::new("box", clock.clone()),
            };
            Ls.run(context).await;
            assert_eq!(String::from_utf8_lossy(&kept.lock().unwrap()), expected, "{words}");
        }
    }
}
