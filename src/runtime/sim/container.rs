//! A container: what it was made from, where it is in its life, and what its processes need.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::DEFAULT_PATH;
use super::cgroup::Cgroup;
use super::console::Console;
use super::images::NodeImage;
use super::launcher::Launcher;
use super::log::ContainerLog;
use super::root_files::RootFiles;
use crate::bash::{
    Dialect, Files, Process, Processes, ProgramContext, Programs, Signals, Stdio, System, User,
};
use crate::clock::Clock;
use crate::runtime::api::{ContainerConfig, ContainerState, ContainerStatus, Security};
use crate::watch;

/// Where a container is in its life.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) state: ContainerState,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) exit_code: i32,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) termination_message: String,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            state: ContainerState::Created,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            reason: String::new(),
            message: String::new(),
            termination_message: String::new(),
        }
    }
}

/// A container.
pub(super) struct Container {
    pub(super) id: String,
    pub(super) sandbox_id: String,
    pub(super) pod_uid: String,
    pub(super) hostname: String,
    pub(super) config: ContainerConfig,
    pub(super) image: Arc<NodeImage>,
    pub(super) created_at: Timestamp,
    pub(super) clock: Clock,
    pub(super) files: RootFiles,
    /// The environment, in the order in which `env` shows it.
    pub(super) env: Vec<(String, String)>,
    pub(super) user: User,
    pub(super) processes: Processes,
    pub(super) launcher: Launcher,
    pub(super) cgroup: Cgroup,
    pub(super) log: ContainerLog,
    pub(super) console: Console,
    pub(super) stage: watch::Sender<Stage>,
    /// Ends every process of it at once.
    pub(super) killed: CancellationToken,
    /// The signals of the first process, while it runs.
    pub(super) signals: Mutex<Option<Signals>>,
    /// What it can run; gone when it has ended, since programs hold the network.
    pub(super) programs: Mutex<Option<Programs>>,
}

impl Container {
    /// The words of the first process.
    pub(super) fn args(&self) -> Vec<String> {
        let (config, data) = (&self.config, &self.image.data);
        let mut args = config.command.clone();
        if args.is_empty() {
            args.clone_from(&data.entrypoint);
        }
        if !config.args.is_empty() {
            args.extend(config.args.iter().cloned());
        } else if config.command.is_empty() {
            args.extend(data.cmd.iter().cloned());
        }
        args
    }

    /// Where processes start.
    pub(super) fn working_dir(&self) -> String {
        working_dir(&self.config, &self.image)
    }

    /// Whose userland it has.
    pub(super) fn dialect(&self) -> Dialect {
        self.image.data.dialect
    }

    /// What a process of it runs in.
    pub(super) fn context(&self, args: Vec<String>, process: &Process, stdio: Stdio) -> ProgramContext {
        let mut env: BTreeMap<String, String> = self.env.iter().cloned().collect();
        if stdio.terminal.is_some() {
            env.entry("TERM".to_owned()).or_insert_with(|| "xterm".to_owned());
        }
        let system = System {
            hostname: self.hostname.clone(),
            clock: self.clock.clone(),
            user: self.user.clone(),
            processes: self.processes.clone(),
            signals: process.signals.clone(),
            dialect: self.dialect(),
            pid: Some(process.pid),
        };
        ProgramContext { args, env, cwd: self.working_dir(), files: self.files.all.clone(), stdio, system }
    }

    /// Where it is in its life.
    pub(super) fn state(&self) -> ContainerState {
        self.stage.borrow().state
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) {
        // The sender lives in `self`.
        let _ = self.stage.subscribe().wait_for(|stage| stage.state == ContainerState::Exited).await;
    }

    pub(super) fn signals(&self) -> MutexGuard<'_, Option<Signals>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of what it could run.
    pub(super) fn drop_programs(&self) {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(programs);
    }

    pub(super) fn status(&self) -> ContainerStatus {
        let stage = self.stage.borrow().clone();
        let number = |n: &u32| i64::from(*n);
        ContainerStatus {
            id: self.id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            name: self.config.name.clone(),
            attempt: self.config.attempt,
            state: stage.state,
            created_at: self.created_at,
            started_at: stage.started_at,
            finished_at: stage.finished_at,
            exit_code: stage.exit_code,
            reason: stage.reason,
            message: stage.message,
            image: self.image.named(&self.config.user_image),
            image_id: self.image.shown(),
            labels: self.config.labels.clone(),
            termination_message: stage.termination_message,
            user: (
                number(&self.user.uid),
                number(&self.user.gid),
                self.user.groups.iter().map(number).collect(),
            ),
        }
    }
}

/// Where processes of a container start.
pub(super) fn working_dir(config: &ContainerConfig, image: &NodeImage) -> String {
    let own = Some(config.working_dir.as_str()).filter(|path| !path.is_empty());
    let path = own.unwrap_or(&image.data.workdir);
    crate::bash::resolve("/", path)
}

/// The environment in the order in which containerd gives it: the path, the host's name, the image's, the pod's, and the
/// home directory that runc adds.
pub(super) fn environment(
    config: &ContainerConfig,
    image: &NodeImage,
    hostname: &str,
    home: &str,
) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> =
        vec![("PATH".into(), DEFAULT_PATH.into()), ("HOSTNAME".into(), hostname.into())];
    if config.tty {
        env.push(("TERM".into(), "xterm".into()));
    }
    let mut set = |key: &str, value: &str| match env.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => value.clone_into(old),
        None => env.push((key.to_owned(), value.to_owned())),
    };
    for (key, value) in image.data.env.iter().chain(&config.envs) {
        set(key, value);
    }
    if !env.iter().any(|(key, _)| key == "HOME") {
        env.push(("HOME".into(), home.into()));
    }
    env
}

/// Who the first process runs as, and the home directory. The error is containerd's.
pub(super) async fn user(
    security: &Security,
    image_user: Option<&str>,
    files: &dyn Files,
) -> Result<(User, String), String> {
    let read = |path: &'static str| async move {
        files.read(path).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    let (passwd, group) = (read("/etc/passwd").await, read("/etc/group").await);
    let entries: Vec<Vec<&str>> = passwd.lines().map(|line| line.split(':').collect()).collect();
    let field = |entry: &[&str], at: usize| entry.get(at).and_then(|text| text.parse::<u32>().ok());
    let (wanted, wanted_group) = match image_user.unwrap_or("0").split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (image_user.unwrap_or("0"), None),
    };
    let number = |n: i64| u32::try_from(n).unwrap_or(0);
    let by_number = security.run_as_user.map(number).or_else(|| wanted.parse().ok());
    let entry = match by_number {
        Some(uid) => entries.iter().find(|entry| field(entry, 2) == Some(uid)),
        None => Some(entries.iter().find(|entry| entry.first() == Some(&wanted)).ok_or_else(|| {
            format!("failed to create containerd container: mount callback failed: unable to find user {wanted}: no matching entries in passwd file")
        })?),
    };
    let uid = by_number.or_else(|| field(entry?, 2)).unwrap_or(0);
    let image_group =
        wanted_group.filter(|_| security.run_as_user.is_none()).and_then(|group| group.parse().ok());
    let gid = security.run_as_group.map(number).or(image_group).or_else(|| field(entry?, 3)).unwrap_or(0);
    let name = entry.and_then(|entry| entry.first()).copied().unwrap_or_default();
    let home = entry.and_then(|entry| entry.get(5)).copied().unwrap_or("/");
    let mut groups = vec![gid];
    for line in group.lines() {
        let parts: Vec<&str> = line.split(':').collect();
        let member =
            parts.get(3).is_some_and(|names| !name.is_empty() && names.split(',').any(|one| one == name));
        groups.extend(field(&parts, 2).filter(|_| member));
    }
    groups.extend(security.supplemental_groups.iter().copied().map(number));
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(*group));
    Ok((User { name: name.to_owned(), uid, gid, groups }, home.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::MemoryFiles;

    #[tokio::test]
    async fn users_are_looked_up_in_the_image() {
        let files = MemoryFiles::new(Clock::virtual_time());
        files.put(
            "/etc/passwd",
            b"root:x:0:0:root:/root:/bin/sh\nnginx:x:101:102::/home/nginx:/bin/false\n",
            0o644,
        );
        files.put("/etc/group", b"root:x:0:root\nwww:x:82:nginx\n", 0o644);
        let user = async |security: Security, image: Option<&str>| user(&security, image, &files).await;
        let plain = Security::default();
        let (root, home) = user(plain.clone(), None).await.unwrap();
        assert_eq!(
            (root.name.as_str(), root.uid, root.gid, &root.groups[..], home.as_str()),
            ("root", 0, 0, &[0][..], "/root")
        );
        let (nginx, _) = user(plain.clone(), Some("nginx")).await.unwrap();
        assert_eq!((nginx.uid, nginx.gid, &nginx.groups[..]), (101, 102, &[102, 82][..]));
        let own = Security { run_as_user: Some(1000), supplemental_groups: vec![2000], ..plain.clone() };
        let (own, home) = user(own, Some("nginx")).await.unwrap();
        assert_eq!(
            (own.name.as_str(), own.uid, own.gid, &own.groups[..], home.as_str()),
            ("", 1000, 0, &[0, 2000][..], "/")
        );
        assert!(user(plain, Some("nobody")).await.is_err());
    }
}
