//! Where the data of ConfigMaps and Secrets comes from: literals, files, directories, env files.
// Models kubectl/pkg/util (ParseFileSource, ParseLiteralSource), kubectl/pkg/cmd/util (env_file.go) and the handlers of
// create_configmap.go and create_secret.go.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::generator::Call;
use crate::bash::FilesError;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flag;
use crate::kubectl::session::open_error;
use crate::meta::names;

/// Which kind the data is for; the words of errors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    ConfigMap,
    Secret,
}

/// The flags that name sources.
pub fn flags(noun: &'static str) -> Vec<Flag> {
    vec![
        Flag::strings(
            "from-file",
            format!("A file or directory to take data from, as PATH or KEY=PATH, for the {noun}."),
        ),
        Flag::string_array("from-literal", format!("A key and its value, as KEY=VALUE, for the {noun}.")),
        Flag::strings("from-env-file", format!("A file with lines of KEY=VALUE for the {noun}.")),
        Flag::bool("append-hash", false, format!("Put a hash of the {noun}'s data behind its name.")),
    ]
}

/// The data that the flags of a call name.
pub async fn read(call: &Call<'_>, target: Target) -> Result<BTreeMap<String, Bytes>> {
    let literals = call.flags.strings("from-literal");
    let (files, env_files) = (call.flags.strings("from-file"), call.flags.strings("from-env-file"));
    if !env_files.is_empty() && (!files.is_empty() || !literals.is_empty()) {
        return Err(KubectlError::message("from-env-file cannot be combined with from-file or from-literal"));
    }
    let mut data = Data { call, target, entries: BTreeMap::new() };
    // A Secret takes its literals first; it shows only in which duplicate is complained about.
    if target == Target::Secret {
        data.literals(literals)?;
    }
    for source in files {
        data.file(source).await?;
    }
    if target == Target::ConfigMap {
        data.literals(literals)?;
    }
    for path in env_files {
        data.env_file(path).await?;
    }
    Ok(data.entries)
}

/// Data from `--from-file` alone, whose key is given if the source names none.
pub async fn read_files(call: &Call<'_>, sources: &[String]) -> Result<BTreeMap<String, Bytes>> {
    let mut data = Data { call, target: Target::Secret, entries: BTreeMap::new() };
    for source in sources {
        data.file(source).await?;
    }
    Ok(data.entries)
}

struct Data<'a> {
    call: &'a Call<'a>,
    target: Target,
    entries: BTreeMap<String, Bytes>,
}

impl Data<'_> {
    fn add(&mut self, key: &str, value: Bytes) -> Result<()> {
        let errors = names::config_map_key(key);
        let text = match self.target {
            Target::ConfigMap if !errors.is_empty() => {
                format!("{key:?} is not a valid key name for a ConfigMap: {}", errors.join(","))
            }
            Target::Secret if !errors.is_empty() => {
                format!("{key:?} is not valid key name for a Secret {}", errors.join(";"))
            }
            _ => match (self.entries.get(key), self.target) {
                (None, _) => {
                    self.entries.insert(key.to_owned(), value);
                    return Ok(());
                }
                (Some(there), Target::ConfigMap) => {
                    let field = if std::str::from_utf8(there).is_ok() { "Data" } else { "BinaryData" };
                    let name = &self.call.name;
                    format!(
                        "cannot add key {key:?}, another key by that name already exists in {field} for ConfigMap {name:?}"
                    )
                }
                (Some(_), Target::Secret) => {
                    format!("cannot add key {key}, another key by that name already exists")
                }
            },
        };
        Err(KubectlError::message(text))
    }

    fn literals(&mut self, literals: &[String]) -> Result<()> {
        for literal in literals {
            let pair = literal.split_once('=').filter(|(key, _)| !key.is_empty());
            let (key, value) = pair.ok_or_else(|| {
                KubectlError::message(format!("invalid literal source {literal}, expected key=value"))
            })?;
            self.add(key, Bytes::from(value.to_owned()))?;
        }
        Ok(())
    }

    async fn file(&mut self, source: &str) -> Result<()> {
        let (key, path) = file_source(source)?;
        let session = self.call.session;
        let absolute = session.absolute(&path);
        let metadata = session.files.metadata(&absolute).await;
        let metadata =
            metadata.map_err(|error| KubectlError::message(format!("error reading {path}: {error}")))?;
        if !metadata.directory {
            let content = session.read_file(&path).await?;
            return self.add(&key, content);
        }
        if source.contains('=') {
            return Err(KubectlError::message("cannot give a key name for a directory path"));
        }
        let names = session.files.list(&absolute).await;
        let names = names
            .map_err(|error| KubectlError::message(format!("error listing files in {path}: {error}")))?;
        for name in names {
            let inside = format!("{}/{name}", path.trim_end_matches('/'));
            let is_file =
                session.files.metadata(&session.absolute(&inside)).await.is_ok_and(|found| !found.directory);
            if is_file {
                let content = session.read_file(&inside).await?;
                self.add(&name, content)?;
            }
        }
        Ok(())
    }

    async fn env_file(&mut self, path: &str) -> Result<()> {
        let session = self.call.session;
        let absolute = session.absolute(path);
        let metadata = session.files.metadata(&absolute).await;
        let metadata =
            metadata.map_err(|error| KubectlError::message(format!("error reading {path}: {error}")))?;
        if metadata.directory {
            let noun = if self.target == Target::ConfigMap { "config" } else { "secret" };
            return Err(KubectlError::message(format!("env {noun} file cannot be a directory")));
        }
        let content = session
            .files
            .read(&absolute)
            .await
            .map_err(|error: FilesError| KubectlError::message(open_error(path, &error)))?;
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
            if let Some((key, value)) = env_line(line, path, number, &session.env)? {
                self.add(&key, Bytes::from(value))?;
            }
        }
        Ok(())
    }
}

/// `PATH` or `KEY=PATH`.
fn file_source(source: &str) -> Result<(String, String)> {
    let parts: Vec<&str> = source.split('=').collect();
    let text = match parts[..] {
        [path] => {
            let base = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            return Ok((base.to_owned(), path.to_owned()));
        }
        ["", path] => format!("key name for file path {path} missing"),
        [key, ""] => format!("file path for key name {key} missing"),
        [key, path] => return Ok((key.to_owned(), path.to_owned())),
        _ => "key names or file paths cannot contain '='".to_owned(),
    };
    Err(KubectlError::message(text))
}

/// A line of an env file; nothing for comments and empty lines. A name alone takes its value from the environment.
pub fn env_line(
    line: &[u8],
    path: &str,
    number: usize,
    environment: &BTreeMap<String, String>,
) -> Result<Option<(String, String)>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| {
        let bytes: Vec<String> = line.iter().map(u8::to_string).collect();
        let (place, bytes) = (number + 1, bytes.join(" "));
        KubectlError::message(format!(
            "env file {path} contains invalid utf8 bytes at line {place}: [{bytes}]"
        ))
    })?;
    let text = if number == 0 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
    let text = text.trim_start();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    let errors = names::env_var_name(key);
    if !errors.is_empty() {
        return Err(KubectlError::message(format!("{key:?} is not a valid key name: {}", errors.join(";"))));
    }
    let value = value.map(str::to_owned).or_else(|| environment.get(key).cloned()).unwrap_or_default();
    Ok(Some((key.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_sources_may_name_their_key() {
        assert_eq!(file_source("dir/a.txt").unwrap(), ("a.txt".into(), "dir/a.txt".into()));
        assert_eq!(file_source("k=a.txt").unwrap(), ("k".into(), "a.txt".into()));
        for (source, expected) in [
            ("=a", "key name for file path a missing"),
            ("a=", "file path for key name a missing"),
            ("a=b=c", "key names or file paths cannot contain '='"),
        ] {
            assert_eq!(file_source(source).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn env_files_skip_comments_and_ask_the_environment() {
        let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
        let line = |text: &str| env_line(text.as_bytes(), "f", 0, &environment).unwrap();
        assert_eq!(line("# x"), None);
        assert_eq!(line("  A=1=2"), Some(("A".into(), "1=2".into())));
        assert_eq!(line("HOME"), Some(("HOME".into(), "/root".into())));
        assert!(env_line(b"\xff", "f", 2, &environment).unwrap_err().to_string().contains("line 3: [255]"));
    }

    proptest::proptest! {
        #[test]
        fn any_source_is_read_or_refused(
            source in "[a-z=/.]{0,20}|\\PC{0,20}",
            line in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            number in 0..2_usize,
        ) {
            let _ = file_source(&source);
            let _ = env_line(&line, "env", number, &BTreeMap::new());
        }
    }
}
