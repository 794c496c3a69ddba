//! Apache's httpd: static files, its logs, its signals. Its configuration file is not read but for `Listen`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;

use super::http::{Handler, Request, Response, reason, serve};
use super::{Machine, clock_text};
use crate::bash::{Files, Program, ProgramContext, SharedWriter, resolve, signal};
use crate::clock::Clock;
use crate::net::Listen;

const ROOT: &str = "/usr/local/apache2/htdocs";
const CONFIGURATION: &str = "/usr/local/apache2/conf/httpd.conf";
const NANOSECONDS_A_REQUEST: u64 = 200_000;

/// `httpd`, `httpd-foreground`.
pub(super) struct Httpd {
    machine: Machine,
}

impl Httpd {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine }
    }
}

struct Site {
    machine: Machine,
    files: Arc<dyn Files>,
    clock: Clock,
    stdout: SharedWriter,
}

impl Site {
    fn page(&self, code: u16, text: &str) -> Response {
        let title = format!("{code} {}", reason(code));
        let heading = reason(code);
        let page = format!(
            "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>{title}</title>\n</head><body>\n<h1>{heading}</h1>\n<p>{text}</p>\n</body></html>\n"
        );
        Response::text(code, page)
            .with("Content-Length", "")
            .with("Content-Type", "text/html; charset=iso-8859-1")
    }

    async fn file(&self, request: &Request) -> Response {
        let path = request.path();
        let mut file = format!("{ROOT}{}", resolve("/", &path));
        let directory = |file: String| async move {
            self.files.metadata(file.trim_end_matches('/')).await.is_ok_and(|m| m.directory)
        };
        if directory(file.clone()).await {
            if !path.ends_with('/') {
                let host = request.headers.get("Host").unwrap_or("localhost");
                let target = format!("http://{host}{path}/");
                return self
                    .page(301, &format!("The document has moved <a href=\"{target}\">here</a>."))
                    .with("Location", target);
            }
            file = format!("{}/index.html", file.trim_end_matches('/'));
        }
        match (self.files.read(&file).await, self.files.metadata(&file).await) {
            (Ok(content), Ok(metadata)) => {
                let modified = jiff::Timestamp::from_second(metadata.modified_seconds).unwrap_or_default();
                let kind = match file.rsplit('.').next() {
                    Some("html" | "htm") => "text/html",
                    Some("css") => "text/css",
                    Some("js") => "text/javascript",
                    Some("json") => "application/json",
                    Some("txt") => "text/plain",
                    _ => "application/octet-stream",
                };
                let micros = metadata.modified_seconds.unsigned_abs() * 1_000_000;
                Response::text(200, content.to_vec())
                    .with("Last-Modified", clock_text::http(modified))
                    .with("ETag", format!("\"{:x}-{micros:x}\"", metadata.size))
                    .with("Accept-Ranges", "bytes")
                    .with("Content-Length", "")
                    .with("Content-Type", kind)
            }
            _ => self.page(404, "The requested URL was not found on this server."),
        }
    }
}

#[async_trait]
impl Handler for Site {
    async fn answer(&self, request: &Request) -> Response {
        self.machine.cgroup.spend(NANOSECONDS_A_REQUEST);
        let now = self.clock.now();
        let mut response = match request.method.as_str() {
            "GET" | "HEAD" => self.file(request).await,
            _ => self.page(405, "The requested method is not allowed for this URL."),
        };
        let length = response.body.len().to_string();
        for (name, value) in &mut response.headers.0 {
            if name == "Content-Length" {
                value.clone_from(&length);
            }
        }
        let first = [
            ("Date".to_owned(), clock_text::http(now)),
            ("Server".to_owned(), format!("Apache/{} (Unix)", self.machine.version)),
        ];
        response.headers.0.splice(0..0, first);
        let client = request.peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        let sent = if request.method == "HEAD" { "-".to_owned() } else { length };
        let line = format!(
            "{client} - - [{}] \"{} {} {}\" {} {sent}\n",
            clock_text::access_log(now),
            request.method,
            request.target,
            request.version,
            response.code
        );
        // Nobody reads the log of a container that is going away.
        let _ = self.stdout.put(line.as_bytes()).await;
        response
    }
}

#[async_trait]
impl Program for Httpd {
    async fn run(&self, context: ProgramContext) -> i32 {
        let ProgramContext { args, files, stdio, system, .. } = context;
        let (stdout, stderr) = (SharedWriter::new(stdio.stdout), SharedWriter::new(stdio.stderr));
        let version = &self.machine.version;
        let say = |text: String| {
            let stderr = stderr.clone();
            async move {
                // As above.
                let _ = stderr.put(text.as_bytes()).await;
            }
        };
        if args.iter().any(|word| word == "-v") {
            // As above.
            let _ = stdout.put(format!("Server version: Apache/{version} (Unix)\n").as_bytes()).await;
            return 0;
        }
        let text = files.read(CONFIGURATION).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let listen = text.lines().find_map(|line| {
            line.trim().strip_prefix("Listen ")?.trim().rsplit(':').next()?.parse::<u16>().ok()
        });
        let port = listen.unwrap_or(80);
        let clock = system.clock.clone();
        let ip = self.machine.host.ip();
        let warning = format!(
            "AH00558: httpd: Could not reliably determine the server's fully qualified domain name, using {ip}. Set the 'ServerName' directive globally to suppress this message\n"
        );
        say(warning.clone()).await;
        let Ok(listener) = self.machine.host.listen((Ipv4Addr::UNSPECIFIED, port).into()).await else {
            say(format!("(98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:{port}\nno listening sockets available, shutting down\nAH00015: Unable to open logs\n")).await;
            return 1;
        };
        let stamp = |kind: &str| {
            format!("[{}] [{kind}:notice] [pid 1:tid 1]", clock.now().strftime("%a %b %d %H:%M:%S.%6f %Y"))
        };
        say(format!(
            "{warning}{} AH00489: Apache/{version} (Unix) configured -- resuming normal operations\n",
            stamp("mpm_event")
        ))
        .await;
        say(format!("{} AH00094: Command line: 'httpd -D FOREGROUND'\n", stamp("core"))).await;
        let signals = system.signals.clone();
        for number in [signal::TERM, signal::INT, signal::WINCH] {
            signals.handle(number);
        }
        let site = Site { machine: self.machine.clone(), files, clock: clock.clone(), stdout };
        tokio::select! { biased;
            number = signals.next() => {
                let text = if number == signal::WINCH { "AH00492: caught SIGWINCH, shutting down gracefully" } else { "AH00491: caught SIGTERM, shutting down" };
                say(format!("{} {text}\n", stamp("mpm_event"))).await;
                0
            }
            () = serve(listener, Arc::new(site), clock.clone()) => 1,
        }
    }
}
