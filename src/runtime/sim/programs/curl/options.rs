//! The words of a call of `curl`.

use crate::bash::interval_seconds;

/// What `curl` was asked to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) urls: Vec<String>,
    pub(super) silent: bool,
    pub(super) show_error: bool,
    pub(super) include: bool,
    pub(super) head: bool,
    pub(super) verbose: bool,
    pub(super) follow: bool,
    pub(super) insecure: bool,
    pub(super) fail: bool,
    pub(super) fail_with_body: bool,
    pub(super) get: bool,
    pub(super) remote_name: bool,
    pub(super) output: Option<String>,
    pub(super) dump_header: Option<String>,
    pub(super) write_out: Option<String>,
    pub(super) method: Option<String>,
    /// Data as it was given: whether it is sent as it is, and the text.
    pub(super) data: Vec<(Data, String)>,
    pub(super) upload: Option<String>,
    pub(super) headers: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) cacert: Option<String>,
    pub(super) max_time: Option<f64>,
    pub(super) connect_timeout: Option<f64>,
    pub(super) retry: u32,
    pub(super) retry_connrefused: bool,
    /// `host:port:address`
    pub(super) resolve: Vec<String>,
}

/// How a piece of data is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// `@file` loses its line ends.
    Plain,
    /// Nothing is special.
    Raw,
    /// `@file` stays as it is.
    Binary,
    UrlEncoded,
}

/// Options with a value: short letter, long name.
const WITH_VALUE: &[(char, &str)] = &[
    ('o', "output"),
    ('D', "dump-header"),
    ('w', "write-out"),
    ('X', "request"),
    ('d', "data"),
    (' ', "data-raw"),
    (' ', "data-ascii"),
    (' ', "data-binary"),
    (' ', "data-urlencode"),
    (' ', "json"),
    ('T', "upload-file"),
    ('H', "header"),
    ('u', "user"),
    ('A', "user-agent"),
    ('e', "referer"),
    ('b', "cookie"),
    (' ', "cacert"),
    ('m', "max-time"),
    (' ', "connect-timeout"),
    (' ', "retry"),
    (' ', "retry-delay"),
    (' ', "retry-max-time"),
    (' ', "resolve"),
    (' ', "url"),
    (' ', "oauth2-bearer"),
    (' ', "max-redirs"),
];

/// Options without one.
const FLAGS: &[(char, &str)] = &[
    ('s', "silent"),
    ('S', "show-error"),
    ('i', "include"),
    ('I', "head"),
    ('v', "verbose"),
    ('L', "location"),
    ('k', "insecure"),
    ('f', "fail"),
    (' ', "fail-with-body"),
    ('G', "get"),
    ('O', "remote-name"),
    ('g', "globoff"),
    ('4', "ipv4"),
    ('6', "ipv6"),
    ('N', "no-buffer"),
    (' ', "compressed"),
    (' ', "http1.1"),
    ('0', "http1.0"),
    (' ', "http2"),
    ('#', "progress-bar"),
    (' ', "no-progress-meter"),
    (' ', "retry-connrefused"),
    (' ', "retry-all-errors"),
    (' ', "no-keepalive"),
    ('j', "junk-session-cookies"),
    ('q', "disable"),
];

/// What else there is to say than a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Version,
    Help,
    /// The exit code and the words.
    Wrong(String),
}

fn wrong(text: String) -> Stop {
    Stop::Wrong(format!("curl: {text}\ncurl: try 'curl --help' or 'curl --manual' for more information\n"))
}

impl Options {
    /// Reads the words behind `curl`.
    pub(super) fn parse(words: &[String]) -> Result<Self, Stop> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
                match long {
                    "version" => return Err(Stop::Version),
                    "help" => return Err(Stop::Help),
                    _ => {}
                }
                if FLAGS.iter().any(|(_, name)| *name == long) {
                    options.flag(long);
                } else if WITH_VALUE.iter().any(|(_, name)| *name == long) {
                    let value =
                        words.next().ok_or_else(|| wrong(format!("option {word}: requires parameter")))?;
                    options.value(long, value)?;
                } else {
                    return Err(wrong(format!("option {word}: is unknown")));
                }
                continue;
            }
            let Some(letters) =
                word.strip_prefix('-').filter(|letters| !letters.is_empty() && *letters != "-")
            else {
                options.urls.push(word.clone());
                continue;
            };
            let mut rest = letters.chars();
            while let Some(letter) = rest.next() {
                match letter {
                    'V' => return Err(Stop::Version),
                    'h' => return Err(Stop::Help),
                    _ => {}
                }
                if let Some((_, name)) = FLAGS.iter().find(|(known, _)| *known == letter) {
                    options.flag(name);
                } else if let Some((_, name)) = WITH_VALUE.iter().find(|(known, _)| *known == letter) {
                    let attached = rest.as_str().to_owned();
                    let value = if attached.is_empty() { words.next().cloned() } else { Some(attached) };
                    let value =
                        value.ok_or_else(|| wrong(format!("option -{letter}: requires parameter")))?;
                    options.value(name, &value)?;
                    break;
                } else {
                    return Err(wrong(format!("option -{letter}: is unknown")));
                }
            }
        }
        if options.urls.is_empty() {
            return Err(Stop::Wrong(
                "curl: try 'curl --help' or 'curl --manual' for more information\n".to_owned(),
            ));
        }
        Ok(options)
    }

    fn flag(&mut self, name: &str) {
        let known = match name {
            "silent" | "no-progress-meter" => &mut self.silent,
            "show-error" => &mut self.show_error,
            "include" => &mut self.include,
            "head" => &mut self.head,
            "verbose" => &mut self.verbose,
            "location" => &mut self.follow,
            "insecure" => &mut self.insecure,
            "fail" => &mut self.fail,
            "fail-with-body" => &mut self.fail_with_body,
            "get" => &mut self.get,
            "remote-name" => &mut self.remote_name,
            "retry-connrefused" | "retry-all-errors" => &mut self.retry_connrefused,
            // The rest changes nothing that can be seen here.
            _ => return,
        };
        *known = true;
        // `--no-progress-meter` still shows errors.
        self.show_error |= name == "no-progress-meter";
    }

    fn value(&mut self, name: &str, value: &str) -> Result<(), Stop> {
        let text = value.to_owned();
        let number = || {
            let bad = || wrong(format!("option --{name}: expected a proper numerical parameter"));
            interval_seconds(value).filter(|_| !value.ends_with(char::is_alphabetic)).ok_or_else(bad)
        };
        match name {
            "output" => self.output = Some(text),
            "dump-header" => self.dump_header = Some(text),
            "write-out" => self.write_out = Some(text),
            "request" => self.method = Some(text),
            "data" | "data-ascii" => self.data.push((Data::Plain, text)),
            "data-raw" => self.data.push((Data::Raw, text)),
            "data-binary" => self.data.push((Data::Binary, text)),
            "data-urlencode" => self.data.push((Data::UrlEncoded, text)),
            "json" => {
                self.data.push((Data::Binary, text));
                self.headers.push("Content-Type: application/json".to_owned());
                self.headers.push("Accept: application/json".to_owned());
            }
            "upload-file" => self.upload = Some(text),
            "header" => self.headers.push(text),
            "referer" => self.headers.push(format!("Referer: {text}")),
            "cookie" => self.headers.push(format!("Cookie: {text}")),
            "oauth2-bearer" => self.headers.push(format!("Authorization: Bearer {text}")),
            "user" => self.user = Some(text),
            "user-agent" => self.agent = Some(text),
            "cacert" => self.cacert = Some(text),
            "max-time" => self.max_time = Some(number()?),
            "connect-timeout" => self.connect_timeout = Some(number()?),
            "retry" => self.retry = number()? as u32,
            "resolve" => self.resolve.push(text),
            "url" => self.urls.push(text),
            _ => drop(number()?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Stop> {
        Options::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn letters_can_be_joined_and_carry_values() {
        let options = parse("-sSo/dev/null -w %{http_code} -XPOST -d a=b --max-time 3 web").unwrap();
        assert!(options.silent && options.show_error);
        assert_eq!(options.output.as_deref(), Some("/dev/null"));
        assert_eq!(options.method.as_deref(), Some("POST"));
        assert_eq!(options.data, [(Data::Plain, "a=b".to_owned())]);
        assert_eq!((options.max_time, &options.urls[..]), (Some(3.0), &["web".to_owned()][..]));
        for (line, expected) in [
            ("--nope x", "curl: option --nope: is unknown\n"),
            ("x -o", "curl: option -o: requires parameter\n"),
            ("x -m soon", "curl: option --max-time: expected a proper numerical parameter\n"),
        ] {
            let Err(Stop::Wrong(text)) = parse(line) else { panic!("{line}") };
            assert!(text.starts_with(expected), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_words_break_it(words: Vec<String>) {
            let _ = Options::parse(&words);
        }
    }
}
