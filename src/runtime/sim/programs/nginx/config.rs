//! The text of nginx's configuration as directives, with `include` followed. Errors are nginx's.

use crate::bash::{Files, resolve, split};

/// How deep files include others.
const MAX_DEPTH: usize = 8;

/// A directive with its words, and its block if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
    /// `file:line`
    pub(super) place: String,
}

impl Directive {
    /// The first word behind the name.
    pub(super) fn arg(&self) -> &str {
        self.args.first().map_or("", String::as_str)
    }

    /// The directives of its block.
    pub(super) fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Directives that nginx knows.
const KNOWN: &[&str] = &[
    "absolute_redirect",
    "accept_mutex",
    "access_log",
    "add_header",
    "add_after_body",
    "alias",
    "allow",
    "auth_basic",
    "auth_basic_user_file",
    "autoindex",
    "charset",
    "chunked_transfer_encoding",
    "client_body_buffer_size",
    "client_body_timeout",
    "client_header_buffer_size",
    "client_header_timeout",
    "client_max_body_size",
    "daemon",
    "default_type",
    "deny",
    "env",
    "error_log",
    "error_page",
    "etag",
    "events",
    "expires",
    "fastcgi_param",
    "fastcgi_pass",
    "geo",
    "gunzip",
    "gzip",
    "gzip_comp_level",
    "gzip_disable",
    "gzip_http_version",
    "gzip_min_length",
    "gzip_proxied",
    "gzip_types",
    "gzip_vary",
    "http",
    "if",
    "if_modified_since",
    "include",
    "index",
    "internal",
    "ip_hash",
    "keepalive",
    "keepalive_requests",
    "keepalive_timeout",
    "large_client_header_buffers",
    "least_conn",
    "limit_conn",
    "limit_conn_zone",
    "limit_except",
    "limit_rate",
    "limit_req",
    "limit_req_zone",
    "lingering_close",
    "listen",
    "location",
    "log_format",
    "log_not_found",
    "map",
    "map_hash_bucket_size",
    "master_process",
    "multi_accept",
    "open_file_cache",
    "pid",
    "proxy_buffer_size",
    "proxy_buffering",
    "proxy_buffers",
    "proxy_cache",
    "proxy_connect_timeout",
    "proxy_http_version",
    "proxy_intercept_errors",
    "proxy_next_upstream",
    "proxy_pass",
    "proxy_pass_header",
    "proxy_read_timeout",
    "proxy_redirect",
    "proxy_send_timeout",
    "proxy_set_header",
    "proxy_hide_header",
    "proxy_ssl_verify",
    "real_ip_header",
    "reset_timedout_connection",
    "resolver",
    "return",
    "rewrite",
    "root",
    "satisfy",
    "send_timeout",
    "sendfile",
    "server",
    "server_name",
    "server_name_in_redirect",
    "server_names_hash_bucket_size",
    "server_tokens",
    "set",
    "set_real_ip_from",
    "split_clients",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_session_cache",
    "ssl_session_timeout",
    "stub_status",
    "sub_filter",
    "sub_filter_once",
    "tcp_nodelay",
    "tcp_nopush",
    "try_files",
    "types",
    "types_hash_bucket_size",
    "types_hash_max_size",
    "underscores_in_headers",
    "upstream",
    "use",
    "user",
    "uwsgi_pass",
    "variables_hash_max_size",
    "worker_connections",
    "worker_processes",
    "worker_rlimit_nofile",
    "zone",
];

/// Blocks whose lines are data, not directives.
const DATA_BLOCKS: &[&str] = &["types", "map", "geo", "split_clients"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
}

fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut tokens = vec![];
    let mut letters = text.chars().peekable();
    let mut line = 1;
    while let Some(letter) = letters.next() {
        match letter {
            '\n' => line += 1,
            letter if letter.is_whitespace() => {}
            '#' => while letters.next_if(|letter| *letter != '\n').is_some() {},
            ';' => tokens.push((Token::Semicolon, line)),
            '{' => tokens.push((Token::Open, line)),
            '}' => tokens.push((Token::Close, line)),
            quote @ ('"' | '\'') => {
                let (start, mut word) = (line, String::new());
                while let Some(letter) = letters.next() {
                    match letter {
                        '\\' => match letters.next() {
                            Some('n') => word.push('\n'),
                            Some('t') => word.push('\t'),
                            Some('r') => word.push('\r'),
                            Some(other) => word.push(other),
                            None => {}
                        },
                        letter if letter == quote => break,
                        letter => {
                            line += usize::from(letter == '\n');
                            word.push(letter);
                        }
                    }
                }
                tokens.push((Token::Word(word), start));
            }
            letter => {
                let mut word = String::from(letter);
                // `${name}` is one word with its braces.
                loop {
                    let in_variable = word.ends_with('$')
                        || (word.contains("${") && !word[word.rfind("${").unwrap_or(0)..].contains('}'));
                    let ends = |letter: &char| {
                        !(letter.is_whitespace()
                            || *letter == ';'
                            || (matches!(letter, '{' | '}') && !in_variable))
                    };
                    match letters.next_if(ends) {
                        Some(letter) => word.push(letter),
                        None => break,
                    }
                }
                tokens.push((Token::Word(word), line));
            }
        }
    }
    tokens
}

/// Reads a file with what it includes.
pub(super) async fn read(files: &dyn Files, path: &str) -> Result<Vec<Directive>, String> {
    let text = files.read(path).await.map_err(|error| {
        let number = if error == crate::bash::FilesError::NotFound { 2 } else { 13 };
        format!("open() {path:?} failed ({number}: {})", error.strerror())
    })?;
    let directives = parse(&String::from_utf8_lossy(&text), path)?;
    include(files, directives, 0).await
}

/// Reads a text alone, as `-g` gives it.
pub(super) fn parse(text: &str, file: &str) -> Result<Vec<Directive>, String> {
    let tokens = tokens(text);
    let last = tokens.last().map_or(1, |(_, line)| *line);
    let mut rest = tokens.into_iter();
    let directives = block(&mut rest, file, false, last, false)?;
    Ok(directives)
}

fn block(
    tokens: &mut std::vec::IntoIter<(Token, usize)>,
    file: &str,
    nested: bool,
    last: usize,
    data: bool,
) -> Result<Vec<Directive>, String> {
    let mut directives = vec![];
    let mut words: Vec<String> = vec![];
    while let Some((token, line)) = tokens.next() {
        let place = format!("{file}:{line}");
        match token {
            Token::Word(word) => words.push(word),
            Token::Semicolon if words.is_empty() => return Err(format!("unexpected \";\" in {place}")),
            Token::Open if words.is_empty() => return Err(format!("unexpected \"{{\" in {place}")),
            Token::Semicolon | Token::Open => {
                let mut args = std::mem::take(&mut words);
                let name = args.remove(0);
                if !data && !KNOWN.contains(&name.as_str()) {
                    return Err(format!("unknown directive {name:?} in {place}"));
                }
                let inner = match token {
                    Token::Open => {
                        Some(block(tokens, file, true, last, DATA_BLOCKS.contains(&name.as_str()))?)
                    }
                    _ => None,
                };
                directives.push(Directive { name, args, block: inner, place });
            }
            Token::Close if !words.is_empty() || !nested => {
                return Err(format!("unexpected \"}}\" in {place}"));
            }
            Token::Close => return Ok(directives),
        }
    }
    if nested {
        return Err(format!("unexpected end of file, expecting \"}}\" in {file}:{last}"));
    }
    match words.is_empty() {
        true => Ok(directives),
        false => Err(format!("unexpected end of file, expecting \";\" or \"}}\" in {file}:{last}")),
    }
}

fn include(
    files: &dyn Files,
    directives: Vec<Directive>,
    depth: usize,
) -> futures::future::BoxFuture<'_, Result<Vec<Directive>, String>> {
    Box::pin(async move {
        let mut whole = vec![];
        for mut directive in directives {
            if let Some(inner) = directive.block.take() {
                directive.block = Some(include(files, inner, depth).await?);
            }
            if directive.name != "include" || directive.args.len() != 1 {
                whole.push(directive);
                continue;
            }
            if depth >= MAX_DEPTH {
                return Err(format!("too many nested includes in {}", directive.place));
            }
            for path in matching(files, &resolve("/etc/nginx", directive.arg())).await {
                let text = files.read(&path).await.map_err(|error| {
                    format!("open() {path:?} failed (2: {}) in {}", error.strerror(), directive.place)
                })?;
                let inner = parse(&String::from_utf8_lossy(&text), &path)?;
                whole.extend(include(files, inner, depth + 1).await?);
            }
        }
        Ok(whole)
    })
}

/// The files that a path with `*` in its last part means.
async fn matching(files: &dyn Files, pattern: &str) -> Vec<String> {
    let (directory, name) = split(pattern);
    let Some((before, after)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let names = files.list(directory).await.unwrap_or_default();
    let fits = |name: &String| {
        name.len() >= before.len() + after.len()
            && name.starts_with(before)
            && name.ends_with(after)
            && !name.starts_with('.')
    };
    names.into_iter().filter(fits).map(|name| format!("{}/{name}", directory.trim_end_matches('/'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::MemoryFiles;
    use crate::clock::Clock;

    #[test]
    fn directives_have_words_and_blocks() {
        let read = parse(
            "server {\n listen 80; # here\n location / { return 200 \"hi \\\"you\\\"\\n\"; }\n}\n",
            "f",
        )
        .unwrap();
        let server = &read[0];
        assert_eq!((server.name.as_str(), server.inner()[0].arg()), ("server", "80"));
        assert_eq!(server.inner()[1].inner()[0].args, ["200", "hi \"you\"\n"]);
        for (text, expected) in [
            ("lsten 80;", "unknown directive \"lsten\" in f:1"),
            ("server { listen 80 }", "unexpected \"}\" in f:1"),
            ("server {\n listen 80;\n", "unexpected end of file, expecting \"}\" in f:2"),
            ("user nginx", "unexpected end of file, expecting \";\" or \"}\" in f:1"),
            (";", "unexpected \";\" in f:1"),
        ] {
            assert_eq!(parse(text, "f"), Err(expected.to_owned()), "{text}");
        }
    }

    #[tokio::test]
    async fn files_include_others() {
        let files = MemoryFiles::new(Clock::virtual_time());
        files.put("/etc/nginx/nginx.conf", b"http { include conf.d/*.conf; }", 0o644);
        files.put("/etc/nginx/conf.d/a.conf", b"server { listen 81; }", 0o644);
        files.put("/etc/nginx/conf.d/b.txt", b"nonsense", 0o644);
        let read = read(&files, "/etc/nginx/nginx.conf").await.unwrap();
        assert_eq!(read[0].inner()[0].inner()[0].arg(), "81");
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "[a-z{};\"'$# \n\\\\]{0,80}") {
            let _ = parse(&text, "f");
        }
    }
}
