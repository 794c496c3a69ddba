//! `nslookup` and `dig`: questions to the cluster's DNS, with the search list shown as those tools use it.

use async_trait::async_trait;

use super::resolver::{self, ResolvConf};
use crate::bash::{Dialect, Program, ProgramContext};
use crate::network::NetHost;

/// `nslookup NAME [SERVER]`, and `dig [+short] [+search] NAME`.
pub struct Nslookup {
    host: NetHost,
}

impl Nslookup {
    /// An `nslookup` that asks from `host`.
    pub fn new(host: NetHost) -> Self {
        Self { host }
    }

    async fn nslookup(&self, context: &mut ProgramContext, conf: &ResolvConf) -> i32 {
        let words: Vec<String> =
            context.args.iter().skip(1).filter(|word| !word.starts_with('-')).cloned().collect();
        let Some(name) = words.first() else {
            context.stdio.err("nslookup: a name is needed\n").await;
            return 1;
        };
        let Some(server) = words.get(1).or(conf.servers.first()).cloned() else {
            context.stdio.err(";; connection timed out; no servers could be reached\n\n").await;
            return 1;
        };
        let busybox = context.system.dialect == Dialect::Busybox;
        let shown = if busybox {
            format!("Server:\t\t{server}\nAddress:\t{server}:53\n\n")
        } else {
            format!("Server:\t\t{server}\nAddress:\t{server}#53\n\n")
        };
        let candidates = conf.candidates(name);
        let Ok(known) = resolver::first_known(&self.host, &candidates).await else {
            let text = match busybox {
                true => ";; connection timed out; no servers could be reached\n\n".to_owned(),
                false => unreachable(&server),
            };
            context.stdio.out(text).await;
            return 1;
        };
        context.stdio.out(shown).await;
        let Some((full, addresses)) = known else {
            let text = match busybox {
                true => candidates
                    .iter()
                    .map(|full| format!("** server can't find {full}: NXDOMAIN\n\n"))
                    .collect::<String>(),
                false => format!("** server can't find {name}: NXDOMAIN\n\n"),
            };
            context.stdio.out(text).await;
            return 1;
        };
        let mut text = String::new();
        for address in addresses {
            text.push_str(&format!("Name:\t{full}\nAddress: {address}\n"));
            text.push_str(if busybox { "\n" } else { "" });
        }
        text.push_str(if busybox { "" } else { "\n" });
        context.stdio.out(text).await;
        0
    }

    async fn dig(&self, context: &mut ProgramContext, conf: &ResolvConf) -> i32 {
        let words = context.args.iter().skip(1);
        let short = context.args.iter().any(|word| word == "+short");
        let search = context.args.iter().any(|word| word == "+search");
        let kinds = ["A", "AAAA", "ANY", "SRV", "IN"];
        let name =
            words.clone().find(|word| !word.starts_with(['+', '-', '@']) && !kinds.contains(&word.as_str()));
        let name = name.cloned().unwrap_or_else(|| ".".to_owned());
        let server = words
            .clone()
            .find_map(|word| word.strip_prefix('@'))
            .or(conf.servers.first().map(String::as_str));
        let Some(server) = server.map(str::to_owned) else {
            context.stdio.out(";; no servers could be reached\n").await;
            return 9;
        };
        let full = if search { conf.candidates(&name) } else { vec![name.trim_end_matches('.').to_owned()] };
        let Ok(found) = resolver::first_known(&self.host, &full).await else {
            context.stdio.out(unreachable(&server)).await;
            return 9;
        };
        let (asked, addresses) = found.unwrap_or_else(|| (name.trim_end_matches('.').to_owned(), vec![]));
        if short {
            let lines: String = addresses.iter().map(|address| format!("{address}\n")).collect();
            context.stdio.out(lines).await;
            return 0;
        }
        let status = if addresses.is_empty() { "NXDOMAIN" } else { "NOERROR" };
        let mut text = format!(
            "\n; <<>> DiG 9.18 <<>> {}\n;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: {status}, id: 1\n;; flags: qr aa rd; QUERY: 1, ANSWER: {}, AUTHORITY: 0, ADDITIONAL: 0\n\n;; QUESTION SECTION:\n;{asked}.\t\tIN\tA\n\n",
            context.args[1..].join(" "),
            addresses.len()
        );
        if !addresses.is_empty() {
            text.push_str(";; ANSWER SECTION:\n");
            text.extend(addresses.iter().map(|address| format!("{asked}.\t30\tIN\tA\t{address}\n")));
            text.push('\n');
        }
        text.push_str(&format!(";; Query time: 0 msec\n;; SERVER: {server}#53({server})\n\n"));
        context.stdio.out(text).await;
        0
    }
}

/// What BIND's tools say of a server that does not answer.
fn unreachable(server: &str) -> String {
    let line = format!(";; communications error to {server}#53: timed out\n");
    format!("{}\n;; no servers could be reached\n", line.repeat(2))
}

#[async_trait]
impl Program for Nslookup {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let conf = resolver::resolv_conf(&*context.files).await;
        if context.name() == "dig" {
            self.dig(&mut context, &conf).await
        } else {
            self.nslookup(&mut context, &conf).await
        }
    }
}
