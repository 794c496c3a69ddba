//! The simulation's programs as real processes: what this binary does inside a real container.
//!
//! The course's images for real containers have this binary at `/.k8s-learn/k8s-learn`, and links to it by the names of the programs
//! that are in them. Called by such a name it is that program, with the container's own files, network, signals and limits.
//! `cli` calls [`main`] first of all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::signal::unix::{SignalKind, signal as kernel_signal};

use super::cgroup::Cgroup;
use super::images::{Asked, ELF, ask};
use super::launcher::Executable;
use super::programs::{Machine, install, name_servers};
use crate::bash::{
    Files, FilesError, Foreground, HostFiles, Metadata, Processes, ProgramContext, Signals, Stdio, System,
    User, host_stdio, signal,
};
use crate::clock::Clock;
use crate::network::{Fabric, HostSockets};
use crate::seed::Seed;

/// Where an image has this binary and what it needs.
pub(in crate::runtime) const DIRECTORY: &str = "/.k8s-learn";
/// This binary in an image.
pub(in crate::runtime) const PROGRAM: &str = "/.k8s-learn/k8s-learn";
/// The loader of shared libraries in an image. No longer than the shortest path of one.
pub(in crate::runtime) const LOADER: &str = "/.k8s-learn/ld.so";
/// The file with the name by which the course knows the image.
pub(in crate::runtime) const IMAGE: &str = "/.k8s-learn/image";

/// A program of ours that broke.
const BROKEN: i32 = 128 + 11;

/// Whether the bytes are the simulation's file of a program.
pub(in crate::runtime) fn is_program_file(bytes: &[u8]) -> bool {
    bytes.starts_with(ELF)
}

/// Runs the program that this process was called as, if it is in one of the course's containers.
pub fn main(arguments: &[String]) -> Option<ExitCode> {
    let own = std::env::current_exe().ok()?;
    let name = arguments.first()?.rsplit('/').next()?;
    if own.to_str() != Some(PROGRAM) || name == "k8s-learn" {
        return None;
    }
    if name == "pause" {
        // It has no handler, so the kernel keeps every signal but the last from a container's first process.
        loop {
            std::thread::park();
        }
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: {error}");
            return Some(ExitCode::from(126));
        }
    };
    let code = runtime.block_on(run(name, arguments.to_vec()));
    crossterm_off();
    // A read of standard input may still wait on another thread.
    std::process::exit(code)
}

/// Gives the terminal back as it was.
fn crossterm_off() {
    if crossterm::terminal::is_raw_mode_enabled().unwrap_or(false) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

async fn run(name: &str, args: Vec<String>) -> i32 {
    let image = std::fs::read_to_string(IMAGE).unwrap_or_default();
    let Ok(Asked::Ours(_, data)) = ask(image.trim(), &[]) else {
        eprintln!("{name}: this container's image is none of the course's: {image:?}");
        return 126;
    };
    let clock = Clock::real();
    let seed = Seed::from_entropy();
    let fabric = Fabric::new(seed.clone(), clock.clone());
    let files: Arc<dyn Files> = Arc::new(ContainerFiles(HostFiles::new()));
    fabric.set_outside(Arc::new(HostSockets::only(clock.clone(), name_servers(&*files).await)));
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let Ok(host) = fabric.join(own_address(&hostname), &hostname) else { return BROKEN };
    let env: Vec<(String, String)> = std::env::vars_os()
        .map(|(key, value)| (key.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let machine = Machine {
        host,
        cgroup: Cgroup::of_this_process(clock.clone()),
        env: env.clone(),
        version: data.version.clone(),
        seed,
        real: true,
    };
    let (launcher, _programs) = install(&machine, &data);
    let user = user();
    let processes = Processes::of_kernel(std::process::id());
    let process = processes.start(0, &user.name, args.clone(), clock.now());
    let signals = process.signals.clone();
    pass_on(&signals);
    // What this process starts has numbers of the kernel's.
    let system = System {
        hostname,
        clock,
        user,
        processes,
        signals: signals.clone(),
        dialect: data.dialect,
        pid: None,
    };
    let variables: BTreeMap<String, String> = env.into_iter().collect();
    let cwd = std::env::current_dir().map_or("/".to_owned(), |path| path.to_string_lossy().into_owned());
    let stdio = stdio(signals.clone());
    let context = ProgramContext { args, env: variables, cwd, files, stdio, system };
    tokio::select! { biased;
        number = signals.fatal() => 128 + number,
        code = launcher.run(Executable::Program(name.to_owned()), context) => code & 0xff,
    }
}

/// The streams of this process. On a terminal its line discipline is ours, as in the simulation.
fn stdio(signals: Signals) -> Stdio {
    let host = host_stdio();
    let Some(terminal) = host.terminal.as_ref().filter(|_| host.stdin_is_terminal) else { return host };
    if crossterm::terminal::enable_raw_mode().is_err() {
        return host;
    }
    let foreground = Foreground::default();
    foreground.set(signals);
    let size = terminal.size();
    crate::bash::tty(host.stdin, host.stdout, size, foreground)
}

/// What the kernel sends to this process, the program in it gets.
fn pass_on(signals: &Signals) {
    for number in
        [signal::HUP, signal::INT, signal::QUIT, signal::USR1, signal::USR2, signal::TERM, signal::WINCH]
    {
        let Ok(mut stream) = kernel_signal(SignalKind::from_raw(number)) else { continue };
        let signals = signals.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                signals.send(number);
            }
        });
    }
}

/// The pod's address, which the kubelet has written beside the host's name.
fn own_address(hostname: &str) -> IpAddr {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let of_host = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|name| name == hostname).then_some(ip)
    };
    hosts.lines().find_map(of_host).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Who this process runs as.
fn user() -> User {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = entry.into_iter().find(|entry| entry.get(2).is_some_and(|number| *number == uid.to_string()));
    let name = own.and_then(|entry| entry.first().map(|name| (*name).to_owned())).unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let listed = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    let mut groups = vec![gid];
    groups.extend(
        listed.split_whitespace().filter_map(|group| group.parse::<u32>().ok()).filter(|group| *group != gid),
    );
    User { name, uid, gid, groups }
}

/// The container's files, where links to this binary are the programs that they are named after.
struct ContainerFiles(HostFiles);

#[async_trait]
impl Files for ContainerFiles {
    async fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        let real = tokio::fs::canonicalize(path).await;
        if real.is_ok_and(|real| real.to_str() == Some(PROGRAM)) {
            let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
            return Ok([ELF, name.as_bytes(), b"\n"].concat().into());
        }
        self.0.read(path).await
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        self.0.write(path, content).await
    }

    async fn append(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        self.0.append(path, content).await
    }

    async fn metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        self.0.metadata(path).await
    }

    async fn link_metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        self.0.link_metadata(path).await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, FilesError> {
        let mut names = self.0.list(path).await?;
        if path == "/" {
            names.retain(|name| name != DIRECTORY.trim_start_matches('/'));
        }
        Ok(names)
    }

    async fn make_directory(&self, path: &str) -> Result<(), FilesError> {
        self.0.make_directory(path).await
    }

    async fn remove(&self, path: &str) -> Result<(), FilesError> {
        self.0.remove(path).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FilesError> {
        self.0.rename(from, to).await
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<(), FilesError> {
        self.0.set_mode(path, mode).await
    }

    async fn symlink(&self, target: &str, path: &str) -> Result<(), FilesError> {
        self.0.symlink(target, path).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_container_this_is_no_program_of_an_image() {
        assert!(main(&["nginx".to_owned()]).is_none());
        assert!(main(&[]).is_none());
    }

    #[test]
    fn who_it_runs_as_is_the_kernels_word() {
        assert_eq!(user().uid, rustix::process::getuid().as_raw());
    }
}
