//! `etcdctl` for the sandbox shell: the cluster's store as it is, keys and revisions and all.
//!
//! Speaks to the store in process; the forms and the output are the real etcdctl's (v3 API).

use std::io;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use clap::{Args, Parser, Subcommand, ValueEnum};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::bash::{Program, ProgramContext};
use crate::store::{
    Author, Event, EventKind, KeyRange, KeyValue, Op, Payload, RangeRequest, Revision, Store, Txn,
    WatchRequest,
};

/// The version of etcd that a 1.36 cluster runs.
const VERSION: &str = "3.6.8";

/// The command, over one cluster's store.
#[derive(Debug)]
pub struct Etcdctl {
    store: Store,
}

impl Etcdctl {
    /// `etcdctl` for this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[derive(Parser)]
#[command(
    name = "etcdctl",
    about = "Reads and writes the cluster's key-value store",
    disable_version_flag = true
)]
struct CommandLine {
    /// How answers are written
    #[arg(short = 'w', long, global = true, default_value = "simple")]
    write_out: WriteOut,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WriteOut {
    Simple,
    Json,
    Fields,
}

#[derive(Subcommand)]
enum Command {
    /// Reads a key or a range of keys
    Get(GetArgs),
    /// Follows the changes of a key or a range of keys
    Watch(WatchArgs),
    /// Writes a key, behind the API server's back
    Put { key: String, value: String },
    /// Deletes a key or a range of keys, behind the API server's back
    Del {
        #[command(flatten)]
        range: RangeArgs,
    },
    /// Forgets all revisions before this one
    Compaction { revision: Revision },
    /// Tells about the server
    #[command(subcommand)]
    Endpoint(Endpoint),
    /// Tells the version
    Version,
}

#[derive(Subcommand)]
enum Endpoint {
    /// Whether the store answers
    Health,
    /// The store's revision and size
    Status,
}

#[derive(Args)]
struct RangeArgs {
    /// The key
    key: String,
    /// The end of the range: the first key behind it
    range_end: Option<String>,
    /// All keys that begin with the key
    #[arg(long)]
    prefix: bool,
    /// All keys from the key on
    #[arg(long)]
    from_key: bool,
}

impl RangeArgs {
    fn range(&self) -> KeyRange {
        match (&self.range_end, self.prefix, self.from_key) {
            (_, true, _) => KeyRange::prefix(&self.key),
            (_, _, true) => KeyRange { start: self.key.clone(), end: Some(String::new()) },
            (end, _, _) => KeyRange { start: self.key.clone(), end: end.clone() },
        }
    }
}

#[derive(Args)]
struct GetArgs {
    #[command(flatten)]
    range: RangeArgs,
    /// Only the keys
    #[arg(long)]
    keys_only: bool,
    /// Only the values
    #[arg(long)]
    print_value_only: bool,
    /// Only how many there are
    #[arg(long)]
    count_only: bool,
    /// At most so many; 0 for all
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// As it was at this revision
    #[arg(long, default_value_t = 0)]
    rev: Revision,
}

#[derive(Args)]
struct WatchArgs {
    #[command(flatten)]
    range: RangeArgs,
    /// From this revision on
    #[arg(long, default_value_t = 0)]
    rev: Revision,
    /// Also what was there before
    #[arg(long)]
    prev_kv: bool,
}

#[async_trait]
impl Program for Etcdctl {
    async fn run(&self, context: ProgramContext) -> i32 {
        let ProgramContext { args, stdio, .. } = context;
        let (mut stdout, mut stderr) = (stdio.stdout, stdio.stderr);
        let line = match CommandLine::try_parse_from(&args) {
            Ok(line) => line,
            Err(error) => {
                let target = if error.use_stderr() { &mut stderr } else { &mut stdout };
                // Nobody reads: nothing to tell.
                let _ = target.write_all(error.to_string().as_bytes()).await;
                return error.exit_code();
            }
        };
        let outcome = match self.answer(&line) {
            Ok(Answer::Text(text)) => stdout.write_all(&text).await,
            Ok(Answer::Watch(request, prev_kv)) => self.watch(request, prev_kv, &line, &mut stdout).await,
            Err(message) => {
                let _ = stderr.write_all(format!("Error: {message}\n").as_bytes()).await;
                return 1;
            }
        };
        // A reader that has gone away (`etcdctl ... | head -1`) ends us, as SIGPIPE does.
        i32::from(outcome.is_err()) * 141
    }
}

enum Answer {
    Text(Vec<u8>),
    Watch(WatchRequest, bool),
}

impl Etcdctl {
    fn answer(&self, line: &CommandLine) -> Result<Answer, String> {
        let text = match &line.command {
            Command::Get(args) => self.get(args, line.write_out)?,
            Command::Watch(args) => {
                return Ok(Answer::Watch(WatchRequest::new(args.range.range(), args.rev), args.prev_kv));
            }
            Command::Put { key, value } => {
                let value = Payload::Plain(Bytes::from(value.clone()));
                self.write(vec![Op::Put { key: key.clone(), value, lease: 0 }])?;
                b"OK\n".to_vec()
            }
            Command::Del { range } => {
                let deleted = self.write(vec![Op::Delete(range.range())])?;
                format!("{deleted}\n").into_bytes()
            }
            Command::Compaction { revision } => {
                self.store.compact(*revision).map_err(|error| error.to_string())?;
                format!("compacted revision {revision}\n").into_bytes()
            }
            Command::Endpoint(Endpoint::Health) => {
                b"127.0.0.1:2379 is healthy: successfully committed proposal: took = 1.0ms\n".to_vec()
            }
            Command::Endpoint(Endpoint::Status) => {
                let count = self.store.range(&all(true)).map_err(|error| error.to_string())?.count;
                let revision = self.store.revision();
                format!("127.0.0.1:2379, version {VERSION}, revision {revision}, {count} keys\n").into_bytes()
            }
            Command::Version => format!("etcdctl version: {VERSION}\nAPI version: 3.6\n").into_bytes(),
        };
        Ok(Answer::Text(text))
    }

    fn write(&self, success: Vec<Op>) -> Result<usize, String> {
        let author = Author { component: "etcdctl".into(), request: "etcdctl".into(), cause: None };
        let txn = Txn { success, ..Txn::default() };
        Ok(self.store.txn(txn, author).map_err(|error| error.to_string())?.deleted.len())
    }

    fn get(&self, args: &GetArgs, format: WriteOut) -> Result<Vec<u8>, String> {
        let request = RangeRequest {
            range: args.range.range(),
            revision: args.rev,
            limit: args.limit,
            count_only: args.count_only,
        };
        let response = self.store.range(&request).map_err(|error| error.to_string())?;
        let mut out = vec![];
        match format {
            WriteOut::Json => {
                let kvs: Vec<Value> =
                    response.kvs.iter().map(|kv| key_value_json(kv, args.keys_only)).collect();
                let answer = json!({"header": {"revision": response.revision}, "kvs": kvs, "count": response.count, "more": response.more});
                out.extend(answer.to_string().bytes().chain([b'\n']));
            }
            WriteOut::Fields => {
                out.extend(format!("\"Revision\" : {}\n", response.revision).bytes());
                for kv in &response.kvs {
                    out.extend(fields(kv, args.keys_only).bytes());
                }
                out.extend(format!("\"More\" : {}\n\"Count\" : {}\n", response.more, response.count).bytes());
            }
            WriteOut::Simple if args.count_only => {}
            WriteOut::Simple => {
                for kv in &response.kvs {
                    if !args.print_value_only {
                        out.extend(kv.key.bytes().chain([b'\n']));
                    }
                    // A line for the value, which stays empty when only keys are asked for.
                    if !args.keys_only {
                        out.extend_from_slice(&kv.value);
                    }
                    out.push(b'\n');
                }
            }
        }
        Ok(out)
    }

    async fn watch(
        &self,
        request: WatchRequest,
        prev_kv: bool,
        line: &CommandLine,
        stdout: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> io::Result<()> {
        let mut watch = match self.store.watch(request) {
            Ok(watch) => watch,
            Err(error) => {
                return stdout.write_all(format!("watch was canceled ({error})\n").as_bytes()).await;
            }
        };
        while let Some(message) = watch.next().await {
            for event in message.events() {
                stdout.write_all(&shown(event, prev_kv, line.write_out)).await?;
            }
            stdout.flush().await?;
        }
        stdout.write_all(b"watch was canceled (the reader fell behind)\n").await
    }
}

fn all(count_only: bool) -> RangeRequest {
    RangeRequest { count_only, ..RangeRequest::new(KeyRange::prefix("")) }
}

fn shown(event: &Event, prev_kv: bool, format: WriteOut) -> Vec<u8> {
    let name = if event.kind == EventKind::Put { "PUT" } else { "DELETE" };
    if format == WriteOut::Json {
        return format!(
            "{}\n",
            json!({"type": name, "kv": key_value_json(&event.kv, event.kind == EventKind::Delete)})
        )
        .into_bytes();
    }
    let mut out = format!("{name}\n").into_bytes();
    if let Some(prev) = event.prev.as_ref().filter(|_| prev_kv) {
        out.extend(prev.key.bytes().chain([b'\n']));
        out.extend(prev.value.iter().copied().chain([b'\n']));
    }
    out.extend(event.kv.key.bytes().chain([b'\n']));
    if event.kind == EventKind::Put {
        out.extend_from_slice(&event.kv.value);
    }
    out.push(b'\n');
    out
}

/// A key in the form of the gRPC gateway, bytes in base64.
fn key_value_json(kv: &KeyValue, key_only: bool) -> Value {
    let mut value = json!({
        "key": BASE64.encode(kv.key.as_bytes()),
        "create_revision": kv.create_revision,
        "mod_revision": kv.mod_revision,
        "version": kv.version,
    });
    if !key_only {
        value["value"] = BASE64.encode(&kv.value).into();
    }
    value
}

fn fields(kv: &KeyValue, key_only: bool) -> String {
    let value = if key_only { String::new() } else { String::from_utf8_lossy(&kv.value).into_owned() };
    format!(
        "\"Key\" : {:?}\n\"CreateRevision\" : {}\n\"ModRevision\" : {}\n\"Version\" : {}\n\"Value\" : {value:?}\n\"Lease\" : {}\n",
        kv.key, kv.create_revision, kv.mod_revision, kv.version, kv.lease
    )
}
