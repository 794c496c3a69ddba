//! `redis-server`: listens, answers, logs as redis does.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::task::JoinSet;

use super::super::Machine;
use super::protocol::{Reply, command};
use super::store::Store;
use crate::bash::{Program, ProgramContext, signal};
use crate::clock::Clock;
use crate::net::{BoxIo, Listen};

const DEFAULT_PORT: u16 = 6379;

/// `redis-server [FILE] [--port N] [--requirepass P] ...`.
pub(in super::super) struct RedisServer {
    machine: Machine,
}

impl RedisServer {
    pub(in super::super) fn new(machine: Machine) -> Self {
        Self { machine }
    }
}

/// The server's state.
struct Server {
    store: Mutex<Store>,
    clock: Clock,
    machine: Machine,
    port: u16,
    password: Option<String>,
    started: Timestamp,
}

impl Server {
    fn answer(&self, words: &[Vec<u8>], authenticated: &mut bool) -> Reply {
        let Some((name, args)) = words.split_first() else {
            return Reply::Error("ERR empty command".to_owned());
        };
        let shown = String::from_utf8_lossy(name).into_owned();
        let name = shown.to_ascii_uppercase();
        self.machine.cgroup.spend(20_000);
        if name == "AUTH" {
            let given = args.last().map(|word| String::from_utf8_lossy(word).into_owned());
            return match &self.password {
                None => Reply::Error("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?".to_owned()),
                Some(password) if given.as_ref() == Some(password) => {
                    *authenticated = true;
                    Reply::Simple("OK".to_owned())
                }
                Some(_) => Reply::Error("WRONGPASS invalid username-password pair or user is disabled.".to_owned()),
            };
        }
        if !*authenticated {
            return Reply::Error("NOAUTH Authentication required.".to_owned());
        }
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        match (name.as_str(), args) {
            ("PING", []) => Reply::Simple("PONG".to_owned()),
            ("PING" | "ECHO", [word]) => Reply::Bulk(word.clone()),
            ("SELECT" | "QUIT" | "SAVE", _) => Reply::Simple("OK".to_owned()),
            ("COMMAND" | "CLIENT", _) => Reply::Array(vec![]),
            ("INFO", _) => Reply::Bulk(self.info(store.len()).into_bytes()),
            ("CONFIG", [get, what]) if get.eq_ignore_ascii_case(b"get") => {
                let value = match what.to_ascii_lowercase().as_slice() {
                    b"port" => self.port.to_string(),
                    b"maxmemory" => "0".to_owned(),
                    _ => return Reply::Array(vec![]),
                };
                Reply::Array(vec![Reply::Bulk(what.clone()), Reply::Bulk(value.into_bytes())])
            }
            _ => store.run(&name, args, self.clock.now()).unwrap_or_else(|| {
                let shown_args: String =
                    args.iter().map(|word| format!("'{}' ", String::from_utf8_lossy(word))).collect();
                let known = [
                    "GET", "SET", "DEL", "INCR", "DECR", "KEYS", "EXPIRE", "TTL", "MGET", "MSET", "EXISTS",
                    "ECHO", "PING",
                ];
                if known.contains(&name.as_str()) {
                    return Reply::Error(format!(
                        "ERR wrong number of arguments for '{}' command",
                        name.to_ascii_lowercase()
                    ));
                }
                Reply::Error(format!("ERR unknown command '{shown}', with args beginning with: {shown_args}"))
            }),
        }
    }

    fn info(&self, keys: usize) -> String {
        let uptime = self.clock.now().duration_since(self.started).as_secs();
        let memory = self.machine.cgroup.usage_bytes();
        let keyspace =
            if keys == 0 { String::new() } else { format!("db0:keys={keys},expires=0,avg_ttl=0\r\n") };
        format!(
            "# Server\r\nredis_version:{}\r\nredis_mode:standalone\r\nos:Linux\r\ntcp_port:{}\r\nuptime_in_seconds:{uptime}\r\n\r\n\
             # Clients\r\nconnected_clients:1\r\n\r\n# Memory\r\nused_memory:{memory}\r\n\r\n# Replication\r\nrole:master\r\n\
             connected_slaves:0\r\n\r\n# Keyspace\r\n{keyspace}",
            self.machine.version, self.port
        )
    }
}

async fn connection(io: BoxIo, server: Arc<Server>) {
    let mut io = BufReader::new(io);
    let mut authenticated = server.password.is_none();
    loop {
        let words = match command(&mut io).await {
            Ok(Some(words)) => words,
            Ok(None) => return,
            Err(error) => {
                // The client sent nonsense, and hears of it if it still listens.
                let _ = io.write_all(&Reply::Error(format!("ERR {error}")).bytes()).await;
                return;
            }
        };
        if words.is_empty() {
            continue;
        }
        let reply = server.answer(&words, &mut authenticated);
        if io.write_all(&reply.bytes()).await.is_err()
            || io.flush().await.is_err()
            || words[0].eq_ignore_ascii_case(b"quit")
        {
            return;
        }
    }
}

#[async_trait]
impl Program for RedisServer {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let clock = context.system.clock.clone();
        let line = |mark: char, text: &str| {
            format!(
                "1:{} {} {mark} {text}\n",
                if mark == '#' || text.starts_with("oO0") { 'C' } else { 'M' },
                clock.now().strftime("%d %b %Y %H:%M:%S.%3f")
            )
        };
        if context.args.iter().any(|word| word == "--version" || word == "-v") {
            context
                .stdio
                .out(format!(
                    "Redis server v={} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64\n",
                    self.machine.version
                ))
                .await;
            return 0;
        }
        let mut settings = String::new();
        if let Some(file) = context.args.get(1).filter(|word| !word.starts_with('-')) {
            match context.files.read(&context.path(file)).await {
                Ok(bytes) => settings = String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => {
                    let text = line(
                        '#',
                        &format!(
                            "Fatal error, can't open config file '{}': {}",
                            context.path(file),
                            error.strerror()
                        ),
                    );
                    context.stdio.out(text).await;
                    return 1;
                }
            }
        }
        settings.push('\n');
        for word in &context.args[1..] {
            settings
                .push_str(&word.strip_prefix("--").map_or(format!(" {word}"), |name| format!("\n{name}")));
        }
        let setting = |name: &str| {
            settings.lines().rev().find_map(|line| {
                line.trim()
                    .strip_prefix(name)?
                    .strip_prefix(' ')
                    .map(|v| v.trim().trim_matches('"').to_owned())
            })
        };
        let port = setting("port").and_then(|port| port.parse().ok()).unwrap_or(DEFAULT_PORT);
        context.stdio.out(line('*', "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")).await;
        let listener = match self.machine.host.listen((Ipv4Addr::UNSPECIFIED, port).into()).await {
            Ok(listener) => listener,
            Err(_) => {
                context.stdio.out(line('#', &format!("Warning: Could not create server TCP listening socket *:{port}: bind: Address already in use"))).await;
                context.stdio.out(line('#', "Failed listening on port 6379 (tcp), aborting.")).await;
                return 1;
            }
        };
        let password = setting("requirepass").filter(|password| !password.is_empty());
        let server = Server {
            store: Mutex::default(),
            machine: self.machine.clone(),
            port,
            password,
            started: clock.now(),
            clock: clock.clone(),
        };
        context.stdio.out(line('*', &format!("Running mode=standalone, port={port}."))).await;
        context.stdio.out(line('*', "Server initialized")).await;
        context.stdio.out(line('*', "Ready to accept connections tcp")).await;
        let signals = context.system.signals.clone();
        signals.handle(signal::TERM);
        signals.handle(signal::INT);
        tokio::select! { biased;
            number = signals.next() => {
                let name = if number == signal::INT { "SIGINT" } else { "SIGTERM" };
                context.stdio.out(line('*', &format!("Received {name} scheduling shutdown..."))).await;
                context.stdio.out(line('*', "User requested shutdown...")).await;
                context.stdio.out(line('*', "Redis is now ready to exit, bye bye...")).await;
                0
            }
            () = serve(listener, Arc::new(server)) => 1,
        }
    }
}

async fn serve(mut listener: Box<dyn crate::net::Listener>, server: Arc<Server>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! { biased;
            accepted = listener.accept() => {
                let Ok((io, _)) = accepted else { return };
                connections.spawn(connection(io, server.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
