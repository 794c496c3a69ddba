//! What a test left that was ended hard: its containerd, its cluster and their directory, found by the directory's name.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::preflight::{binary, path};

/// How the directories of the tests' containerds begin.
pub(super) const PREFIX: &str = "k8s-learn-ctd";

/// Starts the containerd whose configuration is in a directory. It answers when this returns.
pub(super) fn start_containerd(directory: &Path) -> Child {
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let mut command = Command::new(binary());
    command.arg("-c").arg(directory.join("config.toml")).env("PATH", path());
    let mut containerd = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    for _ in 0..400 {
        if UnixStream::connect(directory.join("sock")).is_ok() {
            return containerd;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = containerd.kill();
    let _ = containerd.wait();
    let said = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    panic!("containerd does not start:\n{said}");
}

/// Takes away what earlier tests left. Whoever calls it has the machine: nobody else's test runs.
pub(super) fn clear() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for directory in ours.map(|entry| entry.path()) {
        eprintln!("an earlier test left {}", directory.display());
        clear_one(&directory);
    }
}

fn clear_one(directory: &Path) {
    // Shims stay: through them the containers are ended.
    kill_users_of(directory, |line| !line.contains("containerd-shim"));
    if directory.join("config.toml").exists() {
        let _ = std::fs::remove_file(directory.join("sock"));
        let mut containerd = start_containerd(directory);
        // The next cluster's start takes away what was left of the last one's.
        let mut next = Command::new(env!("CARGO_BIN_EXE_k8s-learn"));
        next.args(["shell", "--runtime", "containerd", "-c", "true", "--containerd-socket"]);
        next.arg(directory.join("sock")).arg("--containerd-state").arg(directory.join("k8s-learn"));
        let _ = next.stdin(Stdio::null()).output();
        let _ = containerd.kill();
        let _ = containerd.wait();
    }
    kill_users_of(directory, |_| true);
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let below: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(PathBuf::from)
        .filter(|at| at.starts_with(directory))
        .collect();
    for at in below.iter().rev() {
        let _ = Command::new("umount").arg(at).env("PATH", path()).output();
    }
    let _ = std::fs::remove_dir_all(directory);
}

/// Ends processes that name the directory in their command line: containerd, its shims, a cluster.
fn kill_users_of(directory: &Path, chosen: impl Fn(&str) -> bool) {
    let name = directory.to_string_lossy().into_owned();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if pid != std::process::id() && line.contains(&name) && chosen(&line) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).env("PATH", path()).output();
        }
    }
}
