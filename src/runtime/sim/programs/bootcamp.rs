//! The server of the Kubernetes Basics tutorial, in place of node running `server.js`.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;

use super::http::{Handler, Request, Response, serve};
use super::{Machine, clock_text};
use crate::bash::{Program, ProgramContext, SharedWriter};
use crate::clock::Clock;
use crate::net::Listen;

const PORT: u16 = 8080;
/// What an answer costs.
const NANOSECONDS_A_REQUEST: u64 = 900_000;

/// `node server.js`.
pub(super) struct Bootcamp {
    machine: Machine,
}

impl Bootcamp {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine }
    }
}

struct Page {
    machine: Machine,
    hostname: String,
    clock: Clock,
    started: Timestamp,
    requests: AtomicU64,
    stdout: SharedWriter,
}

#[async_trait]
impl Handler for Page {
    async fn answer(&self, _request: &Request) -> Response {
        let now = self.clock.now();
        let count = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let uptime = now.duration_since(self.started).as_millis() as f64 / 1000.0;
        let (host, time) = (&self.hostname, clock_text::iso(now));
        let line = format!(
            "Running On: {host} | Total Requests: {count} | App Uptime: {uptime} seconds | Log Time: {time}\n"
        );
        // Nobody reads the log of a container that is going away.
        let _ = self.stdout.put(line.as_bytes()).await;
        self.machine.cgroup.spend(NANOSECONDS_A_REQUEST);
        let body = format!("Hello Kubernetes bootcamp! | Running on: {host} | v={}\n", self.machine.version);
        Response::text(200, body)
            .with("Content-Type", "text/plain")
            .with("Date", clock_text::http(now))
            .with("Connection", "keep-alive")
            .with("Transfer-Encoding", "chunked")
    }
}

#[async_trait]
impl Program for Bootcamp {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        if context.args.get(1).is_none_or(|script| !script.ends_with("server.js")) {
            context.stdio.err("node: this image runs server.js and nothing else\n").await;
            return 1;
        }
        let listener = match self.machine.host.listen((Ipv4Addr::UNSPECIFIED, PORT).into()).await {
            Ok(listener) => listener,
            Err(_) => {
                context.stdio.err(format!("Error: listen EADDRINUSE :::{PORT}\n")).await;
                return 1;
            }
        };
        let clock = context.system.clock.clone();
        let (started, hostname) = (clock.now(), context.system.hostname.clone());
        let stdout = SharedWriter::new(context.stdio.stdout);
        let banner = format!(
            "Kubernetes Bootcamp App Started At: {} | Running On:  {hostname} \n\n",
            clock_text::iso(started)
        );
        // As above: a log without a reader.
        let _ = stdout.put(banner.as_bytes()).await;
        let machine = self.machine.clone();
        let page =
            Page { machine, hostname, clock: clock.clone(), started, requests: AtomicU64::new(0), stdout };
        // No signal is handled: as a container's first process it is ended only by SIGKILL, when the grace is over.
        serve(listener, Arc::new(page), clock).await;
        1
    }
}
