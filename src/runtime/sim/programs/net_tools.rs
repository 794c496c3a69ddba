//! `ping`, `nc`, `ip` and `ifconfig`: the network as a pod sees it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{datagrams, resolver};
use crate::bash::{Dialect, Program, ProgramContext};
use crate::clock::Clock;
use crate::net::{Dial, Listen};
use crate::network::NetHost;

/// How long an echo is waited for.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// `ping [-c COUNT] [-i SECONDS] [-W SECONDS] HOST`.
pub struct Ping {
    host: NetHost,
}

impl Ping {
    /// A `ping` from `host`.
    pub fn new(host: NetHost) -> Self {
        Self { host }
    }

    /// Whether a host answers. A Service's address does not: nobody has it.
    async fn answers(&self, clock: &Clock, ip: IpAddr) -> bool {
        // Port 0 is never listened on: a host refuses, an empty address is unreachable, and who may not be reached is silent.
        match clock.timeout(ECHO_TIMEOUT, self.host.dial(SocketAddr::new(ip, 0))).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            Err(_) => false,
        }
    }
}

/// The value behind a one-letter option, apart or attached.
fn option<'a>(args: &'a [String], letter: &str) -> Option<&'a str> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if let Some(rest) = word.strip_prefix(letter) {
            return if rest.is_empty() { words.next().map(String::as_str) } else { Some(rest) };
        }
    }
    None
}

/// The words that are no options, with the values of options left out.
fn operands<'a>(args: &'a [String], with_value: &str) -> Vec<&'a str> {
    let mut found = vec![];
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some(letters) => {
                if letters.chars().last().is_some_and(|letter| with_value.contains(letter)) {
                    words.next();
                }
            }
            None => found.push(word.as_str()),
        }
    }
    found
}

#[async_trait]
impl Program for Ping {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let busybox = context.system.dialect == Dialect::Busybox;
        let count = option(&context.args, "-c").and_then(|text| text.parse::<u64>().ok()).unwrap_or(u64::MAX);
        let interval =
            option(&context.args, "-i").and_then(crate::bash::interval_seconds).unwrap_or(1.0).max(0.01);
        let interval = Duration::try_from_secs_f64(interval).unwrap_or(Duration::from_secs(1));
        let Some(name) = operands(&context.args, "ciWws").first().map(|name| (*name).to_owned()) else {
            context.stdio.err("ping: usage error: Destination address required\n").await;
            return 1;
        };
        let Some(ip) = resolver::lookup(&self.host, &*context.files, &name).await.first().copied() else {
            let text = if busybox {
                format!("ping: bad address '{name}'\n")
            } else {
                format!("ping: {name}: Name or service not known\n")
            };
            context.stdio.err(text).await;
            return if busybox { 1 } else { 2 };
        };
        let bytes = if busybox { "56 data bytes" } else { "56(84) bytes of data." };
        context.stdio.out(format!("PING {name} ({ip}){} {bytes}\n", if busybox { ":" } else { "" })).await;
        let (mut sent, mut received) = (0_u64, 0_u64);
        while sent < count {
            if sent > 0 {
                context.system.clock.sleep(interval).await;
            }
            if self.answers(&context.system.clock, ip).await {
                received += 1;
                let text = match busybox {
                    true => format!("64 bytes from {ip}: seq={sent} ttl=64 time=0.080 ms\n"),
                    false => format!("64 bytes from {ip}: icmp_seq={} ttl=64 time=0.080 ms\n", sent + 1),
                };
                if !context.stdio.out(text).await {
                    return 141;
                }
            }
            sent += 1;
        }
        let loss = (sent - received) * 100 / sent.max(1);
        let mut text = format!(
            "\n--- {name} ping statistics ---\n{sent} packets transmitted, {received} {}received, {loss}% packet loss",
            if busybox { "packets " } else { "" }
        );
        text.push_str(if busybox { "\n" } else { ", time 0ms\n" });
        if received > 0 {
            text.push_str(if busybox {
                "round-trip min/avg/max = 0.080/0.080/0.080 ms\n"
            } else {
                "rtt min/avg/max/mdev = 0.080/0.080/0.080/0.000 ms\n"
            });
        }
        context.stdio.out(text).await;
        i32::from(received == 0)
    }
}

/// `nc [-z] [-u] [-v] [-w SECONDS] HOST PORT`, `nc -l [-u] [-p] PORT [-k]`.
pub struct Nc {
    host: NetHost,
}

impl Nc {
    /// An `nc` from `host`.
    pub fn new(host: NetHost) -> Self {
        Self { host }
    }

    async fn listen(&self, mut context: ProgramContext, port: u16) -> i32 {
        let Ok(mut listener) = self.host.listen((Ipv4Addr::UNSPECIFIED, port).into()).await else {
            context.stdio.err("nc: bind: Address already in use\n").await;
            return 1;
        };
        let Ok((io, _)) = listener.accept().await else { return 1 };
        carry(io, context).await;
        0
    }
}

/// Copies both ways until the other side is done, or ours is and it has answered.
async fn carry(io: crate::net::BoxIo, mut context: ProgramContext) {
    let (mut from, mut to) = tokio::io::split(io);
    let sending = async {
        // A connection that breaks is one that ends.
        let _ = tokio::io::copy(&mut context.stdio.stdin, &mut to).await;
        let _ = to.shutdown().await;
        std::future::pending::<()>().await
    };
    let receiving = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if context.stdio.stdout.write_all(&buffer[..count]).await.is_err() {
                return;
            }
            // As above.
            let _ = context.stdio.stdout.flush().await;
        }
    };
    tokio::select! { biased;
        () = receiving => {}
        () = sending => {}
    }
}

#[async_trait]
impl Program for Nc {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let letters: String = context.args.iter().skip(1).filter_map(|word| word.strip_prefix('-')).collect();
        let words: Vec<String> = operands(&context.args, "w").into_iter().map(str::to_owned).collect();
        let limit = option(&context.args, "-w").and_then(crate::bash::interval_seconds);
        let limit = limit.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if letters.contains('l') {
            let port = words.last().and_then(|port| port.parse().ok());
            let Some(port) = port else {
                context.stdio.err("nc: a port is needed\n").await;
                return 1;
            };
            return match letters.contains('u') {
                true => datagrams::listen(&self.host, context, port, limit).await,
                false => self.listen(context, port).await,
            };
        }
        let [name, port] = &words[..] else {
            context.stdio.err("usage: nc [-zvlu] [-w SECONDS] HOST PORT\n").await;
            return 1;
        };
        let (name, busybox) = (name.clone(), context.system.dialect == Dialect::Busybox);
        let Ok(number) = port.parse::<u16>() else {
            context.stdio.err(format!("nc: bad port '{port}'\n")).await;
            return 1;
        };
        let Some(ip) = resolver::lookup(&self.host, &*context.files, &name).await.first().copied() else {
            let text = if busybox {
                format!("nc: bad address '{name}'\n")
            } else {
                format!("nc: getaddrinfo for host \"{name}\" port {port}: Name or service not known\n")
            };
            context.stdio.err(text).await;
            return 1;
        };
        let address = SocketAddr::new(ip, number);
        let clock = context.system.clock.clone();
        if letters.contains('u') && !letters.contains('z') {
            return datagrams::talk(&self.host, context, address, limit).await;
        }
        if letters.contains('u') {
            let taken = datagrams::is_taken(&self.host, &clock, address).await;
            if taken && letters.contains('v') {
                let text = match busybox {
                    true => format!("{name} ({address}) open\n"),
                    false => format!("Connection to {name} ({ip}) {port} port [udp/*] succeeded!\n"),
                };
                context.stdio.err(text).await;
            }
            return i32::from(!taken);
        }
        let limit = limit.unwrap_or(Duration::from_secs(131));
        let why = match clock.timeout(limit, self.host.dial(address)).await {
            Ok(Ok(io)) => {
                if letters.contains('v') {
                    let text = if busybox {
                        format!("{name} ({address}) open\n")
                    } else {
                        format!("Connection to {name} ({ip}) {port} port [tcp/*] succeeded!\n")
                    };
                    context.stdio.err(text).await;
                }
                if !letters.contains('z') {
                    carry(io, context).await;
                }
                return 0;
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => "Connection refused",
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::TimedOut => "Connection timed out",
            Ok(Err(_)) => "Host is unreachable",
            Err(_) => "timed out",
        };
        if letters.contains('v') || !letters.contains('z') {
            let text = if busybox {
                format!("nc: {name} ({address}): {why}\n")
            } else {
                format!("nc: connect to {name} ({ip}) port {port} (tcp) failed: {why}\n")
            };
            context.stdio.err(text).await;
        }
        1
    }
}

/// `ip [addr|route|link]`, `ifconfig`, `route`: what they show, never what they change.
pub struct Interfaces {
    host: NetHost,
}

impl Interfaces {
    /// The interfaces of that place.
    pub fn new(host: NetHost) -> Self {
        Self { host }
    }
}

#[async_trait]
impl Program for Interfaces {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let ip = self.host.ip();
        let octets = match ip {
            IpAddr::V4(ip) => ip.octets(),
            IpAddr::V6(_) => [0; 4],
        };
        let [a, b, c, d] = octets;
        let mac = format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}");
        let gateway = format!("{a}.{b}.{c}.1");
        let name = context.name().to_owned();
        let object =
            context.args.iter().skip(1).find(|word| !word.starts_with('-')).cloned().unwrap_or_default();
        let text = match (name.as_str(), object.as_str()) {
            ("ifconfig", _) => format!(
                "eth0      Link encap:Ethernet  HWaddr {}  \n          inet addr:{ip}  Bcast:{a}.{b}.{c}.255  Mask:255.255.255.0\n          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1\n\nlo        Link encap:Local Loopback  \n          inet addr:127.0.0.1  Mask:255.0.0.0\n          UP LOOPBACK RUNNING  MTU:65536  Metric:1\n\n",
                mac.to_uppercase()
            ),
            ("ip", "a" | "addr" | "address") => format!(
                "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue qlen 1000\n    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n    inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1500 qdisc noqueue \n    link/ether {mac} brd ff:ff:ff:ff:ff:ff\n    inet {ip}/24 brd {a}.{b}.{c}.255 scope global eth0\n       valid_lft forever preferred_lft forever\n"
            ),
            ("ip", "l" | "link") => format!(
                "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue qlen 1000\n    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1500 qdisc noqueue \n    link/ether {mac} brd ff:ff:ff:ff:ff:ff\n"
            ),
            ("ip", "r" | "route") => {
                format!("default via {gateway} dev eth0 \n{a}.{b}.{c}.0/24 dev eth0 scope link  src {ip} \n")
            }
            ("route", _) => format!(
                "Kernel IP routing table\nDestination     Gateway         Genmask         Flags Metric Ref    Use Iface\ndefault         {gateway:<15} 0.0.0.0         UG    0      0        0 eth0\n{:<15} *               255.255.255.0   U     0      0        0 eth0\n",
                format!("{a}.{b}.{c}.0")
            ),
            ("netstat", _) => {
                let mut text = "Active Internet connections (only servers)\nProto Recv-Q Send-Q Local Address           Foreign Address         State       \n".to_owned();
                for address in self.host.listening() {
                    text.push_str(&format!(
                        "tcp        0      0 {:<23} {:<23} LISTEN      \n",
                        address.to_string(),
                        "0.0.0.0:*"
                    ));
                }
                text
            }
            _ => {
                context
                    .stdio
                    .err(format!("{name}: can show addr, link and route here, and nothing else\n"))
                    .await;
                return 1;
            }
        };
        context.stdio.out(text).await;
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_told_from_options() {
        let args: Vec<String> = ["nc", "-zv", "-w", "2", "web", "80"].map(str::to_owned).to_vec();
        assert_eq!(operands(&args, "w"), ["web", "80"]);
        assert_eq!(option(&args, "-w"), Some("2"));
    }
}
