//! `curl` as a program: reads its words, runs the transfers, writes what they brought.

use async_trait::async_trait;

use super::options::{Options, Stop};
use super::progress;
use super::transfer::{Failure, Report, Transfer};
use crate::bash::{Program, ProgramContext};
use crate::network::NetHost;

const VERSION: &str = "curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1 OpenSSL/3.0.17 zlib/1.2.13\nRelease-Date: 2023-02-20\nProtocols: http https\nFeatures: IPv6 Largefile SSL\n";
const HELP: &str = "Usage: curl [options...] <url>\n -d, --data <data>          HTTP POST data\n -f, --fail                 Fail on HTTP errors without output\n -H, --header <line>        Add a header\n -I, --head                 Ask for the head only\n -i, --include              Show the head too\n -k, --insecure             Trust any server\n -L, --location             Follow redirections\n -m, --max-time <seconds>   Give up after that time\n -o, --output <file>        Write to a file\n -s, --silent               No progress, no errors\n -u, --user <user:password> Who asks\n -v, --verbose              Show everything that is said\n -X, --request <method>     The method\n";

/// `curl`, asking from one place in the network.
pub struct Curl {
    host: NetHost,
}

impl Curl {
    /// A `curl` that asks from `host`.
    pub fn new(host: NetHost) -> Self {
        Self { host }
    }

    async fn transfer(&self, context: &mut ProgramContext, options: &Options, url: &str) -> i32 {
        let output = match (&options.output, options.remote_name) {
            (Some(name), _) => Some(name.clone()),
            (None, true) => Some(
                url.split(['?', '#'])
                    .next()
                    .unwrap_or_default()
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            ),
            (None, false) => None,
        };
        let output = output.filter(|name| name != "-");
        let meter = !options.silent && (output.is_some() || context.stdio.terminal.is_none());
        let started = context.system.clock.now();
        let mut tries = 0;
        let (result, report) = loop {
            let report = Report::default();
            let live = output.is_none() && !meter;
            let mut transfer =
                Transfer { host: &self.host, options, context: &mut *context, live, report, started };
            let result = transfer.run(url).await;
            let report = transfer.report;
            let again = match &result {
                Err(failure) => {
                    matches!(failure.code, 28) || (failure.code == 7 && options.retry_connrefused)
                }
                Ok(()) => matches!(report.code, 408 | 429 | 500 | 502 | 503 | 504),
            };
            if !again || tries >= options.retry {
                break (result, report);
            }
            let wait = 1_u64 << tries.min(9);
            tries += 1;
            if !options.silent {
                let left = options.retry - tries + 1;
                let problem = if report.code > 0 { "HTTP error" } else { "timeout" };
                context
                    .stdio
                    .err(format!(
                        "Warning: Problem: {problem}. Will retry in {wait} seconds. {left} retries left.\n"
                    ))
                    .await;
            }
            context.system.clock.sleep(std::time::Duration::from_secs(wait)).await;
        };
        let elapsed = std::time::Duration::try_from(context.system.clock.now().duration_since(started))
            .unwrap_or_default();
        let report = Report { elapsed, ..report };
        self.finish(context, options, Ended { output, meter, result, report }).await
    }

    async fn finish(&self, context: &mut ProgramContext, options: &Options, ended: Ended) -> i32 {
        let Ended { output, meter, mut result, report } = ended;
        if meter {
            context.stdio.err(progress::HEADER).await;
            let meter = progress::done(report.received, report.sent, report.elapsed);
            context.stdio.err(format!("{}{meter}\n", progress::EMPTY)).await;
        }
        if let Some(name) = options.dump_header.as_deref() {
            if name == "-" {
                context.stdio.out(&report.heads).await;
            } else {
                // A file that cannot be written is told of by the body's own.
                let _ = context.files.write(&context.path(name), &report.heads).await;
            }
        }
        match &output {
            Some(name) if result.is_ok() || !report.body.is_empty() => {
                let written = context.files.write(&context.path(name), &report.body).await;
                if written.is_err() && result.is_ok() {
                    result =
                        Err(Failure { code: 23, text: "Failure writing output to destination".to_owned() });
                }
            }
            Some(_) => {}
            None => drop(context.stdio.out(&report.body).await),
        }
        let code = match &result {
            Ok(()) => 0,
            Err(failure) => {
                if !options.silent || options.show_error {
                    context.stdio.err(format!("curl: ({}) {}\n", failure.code, failure.text)).await;
                }
                failure.code
            }
        };
        if let Some(format) = &options.write_out {
            context.stdio.out(write_out(format, &report, code)).await;
        }
        code
    }
}

/// A transfer that is over.
struct Ended {
    output: Option<String>,
    meter: bool,
    result: Result<(), Failure>,
    report: Report,
}

fn write_out(format: &str, report: &Report, exit_code: i32) -> String {
    let seconds = format!("{:.6}", report.elapsed.as_secs_f64());
    let mut text = format.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r");
    let remote = report.remote;
    for (name, value) in [
        ("http_code", format!("{:03}", report.code)),
        ("response_code", format!("{:03}", report.code)),
        ("http_version", "1.1".to_owned()),
        ("size_download", report.received.to_string()),
        ("size_upload", report.sent.to_string()),
        ("time_total", seconds.clone()),
        ("time_connect", "0.000000".to_owned()),
        ("time_starttransfer", seconds),
        ("remote_ip", remote.map(|address| address.ip().to_string()).unwrap_or_default()),
        ("remote_port", remote.map_or(0, |address| address.port()).to_string()),
        ("url_effective", report.url.clone()),
        ("content_type", report.content_type.clone()),
        ("num_redirects", report.redirects.to_string()),
        ("exitcode", exit_code.to_string()),
    ] {
        text = text.replace(&format!("%{{{name}}}"), &value);
    }
    text
}

#[async_trait]
impl Program for Curl {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let words = context.args.get(1..).unwrap_or_default().to_vec();
        let options = match Options::parse(&words) {
            Ok(options) => options,
            Err(Stop::Version) => {
                context.stdio.out(VERSION).await;
                return 0;
            }
            Err(Stop::Help) => {
                context.stdio.out(HELP).await;
                return 0;
            }
            Err(Stop::Wrong(text)) => {
                context.stdio.err(text).await;
                return 2;
            }
        };
        let mut code = 0;
        for url in &options.urls {
            code = self.transfer(&mut context, &options, url).await;
        }
        code
    }
}
