//! agnhost: the many small servers of Kubernetes' own tests, in one program with sub-commands.
// Models test/images/agnhost (netexec, serve-hostname, liveness, pause and others); their routes, ports and words.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::super::launcher::Launcher;
use super::http::{Handler, Request, Response, serve};
use super::pause::Pause;
use super::{Machine, clock_text, datagrams, resolver};
use crate::bash::{Files, Program, ProgramContext, SharedReader, SharedWriter, Stdio, System, signal};
use crate::clock::Clock;
use crate::net::{Datagrams, Listen};
use crate::watch;

const NANOSECONDS_A_REQUEST: u64 = 400_000;
/// How long `liveness` is well.
const WELL: Duration = Duration::from_secs(10);

/// `agnhost SUBCOMMAND [flags]`.
pub(super) struct Agnhost {
    machine: Machine,
    launcher: Launcher,
}

impl Agnhost {
    pub(super) fn new(machine: Machine, launcher: Launcher) -> Self {
        Self { machine, launcher }
    }
}

/// The value of `--name=value` or `--name value`.
fn flag<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let Some(rest) = word.trim_start_matches('-').strip_prefix(name).filter(|_| word.starts_with('-'))
        else {
            continue;
        };
        match rest.strip_prefix('=') {
            Some(value) => return Some(value),
            None if rest.is_empty() => return words.next().map(String::as_str),
            None => {}
        }
    }
    None
}

/// A line of klog.
fn klog(now: Timestamp, text: &str) -> String {
    format!("I{}       1 log.go:245] {text}\n", now.strftime("%m%d %H:%M:%S.%6f"))
}

/// What the servers share.
struct Server {
    kind: Kind,
    machine: Machine,
    launcher: Launcher,
    system: System,
    files: Arc<dyn Files>,
    env: std::collections::BTreeMap<String, String>,
    stderr: SharedWriter,
    started: Timestamp,
    /// The exit code, once somebody asked for the end.
    exit: watch::Sender<Option<i32>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Netexec,
    Hostname,
    Liveness,
    Files,
}

impl Server {
    fn clock(&self) -> &Clock {
        &self.system.clock
    }

    async fn log(&self, text: &str) {
        // Nobody reads the log of a container that is going away.
        let _ = self.stderr.put(klog(self.clock().now(), text).as_bytes()).await;
    }

    async fn netexec(&self, request: &Request) -> Response {
        let now = self.clock().now();
        let path = request.path();
        self.log(&format!("{} {}", request.method, request.target)).await;
        match path.as_str() {
            "/" => {
                let uptime = now.duration_since(self.started).as_secs_f64();
                text(200, format!("NOW: {} +0000 UTC m=+{uptime:.9}", now.strftime("%Y-%m-%d %H:%M:%S.%9f")))
            }
            "/hostname" | "/hostName" => text(200, self.system.hostname.clone()),
            "/clientip" => text(200, request.peer.map(|peer| peer.to_string()).unwrap_or_default()),
            "/echo" => {
                let code = request.query("code").and_then(|code| code.parse().ok()).unwrap_or(200);
                text(code, request.query("msg").unwrap_or_default())
            }
            "/header" => {
                let key = request.query("key").unwrap_or_default();
                text(200, request.headers.get(&key).unwrap_or_default().to_owned())
            }
            "/healthz" => text(if self.exit.borrow().is_some() { 412 } else { 200 }, String::new()),
            "/exit" => {
                self.exit_after(request).await;
                text(200, String::new())
            }
            "/shutdown" => {
                self.exit.send_replace(Some(0));
                text(200, String::new())
            }
            "/redirect" => {
                let code = request.query("code").and_then(|code| code.parse().ok()).unwrap_or(302);
                text(code, String::new()).with("Location", request.query("location").unwrap_or_default())
            }
            "/shell" => self.shell(request).await,
            _ => text(404, "404 page not found\n"),
        }
    }

    async fn exit_after(&self, request: &Request) {
        let code = request.query("code").and_then(|code| code.parse().ok()).unwrap_or(0);
        let wait = request.query("wait").and_then(|text| crate::bash::interval_seconds(&text)).unwrap_or(0.0);
        let wait = Duration::try_from_secs_f64(wait).unwrap_or_default();
        self.clock().sleep(wait).await;
        self.exit.send_replace(Some(code));
    }

    /// Answers datagrams for as long as it is not dropped.
    async fn answer_datagrams(&self, socket: Option<Box<dyn Datagrams>>) {
        let Some(socket) = socket else { return std::future::pending().await };
        loop {
            let (bytes, from) = match socket.receive().await {
                Ok(received) => received,
                // A client that went away before it had its answer.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            self.machine.cgroup.spend(NANOSECONDS_A_REQUEST);
            let (answer, log) = datagrams::netexec(&bytes, from, &self.system.hostname);
            if !log.is_empty() {
                self.log(&log).await;
            }
            if let Some(answer) = answer {
                // Nobody promises that it arrives.
                let _ = socket.send(answer.as_bytes(), from).await;
            }
        }
    }

    async fn shell(&self, request: &Request) -> Response {
        let Some(command) = request.query("shellCommand").or_else(|| request.query("cmd")) else {
            return text(400, "missing shell command\n");
        };
        let (stdout, out) = SharedWriter::capture();
        let (stderr, err) = SharedWriter::capture();
        let stdio = Stdio {
            stdin: Box::new(SharedReader::empty()),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            ..Stdio::null()
        };
        let context = ProgramContext {
            args: vec!["agnhost".to_owned()],
            env: self.env.clone(),
            cwd: "/".to_owned(),
            files: self.files.clone(),
            stdio,
            system: self.system.clone(),
        };
        let args = ["sh", "-c", command.as_str()].map(str::to_owned).to_vec();
        let code = self.launcher.exec(context, args).await;
        let kept = |bytes: &Arc<std::sync::Mutex<Vec<u8>>>| {
            String::from_utf8_lossy(&bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
                .into_owned()
        };
        let mut answer = serde_json::Map::new();
        let output = kept(&out) + &kept(&err);
        if code != 0 {
            answer.insert("error".to_owned(), format!("exit status {code}").into());
        }
        if !output.is_empty() {
            answer.insert("output".to_owned(), output.into());
        }
        text(200, serde_json::Value::Object(answer).to_string())
    }

    async fn file(&self, request: &Request) -> Response {
        let path = crate::bash::resolve("/", &request.path());
        match self.files.read(&path).await {
            Ok(bytes) => text(200, bytes.to_vec()),
            Err(crate::bash::FilesError::IsDirectory) => {
                let names = self.files.list(&path).await.unwrap_or_default();
                let lines: String =
                    names.iter().map(|name| format!("<a href=\"{name}\">{name}</a>\n")).collect();
                text(200, format!("<pre>\n{lines}</pre>\n"))
            }
            Err(_) => text(404, "404 page not found\n"),
        }
    }
}

fn text(code: u16, body: impl Into<Vec<u8>>) -> Response {
    Response::text(code, body)
}

#[async_trait]
impl Handler for Server {
    async fn answer(&self, request: &Request) -> Response {
        self.machine.cgroup.spend(NANOSECONDS_A_REQUEST);
        let now = self.clock().now();
        let mut response = match self.kind {
            Kind::Netexec => self.netexec(request).await,
            Kind::Hostname => text(200, self.system.hostname.clone()),
            Kind::Files => self.file(request).await,
            Kind::Liveness => {
                let age = now.duration_since(self.started);
                match Duration::try_from(age).unwrap_or_default() {
                    age if age > WELL => text(500, format!("error: {}", age.as_secs_f64())),
                    _ => text(200, "ok"),
                }
            }
        };
        response.headers.add("Date", clock_text::http(now));
        response.headers.add("Content-Length", response.body.len().to_string());
        if !response.body.is_empty() {
            response.headers.add("Content-Type", "text/plain; charset=utf-8");
        }
        response
    }
}

impl Agnhost {
    async fn server(&self, context: ProgramContext, kind: Kind) -> i32 {
        let (default, name) = match kind {
            Kind::Netexec => ("8080", "http-port"),
            Kind::Hostname => ("9376", "port"),
            Kind::Liveness => ("8080", "port"),
            Kind::Files => ("80", "port"),
        };
        let port = flag(&context.args, name).unwrap_or(default).to_owned();
        let mut stdio = context.stdio;
        let Ok(port) = port.parse::<u16>() else {
            stdio.err(format!("Error: invalid argument {port:?} for \"--{name}\" flag: strconv.ParseInt: parsing {port:?}: invalid syntax\n")).await;
            return 1;
        };
        let clock = context.system.clock.clone();
        let signals = context.system.signals.clone();
        let stderr = SharedWriter::new(stdio.stderr);
        let server = Arc::new(Server {
            kind,
            machine: self.machine.clone(),
            launcher: self.launcher.clone(),
            system: context.system,
            files: context.files,
            env: context.env,
            stderr,
            started: clock.now(),
            exit: watch::Sender::new(None),
        });
        let Ok(listener) = self.machine.host.listen((Ipv4Addr::UNSPECIFIED, port).into()).await else {
            server.log(&format!("listen tcp :{port}: bind: address already in use")).await;
            return 1;
        };
        let mut socket = None;
        if kind == Kind::Netexec {
            server.log(&format!("Started HTTP server on port {port}")).await;
            let port = flag(&context.args, "udp-port").unwrap_or("8081").to_owned();
            // -1 asks for none.
            if let Ok(number) = port.parse::<u16>() {
                socket = self.machine.host.datagrams((Ipv4Addr::UNSPECIFIED, number).into()).await.ok();
                server.log(&format!("Started UDP server on port  {port}")).await;
            }
        }
        signals.handle(signal::TERM);
        let delay =
            flag(&context.args, "delay-shutdown").and_then(crate::bash::interval_seconds).unwrap_or(0.0);
        let mut exit = server.exit.subscribe();
        let ended = async {
            signals.next().await;
            clock.sleep(Duration::try_from_secs_f64(delay).unwrap_or_default()).await;
        };
        let asked = async { exit.wait_for(Option::is_some).await.ok().and_then(|code| *code).unwrap_or(0) };
        tokio::select! { biased;
            code = asked => code,
            () = ended => 0,
            () = serve(listener, server.clone(), clock.clone()) => 1,
            () = server.answer_datagrams(socket) => 1,
        }
    }

    async fn stress(&self, context: ProgramContext) -> i32 {
        let amount = |name: &str, default: u64| {
            let text = flag(&context.args, name)?;
            let quantity: crate::meta::quantity::Quantity = text.parse().ok()?;
            Some(u64::try_from(quantity.value()).unwrap_or(default))
        };
        let total = amount("mem-total", 0).unwrap_or(0);
        let step = amount("mem-alloc-size", 4096).unwrap_or(4096).max(4096);
        let pause =
            flag(&context.args, "mem-alloc-sleep").and_then(crate::bash::interval_seconds).unwrap_or(0.001);
        let cpus = flag(&context.args, "cpus").and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let _burn = self.machine.cgroup.burn(cpus.saturating_mul(1000));
        let mut held = vec![];
        let mut taken = 0;
        while taken < total {
            held.push(self.machine.cgroup.allocate(step).await);
            taken += step;
            context.system.clock.sleep(Duration::try_from_secs_f64(pause).unwrap_or_default()).await;
        }
        std::future::pending().await
    }

    async fn connect(&self, mut context: ProgramContext) -> i32 {
        let target =
            context.args.iter().skip(2).find(|word| !word.starts_with('-')).cloned().unwrap_or_default();
        let limit = flag(&context.args, "timeout").and_then(crate::bash::interval_seconds).unwrap_or(10.0);
        let (name, port) = target.rsplit_once(':').unwrap_or((&target, ""));
        let Ok(port) = port.parse::<u16>() else {
            context.stdio.err("OTHER: address is not host:port\n").await;
            return 1;
        };
        let Some(ip) = resolver::lookup(&self.machine.host, &*context.files, name).await.first().copied()
        else {
            context.stdio.err(format!("DNS: lookup {name}: no such host\n")).await;
            return 1;
        };
        let dial = crate::net::Dial::dial(&self.machine.host, (ip, port).into());
        let limit = Duration::try_from_secs_f64(limit).unwrap_or(Duration::from_secs(10));
        let text = match context.system.clock.timeout(limit, dial).await {
            Ok(Ok(_)) => return 0,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => "REFUSED\n",
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::TimedOut => "TIMEOUT\n",
            Ok(Err(_)) => "OTHER: no route to host\n",
            Err(_) => "TIMEOUT\n",
        };
        context.stdio.err(text).await;
        1
    }

    async fn logs_generator(&self, mut context: ProgramContext) -> i32 {
        let number = |name: &str| flag(&context.args, name);
        let total: u64 = number("log-lines-total").and_then(|text| text.parse().ok()).unwrap_or(0);
        let duration = number("run-duration").and_then(crate::bash::interval_seconds).unwrap_or(0.0);
        let pause = Duration::try_from_secs_f64(duration / total.max(1) as f64).unwrap_or_default();
        for line in 0..total {
            let now = context.system.clock.now();
            let pod = 300 + self.machine.seed.below(300);
            let verb = ["GET", "PUT", "POST"][self.machine.seed.below(3) as usize];
            let text = format!(
                "{line} {verb} /api/v1/namespaces/default/pods/{} {pod}",
                self.machine.seed.suffix(4)
            );
            context
                .stdio
                .err(format!("I{}       1 logs_generator.go:76] {text}\n", now.strftime("%m%d %H:%M:%S.%6f")))
                .await;
            context.system.clock.sleep(pause).await;
        }
        0
    }
}

#[async_trait]
impl Program for Agnhost {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let command = context.args.get(1).cloned().unwrap_or_default();
        match command.as_str() {
            "netexec" => self.server(context, Kind::Netexec).await,
            "serve-hostname" => self.server(context, Kind::Hostname).await,
            "liveness" => self.server(context, Kind::Liveness).await,
            "test-webserver" => self.server(context, Kind::Files).await,
            "pause" => {
                context.stdio.out("Paused\n").await;
                Pause.run(context).await
            }
            "stress" => self.stress(context).await,
            "connect" => self.connect(context).await,
            "logs-generator" => self.logs_generator(context).await,
            "dns-suffix" => {
                let searches = resolver::resolv_conf(&*context.files).await.searches;
                context.stdio.out(searches.join(",")).await;
                0
            }
            "dns-server-list" => {
                let servers = resolver::resolv_conf(&*context.files).await.servers;
                context.stdio.out(servers.join(",")).await;
                0
            }
            "etc-hosts" => {
                let hosts = context.files.read("/etc/hosts").await.unwrap_or_default();
                context.stdio.out(&hosts).await;
                0
            }
            "" | "help" | "--help" | "-h" => {
                let names = "connect, dns-server-list, dns-suffix, etc-hosts, liveness, logs-generator, netexec, pause, serve-hostname, stress, test-webserver";
                context.stdio.out(format!("Usage:\n  app [command]\n\nCommands here: {names}\n")).await;
                0
            }
            other => {
                context
                    .stdio
                    .err(format!(
                        "Error: unknown command {other:?} for \"app\"\nRun 'app --help' for usage.\n"
                    ))
                    .await;
                1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_in_two_shapes() {
        let args: Vec<String> =
            ["agnhost", "netexec", "--http-port=80", "--udp-port", "-1"].map(str::to_owned).to_vec();
        assert_eq!(
            (flag(&args, "http-port"), flag(&args, "udp-port"), flag(&args, "port")),
            (Some("80"), Some("-1"), None)
        );
    }
}
