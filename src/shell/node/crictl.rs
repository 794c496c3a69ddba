//! `crictl` on a node: what its container runtime has, whoever asked for it.
// Models sigs.k8s.io/cri-tools/cmd/crictl (container.go, sandbox.go, image.go, display.go).

use std::collections::BTreeMap;

use async_trait::async_trait;
use clap::{Args, Parser, Subcommand};
use jiff::{SignedDuration, Timestamp};

use crate::bash::{Program, ProgramContext};
use crate::cluster::NodeMachine;
use crate::runtime::ContainerRuntime;
use crate::runtime::api::{ContainerState, RuntimeError, SandboxState};

/// How many characters of an id are shown.
const SHORT_ID: usize = 13;
/// The least width of a column, and the blanks behind the longest cell.
const MIN_WIDTH: usize = 20;
const PADDING: usize = 3;

/// The command.
pub(super) struct Crictl {
    machine: NodeMachine,
}

#[derive(Parser)]
#[command(name = "crictl", about = "Look at the node's container runtime", disable_version_flag = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List containers
    Ps {
        /// Those that have ended, too
        #[arg(short, long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// List pods
    Pods {
        #[command(flatten)]
        output: Output,
    },
    /// List images
    #[command(visible_aliases = ["image", "img"])]
    Images {
        #[command(flatten)]
        output: Output,
    },
    /// Tell the runtime's version
    Version,
}

#[derive(Args)]
struct Output {
    /// Only the ids
    #[arg(short, long)]
    quiet: bool,
    /// Whole ids
    #[arg(long)]
    no_trunc: bool,
}

impl Output {
    fn id(&self, id: &str) -> String {
        let plain = id.strip_prefix("sha256:").unwrap_or(id);
        if self.no_trunc { id.to_owned() } else { plain.chars().take(SHORT_ID).collect() }
    }

    fn rows(&self, headings: &[&str], rows: Vec<Vec<String>>, ids: Vec<String>) -> String {
        if self.quiet {
            return ids.into_iter().map(|id| id + "\n").collect();
        }
        table(headings, rows)
    }
}

impl Crictl {
    pub(super) fn new(machine: NodeMachine) -> Self {
        Self { machine }
    }

    async fn answer(&self, command: Command, now: Timestamp) -> Result<String, RuntimeError> {
        let runtime = self.machine.runtime();
        let runtime = runtime.ok_or_else(|| RuntimeError::Other("the cluster has ended".to_owned()))?;
        match command {
            Command::Ps { all, output } => containers(&*runtime, all, &output, now).await,
            Command::Pods { output } => pods(&*runtime, &output, now).await,
            Command::Images { output } => images(&*runtime, &output).await,
            Command::Version => {
                let version = runtime.version();
                Ok(format!(
                    "Version:  0.1.0\nRuntimeName:  {}\nRuntimeVersion:  v{}\nRuntimeApiVersion:  v1\n",
                    version.name, version.version
                ))
            }
        }
    }
}

async fn containers(
    runtime: &dyn ContainerRuntime,
    all: bool,
    output: &Output,
    now: Timestamp,
) -> Result<String, RuntimeError> {
    let sandboxes = runtime.list_pod_sandboxes().await?;
    let pods: BTreeMap<&str, _> =
        sandboxes.iter().map(|sandbox| (sandbox.id.as_str(), &sandbox.config)).collect();
    let mut containers = runtime.list_containers(None).await?;
    containers.retain(|container| all || container.state == ContainerState::Running);
    containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
    let row = |container: &crate::runtime::api::ContainerStatus| {
        let pod = pods.get(container.sandbox_id.as_str());
        let state = match container.state {
            ContainerState::Created => "Created",
            ContainerState::Running => "Running",
            ContainerState::Exited => "Exited",
            ContainerState::Unknown => "Unknown",
        };
        let image = container.image_id.rsplit('@').next().unwrap_or_default();
        vec![
            output.id(&container.id),
            output.id(image),
            ago(now.duration_since(container.created_at)),
            state.to_owned(),
            container.name.clone(),
            container.attempt.to_string(),
            output.id(&container.sandbox_id),
            pod.map(|pod| pod.name.clone()).unwrap_or_default(),
            pod.map(|pod| pod.namespace.clone()).unwrap_or_default(),
        ]
    };
    let headings =
        ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"];
    let ids = containers.iter().map(|container| container.id.clone()).collect();
    Ok(output.rows(&headings, containers.iter().map(row).collect(), ids))
}

async fn pods(
    runtime: &dyn ContainerRuntime,
    output: &Output,
    now: Timestamp,
) -> Result<String, RuntimeError> {
    let mut sandboxes = runtime.list_pod_sandboxes().await?;
    sandboxes.sort_by_key(|sandbox| std::cmp::Reverse(sandbox.created_at));
    let row = |sandbox: &crate::runtime::api::SandboxStatus| {
        let state = if sandbox.state == SandboxState::Ready { "Ready" } else { "NotReady" };
        vec![
            output.id(&sandbox.id),
            ago(now.duration_since(sandbox.created_at)),
            state.to_owned(),
            sandbox.config.name.clone(),
            sandbox.config.namespace.clone(),
            sandbox.config.attempt.to_string(),
            "(default)".to_owned(),
        ]
    };
    let headings = ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"];
    let ids = sandboxes.iter().map(|sandbox| sandbox.id.clone()).collect();
    Ok(output.rows(&headings, sandboxes.iter().map(row).collect(), ids))
}

async fn images(runtime: &dyn ContainerRuntime, output: &Output) -> Result<String, RuntimeError> {
    let images = runtime.list_images().await?;
    let mut rows = vec![];
    for image in &images {
        let names = if image.tags.is_empty() { &image.digests } else { &image.tags };
        for name in names {
            let (repository, tag) = match name.split_once('@') {
                Some((repository, _)) => (repository, "<none>"),
                None => name.rsplit_once(':').unwrap_or((name, "latest")),
            };
            rows.push(vec![
                repository.to_owned(),
                tag.to_owned(),
                output.id(&image.id),
                human_size(image.size_bytes),
            ]);
        }
    }
    rows.sort();
    let ids = images.iter().map(|image| image.id.clone()).collect();
    Ok(output.rows(&["IMAGE", "TAG", "IMAGE ID", "SIZE"], rows, ids))
}

/// Rows under headings, in columns.
// Models text/tabwriter as crictl sets it up.
fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
    let columns = all.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let longest = all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (longest.unwrap_or(0) + PADDING).max(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &all {
        for (column, cell) in row.iter().enumerate() {
            // The last cell of a line has nothing behind it.
            let width = if column + 1 == columns { 0 } else { widths[column] };
            text.push_str(&format!("{cell:width$}"));
        }
        text.push('\n');
    }
    text
}

/// How long ago something was, in words.
// Models github.com/docker/go-units (HumanDuration).
fn ago(duration: SignedDuration) -> String {
    let (seconds, minutes) = (duration.as_secs(), duration.as_mins());
    let hours = (duration.as_secs_f64() / 3600.0 + 0.5) as i64;
    let text = match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", duration.as_hours() / 24 / 365),
    };
    text + " ago"
}

/// A size with three digits: `62.6MB`.
// Models github.com/docker/go-units (HumanSizeWithPrecision).
fn human_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while size >= 1000.0 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1000.0, next);
    }
    let decimals = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    let number = format!("{size:.decimals$}");
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{unit}")
}

#[async_trait]
impl Program for Crictl {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let command = match CommandLine::try_parse_from(&context.args) {
            Ok(line) => line.command,
            Err(error) if error.use_stderr() => {
                context.stdio.err(error.to_string()).await;
                return 1;
            }
            Err(error) => {
                context.stdio.out(error.to_string()).await;
                return 0;
            }
        };
        match self.answer(command, context.system.clock.now()).await {
            Ok(text) => {
                context.stdio.out(text).await;
                0
            }
            Err(error) => {
                context.stdio.err(format!("FATA[0000] {error}\n")).await;
                1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_in_dockers_words() {
        for (bytes, text) in
            [(742, "742B"), (1_000, "1kB"), (320_448, "320kB"), (62_580_000, "62.6MB"), (2_219_930, "2.22MB")]
        {
            assert_eq!(human_size(bytes), text);
        }
        for (seconds, text) in [
            (0, "Less than a second ago"),
            (1, "1 second ago"),
            (59, "59 seconds ago"),
            (61, "About a minute ago"),
            (600, "10 minutes ago"),
            (3600, "About an hour ago"),
            (7200, "2 hours ago"),
            (86_400 * 3, "3 days ago"),
        ] {
            assert_eq!(ago(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn columns_are_at_least_twenty_wide() {
        let text = table(
            &["POD ID", "STATE"],
            vec![vec!["a".repeat(30), "Ready".into()], vec!["b".into(), "NotReady".into()]],
        );
        assert_eq!(text, format!("{:33}STATE\n{:33}Ready\n{:33}NotReady\n", "POD ID", "a".repeat(30), "b"));
        assert_eq!(table(&["POD ID", "STATE"], vec![]), format!("{:20}STATE\n", "POD ID"));
    }
}
