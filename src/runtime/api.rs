//! The runtime's contract: sandboxes, containers, images, streams. Data and one trait.
// Models k8s.io/cri-api (runtime.v1): names and states are the CRI's own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::net::BoxIo;
use crate::network::HostPort;
use crate::watch;

/// Why a runtime could not do what it was asked. The messages end up in events and statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// There is no such sandbox, container or image.
    #[error("{0}")]
    NotFound(String),
    /// The image could not be had: unknown, refused or unreachable. The text is what a registry client would say.
    #[error("{0}")]
    Pull(String),
    /// The image reference makes no sense.
    #[error("{0}")]
    InvalidImageName(String),
    /// The container could not be created from its configuration.
    #[error("{0}")]
    Create(String),
    /// The container's process could not be started: no such executable, no permission. The text is runc's.
    #[error("{0}")]
    Start(String),
    /// A deadline passed.
    #[error("{0}")]
    DeadlineExceeded(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A runtime's answer.
pub type Result<T> = std::result::Result<T, RuntimeError>;

/// A reader of bytes, as processes have them.
pub type BoxRead = Box<dyn AsyncRead + Send + Unpin>;
/// A writer of bytes, as processes have them.
pub type BoxWrite = Box<dyn AsyncWrite + Send + Unpin>;

/// A pod's sandbox, as the kubelet wants it.
#[derive(Clone, Debug, Default)]
pub struct SandboxConfig {
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: String,
    /// The pod's namespace.
    pub namespace: String,
    /// How many sandboxes the pod has had before this one.
    pub attempt: u32,
    /// The host name inside; empty for host network.
    pub hostname: String,
    /// The pod's labels and the kubelet's own.
    pub labels: BTreeMap<String, String>,
    /// `resolv.conf`.
    pub dns: DnsConfig,
    /// Whether the pod uses the node's network.
    pub host_network: bool,
    /// Where the runtime's log files go, for runtimes that write files.
    pub log_directory: PathBuf,
    /// The ports of the node that containers ask for.
    pub host_ports: Vec<HostPort>,
}

/// What a pod's `/etc/resolv.conf` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options, like `ndots:5`.
    pub options: Vec<String>,
}

/// Whether a sandbox is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxState {
    Ready,
    NotReady,
}

/// A sandbox as it is.
#[derive(Clone, Debug)]
pub struct SandboxStatus {
    /// The runtime's name for it.
    pub id: String,
    /// What it was made from.
    pub config: SandboxConfig,
    /// Whether it is up.
    pub state: SandboxState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its IPs; empty for host network.
    pub ips: Vec<IpAddr>,
}

/// A container, as the kubelet wants it.
#[derive(Clone, Debug, Default)]
pub struct ContainerConfig {
    /// The container's name in the pod.
    pub name: String,
    /// How many containers of that name the pod has had before.
    pub attempt: u32,
    /// The image, as [`ContainerRuntime::pull_image`] or [`ContainerRuntime::image_status`] named it.
    pub image: String,
    /// The image as the user wrote it.
    pub user_image: String,
    /// In place of the image's entrypoint; empty keeps it.
    pub command: Vec<String>,
    /// In place of the image's command; empty keeps it, unless `command` is given.
    pub args: Vec<String>,
    /// The working directory; empty for the image's.
    pub working_dir: String,
    /// The environment, in order.
    pub envs: Vec<(String, String)>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The log file under the sandbox's log directory, for runtimes that write files.
    pub log_path: PathBuf,
    /// Whether standard input is kept open for attach.
    pub stdin: bool,
    /// Whether standard input ends with the first attach.
    pub stdin_once: bool,
    /// Whether the process has a terminal.
    pub tty: bool,
    /// Where the process leaves its last words ([`ContainerStatus::termination_message`]); empty for nowhere.
    pub termination_message_path: String,
    /// Resource limits.
    pub resources: Resources,
    /// Who the process runs as, and what it may.
    pub security: Security,
}

/// A mount. `source` is where the kubelet's volumes put the content, see [`VolumeSource`].
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where in the container.
    pub container_path: String,
    /// What is mounted.
    pub source: VolumeSource,
    /// Whether it can be written.
    pub readonly: bool,
}

/// Where a mount's content lives. Volumes are kept by the runtime's own `VolumeStore` under an id, so that the simulation
/// needs no files on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSource {
    /// The volume, as `ContainerRuntime::write_volume` was told.
    pub volume: String,
    /// A path inside the volume (`subPath`); empty for its root.
    pub sub_path: String,
}

/// A volume's content as the kubelet projects it (configMap, secret, downwardAPI, projected) or leaves it empty
/// (emptyDir).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeContent {
    /// File path inside the volume to bytes and mode. Replaced as a whole at each write.
    pub files: BTreeMap<String, (Bytes, u32)>,
    /// Whether files that processes write are kept (emptyDir) or the volume is the kubelet's alone.
    pub writable: bool,
    /// The most that fits in, in bytes. What it may hold beyond that is not the runtime's to say.
    pub size_limit: Option<u64>,
    /// Whether it is kept in the node's memory.
    pub in_memory: bool,
    /// The group that it is given to; `None` leaves the groups as they are.
    pub group: Option<VolumeGroup>,
}

/// The group that a volume is given to (`fsGroup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeGroup {
    /// The group's number.
    pub id: i64,
    /// Whether a volume whose top directory is right already is left as it is.
    pub on_root_mismatch: bool,
}

/// What a path of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFile {
    Directory,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

/// How the id of a volume begins that is a path of a node: `hostpath/NODE/PATH`.
pub const HOST_PATH: &str = "hostpath/";

/// The path of the node that a volume is, if it is one.
pub fn host_path_of(volume: &str) -> Option<&str> {
    volume.strip_prefix(HOST_PATH).and_then(|rest| rest.find('/').map(|at| &rest[at..]))
}

/// Limits on CPU and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU time in thousandths of a core; 0 for no limit.
    pub cpu_limit_milli: i64,
    /// Requested CPU in thousandths of a core.
    pub cpu_request_milli: i64,
    /// Memory in bytes; 0 for no limit.
    pub memory_limit_bytes: i64,
}

/// Who a process runs as, and what it may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// User, if not the image's.
    pub run_as_user: Option<i64>,
    /// Group, if not the image's.
    pub run_as_group: Option<i64>,
    /// Further groups.
    pub supplemental_groups: Vec<i64>,
    /// Whether the root file system is read-only.
    pub readonly_rootfs: bool,
    /// Whether everything is allowed.
    pub privileged: bool,
    /// Capabilities added.
    pub add_capabilities: Vec<String>,
    /// Capabilities dropped.
    pub drop_capabilities: Vec<String>,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    Created,
    Running,
    Exited,
    Unknown,
}

/// A container as it is.
#[derive(Clone, Debug)]
pub struct ContainerStatus {
    /// The runtime's name for it.
    pub id: String,
    /// Its sandbox.
    pub sandbox_id: String,
    /// The container's name in the pod.
    pub name: String,
    /// How many containers of that name came before.
    pub attempt: u32,
    /// Where it is in its life.
    pub state: ContainerState,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its process started.
    pub started_at: Option<Timestamp>,
    /// When its process ended.
    pub finished_at: Option<Timestamp>,
    /// How its process ended.
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerCannotRun`.
    pub reason: String,
    /// Why, in words.
    pub message: String,
    /// The image as the user wrote it.
    pub image: String,
    /// The image's digest or id.
    pub image_id: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What the process left in the termination message file.
    pub termination_message: String,
    /// Who the process runs as: uid, gid, further groups.
    pub user: (i64, i64, Vec<i64>),
}

/// Something happened to a container or sandbox; look at its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEvent {
    /// The pod's UID.
    pub pod_uid: String,
    /// The container or sandbox.
    pub container_id: String,
    /// What happened.
    pub kind: ContainerEventKind,
}

/// What can happen to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerEventKind {
    Created,
    Started,
    Stopped,
    Deleted,
}

/// A line a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub time: Timestamp,
    /// Whether it went to standard error.
    pub stderr: bool,
    /// The bytes, with the newline if there was one.
    pub bytes: Bytes,
}

/// What to read of a container's log.
#[derive(Clone, Debug, Default)]
pub struct LogRequest {
    /// Go on as lines are written, until the container ends.
    pub follow: bool,
    /// Begin with the last so many lines.
    pub tail: Option<usize>,
    /// Leave out what was written before.
    pub since: Option<Timestamp>,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// The near end of a process's standard streams, as exec and attach hand them over.
pub struct Streams {
    /// What the process reads; `None` for nothing.
    pub stdin: Option<BoxRead>,
    /// Where it writes; `None` drops it.
    pub stdout: Option<BoxWrite>,
    /// Where it complains; with a terminal, all goes to `stdout`.
    pub stderr: Option<BoxWrite>,
    /// Whether there is a terminal.
    pub tty: bool,
    /// The terminal's size, as it changes.
    pub resize: Option<watch::Receiver<TerminalSize>>,
}

/// What a command run in a container answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecResult {
    /// The exit code.
    pub exit_code: i32,
    /// What it wrote.
    pub stdout: Bytes,
    /// What it complained.
    pub stderr: Bytes,
}

/// An image on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The id (`sha256:...`).
    pub id: String,
    /// The names it has.
    pub tags: Vec<String>,
    /// The digests it was pulled by.
    pub digests: Vec<String>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The user it runs as, if it says: a number, or a name.
    pub user: Option<String>,
}

/// What a container uses.
#[derive(Clone, Debug, Default)]
pub struct ContainerStats {
    /// The container.
    pub id: String,
    /// CPU time used since it started, in nanoseconds.
    pub cpu_nanoseconds: u64,
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
}

/// The name and version of a runtime, as the Node's status shows it: `containerd://2.1.9`.
#[derive(Clone, Debug)]
pub struct RuntimeVersion {
    /// Like `containerd`.
    pub name: String,
    /// Like `2.1.9`.
    pub version: String,
}

/// A container runtime. All calls may come at the same time; a runtime is shared behind an `Arc`.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + 'static {
    /// Its name and version.
    fn version(&self) -> RuntimeVersion;

    /// Makes a pod's sandbox with its network, and starts it.
    async fn run_pod_sandbox(&self, config: SandboxConfig) -> Result<SandboxStatus>;
    /// Stops a sandbox and what runs in it, and takes its network down. Nothing happens if it is stopped.
    async fn stop_pod_sandbox(&self, id: &str) -> Result<()>;
    /// Removes a stopped sandbox and its containers.
    async fn remove_pod_sandbox(&self, id: &str) -> Result<()>;
    /// Every sandbox of this node.
    async fn list_pod_sandboxes(&self) -> Result<Vec<SandboxStatus>>;

    /// Makes a container in a sandbox.
    async fn create_container(&self, sandbox_id: &str, config: ContainerConfig) -> Result<String>;
    /// Starts its process.
    async fn start_container(&self, id: &str) -> Result<()>;
    /// Asks the process to end (SIGTERM) and ends it (SIGKILL) when the time is over. Returns when it has ended.
    async fn stop_container(&self, id: &str, timeout: Duration) -> Result<()>;
    /// Removes a container that does not run, and its log.
    async fn remove_container(&self, id: &str) -> Result<()>;
    /// One container.
    async fn container_status(&self, id: &str) -> Result<ContainerStatus>;
    /// The containers of a sandbox, or all of this node.
    async fn list_containers(&self, sandbox_id: Option<&str>) -> Result<Vec<ContainerStatus>>;
    /// What happens from now on. A runtime without events returns `None` and is looked at from time to time.
    fn events(&self) -> Option<BoxStream<'static, ContainerEvent>>;

    /// Runs a command in a container to its end, for probes and hooks.
    async fn exec_sync(&self, id: &str, command: &[String], timeout: Duration) -> Result<ExecResult>;
    /// Runs a command with streams and returns its exit code. Dropping the future kills the command.
    async fn exec(&self, id: &str, command: &[String], streams: Streams) -> Result<i32>;
    /// Joins a container's own process. Returns when the process or the streams end.
    async fn attach(&self, id: &str, streams: Streams) -> Result<()>;
    /// Connects to a port on the sandbox's own loopback.
    async fn port_forward(&self, sandbox_id: &str, port: u16) -> Result<BoxIo>;
    /// A container's log. Without `follow` the stream ends with what is there.
    async fn logs(&self, id: &str, request: LogRequest) -> Result<BoxStream<'static, LogLine>>;

    /// Has an image on the node, pulling it if need be; the answer is what [`ContainerConfig::image`] wants.
    async fn pull_image(&self, image: &str, secrets: &[RegistryCredential]) -> Result<String>;
    /// The image if it is on the node.
    async fn image_status(&self, image: &str) -> Result<Option<Image>>;
    /// Every image on the node.
    async fn list_images(&self) -> Result<Vec<Image>>;
    /// Takes an image off the node.
    async fn remove_image(&self, image: &str) -> Result<()>;

    /// Sets a volume's content; makes the volume if it is new.
    async fn write_volume(&self, volume: &str, content: VolumeContent) -> Result<()>;
    /// Takes a volume away.
    async fn remove_volume(&self, volume: &str) -> Result<()>;
    /// How much a volume holds, in bytes.
    async fn volume_usage(&self, volume: &str) -> Result<u64>;

    /// What is at a path of the node; `None` for nothing. Links are followed.
    async fn host_file(&self, path: &str) -> Result<Option<HostFile>>;
    /// Makes a directory or an empty file of the node, and the directories above it.
    async fn make_host_file(&self, path: &str, kind: HostFile) -> Result<()>;

    /// What the containers use.
    async fn stats(&self) -> Result<Vec<ContainerStats>>;
}

/// A user and password for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryCredential {
    /// The registry's name as images begin with it.
    pub registry: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}
