//! The command line: what `k8s-learn` can be asked, and which runtime each answer needs.
//!
//! Called `kubectl` (by a link of that name) the binary is kubectl and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{bench, doctor, images, kubectl, lesson, shell, tui, up};
use crate::cluster::{ClusterConfig, Component, RuntimeConfig};
use crate::lessons::Language;
use crate::runtime::containerd::{ContainerdConfig, DEFAULT_SOCKET, DEFAULT_STATE};
use crate::runtime::sim::Pace;

#[derive(Parser)]
#[command(
    name = "k8s-learn",
    version,
    about = "Learn Kubernetes on a whole cluster that lives in this one program",
    args_conflicts_with_subcommands = true
)]
struct CommandLine {
    #[command(flatten)]
    tui: TuiArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Open the sandbox shell on a fresh cluster, or run commands in it
    Shell(ShellArgs),
    /// Serve a fresh cluster's API to other programs, until Ctrl-C
    Up(UpArgs),
    /// Be kubectl, for whatever cluster the kubeconfig names
    #[command(disable_help_flag = true)]
    Kubectl {
        /// kubectl's own command line
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// List, show, check and begin lessons
    #[command(subcommand)]
    Lesson(lesson::LessonCommand),
    /// Play the lessons of a directory, and read them again when they are saved
    Run {
        /// A lesson's, a track's or a course's directory
        directory: PathBuf,
        #[command(flatten)]
        tui: TuiArgs,
    },
    /// The course's images for real containers, made from this program
    #[command(subcommand)]
    Images(images::ImagesCommand),
    /// Say what this machine lacks for real containers
    Doctor(RuntimeArgs),
    /// Measure how fast the cluster is on this machine
    Bench,
}

/// Without a command: lessons, the shell and live views of the cluster on this terminal.
#[derive(Args)]
pub(super) struct TuiArgs {
    /// Begin with this lesson, like basics/deploy-an-app
    #[arg(long, value_name = "ID")]
    pub(super) lesson: Option<String>,
    /// The language: en, zh-TW or zh-CN; by default the one chosen before, or the locale's
    #[arg(long)]
    pub(super) lang: Option<Language>,
    /// The terminal's ground; by default what COLORFGBG says, or dark. NO_COLOR wins
    #[arg(long, value_enum)]
    pub(super) theme: Option<PaletteArg>,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub(super) no_mouse: bool,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PaletteArg {
    Dark,
    Light,
}

/// How the cluster is made.
#[derive(Args, Clone, Debug)]
pub(super) struct ClusterArgs {
    /// How many nodes it has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(super) nodes: u8,
    /// Draw names, UIDs and addresses from this seed: the same seed, the same names
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Whether image pulls and starts take believable time
    #[arg(long, value_enum)]
    pub(super) pace: Option<PaceArg>,
    #[command(flatten)]
    pub(super) runtime: RuntimeArgs,
}

/// Who runs the containers.
#[derive(Args, Clone, Debug)]
pub(super) struct RuntimeArgs {
    /// Who runs the containers
    #[arg(long, value_enum, default_value = "sim")]
    pub(super) runtime: RuntimeArg,
    /// containerd's socket, for --runtime containerd
    #[arg(long, value_name = "FILE", default_value = DEFAULT_SOCKET)]
    pub(super) containerd_socket: PathBuf,
    /// Where volumes and logs are kept with --runtime containerd
    #[arg(long, value_name = "DIRECTORY", default_value = DEFAULT_STATE)]
    pub(super) containerd_state: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RuntimeArg {
    /// This program, everywhere and without rights
    Sim,
    /// Real containers of this machine's containerd (Linux, as root)
    Containerd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PaceArg {
    /// As long as on a real machine, on the cluster's clock
    Real,
    /// As fast as it can
    Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TimeArg {
    /// The machine's time
    Real,
    /// A paused clock that moves by itself when nothing else can
    Virtual,
}

#[derive(Args)]
pub(super) struct ShellArgs {
    /// Run these commands and end with the status of the last
    #[arg(short = 'c', value_name = "COMMANDS")]
    pub(super) commands: Option<String>,
    /// A file of commands to run; `-` reads them from standard input
    #[arg(conflicts_with = "commands")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// The cluster's time
    #[arg(long, value_enum, default_value = "real")]
    pub(super) time: TimeArg,
}

#[derive(Args)]
pub(super) struct UpArgs {
    /// Where the API is served
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// Where the kubeconfig is written; by default a new file in the temporary directory
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Accept this bearer token too, as the cluster's administrator
    #[arg(long)]
    pub(super) token: Option<String>,
    /// Leave these out
    #[arg(long, value_delimiter = ',', value_name = "COMPONENTS")]
    pub(super) without: Vec<Component>,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
}

impl Default for ClusterArgs {
    fn default() -> Self {
        Self {
            nodes: 1,
            seed: None,
            pace: None,
            runtime: RuntimeArgs {
                runtime: RuntimeArg::Sim,
                containerd_socket: DEFAULT_SOCKET.into(),
                containerd_state: DEFAULT_STATE.into(),
            },
        }
    }
}

impl RuntimeArgs {
    /// Where containerd is and what it may use.
    pub(super) fn containerd(&self) -> ContainerdConfig {
        ContainerdConfig { socket: self.containerd_socket.clone(), state: self.containerd_state.clone() }
    }

    /// Who was chosen.
    pub(super) fn config(&self) -> RuntimeConfig {
        match self.runtime {
            RuntimeArg::Sim => RuntimeConfig::Sim,
            RuntimeArg::Containerd => RuntimeConfig::Containerd(self.containerd()),
        }
    }
}

impl ClusterArgs {
    pub(super) fn config(&self, default_pace: Pace) -> ClusterConfig {
        let pace = match self.pace {
            None => default_pace,
            Some(PaceArg::Real) => Pace::Real,
            Some(PaceArg::Instant) => Pace::Instant,
        };
        let runtime = self.runtime.config();
        let nodes = usize::from(self.nodes);
        ClusterConfig { nodes, seed: self.seed, pace, runtime, ..ClusterConfig::default() }
    }
}

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    // In one of the course's real containers this is the program that it was called as.
    if let Some(code) = crate::runtime::sim::contained::main(&arguments) {
        return code;
    }
    let called =
        arguments.first().map(PathBuf::from).and_then(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("K8S_LEARN_LOG").unwrap_or_else(|_| "off".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    if called.as_deref() == Some("kubectl") {
        return ended(kubectl::run(arguments));
    }
    // kubectl's own flags are none of clap's business.
    if arguments.get(1).is_some_and(|word| word == "kubectl") {
        let own = std::iter::once("kubectl".to_owned()).chain(arguments.into_iter().skip(2)).collect();
        return ended(kubectl::run(own));
    }
    let line = CommandLine::parse();
    let outcome = match line.command {
        None => tui::run(line.tui),
        Some(Command::Shell(args)) => shell::run(args),
        Some(Command::Up(args)) => up::run(args).map(|()| 0),
        Some(Command::Kubectl { arguments }) => {
            kubectl::run(std::iter::once("kubectl".to_owned()).chain(arguments).collect())
        }
        Some(Command::Lesson(command)) => lesson::run(command),
        Some(Command::Run { directory, tui }) => tui::run_directory(tui, &directory),
        Some(Command::Images(command)) => images::run(command),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Bench) => bench::run().map(|()| 0),
    };
    ended(outcome)
}

fn ended(outcome: anyhow::Result<i32>) -> ExitCode {
    match outcome {
        // An exit status has eight bits.
        Ok(code) => ExitCode::from((code & 0xff) as u8),
        // Whoever read has closed the pipe: nobody is left to be told. 128 and SIGPIPE, as a shell says it.
        Err(error) if closed_pipe(&error) => ExitCode::from(141),
        Err(error) => {
            eprintln!("k8s-learn: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A runtime for live clusters: as many threads as there are cores.
pub(super) fn live_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")
}

/// A runtime whose clock moves by itself when every task waits.
pub(super) fn virtual_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .context("the async runtime does not start")
}
