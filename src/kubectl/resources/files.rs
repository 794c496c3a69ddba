//! Objects in files, directories, standard input and at URLs: which files, and the documents in them.
// Models k8s.io/cli-runtime/pkg/resource/visitor.go and apimachinery/pkg/util/yaml/decoder.go.

use futures::future::BoxFuture;
use serde_json::Value;

use super::fetch;
use crate::bash::FilesError;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::yaml;

/// What `-f`, `-k` and `-R` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilenameOptions {
    pub filenames: Vec<String>,
    pub kustomize: String,
    pub recursive: bool,
}

/// The endings of files that a directory is searched for.
const EXTENSIONS: [&str; 3] = [".json", ".yaml", ".yml"];

impl FilenameOptions {
    /// The flags `-f`, `-k` and `-R`; `usage` ends a sentence like "identifying the resource to get from a server.".
    pub fn flags(usage: &str) -> Vec<Flag> {
        vec![
            Flag::strings("filename", format!("A file, directory or URL {usage}")).short('f'),
            Flag::string("kustomize", "", "A directory with a kustomization. Not together with -f or -R.")
                .short('k'),
            Flag::bool("recursive", false, "Look for files in directories of the directory in -f, too.")
                .short('R'),
        ]
    }

    /// What was given.
    pub fn new(flags: &Flags) -> Self {
        Self {
            filenames: flags.strings("filename").to_vec(),
            kustomize: flags.string("kustomize").to_owned(),
            recursive: flags.bool("recursive"),
        }
    }

    /// Whether neither -f nor -k was given.
    pub fn is_empty(&self) -> bool {
        self.filenames.is_empty() && self.kustomize.is_empty()
    }

    /// Whether one of -f and -k was given, as verbs that need files ask.
    // Models FilenameOptions.RequireFilenameOrKustomize.
    pub fn require(&self) -> Result<()> {
        if self.is_empty() { Err(KubectlError::message("must specify one of -f and -k")) } else { Ok(()) }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if !self.kustomize.is_empty() && !self.filenames.is_empty() {
            return Err(KubectlError::message("only one of -f or -k can be specified"));
        }
        if !self.kustomize.is_empty() && self.recursive {
            return Err(KubectlError::message("the -k flag can't be used with -f or -R"));
        }
        if !self.kustomize.is_empty() {
            return Err(KubectlError::message(
                "building a kustomization (-k) is not supported by this kubectl",
            ));
        }
        Ok(())
    }
}

/// The content of one file.
pub(super) struct SourceFile {
    /// The path as typed, `STDIN` or a URL.
    pub name: String,
    /// Its content.
    pub content: String,
}

/// What `-f` led to.
#[derive(Default)]
pub(super) struct Sources {
    pub files: Vec<SourceFile>,
    pub errors: Vec<KubectlError>,
    /// Whether exactly one file was meant.
    pub single: bool,
}

/// Reads every file that the options name.
pub(super) async fn read_sources(session: &Session, options: &FilenameOptions) -> Result<Sources> {
    options.validate()?;
    let mut sources = Sources { single: options.filenames.len() == 1, ..Sources::default() };
    let mut stdin_used = false;
    for name in &options.filenames {
        if name == "-" {
            if stdin_used {
                let twice = "standard input cannot be used for multiple arguments";
                sources.errors.push(KubectlError::message(twice));
                continue;
            }
            stdin_used = true;
            sources.single = false;
            let content = text(&session.read_stdin().await?);
            sources.files.push(SourceFile { name: "STDIN".to_owned(), content });
        } else if name.starts_with("http://") || name.starts_with("https://") {
            sources.single = false;
            match fetch::fetch(session, name).await {
                Ok(bytes) => sources.files.push(SourceFile { name: name.clone(), content: text(&bytes) }),
                Err(error) => sources.errors.push(error),
            }
        } else {
            read_path(session, name, options.recursive, &mut sources).await;
        }
    }
    Ok(sources)
}

async fn read_path(session: &Session, name: &str, recursive: bool, sources: &mut Sources) {
    let mut paths = vec![name.to_owned()];
    if session.files.metadata(&session.absolute(name)).await.is_err() {
        paths = glob(session, name).await;
        if paths.is_empty() {
            sources.errors.push(KubectlError::message(format!("the path {name:?} does not exist")));
            return;
        }
    }
    let before = sources.files.len();
    for path in &paths {
        if let Err(error) = walk(session, path, recursive, true, sources).await {
            sources.errors.push(KubectlError::message(format!("error reading {path:?}: {error}")));
        }
    }
    if sources.files.len() != before + 1 {
        sources.single = false;
    }
    if sources.files.len() == before && sources.errors.is_empty() {
        let text = format!(
            "error reading [{}]: recognized file extensions are [{}]",
            paths.join(" "),
            EXTENSIONS.join(" ")
        );
        sources.errors.push(KubectlError::message(text));
    }
}

/// Reads a file, or the files of a directory in the order of their names.
fn walk<'a>(
    session: &'a Session,
    path: &'a str,
    recursive: bool,
    named: bool,
    sources: &'a mut Sources,
) -> BoxFuture<'a, Result<(), FilesError>> {
    Box::pin(async move {
        let absolute = session.absolute(path);
        if !session.files.metadata(&absolute).await?.directory {
            if named || EXTENSIONS.iter().any(|extension| path.ends_with(extension)) {
                let content = text(&session.files.read(&absolute).await?);
                sources.files.push(SourceFile { name: path.to_owned(), content });
            }
            return Ok(());
        }
        if !named && !recursive {
            return Ok(());
        }
        for entry in session.files.list(&absolute).await? {
            let below = format!("{}/{entry}", path.trim_end_matches('/'));
            let below = below.strip_prefix("./").unwrap_or(&below).to_owned();
            walk(session, &below, recursive, false, sources).await?;
        }
        Ok(())
    })
}

/// The paths that a pattern with `*`, `?` and `[...]` in its last part matches.
pub async fn glob(session: &Session, pattern: &str) -> Vec<String> {
    let (directory, last) =
        pattern.rsplit_once('/').map_or((".", pattern), |(directory, last)| (directory, last));
    if !last.contains(['*', '?', '[']) {
        return vec![];
    }
    let expression: String = last
        .chars()
        .map(|c| match c {
            '*' => ".*".to_owned(),
            '?' => ".".to_owned(),
            '[' | ']' | '-' | '^' => c.to_string(),
            other => regex::escape(&other.to_string()),
        })
        .collect();
    let Ok(expression) = regex::Regex::new(&format!("^{expression}$")) else { return vec![] };
    let names = session.files.list(&session.absolute(directory)).await.unwrap_or_default();
    let joined =
        |name: &String| if pattern.contains('/') { format!("{directory}/{name}") } else { name.clone() };
    names.iter().filter(|name| expression.is_match(name)).map(joined).collect()
}

/// A file's text, without a byte order mark.
fn text(bytes: &[u8]) -> String {
    let wide = |little: bool| {
        let units = bytes[2..].chunks_exact(2).map(|pair| {
            if little {
                u16::from_le_bytes([pair[0], pair[1]])
            } else {
                u16::from_be_bytes([pair[0], pair[1]])
            }
        });
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, ..] => wide(true),
        [0xfe, 0xff, ..] => wide(false),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The documents of a file: JSON values one after another, or YAML with `---` between. Stops at the first that is broken.
// Models YAMLOrJSONDecoder.
pub fn decode_documents(content: &str) -> (Vec<Value>, Option<String>) {
    let mut documents = vec![];
    let mut rest = content;
    let mut json_error = None;
    if content.trim_start().starts_with('{') {
        let mut stream = serde_json::Deserializer::from_str(content).into_iter::<Value>();
        loop {
            let start = stream.byte_offset();
            match stream.next() {
                Some(Ok(value)) => documents.push(value),
                Some(Err(error)) => {
                    let offset = content
                        .lines()
                        .take(error.line().saturating_sub(1))
                        .map(|line| line.len() + 1)
                        .sum::<usize>();
                    json_error = Some(if error.is_eof() {
                        "unexpected EOF".to_owned()
                    } else {
                        format!(
                            "json: offset {}: {}",
                            offset + error.column(),
                            json_error_text(&error, content)
                        )
                    });
                    rest = &content[start..];
                    break;
                }
                None => return (documents, None),
            }
        }
        if documents.len() > 1 {
            return (documents, json_error);
        }
    }
    for document in yaml_documents(rest) {
        let parsed = document.and_then(|document| {
            yaml::to_json(&document).map_err(|e| format!("error converting YAML to JSON: {e}"))
        });
        match parsed {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) => return (documents, json_error.or(Some(error))),
        }
    }
    (documents, None)
}

/// A syntax error in the words of Go's encoding/json.
fn json_error_text(error: &serde_json::Error, content: &str) -> String {
    let line = content.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let found = line.chars().nth(error.column().saturating_sub(1)).unwrap_or('\n');
    let found = if found == '\n' { "\\n".to_owned() } else { found.to_string() };
    let message = error.to_string();
    let place = match message.split(" at line ").next().unwrap_or_default() {
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        "key must be a string" | "trailing comma" => "looking for beginning of object key string",
        _ => "looking for beginning of value",
    };
    format!("invalid character '{found}' {place}")
}

/// The texts between lines of `---`.
fn yaml_documents(content: &str) -> Vec<Result<String, String>> {
    let mut documents = vec![];
    let mut current = String::new();
    for line in content.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                documents.push(Err(format!("invalid Yaml document separator: {rest}")));
                return documents;
            }
            if !current.is_empty() {
                documents.push(Ok(std::mem::take(&mut current)));
            }
            continue;
        }
        current.push_str(line);
    }
    documents.push(Ok(current));
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_told_apart() {
        assert_eq!(
            decode_documents("a: 1\n---\n# nothing\n---\nb: 2\n").0,
            [json!({"a": 1}), json!({"b": 2})]
        );
        assert_eq!(decode_documents("{\"a\": 1}\n{\"b\": 2}").0, [json!({"a": 1}), json!({"b": 2})]);
        assert_eq!(decode_documents("{a: 1, b: [x]}").0, [json!({"a": 1, "b": ["x"]})]);
        assert_eq!(decode_documents("").0, Vec::<Value>::new());
        assert!(decode_documents("a: [").1.unwrap().starts_with("error converting YAML to JSON: yaml: "));
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_or_refused(content in "[{}\"a:,é\n\r -]{0,40}|(---\n|a: 1\n|\\{\"é\":\r\n1\\}){0,6}|\\PC{0,40}") {
            let _ = decode_documents(&content);
        }
    }
}
