//! `tar`, which `kubectl cp` runs at the far end: creates, lists and extracts archives.

use async_trait::async_trait;

use super::super::launcher::read_all;
use crate::bash::{Dialect, Files, FilesError, Program, ProgramContext, resolve, split};

/// The largest archive.
const MAX_ARCHIVE_BYTES: u64 = 256 << 20;
/// What GNU's tar writes at once.
const RECORD_BYTES: usize = 10_240;

/// `tar c|x|t [f FILE] [C DIRECTORY] [v] [m] [PATH ...]`; with `z` through gzip.
pub(super) struct Tar;

#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    mode: char,
    file: Option<String>,
    directory: Option<String>,
    verbose: bool,
    gzip: bool,
    strip: usize,
    paths: Vec<String>,
}

fn parse(words: &[String]) -> Result<Call, String> {
    let mut call = Call::default();
    let mut words = words.iter().skip(1);
    let mut first = true;
    while let Some(word) = words.next() {
        let letters = match word.strip_prefix('-') {
            Some(long) if long.starts_with('-') => {
                match long.trim_start_matches('-').split_once('=') {
                    Some(("strip-components", count)) => call.strip = count.parse().unwrap_or(0),
                    Some(("file", name)) => call.file = Some(name.to_owned()),
                    Some(("directory", name)) => call.directory = Some(name.to_owned()),
                    // Owners and modes are kept as they are either way.
                    _ => {}
                }
                continue;
            }
            Some(letters) if !letters.is_empty() => letters,
            _ if first => word.as_str(),
            _ => {
                call.paths.push(word.clone());
                continue;
            }
        };
        first = false;
        for letter in letters.chars() {
            match letter {
                'c' | 'x' | 't' => call.mode = letter,
                'f' => call.file = words.next().cloned(),
                'C' => call.directory = words.next().cloned(),
                'v' => call.verbose = true,
                'z' => call.gzip = true,
                'm' | 'p' | 'o' | 'h' | 'P' | 'k' => {}
                other => return Err(format!("invalid option -- '{other}'")),
            }
        }
    }
    if call.mode == '\0' { Err("must specify one of -c, -x or -t".to_owned()) } else { Ok(call) }
}

/// A thing that an archive has to have.
struct Entry {
    path: String,
    name: String,
}

/// What is taken off a member's name so that it cannot lead out of where it is unpacked, and what is left.
fn safe_name(path: &str) -> (&str, &str) {
    let mut start = 0;
    for (index, _) in path.match_indices("..") {
        let (before, after) = (&path[..index], &path[index + 2..]);
        if (before.is_empty() || before.ends_with('/')) && (after.is_empty() || after.starts_with('/')) {
            start = index + 2;
        }
    }
    while path[start..].starts_with('/') {
        start += 1;
    }
    path.split_at(start)
}

/// Everything at and below a path, directories before what is in them.
async fn walk(files: &dyn Files, path: &str, name: &str) -> Result<Vec<Entry>, String> {
    let mut found = vec![];
    let mut todo = vec![Entry { path: path.to_owned(), name: name.to_owned() }];
    while let Some(entry) = todo.pop() {
        let metadata = files.link_metadata(&entry.path).await;
        let metadata =
            metadata.map_err(|error| format!("{}: Cannot stat: {}", entry.name, error.strerror()))?;
        if metadata.directory && metadata.link.is_none() {
            let names = files.list(&entry.path).await.unwrap_or_default();
            let below = |name: String| Entry {
                path: resolve(&entry.path, &name),
                name: format!("{}/{name}", entry.name.trim_end_matches('/')),
            };
            todo.extend(names.into_iter().rev().map(below));
        }
        found.push(entry);
    }
    Ok(found)
}

/// The directory that `-C` names; what tar says and its code if there is none.
async fn enter(context: &mut ProgramContext, call: &Call) -> Result<String, i32> {
    let Some(directory) = &call.directory else { return Ok(context.cwd.clone()) };
    let path = context.path(directory);
    let why = match context.files.metadata(&path).await {
        Ok(metadata) if metadata.directory => return Ok(path),
        Ok(_) => FilesError::NotDirectory,
        Err(error) => error,
    };
    let why = why.strerror();
    if context.system.dialect == Dialect::Busybox {
        context.stdio.err(format!("tar: can't change directory to '{directory}': {why}\n")).await;
        return Err(1);
    }
    let text = format!("tar: {directory}: Cannot open: {why}\ntar: Error is not recoverable: exiting now\n");
    context.stdio.err(text).await;
    Err(2)
}

async fn create(context: &mut ProgramContext, call: &Call) -> i32 {
    let from = match enter(context, call).await {
        Ok(from) => from,
        Err(code) => return code,
    };
    let busybox = context.system.dialect == Dialect::Busybox;
    let mut archive = tar::Builder::new(vec![]);
    let mut code = 0;
    let mut warned: Vec<&str> = vec![];
    for path in &call.paths {
        let (prefix, name) = safe_name(path);
        if !prefix.is_empty() && !warned.contains(&prefix) {
            warned.push(prefix);
            context
                .stdio
                .err(if busybox {
                    format!("tar: removing leading '{prefix}' from member names\n")
                } else {
                    format!("tar: Removing leading `{prefix}' from member names\n")
                })
                .await;
        }
        let entries = match walk(&*context.files, &resolve(&from, path), name).await {
            Ok(entries) => entries,
            Err(why) => {
                let text = match context.system.dialect {
                    Dialect::Busybox => format!(
                        "tar: {path}: No such file or directory\ntar: error exit delayed from previous errors\n"
                    ),
                    _ => format!("tar: {why}\ntar: Exiting with failure status due to previous errors\n"),
                };
                context.stdio.err(text).await;
                code = if context.system.dialect == Dialect::Busybox { 1 } else { 2 };
                continue;
            }
        };
        for entry in entries {
            if call.verbose {
                context.stdio.err(format!("{}\n", entry.name)).await;
            }
            if let Err(error) = append(&*context.files, &mut archive, &entry).await {
                context.stdio.err(format!("tar: {}: {error}\n", entry.name)).await;
                code = 2;
            }
        }
    }
    let Ok(mut bytes) = archive.into_inner() else { return 2 };
    if !busybox {
        // GNU's tar writes whole records.
        bytes.resize(bytes.len().next_multiple_of(RECORD_BYTES), 0);
    }
    let bytes = if call.gzip { compress(&bytes) } else { bytes };
    match call.file.as_deref().filter(|file| *file != "-") {
        None => drop(context.stdio.out(&bytes).await),
        Some(file) => {
            let written = context.files.write(&context.path(file), &bytes).await;
            if let Err(error) = written {
                context.stdio.err(format!("tar: can't open '{file}': {}\n", error.strerror())).await;
                return 1;
            }
        }
    }
    code
}

async fn append(files: &dyn Files, archive: &mut tar::Builder<Vec<u8>>, entry: &Entry) -> Result<(), String> {
    let metadata = files.link_metadata(&entry.path).await.map_err(|error| error.strerror())?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(metadata.mode);
    header.set_mtime(metadata.modified_seconds.unsigned_abs());
    header.set_uid(u64::from(metadata.uid));
    header.set_gid(u64::from(metadata.gid));
    let done = if let Some(target) = &metadata.link {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, &entry.name, target)
    } else if metadata.directory {
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        archive.append_data(&mut header, format!("{}/", entry.name), std::io::empty())
    } else {
        let content = files.read(&entry.path).await.map_err(|error| error.strerror())?;
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, &entry.name, &content[..])
    };
    done.map_err(|error| error.to_string())
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn decompress(bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut whole = vec![];
    flate2::read::GzDecoder::new(&bytes[..]).take(MAX_ARCHIVE_BYTES).read_to_end(&mut whole)?;
    Ok(whole)
}

/// What an archive says of one member.
struct Member {
    name: String,
    kind: tar::EntryType,
    mode: u32,
    link: Option<String>,
    content: Vec<u8>,
}

fn members(bytes: Vec<u8>) -> std::io::Result<Vec<Member>> {
    use std::io::Read;
    let bytes = decompress(bytes)?;
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut members = vec![];
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let link = entry.link_name()?.map(|link| link.to_string_lossy().into_owned());
        let (kind, mode) = (entry.header().entry_type(), entry.header().mode().unwrap_or(0o644));
        let mut content = vec![];
        entry.read_to_end(&mut content)?;
        members.push(Member { name, kind, mode, link, content });
    }
    Ok(members)
}

async fn extract(context: &mut ProgramContext, call: &Call) -> i32 {
    let into = match enter(context, call).await {
        Ok(into) => into,
        Err(code) => return code,
    };
    let bytes = match call.file.as_deref().filter(|file| *file != "-") {
        None => read_all(&mut *context.stdio.stdin, MAX_ARCHIVE_BYTES).await,
        Some(file) => match context.files.read(&context.path(file)).await {
            Ok(bytes) => bytes.to_vec(),
            Err(error) => {
                context.stdio.err(format!("tar: can't open '{file}': {}\n", error.strerror())).await;
                return 1;
            }
        },
    };
    let Ok(members) = members(bytes) else {
        context.stdio.err("tar: invalid tar magic\n").await;
        return 1;
    };
    for member in members {
        let name: Vec<&str> =
            member.name.split('/').filter(|part| !part.is_empty() && *part != ".").skip(call.strip).collect();
        let name = name.join("/");
        if !call.paths.is_empty()
            && !call.paths.iter().any(|path| {
                member.name.trim_end_matches('/') == path.trim_end_matches('/')
                    || member.name.starts_with(&format!("{}/", path.trim_end_matches('/')))
            })
        {
            continue;
        }
        if call.mode == 't' || call.verbose {
            context.stdio.out(format!("{}\n", member.name)).await;
        }
        // `resolve` keeps `..` from leading out of the directory's own tree above `/` only: refuse it as tar does.
        if call.mode == 't' || name.is_empty() || member.name.split('/').any(|part| part == "..") {
            continue;
        }
        let path = resolve(&into, &name);
        if let Err(why) = put(&*context.files, &path, &member).await {
            context.stdio.err(format!("tar: can't open '{name}': {why}\n")).await;
            return 1;
        }
    }
    0
}

async fn put(files: &dyn Files, path: &str, member: &Member) -> Result<(), String> {
    let words = |error: crate::bash::FilesError| error.strerror();
    if member.kind.is_dir() {
        return files.make_directory(path).await.map_err(words);
    }
    files.make_directory(split(path).0).await.map_err(words)?;
    if let Some(target) = member.link.as_ref().filter(|_| member.kind.is_symlink()) {
        return files.symlink(target, path).await.map_err(words);
    }
    files.write(path, &member.content).await.map_err(words)?;
    files.set_mode(path, member.mode & 0o7777).await.map_err(words)
}

#[async_trait]
impl Program for Tar {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        match parse(&context.args) {
            Ok(call) if call.mode == 'c' => create(&mut context, &call).await,
            Ok(call) => extract(&mut context, &call).await,
            Err(why) => {
                context.stdio.err(format!("tar: {why}\n")).await;
                1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_kubectl_cp_are_understood() {
        let parse = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).unwrap();
        let call = parse("tar -xmf - -C /tmp");
        assert_eq!(
            (call.mode, call.file.as_deref(), call.directory.as_deref()),
            ('x', Some("-"), Some("/tmp"))
        );
        let call = parse("tar cf - /tmp/note.txt");
        assert_eq!(
            (call.mode, call.file.as_deref(), &call.paths[..]),
            ('c', Some("-"), &["/tmp/note.txt".to_owned()][..])
        );
    }

    #[test]
    fn names_do_not_lead_out() {
        for (path, prefix, name) in [
            ("/tmp/a", "/", "tmp/a"),
            ("tmp/a", "", "tmp/a"),
            ("../../etc/hosts", "../../", "etc/hosts"),
            ("tmp/d/../../etc/x", "tmp/d/../../", "etc/x"),
            ("a..b/..c", "", "a..b/..c"),
            ("..", "..", ""),
        ] {
            assert_eq!(safe_name(path), (prefix, name));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_archive_breaks_it(bytes: Vec<u8>, words: Vec<String>) {
            let _ = members(bytes);
            let _ = parse(&words);
        }
    }
}
