//! `wget`, of busybox or GNU, by whose userland it is.

use std::time::Duration;

use async_trait::async_trait;

use super::curl::Url;
use super::http::{Answer, Client, ClientError, Head, Headers, reason};
use super::{resolver, tls};
use crate::bash::{Dialect, Program, ProgramContext};
use crate::net::{BoxIo, Dial};
use crate::network::NetHost;

/// How long a try takes when nobody says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(900);
const MAX_REDIRECTS: usize = 20;

/// `wget [-q] [-O FILE] [-S] [-T SECONDS] [-t TRIES] [--spider] [--post-data DATA] [--header H] URL ...`.
pub struct Wget {
    host: NetHost,
}

#[derive(Debug, Default)]
struct Call {
    quiet: bool,
    output: Option<String>,
    show_head: bool,
    spider: bool,
    insecure: bool,
    timeout: Option<Duration>,
    headers: Vec<String>,
    post: Option<String>,
    urls: Vec<String>,
}

/// Why nothing came: what is said in busybox and in GNU, and the exit code of GNU's.
struct Failure {
    busybox: String,
    gnu: String,
    code: i32,
}

impl Wget {
    /// A `wget` that asks from `host`.
    pub fn new(host: NetHost) -> Self {
        Self { host }
    }
}

fn parse(words: &[String]) -> Result<Call, String> {
    let mut call = Call::default();
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix('-').filter(|option| !option.is_empty()) else {
            call.urls.push(word.clone());
            continue;
        };
        let (name, attached) = match option.strip_prefix('-') {
            Some(long) => long
                .split_once('=')
                .map_or((long.to_owned(), None), |(name, value)| (name.to_owned(), Some(value.to_owned()))),
            None => {
                let flags = option.trim_start_matches(['q', 'S', 'c', 'n', 'v']);
                call.quiet |= option[..option.len() - flags.len()].contains('q');
                call.show_head |= option[..option.len() - flags.len()].contains('S');
                let Some(letter) = flags.chars().next() else { continue };
                (
                    letter.to_string(),
                    Some(flags[letter.len_utf8()..].to_owned()).filter(|rest| !rest.is_empty()),
                )
            }
        };
        let mut value = || {
            attached
                .clone()
                .or_else(|| words.next().cloned())
                .ok_or_else(|| format!("option requires an argument -- '{name}'"))
        };
        match name.as_str() {
            "quiet" => call.quiet = true,
            "server-response" => call.show_head = true,
            "spider" => call.spider = true,
            "no-check-certificate" => call.insecure = true,
            "no-verbose" | "no-cache" | "continue" => {}
            "O" | "output-document" => call.output = Some(value()?),
            "T" | "timeout" | "connect-timeout" => {
                let text = value()?;
                let seconds =
                    crate::bash::interval_seconds(&text).ok_or_else(|| format!("invalid number '{text}'"))?;
                call.timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero());
            }
            "header" => call.headers.push(value()?),
            "post-data" | "body-data" => call.post = Some(value()?),
            "t" | "tries" | "U" | "user-agent" | "Y" | "P" | "w" | "wait" => drop(value()?),
            other => {
                return Err(format!(
                    "unrecognized option '{}{other}'",
                    if other.len() == 1 { "-" } else { "--" }
                ));
            }
        }
    }
    if call.urls.is_empty() { Err("missing URL".to_owned()) } else { Ok(call) }
}

impl Wget {
    async fn connect(&self, context: &mut ProgramContext, call: &Call, url: &Url) -> Result<BoxIo, Failure> {
        let name = url.host.trim_matches(['[', ']']);
        let busybox = context.system.dialect == Dialect::Busybox;
        let addresses = resolver::lookup(&self.host, &*context.files, name).await;
        let Some(ip) = addresses.first() else {
            return Err(Failure {
                busybox: format!("bad address '{}'", url.authority()),
                gnu: format!("unable to resolve host address ‘{name}’"),
                code: 4,
            });
        };
        let address = std::net::SocketAddr::new(*ip, url.port);
        if !call.quiet {
            let text = match busybox {
                true => format!("Connecting to {} ({address})\n", url.authority()),
                false => format!("Connecting to {name} ({name})|{ip}|:{}... ", url.port),
            };
            context.stdio.err(text).await;
        }
        let io = self.host.dial(address).await.map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => "Connection refused",
                std::io::ErrorKind::TimedOut => "Connection timed out",
                _ => "Host is unreachable",
            };
            Failure {
                busybox: format!("can't connect to remote host ({ip}): {why}"),
                gnu: format!("failed: {why}."),
                code: 4,
            }
        })?;
        if !call.quiet && !busybox {
            context.stdio.err("connected.\n").await;
        }
        if !url.https {
            return Ok(io);
        }
        let authorities =
            context.files.read("/etc/ssl/certs/ca-certificates.crt").await.unwrap_or_default().to_vec();
        let clock = context.system.clock.clone();
        let trust = tls::Trust { insecure: call.insecure, authorities };
        tls::connect(io, name, &trust, &clock).await.map_err(|error| Failure {
            busybox: format!("TLS error: {error}"),
            gnu: format!("ERROR: cannot verify {name}'s certificate: {error}"),
            code: 5,
        })
    }

    async fn ask(
        &self,
        context: &mut ProgramContext,
        call: &Call,
        url: &Url,
    ) -> Result<(Client, Answer), Failure> {
        let io = self.connect(context, call, url).await?;
        let busybox = context.system.dialect == Dialect::Busybox;
        let mut headers = Headers::default();
        headers.add("Host", url.authority());
        headers.add("User-Agent", if busybox { "Wget" } else { "Wget/1.21.3" });
        if !busybox {
            headers.add("Accept", "*/*");
        }
        headers.add("Connection", "close");
        for header in &call.headers {
            let (name, value) = header.split_once(':').unwrap_or((header, ""));
            headers.add(name.trim(), value.trim());
        }
        let body = call.post.clone().unwrap_or_default();
        if call.post.is_some() {
            headers.add("Content-Type", "application/x-www-form-urlencoded");
            headers.add("Content-Length", body.len().to_string());
        }
        let method = if call.post.is_some() {
            "POST"
        } else if call.spider {
            "HEAD"
        } else {
            "GET"
        };
        let head = Head { first: format!("{method} {} HTTP/1.1", url.target), headers };
        let mut client = Client::new(io);
        let answer = client.request(&head, body.as_bytes()).await.map_err(|error| match error {
            ClientError::Empty | ClientError::Broken(_) => Failure {
                busybox: "error getting response".to_owned(),
                gnu: "No data received.".to_owned(),
                code: 4,
            },
            ClientError::NotHttp => Failure {
                busybox: "error getting response".to_owned(),
                gnu: "No data received.".to_owned(),
                code: 4,
            },
        })?;
        if !call.quiet && !busybox {
            context
                .stdio
                .err(format!(
                    "HTTP request sent, awaiting response... {} {}\n",
                    answer.code,
                    reason(answer.code)
                ))
                .await;
        }
        if call.show_head {
            let text = String::from_utf8_lossy(&answer.head.bytes()).replace("\r\n", "\n");
            let lines: String = text.trim_end().lines().map(|line| format!("  {line}\n")).collect();
            context.stdio.err(lines).await;
        }
        Ok((client, answer))
    }

    async fn fetch(&self, context: &mut ProgramContext, call: &Call, text: &str) -> Result<(), Failure> {
        let bad = |_| Failure {
            busybox: format!("not an http or ftp url: {text}"),
            gnu: format!("{text}: Unsupported scheme."),
            code: 1,
        };
        let mut url = Url::parse(text).map_err(bad)?;
        let busybox = context.system.dialect == Dialect::Busybox;
        for _ in 0..MAX_REDIRECTS {
            let (mut client, mut answer) = self.ask(context, call, &url).await?;
            let location = answer.head.headers.get("Location").map(str::to_owned);
            if let Some(location) = location.filter(|_| matches!(answer.code, 301..=308)) {
                url = url.join(&location).map_err(bad)?;
                continue;
            }
            if answer.code >= 300 {
                let words = format!("{} {}", answer.code, reason(answer.code));
                return Err(Failure {
                    busybox: format!("server returned error: HTTP/1.1 {words}"),
                    gnu: format!("ERROR {}: {}.", answer.code, reason(answer.code)),
                    code: 8,
                });
            }
            if call.spider {
                if !call.quiet {
                    context
                        .stdio
                        .err(if busybox { "remote file exists\n" } else { "Remote file exists.\n\n" })
                        .await;
                }
                return Ok(());
            }
            let mut body = vec![];
            while let Ok(Some(piece)) = client.piece(&mut answer).await {
                body.extend_from_slice(&piece);
            }
            return self.save(context, call, &url, &body).await;
        }
        Err(Failure {
            busybox: "too many redirections".to_owned(),
            gnu: format!("{MAX_REDIRECTS} redirections exceeded."),
            code: 8,
        })
    }

    async fn save(
        &self,
        context: &mut ProgramContext,
        call: &Call,
        url: &Url,
        body: &[u8],
    ) -> Result<(), Failure> {
        let busybox = context.system.dialect == Dialect::Busybox;
        let last = url
            .target
            .split('?')
            .next()
            .and_then(|path| path.rsplit('/').next())
            .filter(|name| !name.is_empty());
        let name = call.output.clone().unwrap_or_else(|| last.unwrap_or("index.html").to_owned());
        if !call.quiet && busybox {
            let shown =
                if name == "-" { "writing to stdout\n".to_owned() } else { format!("saving to '{name}'\n") };
            context.stdio.err(shown).await;
        }
        if name == "-" {
            context.stdio.out(body).await;
        } else if let Err(error) = context.files.write(&context.path(&name), body).await {
            let why = error.strerror();
            return Err(Failure {
                busybox: format!("can't open '{name}': {why}"),
                gnu: format!("{name}: {why}"),
                code: 3,
            });
        }
        if !call.quiet {
            let shown = if name == "-" { "-" } else { name.as_str() };
            let text = match (busybox, name.as_str()) {
                (true, name) => format!(
                    "{shown:<20} 100% |{}| {:>5}  0:00:00 ETA\n{}",
                    "*".repeat(32),
                    body.len(),
                    if name == "-" { "written to stdout\n".to_owned() } else { format!("'{name}' saved\n") }
                ),
                (false, name) => {
                    format!("Length: {0}\nSaving to: ‘{name}’\n\n‘{name}’ saved [{0}/{0}]\n\n", body.len())
                }
            };
            context.stdio.err(text).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Program for Wget {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let busybox = context.system.dialect == Dialect::Busybox;
        let call = match parse(&context.args) {
            Ok(call) => call,
            Err(why) => {
                context.stdio.err(format!("wget: {why}\n")).await;
                return 1;
            }
        };
        let clock = context.system.clock.clone();
        let limit = call.timeout.unwrap_or(DEFAULT_TIMEOUT);
        for url in &call.urls {
            let outcome = clock.timeout(limit, self.fetch(&mut context, &call, url)).await;
            let failure = match outcome {
                Ok(Ok(())) => continue,
                Ok(Err(failure)) => failure,
                Err(_) => Failure {
                    busybox: "download timed out".to_owned(),
                    gnu: "Connection timed out.".to_owned(),
                    code: 4,
                },
            };
            if busybox {
                context.stdio.err(format!("wget: {}\n", failure.busybox)).await;
                return 1;
            }
            if !call.quiet {
                context.stdio.err(format!("{}\n", failure.gnu)).await;
            }
            return failure.code;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_joined_and_apart() {
        let parse = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let call = parse("wget -qO- --timeout=2 http://web").unwrap();
        assert_eq!(
            (call.quiet, call.output.as_deref(), call.timeout),
            (true, Some("-"), Some(Duration::from_secs(2)))
        );
        let call = parse("wget -q -O /tmp/x -T 5 --spider web").unwrap();
        assert_eq!(
            (call.output.as_deref(), call.spider, &call.urls[..]),
            (Some("/tmp/x"), true, &["web".to_owned()][..])
        );
        assert_eq!(parse("wget --nope x").unwrap_err(), "unrecognized option '--nope'");
    }

    proptest::proptest! {
        #[test]
        fn no_words_break_it(words: Vec<String>) {
            let _ = parse(&words);
        }
    }
}
