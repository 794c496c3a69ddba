//! `redis-cli`: one command from its words, or one a line from its input.

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::super::resolver;
use super::protocol::Reply;
use crate::bash::{Program, ProgramContext};
use crate::net::{BoxIo, Dial};
use crate::network::NetHost;

/// `redis-cli [-h HOST] [-p PORT] [-a PASSWORD] [COMMAND ...]`.
pub(in super::super) struct RedisCli {
    host: NetHost,
}

impl RedisCli {
    pub(in super::super) fn new(host: NetHost) -> Self {
        Self { host }
    }
}

/// An answer as a person sees it, or as a pipe does.
fn shown(reply: &Reply, person: bool) -> String {
    match (reply, person) {
        (Reply::Simple(text), _) => text.clone(),
        (Reply::Error(text), true) => format!("(error) {text}"),
        (Reply::Error(text), false) => text.clone(),
        (Reply::Integer(number), true) => format!("(integer) {number}"),
        (Reply::Integer(number), false) => number.to_string(),
        (Reply::Bulk(bytes), true) => format!("{:?}", String::from_utf8_lossy(bytes)),
        (Reply::Bulk(bytes), false) => String::from_utf8_lossy(bytes).into_owned(),
        (Reply::Nil, true) => "(nil)".to_owned(),
        (Reply::Nil, false) => String::new(),
        (Reply::Array(items), true) if items.is_empty() => "(empty array)".to_owned(),
        (Reply::Array(items), true) => {
            let lines: Vec<String> = items
                .iter()
                .enumerate()
                .map(|(n, item)| format!("{}) {}", n + 1, shown(item, true)))
                .collect();
            lines.join("\n")
        }
        (Reply::Array(items), false) => {
            items.iter().map(|item| shown(item, false)).collect::<Vec<_>>().join("\n")
        }
    }
}

async fn ask(io: &mut BufReader<BoxIo>, words: &[String]) -> std::io::Result<Reply> {
    let command = Reply::Array(words.iter().map(|word| Reply::Bulk(word.clone().into_bytes())).collect());
    io.write_all(&command.bytes()).await?;
    io.flush().await?;
    Reply::read(io).await
}

#[async_trait]
impl Program for RedisCli {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let (mut name, mut port, mut password) =
            ("127.0.0.1".to_owned(), 6379_u16, context.env.get("REDISCLI_AUTH").cloned());
        let mut raw = false;
        let mut words = context.args.iter().skip(1).peekable();
        while let Some(word) = words.next_if(|word| word.starts_with('-')) {
            match word.as_str() {
                "-h" => name = words.next().cloned().unwrap_or(name),
                "-p" => port = words.next().and_then(|port| port.parse().ok()).unwrap_or(port),
                "-a" => password = words.next().cloned(),
                "-n" => drop(words.next()),
                "--raw" => raw = true,
                _ => {}
            }
        }
        let command: Vec<String> = words.cloned().collect();
        let person = context.stdio.terminal.is_some() && !raw;
        let Some(ip) = resolver::lookup(&self.host, &*context.files, &name).await.first().copied() else {
            context
                .stdio
                .err(format!("Could not connect to Redis at {name}:{port}: Name or service not known\n"))
                .await;
            return 1;
        };
        let io = match self.host.dial((ip, port).into()).await {
            Ok(io) => io,
            Err(error) => {
                let why = if error.kind() == std::io::ErrorKind::ConnectionRefused {
                    "Connection refused"
                } else {
                    "No route to host"
                };
                context.stdio.err(format!("Could not connect to Redis at {name}:{port}: {why}\n")).await;
                return 1;
            }
        };
        let mut io = BufReader::new(io);
        if let Some(password) = password {
            match ask(&mut io, &["AUTH".to_owned(), password]).await {
                Ok(Reply::Error(why)) => context.stdio.err(format!("AUTH failed: {why}\n")).await,
                Ok(_) => {}
                Err(_) => return 1,
            }
        }
        if !command.is_empty() {
            return match ask(&mut io, &command).await {
                Ok(reply) => {
                    context.stdio.out(format!("{}\n", shown(&reply, person))).await;
                    i32::from(matches!(reply, Reply::Error(_)))
                }
                Err(_) => {
                    context.stdio.err("Error: Server closed the connection\n").await;
                    1
                }
            };
        }
        self.lines(context, io, person, &format!("{name}:{port}> ")).await
    }
}

impl RedisCli {
    async fn lines(
        &self,
        context: ProgramContext,
        mut io: BufReader<BoxIo>,
        person: bool,
        prompt: &str,
    ) -> i32 {
        let mut stdio = context.stdio;
        let mut input = BufReader::new(std::mem::replace(&mut stdio.stdin, Box::new(tokio::io::empty())));
        loop {
            if person {
                stdio.out(prompt).await;
            }
            let mut line = String::new();
            if !matches!(input.read_line(&mut line).await, Ok(1..)) {
                return 0;
            }
            let words: Vec<String> =
                line.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect();
            match words.first().map(|word| word.to_ascii_lowercase()).as_deref() {
                None => continue,
                Some("quit" | "exit") => return 0,
                Some(_) => {}
            }
            let Ok(reply) = ask(&mut io, &words).await else {
                stdio.err("Error: Server closed the connection\n").await;
                return 1;
            };
            stdio.out(format!("{}\n", shown(&reply, person))).await;
        }
    }
}
