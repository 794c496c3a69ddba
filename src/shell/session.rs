//! A session of the sandbox shell: the learner's bash on a machine beside the cluster.
//!
//! The REPL, scripts and lessons are fronts of one [`Session`]. A line goes through [`slips::mended`], runs, and gets a
//! line of advice if it failed in a way that is known.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::node::NodeShell;
use super::place::{SandboxConnect, SandboxEditor, SandboxNetwork};
use super::programs::{ClusterCommand, EDITORS, EditFile, Etcdctl, Minikube, Why};
use super::ran::CommandLog;
use super::slips;
use crate::api::auth::UserInfo;
use crate::bash::{
    Bash, BashConfig, Completeness, Files, HostFiles, Interrupt, MemoryFiles, MountFiles, MountPoint,
    Program, Stdio, System, User, completeness,
};
use crate::client;
use crate::cluster::{Cluster, ClusterError};
use crate::kubectl::{Kubectl, NoDiffProgram};
use crate::runtime::sim::programs::{Curl, Nc, Nslookup, Ping, Wget};

/// The learner's home.
pub const HOME: &str = "/home/learner";
/// The process numbers before the shell's own belong to the rest of its machine.
const FIRST_PID: u32 = 1000;
/// Where the directory of the host that the shell was started in can be read.
pub const HOST_DIRECTORY: &str = "/host";

/// How a session is to be.
#[derive(Clone, Default)]
pub struct SessionConfig {
    /// A directory of the host that can be read at [`HOST_DIRECTORY`]; never in a classroom.
    pub host_directory: Option<PathBuf>,
    /// Whether known slips are answered with advice.
    pub advice: bool,
    /// Variables besides the usual ones.
    pub env: BTreeMap<String, String>,
    /// Where the commands that are run are told.
    pub log: Option<CommandLog>,
    /// The files; fresh ones of its own if there are none. Sessions with the same files are windows of one machine.
    pub files: Option<Arc<dyn Files>>,
}

/// A learner's shell. Dropping it ends its background jobs.
pub struct Session {
    bash: Bash,
    config: SessionConfig,
}

impl Session {
    /// A fresh shell beside `cluster`, with a kubeconfig of the administrator in its home.
    pub fn new(cluster: &Cluster, config: SessionConfig) -> Result<Self, ClusterError> {
        let files = match &config.files {
            Some(files) => files.clone(),
            None => files(cluster, &config)?,
        };
        let clock = cluster.clock().clone();
        let mut system = System::new("k8s-learn", clock.clone());
        // The shell is no container's first process: what runs in it ends by TERM.
        system.processes.skip_to(FIRST_PID);
        system.user = User { name: "learner".to_owned(), uid: 1000, gid: 1000, groups: vec![] };
        let mut env: BTreeMap<String, String> = [
            ("HOME", HOME),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("PWD", HOME),
            ("SHELL", "/bin/bash"),
            ("USER", "learner"),
            ("LANG", "C.UTF-8"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        env.extend(config.env.clone());
        let base =
            BashConfig { files, system, env, cwd: HOME.to_owned(), programs: Arc::new(BTreeMap::new()) };
        let plain = base.clone();
        let kubectl = Kubectl {
            connect: Arc::new(SandboxConnect { url: cluster.url(), service: cluster.service().clone() }),
            network: Arc::new(SandboxNetwork(cluster.learner().clone())),
            editor: Arc::new(SandboxEditor { shell: Arc::new(move || plain.clone()) }),
            diff_program: Arc::new(NoDiffProgram),
            clock,
            seed: cluster.seed().clone(),
        };
        let mut programs = programs(cluster, kubectl);
        if let Some(log) = &config.log {
            programs = programs.into_iter().map(|(name, program)| (name, log.watched(program))).collect();
        }
        let programs = Arc::new(programs);
        Ok(Self { bash: Bash::new(BashConfig { programs, ..base }), config })
    }

    /// Runs one complete command, which may have several lines, and returns its exit code.
    pub async fn run(&mut self, line: &str, stdio: Stdio) -> i32 {
        let mended = slips::mended(line);
        let complaints = crate::bash::SharedWriter::new(stdio.stderr);
        if let Some((_, why)) = &mended {
            self.say(&complaints, &format!("Note: {why}.")).await;
        }
        let text = mended.as_ref().map_or(line, |(text, _)| text.as_str());
        let stdio = Stdio { stderr: Box::new(complaints.clone()), ..stdio };
        let code = self.bash.execute(text, stdio).await;
        if self.config.advice
            && let Some(advice) = slips::advice(text, code)
        {
            self.say(&complaints, &format!("Hint: {advice}")).await;
        }
        code
    }

    /// Runs a script command by command and returns the last one's code. `open` makes the streams of each.
    pub async fn run_script(&mut self, script: &str, open: impl Fn() -> Stdio) -> i32 {
        let mut code = 0;
        for command in commands(script) {
            code = self.run(&command, open()).await;
            if let Some(exited) = self.exited() {
                return exited;
            }
        }
        code
    }

    async fn say(&self, to: &crate::bash::SharedWriter, text: &str) {
        let mut to = to.clone();
        // Advice that nobody reads is lost.
        let _ = to.write_all(format!("{text}\n").as_bytes()).await;
        let _ = to.flush().await;
    }

    /// The code that `exit` was given, once it was.
    pub fn exited(&self) -> Option<i32> {
        self.bash.exited()
    }

    /// Stops the foreground from elsewhere, as Ctrl-C does.
    pub fn interrupter(&self) -> Interrupt {
        self.bash.interrupter()
    }

    /// What is said of background jobs before the next prompt.
    pub fn job_notices(&self) -> Vec<String> {
        self.bash.job_notices()
    }

    /// The prompt, as bash shows it: `learner@k8s-learn:~$ `.
    pub fn prompt(&self) -> String {
        let cwd = self.bash.cwd();
        let shown = cwd.strip_prefix(HOME).map_or_else(|| cwd.clone(), |rest| format!("~{rest}"));
        format!("learner@k8s-learn:{shown}$ ")
    }

    /// The working directory.
    pub fn cwd(&self) -> String {
        self.bash.cwd()
    }

    /// The session's files.
    pub fn files(&self) -> Arc<dyn Files> {
        self.bash.files()
    }
}

/// The commands of a script: lines, joined as long as something is open.
pub fn commands(script: &str) -> Vec<String> {
    let (mut commands, mut open) = (vec![], String::new());
    for line in script.lines() {
        if !open.is_empty() {
            open.push('\n');
        }
        open.push_str(line);
        if completeness(&open) == Completeness::Complete {
            let command = std::mem::take(&mut open);
            if !command.trim().is_empty() && !command.trim_start().starts_with('#') {
                commands.push(command);
            }
        }
    }
    if !open.trim().is_empty() {
        commands.push(open);
    }
    commands
}

fn files(cluster: &Cluster, config: &SessionConfig) -> Result<Arc<dyn Files>, ClusterError> {
    let memory = MemoryFiles::new(cluster.clock().clone());
    memory.put_directory(HOME, 0o755);
    memory.put_directory("/tmp", 0o1777);
    memory.put("/etc/hosts", b"127.0.0.1\tlocalhost\n", 0o644);
    memory.put(&format!("{HOME}/.kube/config"), cluster.kubeconfig(&cluster.url())?.as_bytes(), 0o600);
    let mounts = config.host_directory.iter().map(|directory| MountPoint {
        path: HOST_DIRECTORY.to_owned(),
        files: Arc::new(HostFiles::below(directory.clone(), true)) as Arc<dyn Files>,
        inner: "/".to_owned(),
        read_only: true,
    });
    Ok(Arc::new(MountFiles::new(Arc::new(memory), false, mounts.collect())))
}

fn programs(cluster: &Cluster, kubectl: Kubectl) -> BTreeMap<String, Arc<dyn Program>> {
    let host = cluster.learner();
    let kubectl: Arc<dyn Program> = Arc::new(kubectl);
    let mut programs: BTreeMap<String, Arc<dyn Program>> = BTreeMap::new();
    let mut add = |name: &str, program: Arc<dyn Program>| programs.insert(name.to_owned(), program);
    add("kubectl", kubectl.clone());
    add("k", kubectl);
    add("curl", Arc::new(Curl::new(host.clone())));
    add("wget", Arc::new(Wget::new(host.clone())));
    add("ping", Arc::new(Ping::new(host.clone())));
    add("nslookup", Arc::new(Nslookup::new(host.clone())));
    add("nc", Arc::new(Nc::new(host.clone())));
    add("cluster", Arc::new(ClusterCommand::new(cluster.components())));
    add("etcdctl", Arc::new(Etcdctl::new(cluster.store().clone())));
    add("why", Arc::new(Why::new(cluster.store().clone())));
    let reader = client::component(cluster.service(), "minikube", UserInfo::admin());
    let components = cluster.components();
    let login = |machine| NodeShell::new(machine, components.clone(), cluster.clock());
    let nodes = cluster.machines().into_iter().map(login).collect();
    add("minikube", Arc::new(Minikube::new(reader, nodes)));
    for name in EDITORS {
        add(name, Arc::new(EditFile));
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_taken_apart_into_commands() {
        let script = "a\n\n# note\nfor i in 1 2; do\n  b\ndone\ncat <<E\nx\nE\nc \\\n  d";
        assert_eq!(commands(script), ["a", "for i in 1 2; do\n  b\ndone", "cat <<E\nx\nE", "c \\\n  d"]);
    }
}
