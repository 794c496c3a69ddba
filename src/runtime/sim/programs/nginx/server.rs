//! Answers requests as a [`Site`] says: files, fixed answers, other servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::super::http::{Client, Handler, Head, Headers, Request, Response, reason};
use super::super::{Machine, clock_text};
use super::site::{Location, Pattern, Proxy, Server, Settings, Site};
use crate::bash::{Files, FilesError, SharedWriter};
use crate::clock::Clock;
use crate::net::Dial;

const NANOSECONDS_A_REQUEST: u64 = 120_000;
/// How long another server may take to answer.
const PROXY_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer of another server.
const MAX_PROXIED_BYTES: usize = 64 << 20;

/// A running nginx.
pub(super) struct Answers {
    pub(super) site: Arc<Site>,
    pub(super) machine: Machine,
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Clock,
    pub(super) hostname: String,
    pub(super) stdout: SharedWriter,
    pub(super) stderr: SharedWriter,
    pub(super) requests: Arc<AtomicUsize>,
}

/// What a request meets.
struct Place<'a> {
    server: &'a Server,
    location: Option<&'a Location>,
    settings: &'a Settings,
}

impl Answers {
    fn signature(&self) -> String {
        if self.site.server_tokens { format!("nginx/{}", self.machine.version) } else { "nginx".to_owned() }
    }

    /// The server for a request: by port, then by name, then the default one.
    fn place(&self, request: &Request, path: &str) -> Option<Place<'_>> {
        let host = request.headers.get("Host").unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        let mut of_port =
            self.site.servers.iter().filter(|server| server.ports.contains(&request.local_port));
        let named = of_port.clone().find(|server| server.names.iter().any(|name| name_fits(name, host)));
        let server =
            named.or_else(|| of_port.clone().find(|server| server.default)).or_else(|| of_port.next())?;
        let location = locate(&server.locations, path);
        Some(Place {
            server,
            location,
            settings: location.map_or(&server.settings, |location| &location.settings),
        })
    }

    async fn answer_at(&self, request: &Request, path: &str, place: &Place<'_>) -> Response {
        let settings = place.settings;
        let fixed = settings.answer.as_ref().or(place.server.settings.answer.as_ref());
        if let Some((code, text)) = fixed {
            return self.fixed(request, *code, text, settings);
        }
        if settings.deny_all {
            self.error(request, place, "access forbidden by rule").await;
            return self.page(403);
        }
        if settings.stub_status {
            let count = self.requests.load(Ordering::Relaxed);
            let text = format!(
                "Active connections: 1 \nserver accepts handled requests\n {count} {count} {count} \nReading: 0 Writing: 1 Waiting: 0 \n"
            );
            return Response::text(200, text).with("Content-Type", "text/plain");
        }
        if let Some(proxy) = &settings.proxy {
            return self.proxied(request, place, proxy).await;
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return self.page(405);
        }
        self.file(request, path, place).await
    }

    fn fixed(&self, request: &Request, code: u16, text: &str, settings: &Settings) -> Response {
        let text = self.variables(text, request);
        if matches!(code, 301 | 302 | 303 | 307 | 308) {
            let host = request.headers.get("Host").unwrap_or("localhost");
            let target = if text.starts_with('/') { format!("http://{host}{text}") } else { text };
            return self.page(code).with("Location", target);
        }
        if text.is_empty() && code >= 300 {
            return self.page(code);
        }
        let kind = settings.default_type.as_deref().unwrap_or(&self.site.default_type);
        Response::text(code, text).with("Content-Type", kind)
    }

    fn variables(&self, text: &str, request: &Request) -> String {
        let mut text = text.to_owned();
        let client = request.peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        let host = request.headers.get("Host").unwrap_or_default();
        let path = request.target.split('?').next().unwrap_or_default();
        let args = request.target.split_once('?').map_or("", |(_, args)| args);
        for (name, value) in [
            ("server_addr", self.machine.host.ip().to_string()),
            ("server_port", request.local_port.to_string()),
            ("remote_addr", client.clone()),
            ("proxy_add_x_forwarded_for", client),
            ("hostname", self.hostname.clone()),
            ("host", host.split(':').next().unwrap_or_default().to_owned()),
            ("http_host", host.to_owned()),
            ("request_uri", request.target.clone()),
            ("request_method", request.method.clone()),
            ("http_user_agent", request.headers.get("User-Agent").unwrap_or_default().to_owned()),
            ("nginx_version", self.machine.version.clone()),
            ("scheme", "http".to_owned()),
            ("time_local", clock_text::access_log(self.clock.now())),
            ("time_iso8601", self.clock.now().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()),
            ("uri", path.to_owned()),
            ("args", args.to_owned()),
        ] {
            text = text.replace(&format!("${{{name}}}"), &value).replace(&format!("${name}"), &value);
        }
        text
    }

    /// nginx's own page for a code.
    fn page(&self, code: u16) -> Response {
        let title = match code {
            301 => "301 Moved Permanently".to_owned(),
            405 => "405 Not Allowed".to_owned(),
            503 => "503 Service Temporarily Unavailable".to_owned(),
            504 => "504 Gateway Time-out".to_owned(),
            code => format!("{code} {}", reason(code)),
        };
        let signature = self.signature();
        let page = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr><center>{signature}</center>\r\n</body>\r\n</html>\r\n"
        );
        Response::text(code, page).with("Content-Type", "text/html")
    }

    async fn file(&self, request: &Request, path: &str, place: &Place<'_>) -> Response {
        let settings = place.settings;
        for candidate in &settings.try_files {
            if let Some(code) = candidate.strip_prefix('=').and_then(|code| code.parse().ok()) {
                return self.page(code);
            }
            let candidate = self.variables(candidate, request);
            let file = disk_path(place, &candidate);
            let metadata = self.files.metadata(file.trim_end_matches('/')).await;
            if metadata.is_ok_and(|metadata| metadata.directory == candidate.ends_with('/')) {
                return self.send(request, &candidate, place).await;
            }
            if Some(&candidate) == settings.try_files.last() && candidate != path {
                return self.send(request, &candidate, place).await;
            }
        }
        self.send(request, path, place).await
    }

    async fn send(&self, request: &Request, path: &str, place: &Place<'_>) -> Response {
        let mut file = disk_path(place, path);
        let metadata = self.files.metadata(file.trim_end_matches('/')).await;
        if metadata.as_ref().is_ok_and(|metadata| metadata.directory) {
            if !path.ends_with('/') {
                let host = request.headers.get("Host").unwrap_or("localhost");
                return self.page(301).with("Location", format!("http://{host}{path}/"));
            }
            let default = [String::from("index.html")];
            let names = place.settings.index.as_deref().unwrap_or(&default);
            let mut found = None;
            for name in names {
                let candidate = format!("{}/{name}", file.trim_end_matches('/'));
                if self.files.metadata(&candidate).await.is_ok() {
                    found = Some(candidate);
                    break;
                }
            }
            match found {
                Some(candidate) => file = candidate,
                None if place.settings.autoindex => return self.listing(path, &file).await,
                None => {
                    self.error(request, place, &format!("directory index of {file:?} is forbidden")).await;
                    return self.page(403);
                }
            }
        }
        match (self.files.read(&file).await, self.files.metadata(&file).await) {
            (Ok(content), Ok(metadata)) => {
                let modified = jiff::Timestamp::from_second(metadata.modified_seconds).unwrap_or_default();
                let etag = format!("\"{:x}-{:x}\"", metadata.modified_seconds, metadata.size);
                let ending = file
                    .rsplit('/')
                    .next()
                    .and_then(|name| name.rsplit_once('.'))
                    .map_or("", |(_, ending)| ending);
                let default = place.settings.default_type.as_ref().unwrap_or(&self.site.default_type);
                let kind = self.site.types.get(ending).unwrap_or(default);
                if request.headers.get("If-None-Match") == Some(&etag) {
                    return Response::text(304, "").with("ETag", etag);
                }
                Response::text(200, content.to_vec())
                    .with("Content-Type", kind.clone())
                    .with("Last-Modified", clock_text::http(modified))
                    .with("ETag", etag)
                    .with("Accept-Ranges", "bytes")
            }
            (Err(FilesError::PermissionDenied), _) => {
                self.error(request, place, &format!("open() {file:?} failed (13: Permission denied)")).await;
                self.page(403)
            }
            _ => {
                self.error(request, place, &format!("open() {file:?} failed (2: No such file or directory)"))
                    .await;
                self.page(404)
            }
        }
    }

    async fn listing(&self, path: &str, directory: &str) -> Response {
        let names = self.files.list(directory).await.unwrap_or_default();
        let lines: String = names.iter().map(|name| format!("<a href=\"{name}\">{name}</a>\r\n")).collect();
        let page = format!(
            "<html>\r\n<head><title>Index of {path}</title></head>\r\n<body>\r\n<h1>Index of {path}</h1><hr><pre><a href=\"../\">../</a>\r\n{lines}</pre><hr></body>\r\n</html>\r\n"
        );
        Response::text(200, page).with("Content-Type", "text/html")
    }

    async fn proxied(&self, request: &Request, place: &Place<'_>, proxy: &Proxy) -> Response {
        let addresses = self.site.upstreams.get(&proxy.upstream).cloned().unwrap_or_default();
        let turn = self.requests.load(Ordering::Relaxed);
        let target = match (&proxy.path, place.location.map(|location| &location.pattern)) {
            (Some(path), Some(Pattern::Prefix(prefix, _))) => {
                format!("{path}{}", request.target.strip_prefix(prefix.as_str()).unwrap_or_default())
            }
            _ => request.target.clone(),
        };
        let mut headers = Headers::default();
        let own = &place.settings.proxy_headers;
        if !own.iter().any(|(name, _)| name.eq_ignore_ascii_case("Host")) {
            headers.add("Host", proxy.host.clone());
        }
        for (name, value) in own {
            headers.add(name, self.variables(value, request));
        }
        headers.add("Connection", "close");
        let passed = |name: &str| {
            !["host", "connection", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
                && !own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        headers.0.extend(request.headers.0.iter().filter(|(name, _)| passed(name)).cloned());
        let head = Head { first: format!("{} {target} HTTP/1.1", request.method), headers };
        for attempt in 0..addresses.len() {
            let address = addresses[(turn + attempt) % addresses.len()];
            match self.clock.timeout(PROXY_TIMEOUT, self.ask(address, &head, &request.body)).await {
                Ok(Ok(response)) => return response,
                Ok(Err(why)) => {
                    let upstream = format!("http://{address}{target}");
                    self.error(
                        request,
                        place,
                        &format!("{why} while connecting to upstream, upstream: {upstream:?}"),
                    )
                    .await;
                }
                Err(_) => return self.page(504),
            }
        }
        self.page(502)
    }

    async fn ask(&self, address: SocketAddr, head: &Head, body: &[u8]) -> Result<Response, String> {
        let io = self.machine.host.dial(address).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect() failed (111: Connection refused)".to_owned(),
            _ => "connect() failed (113: No route to host)".to_owned(),
        })?;
        let mut client = Client::new(io);
        let closed = |_| "upstream prematurely closed connection".to_owned();
        let mut answer = client.request(head, body).await.map_err(closed)?;
        let mut response = Response { code: answer.code, ..Response::default() };
        while let Ok(Some(piece)) = client.piece(&mut answer).await {
            response.body.extend_from_slice(&piece);
            if response.body.len() > MAX_PROXIED_BYTES {
                return Err("upstream sent too big response".to_owned());
            }
        }
        let hidden = ["date", "server", "connection", "transfer-encoding", "keep-alive", "content-length"];
        response.headers.0 = answer
            .head
            .headers
            .0
            .into_iter()
            .filter(|(name, _)| !hidden.contains(&name.to_ascii_lowercase().as_str()))
            .collect();
        Ok(response)
    }

    async fn error(&self, request: &Request, place: &Place<'_>, why: &str) {
        let client = request.peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        let server = place.server.names.first().map_or("_", String::as_str);
        let host = request.headers.get("Host").unwrap_or_default();
        let number = self.requests.load(Ordering::Relaxed);
        let line = format!(
            "{} [error] 29#29: *{number} {why}, client: {client}, server: {server}, request: \"{} {} {}\", host: {host:?}\n",
            clock_text::nginx(self.clock.now()),
            request.method,
            request.target,
            request.version
        );
        // Nobody reads the log of a container that is going away.
        let _ = self.stderr.put(line.as_bytes()).await;
    }

    async fn log(&self, request: &Request, response: &Response) {
        let dash = |name: &str| request.headers.get(name).unwrap_or("-").to_owned();
        let client = request.peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        let sent = if request.method == "HEAD" || response.code == 304 { 0 } else { response.body.len() };
        let line = format!(
            "{client} - - [{}] \"{} {} {}\" {} {sent} \"{}\" \"{}\"\n",
            clock_text::access_log(self.clock.now()),
            request.method,
            request.target,
            request.version,
            response.code,
            dash("Referer"),
            dash("User-Agent")
        );
        // As above.
        let _ = self.stdout.put(line.as_bytes()).await;
    }

    /// nginx's order of headers: its own, the length, what a file says, what the configuration adds.
    fn finish(&self, request: &Request, response: Response, settings: Option<&Settings>) -> Response {
        let mut headers = Headers::default();
        headers.add("Server", self.signature());
        headers.add("Date", clock_text::http(self.clock.now()));
        let own = response.headers;
        headers.0.extend(own.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Content-Type")).cloned());
        if response.code != 304 && response.code != 204 {
            headers.add("Content-Length", response.body.len().to_string());
        }
        headers.0.extend(
            own.0.iter().filter(|(name, _)| matches!(name.as_str(), "Last-Modified" | "Location")).cloned(),
        );
        let keeps = request.version != "HTTP/1.0" && !request.headers.has("Connection", "close");
        headers.add("Connection", if keeps { "keep-alive" } else { "close" });
        let said = ["content-type", "last-modified", "location"];
        headers.0.extend(
            own.0.into_iter().filter(|(name, _)| !said.contains(&name.to_ascii_lowercase().as_str())),
        );
        for (name, value, always) in settings.map(|settings| settings.headers.as_slice()).unwrap_or_default()
        {
            if *always || matches!(response.code, 200 | 201 | 204 | 206 | 301..=304 | 307 | 308) {
                headers.add(name, self.variables(value, request));
            }
        }
        Response { headers, ..response }
    }
}

fn name_fits(name: &str, host: &str) -> bool {
    match name.strip_prefix('*') {
        Some(ending) => host.ends_with(ending),
        None => name.eq_ignore_ascii_case(host),
    }
}

fn locate<'a>(locations: &'a [Location], path: &str) -> Option<&'a Location> {
    let exact =
        locations.iter().find(|location| matches!(&location.pattern, Pattern::Exact(own) if own == path));
    if exact.is_some() {
        return exact;
    }
    let length = |location: &&Location| match &location.pattern {
        Pattern::Prefix(prefix, _) if path.starts_with(prefix.as_str()) => Some(prefix.len()),
        _ => None,
    };
    let longest = locations.iter().filter(|location| length(location).is_some()).max_by_key(length);
    if longest.is_some_and(|location| matches!(location.pattern, Pattern::Prefix(_, true))) {
        return longest;
    }
    let regex = locations
        .iter()
        .find(|location| matches!(&location.pattern, Pattern::Regex(regex) if regex.is_match(path)));
    regex.or(longest)
}

/// Where a path lies on disk.
fn disk_path(place: &Place<'_>, path: &str) -> String {
    let resolved = crate::bash::resolve("/", path);
    let slash = if path.ends_with('/') && resolved != "/" { "/" } else { "" };
    if let (Some(alias), Some(Pattern::Prefix(prefix, _))) =
        (&place.settings.alias, place.location.map(|location| &location.pattern))
    {
        let rest = resolved.strip_prefix(prefix.trim_end_matches('/')).unwrap_or(&resolved);
        return format!("{}{rest}{slash}", alias.trim_end_matches('/'));
    }
    let root = place.settings.root.as_deref().unwrap_or("/etc/nginx/html");
    format!("{}{resolved}{slash}", root.trim_end_matches('/'))
}

#[async_trait]
impl Handler for Answers {
    async fn answer(&self, request: &Request) -> Response {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.machine.cgroup.spend(NANOSECONDS_A_REQUEST);
        let path = request.path();
        let Some(place) = self.place(request, &path) else {
            return self.finish(request, self.page(404), None);
        };
        let mut response = self.answer_at(request, &path, &place).await;
        if let Some(page) = place.settings.error_pages.get(&response.code) {
            let code = response.code;
            let location = locate(&place.server.locations, page);
            let inner = Place {
                server: place.server,
                location,
                settings: location.map_or(&place.server.settings, |l| &l.settings),
            };
            if self.files.metadata(&disk_path(&inner, page)).await.is_ok() {
                response = Response { code, ..self.send(request, page, &inner).await };
            }
        }
        let logs = place.settings.access_log.unwrap_or(self.site.access_log);
        if logs {
            self.log(request, &response).await;
        }
        self.finish(request, response, Some(place.settings))
    }

    fn bad_request(&self) -> Option<Response> {
        let page = self.page(400);
        Some(Response { close: true, ..self.finish(&Request::default(), page, None) })
    }
}
