//! `nginx` as a program: its options, its ports, its signals.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::super::http::serve;
use super::super::{Machine, clock_text, resolver};
use super::config;
use super::server::Answers;
use super::site::Site;
use crate::bash::{Files, Program, ProgramContext, SharedWriter, System, signal};
use crate::net::{Listen, Listener};

const CONFIGURATION: &str = "/etc/nginx/nginx.conf";
/// How often a port that is taken is tried.
const BIND_TRIES: u32 = 5;
const BIND_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// `nginx [-g directives] [-c file] [-t] [-v] [-V] [-s signal]`.
pub(in super::super) struct Nginx {
    machine: Machine,
}

impl Nginx {
    pub(in super::super) fn new(machine: Machine) -> Self {
        Self { machine }
    }

    async fn load(&self, files: &dyn Files, path: &str, extra: &str) -> Result<Site, String> {
        if !extra.is_empty() {
            config::parse(extra, "command line")?;
        }
        let (mut site, lookups) = Site::read(&config::read(files, path).await?)?;
        for (key, name, port, place) in lookups {
            let addresses = resolver::lookup(&self.machine.host, files, &name).await;
            if addresses.is_empty() {
                return Err(format!("host not found in upstream {name:?} in {place}"));
            }
            let known = site.upstreams.entry(key).or_default();
            known.extend(addresses.into_iter().map(|ip| std::net::SocketAddr::new(ip, port)));
        }
        Ok(site)
    }
}

/// The words of a call.
#[derive(Default)]
struct Call {
    file: String,
    extra: String,
    test: bool,
    signal: Option<String>,
}

/// A running server: what it says goes here.
struct Voice {
    stdout: SharedWriter,
    stderr: SharedWriter,
    system: System,
}

impl Voice {
    /// A problem that ends nginx, said twice: in the log, and by the program.
    async fn emergency(&self, started: &str, why: &str) {
        let text = format!("{started} [emerg] 1#1: {why}\nnginx: [emerg] {why}\n");
        // Nobody reads the log of a container that is going away.
        let _ = self.stderr.put(text.as_bytes()).await;
    }

    async fn say(&self, text: String) {
        // As above.
        let _ = self.stderr.put(text.as_bytes()).await;
    }
}

#[async_trait]
impl Program for Nginx {
    async fn run(&self, context: ProgramContext) -> i32 {
        let ProgramContext { args, files, stdio, system, .. } = context;
        let voice = Voice {
            stdout: SharedWriter::new(stdio.stdout),
            stderr: SharedWriter::new(stdio.stderr),
            system,
        };
        let mut call = Call { file: CONFIGURATION.to_owned(), ..Call::default() };
        let mut words = args.iter().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().unwrap_or_default();
            match word.as_str() {
                "-v" => {
                    voice.say(format!("nginx version: nginx/{}\n", self.machine.version)).await;
                    return 0;
                }
                "-V" => {
                    voice
                        .say(format!(
                            "nginx version: nginx/{}\nbuilt by gcc 12.2.0 (Debian 12.2.0-14+deb12u1) \n",
                            self.machine.version
                        ))
                        .await;
                    return 0;
                }
                "-h" | "-?" => {
                    voice.say(format!("nginx version: nginx/{}\nUsage: nginx [-?hvVtTq] [-s signal] [-p prefix] [-c filename] [-g directives]\n", self.machine.version)).await;
                    return 0;
                }
                "-t" | "-T" => call.test = true,
                "-q" => {}
                "-g" => call.extra = value(),
                "-c" => call.file = crate::bash::resolve("/etc/nginx", &value()),
                "-s" => call.signal = Some(value()),
                "-e" | "-p" => drop(value()),
                other => {
                    voice.say(format!("nginx: invalid option: {other:?}\n")).await;
                    return 1;
                }
            }
        }
        if let Some(name) = call.signal {
            return send(&voice, &name).await;
        }
        self.serve(&call, files, &voice).await
    }
}

async fn send(voice: &Voice, name: &str) -> i32 {
    let number = match name {
        "stop" => signal::TERM,
        "quit" => signal::QUIT,
        "reload" => signal::HUP,
        "reopen" => signal::USR1,
        other => {
            voice.say(format!("nginx: invalid option: \"-s {other}\"\n")).await;
            return 1;
        }
    };
    let processes = &voice.system.processes;
    let master = processes.list().into_iter().find(|process| {
        let name = process.command.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        (name == "nginx" || name.ends_with("entrypoint.sh"))
            && !process.command.iter().any(|word| word == "-s")
    });
    match master {
        Some(master) if processes.kill(master.pid, number) => 0,
        _ => {
            voice
                .say(
                    "nginx: [error] open() \"/run/nginx.pid\" failed (2: No such file or directory)\n"
                        .to_owned(),
                )
                .await;
            1
        }
    }
}

impl Nginx {
    async fn serve(&self, call: &Call, files: Arc<dyn Files>, voice: &Voice) -> i32 {
        let clock = voice.system.clock.clone();
        let started = clock_text::nginx(clock.now());
        let mut site = match self.load(&*files, &call.file, &call.extra).await {
            Ok(site) => site,
            Err(why) if call.test => {
                voice
                    .say(format!(
                        "nginx: [emerg] {why}\nnginx: configuration file {} test failed\n",
                        call.file
                    ))
                    .await;
                return 1;
            }
            Err(why) => {
                voice.emergency(&started, &why).await;
                return 1;
            }
        };
        if call.test {
            voice.say(format!("nginx: the configuration file {0} syntax is ok\nnginx: configuration file {0} test is successful\n", call.file)).await;
            return 0;
        }
        let signals = voice.system.signals.clone();
        for number in [signal::TERM, signal::INT, signal::QUIT, signal::HUP, signal::USR1, signal::WINCH] {
            signals.handle(number);
        }
        let requests = Arc::new(AtomicUsize::new(0));
        loop {
            let Some(listeners) = self.bind(&site, voice, &started).await else { return 1 };
            let mut servers = JoinSet::new();
            let shared = Arc::new(site);
            for listener in listeners {
                let answers = Answers {
                    site: shared.clone(),
                    machine: self.machine.clone(),
                    files: files.clone(),
                    clock: clock.clone(),
                    hostname: voice.system.hostname.clone(),
                    stdout: voice.stdout.clone(),
                    stderr: voice.stderr.clone(),
                    requests: requests.clone(),
                };
                servers.spawn(serve(listener, Arc::new(answers), clock.clone()));
            }
            site = loop {
                match signals.next().await {
                    signal::HUP => match self.load(&*files, &call.file, &call.extra).await {
                        Ok(site) => break site,
                        // The old configuration stays in force.
                        Err(why) => {
                            voice
                                .say(format!("{} [emerg] 1#1: {why}\n", clock_text::nginx(clock.now())))
                                .await
                        }
                    },
                    signal::USR1 | signal::WINCH => {}
                    _ => return 0,
                }
            };
            servers.shutdown().await;
        }
    }

    /// Opens the ports; says so and gives up if one stays taken.
    async fn bind(&self, site: &Site, voice: &Voice, started: &str) -> Option<Vec<Box<dyn Listener>>> {
        let ports: BTreeSet<u16> =
            site.servers.iter().flat_map(|server| server.ports.iter().copied()).collect();
        let mut listeners: Vec<Box<dyn Listener>> = vec![];
        for attempt in 0..BIND_TRIES {
            if attempt > 0 {
                voice.system.clock.sleep(BIND_PAUSE).await;
            }
            for port in &ports {
                if listeners.iter().any(|listener| listener.local_addr().port() == *port) {
                    continue;
                }
                match self.machine.host.listen((Ipv4Addr::UNSPECIFIED, *port).into()).await {
                    Ok(listener) => listeners.push(listener),
                    Err(_) => {
                        for address in ["0.0.0.0", "[::]"] {
                            voice
                                .emergency(
                                    started,
                                    &format!(
                                        "bind() to {address}:{port} failed (98: Address already in use)"
                                    ),
                                )
                                .await;
                        }
                    }
                }
            }
            if listeners.len() == ports.len() {
                return Some(listeners);
            }
        }
        voice.emergency(started, "still could not bind()").await;
        None
    }
}
