//! One transfer: resolve, connect, ask, follow, and hand on what comes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use jiff::Timestamp;

use super::super::http::{Answer, Client, ClientError, Head, Headers};
use super::super::{resolver, tls};
use super::options::{Data, Options};
use super::url::{Url, UrlError};
use crate::bash::{Files, ProgramContext};
use crate::clock::Clock;
use crate::net::{BoxIo, Dial};
use crate::network::NetHost;

/// How many redirections are followed.
const MAX_REDIRECTS: u32 = 50;
/// How long the kernel tries to reach a host that does not answer.
const KERNEL_CONNECT_TIMEOUT: Duration = Duration::from_millis(131_072);
/// How long it takes to learn that nobody has an address.
const NO_ROUTE: Duration = Duration::from_millis(3_066);

/// Why a transfer failed: curl's exit code and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: i32,
    pub(super) text: String,
}

fn failure(code: i32, text: impl Into<String>) -> Failure {
    Failure { code, text: text.into() }
}

/// What is known of a transfer at its end, for `-w`.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) code: u16,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) elapsed: Duration,
    /// Whether the name is being asked for.
    pub(super) resolving: bool,
    pub(super) remote: Option<SocketAddr>,
    pub(super) url: String,
    pub(super) content_type: String,
    pub(super) redirects: u32,
    /// What was received, if it is not written as it comes.
    pub(super) body: Vec<u8>,
    /// The heads of all answers.
    pub(super) heads: Vec<u8>,
}

/// A transfer.
pub(super) struct Transfer<'a> {
    pub(super) host: &'a NetHost,
    pub(super) options: &'a Options,
    pub(super) context: &'a mut ProgramContext,
    /// Whether what comes goes to standard output at once.
    pub(super) live: bool,
    pub(super) report: Report,
    pub(super) started: Timestamp,
}

impl Transfer<'_> {
    fn clock(&self) -> Clock {
        self.context.system.clock.clone()
    }

    fn elapsed(&self) -> Duration {
        Duration::try_from(self.clock().now().duration_since(self.started)).unwrap_or_default()
    }

    async fn note(&mut self, text: String) {
        if self.options.verbose {
            self.context.stdio.err(text).await;
        }
    }

    /// Runs it, within its time.
    pub(super) async fn run(&mut self, url: &str) -> Result<(), Failure> {
        let Some(limit) = self.options.max_time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        else {
            return self.follow(url).await;
        };
        let clock = self.clock();
        match clock.timeout(limit, self.follow(url)).await {
            Ok(result) => result,
            Err(_) => {
                let after = limit.as_millis() + 1;
                Err(failure(
                    28,
                    match self.report.remote {
                        None if self.report.resolving => {
                            format!("Resolving timed out after {after} milliseconds")
                        }
                        None => format!("Connection timed out after {after} milliseconds"),
                        Some(_) => format!(
                            "Operation timed out after {after} milliseconds with {} bytes received",
                            self.report.received
                        ),
                    },
                ))
            }
        }
    }

    async fn follow(&mut self, url: &str) -> Result<(), Failure> {
        let mut url = Url::parse(url).map_err(url_failure)?;
        let mut body = self.body().await?;
        if self.options.get && !body.is_empty() {
            let separator = if url.target.contains('?') { '&' } else { '?' };
            url.target =
                format!("{}{separator}{}", url.target, String::from_utf8_lossy(&std::mem::take(&mut body)));
        }
        if let Some(file) = self.options.upload.as_deref()
            && url.target.ends_with('/')
        {
            url.target.push_str(file.rsplit('/').next().unwrap_or_default());
        }
        let mut method = self.method(!body.is_empty());
        loop {
            self.report.url = url.to_string();
            let location = self.once(&url, &method, &body).await?;
            let Some(location) = location.filter(|_| self.options.follow) else { return Ok(()) };
            self.report.redirects += 1;
            if self.report.redirects > MAX_REDIRECTS {
                return Err(failure(47, format!("Maximum ({MAX_REDIRECTS}) redirects followed")));
            }
            self.note(format!("* Issue another request to this URL: '{location}'\n")).await;
            url = url.join(&location).map_err(url_failure)?;
            if matches!(self.report.code, 301..=303) && method == "POST" && self.options.method.is_none() {
                method = "GET".to_owned();
                body.clear();
            }
        }
    }

    fn method(&self, has_body: bool) -> String {
        let chosen = if self.options.head {
            "HEAD"
        } else if self.options.upload.is_some() {
            "PUT"
        } else if has_body || (!self.options.data.is_empty() && !self.options.get) {
            "POST"
        } else {
            "GET"
        };
        self.options.method.clone().unwrap_or_else(|| chosen.to_owned())
    }

    async fn read_file(&mut self, name: &str) -> Result<Vec<u8>, Failure> {
        if name == "-" {
            return Ok(
                super::super::super::launcher::read_all(&mut *self.context.stdio.stdin, 64 << 20).await
            );
        }
        let path = self.context.path(name);
        let read = self.context.files.read(&path).await;
        read.map(|bytes| bytes.to_vec()).map_err(|_| failure(26, format!("Failed to open {name}")))
    }

    async fn body(&mut self) -> Result<Vec<u8>, Failure> {
        if let Some(name) = self.options.upload.clone() {
            return self.read_file(&name).await;
        }
        let mut parts = vec![];
        for (kind, text) in self.options.data.clone() {
            let file = text.strip_prefix('@').filter(|_| matches!(kind, Data::Plain | Data::Binary));
            parts.push(match (file, kind) {
                (Some(name), kind) => {
                    let mut bytes = self.read_file(name).await?;
                    if kind == Data::Plain {
                        bytes.retain(|byte| !matches!(byte, b'\n' | b'\r' | 0));
                    }
                    bytes
                }
                (None, Data::UrlEncoded) => {
                    let (name, value) = text.split_once('=').unwrap_or(("", &text));
                    let value =
                        percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
                    if name.is_empty() {
                        value.to_string().into_bytes()
                    } else {
                        format!("{name}={value}").into_bytes()
                    }
                }
                _ => text.into_bytes(),
            });
        }
        Ok(parts.join(&b'&'))
    }

    fn head(&self, url: &Url, method: &str, body: &[u8]) -> Head {
        let mut headers = Headers::default();
        headers.add("Host", url.authority());
        let user = self.options.user.as_ref().or(url.user.as_ref());
        if let Some(user) = user {
            let encoded = base64::engine::general_purpose::STANDARD.encode(user);
            headers.add("Authorization", format!("Basic {encoded}"));
        }
        headers.add("User-Agent", self.options.agent.clone().unwrap_or_else(|| "curl/7.88.1".to_owned()));
        headers.add("Accept", "*/*");
        if !body.is_empty() || matches!(method, "POST" | "PUT") {
            headers.add("Content-Length", body.len().to_string());
        }
        if !self.options.data.is_empty() && !self.options.get {
            headers.add("Content-Type", "application/x-www-form-urlencoded");
        }
        for own in &self.options.headers {
            let (name, value) = own
                .split_once(':')
                .map_or((own.trim_end_matches(';'), None), |(name, value)| (name, Some(value.trim())));
            headers.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            match value {
                Some("") => {}
                Some(value) => headers.add(name, value),
                None => headers.add(name, ""),
            }
        }
        Head { first: format!("{method} {} HTTP/1.1", url.target), headers }
    }

    /// One request with its answer. The answer is where it leads, if it does.
    async fn once(&mut self, url: &Url, method: &str, body: &[u8]) -> Result<Option<String>, Failure> {
        let io = self.connect(url).await?;
        let mut client = Client::new(io);
        let head = self.head(url, method, body);
        if self.options.verbose {
            let sent = String::from_utf8_lossy(&head.bytes()).replace("\r\n", "\n");
            let shown: String = sent.lines().map(|line| format!("> {line}\n")).collect();
            self.note(shown).await;
        }
        self.report.sent += body.len() as u64;
        let mut answer = client.request(&head, body).await.map_err(|error| match error {
            ClientError::Empty => failure(52, "Empty reply from server"),
            ClientError::NotHttp => failure(1, "Received HTTP/0.9 when not allowed"),
            ClientError::Broken(_) => failure(56, "Recv failure: Connection reset by peer"),
        })?;
        let location = self.take_head(&answer).await?;
        self.take_body(&mut client, &mut answer, location.is_some()).await?;
        self.note(format!("* Connection #0 to host {} left intact\n", url.host)).await;
        Ok(location)
    }

    async fn take_head(&mut self, answer: &Answer) -> Result<Option<String>, Failure> {
        self.report.code = answer.code;
        self.report.content_type = answer.head.headers.get("Content-Type").unwrap_or_default().to_owned();
        let bytes = answer.head.bytes();
        if self.options.verbose {
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            let shown: String = text.lines().map(|line| format!("< {line}\n")).collect();
            self.note(shown).await;
        }
        self.report.heads.extend_from_slice(&bytes);
        if (self.options.fail) && answer.code >= 400 {
            return Err(failure(22, format!("The requested URL returned error: {}", answer.code)));
        }
        if self.options.include || self.options.head {
            self.put(&bytes).await?;
        }
        let leads = matches!(answer.code, 301 | 302 | 303 | 307 | 308);
        Ok(answer.head.headers.get("Location").filter(|_| leads && self.options.follow).map(str::to_owned))
    }

    async fn take_body(
        &mut self,
        client: &mut Client,
        answer: &mut Answer,
        ignored: bool,
    ) -> Result<(), Failure> {
        let whole = answer.length();
        let mut got = 0;
        loop {
            match client.piece(answer).await {
                Ok(Some(_)) if ignored => {}
                Ok(Some(piece)) => {
                    got += piece.len() as u64;
                    self.report.received += piece.len() as u64;
                    self.put(&piece).await?;
                }
                Ok(None) => break,
                Err(_) => {
                    let text = match whole {
                        Some(whole) => {
                            format!("transfer closed with {} bytes remaining to read", whole - got)
                        }
                        None => "transfer closed with outstanding read data remaining".to_owned(),
                    };
                    return Err(failure(18, text));
                }
            }
        }
        if self.options.fail_with_body && answer.code >= 400 {
            return Err(failure(22, format!("The requested URL returned error: {}", answer.code)));
        }
        Ok(())
    }

    /// What was received: to standard output at once, or kept.
    async fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.live {
            self.report.body.extend_from_slice(bytes);
            return Ok(());
        }
        if self.context.stdio.out(bytes).await { Ok(()) } else { Err(failure(23, "Failed writing body")) }
    }

    async fn connect(&mut self, url: &Url) -> Result<BoxIo, Failure> {
        let name = url.host.trim_matches(['[', ']']).to_owned();
        let (began, clock) = (self.elapsed(), self.clock());
        let limit =
            self.options.connect_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let late = |what: &str, limit: Duration| {
            failure(28, format!("{what} timed out after {} milliseconds", limit.as_millis() + 1))
        };
        self.report.resolving = true;
        let asking = self.addresses(&name, url.port);
        let addresses = match limit {
            Some(limit) => clock.timeout(limit, asking).await.map_err(|_| late("Resolving", limit))?,
            None => asking.await,
        };
        self.report.resolving = false;
        if addresses.is_empty() {
            self.note(format!("* Could not resolve host: {name}\n* Closing connection 0\n")).await;
            return Err(failure(6, format!("Could not resolve host: {name}")));
        }
        let taken = self.elapsed() - began;
        let connecting = self.try_all(&addresses, url.port);
        let result = match limit {
            Some(limit) => {
                let left = limit.saturating_sub(taken);
                clock.timeout(left, connecting).await.map_err(|_| late("Connection", limit))?
            }
            None => connecting.await,
        };
        let (io, address) = match result {
            Ok(connected) => connected,
            Err(silent) => {
                let after = (self.elapsed() - began).as_millis();
                let text = format!(
                    "Failed to connect to {name} port {} after {after} ms: Couldn't connect to server",
                    url.port
                );
                self.note(format!("* {text}\n* Closing connection 0\n")).await;
                return Err(failure(if silent { 28 } else { 7 }, text));
            }
        };
        self.report.remote = Some(address);
        self.note(format!("* Connected to {name} ({}) port {} (#0)\n", address.ip(), url.port)).await;
        if !url.https {
            return Ok(io);
        }
        let trust = tls::Trust { insecure: self.options.insecure, authorities: self.authorities().await? };
        tls::connect(io, &name, &trust, &clock).await.map_err(|error| match error {
            tls::TlsError::Untrusted(why) => failure(60, format!(
                "SSL certificate problem: {why}\nMore details here: https://curl.se/docs/sslcerts.html\n\ncurl failed to verify \
                 the legitimacy of the server and therefore could not\nestablish a secure connection to it. To learn more about \
                 this situation and\nhow to fix it, please visit the web page mentioned above."
            )),
            tls::TlsError::WrongName => failure(60, format!("SSL: no alternative certificate subject name matches target host name '{name}'")),
            tls::TlsError::NotTls => failure(35, "OpenSSL/3.0.17: error:0A00010B:SSL routines::wrong version number"),
            tls::TlsError::Broken(_) => failure(35, format!("OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to {name}:{} ", url.port)),
        })
    }

    async fn authorities(&mut self) -> Result<Vec<u8>, Failure> {
        let Some(name) = &self.options.cacert else {
            return Ok(self
                .context
                .files
                .read("/etc/ssl/certs/ca-certificates.crt")
                .await
                .unwrap_or_default()
                .to_vec());
        };
        let read = self.context.files.read(&self.context.path(name)).await;
        read.map(|bytes| bytes.to_vec())
            .map_err(|_| failure(77, format!("error setting certificate file: {name}")))
    }

    async fn addresses(&mut self, name: &str, port: u16) -> Vec<IpAddr> {
        for entry in &self.options.resolve {
            let mut parts = entry.splitn(3, ':');
            if parts.next() == Some(name) && parts.next().and_then(|p| p.parse().ok()) == Some(port) {
                return parts.next().and_then(|ip| ip.parse().ok()).into_iter().collect();
            }
        }
        let files: &dyn Files = &*self.context.files;
        resolver::lookup(self.host, files, name).await
    }

    /// Connects to one of these. The error says whether the last one kept silent.
    async fn try_all(&mut self, addresses: &[IpAddr], port: u16) -> Result<(BoxIo, SocketAddr), bool> {
        let (clock, mut silent) = (self.clock(), false);
        for ip in addresses {
            let address = SocketAddr::new(*ip, port);
            self.note(format!("*   Trying {address}...\n")).await;
            let why = match clock.timeout(KERNEL_CONNECT_TIMEOUT, self.host.dial(address)).await {
                Ok(Ok(io)) => return Ok((io, address)),
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::HostUnreachable => {
                    clock.sleep(NO_ROUTE).await;
                    "No route to host"
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    "Connection refused"
                }
                Ok(Err(_)) | Err(_) => "Connection timed out",
            };
            silent = why == "Connection timed out";
            self.note(format!("* connect to {ip} port {port} failed: {why}\n")).await;
        }
        Err(silent)
    }
}

fn url_failure(error: UrlError) -> Failure {
    match error {
        UrlError::Protocol(name) => {
            failure(1, format!("Protocol \"{name}\" not supported or disabled in libcurl"))
        }
        UrlError::NoHost => failure(3, "URL using bad/illegal format or missing URL"),
        UrlError::BadPort => failure(3, "URL using bad/illegal format or missing URL"),
    }
}
