//! A containerd of the tests' own: its root, state, socket and networks are in a temporary directory.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Packet rules and addresses are the whole machine's: one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

/// Makes a test fail where it would skip.
const REQUIRED: &str = "K8S_LEARN_REQUIRE_CONTAINERD";
/// The directories that tools may be in beside the path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A containerd that runs. Dropping it ends it.
pub(super) struct Machine {
    directory: tempfile::TempDir,
    containerd: Child,
    _turn: MutexGuard<'static, ()>,
}

/// What a machine must have that runs real containers: what to try, and what it is.
const NEEDS: &[(&[&str], &str)] = &[
    (&["containerd", "--version"], "containerd"),
    (&["runc", "--version"], "runc"),
    (&["nft", "list", "tables"], "the right to set packet rules by nft"),
    (&["ip", "link"], "ip"),
    (&["unshare", "-mnpui", "--fork", "true"], "the right to make namespaces"),
];

fn try_run(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Why there can be no real containers here.
fn lacking() -> Option<String> {
    let plugins = ["/usr/lib/cni", "/opt/cni/bin"].iter().find(|at| Path::new(at).join("ptp").exists());
    if plugins.is_none() {
        return Some("the CNI plugins".to_owned());
    }
    NEEDS.iter().find(|(words, _)| !try_run(words)).map(|(_, what)| (*what).to_owned())
}

fn configuration(directory: &Path) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    let plugins = if Path::new("/usr/lib/cni/ptp").exists() { "/usr/lib/cni" } else { "/opt/cni/bin" };
    format!(
        r#"version = 2
root = "{}"
state = "{}"
[grpc]
  address = "{}"
[ttrpc]
  address = "{}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{}"
"#,
        at("root"),
        at("state"),
        at("sock"),
        at("sock.ttrpc"),
        at("networks")
    )
}

impl Machine {
    /// Starts a containerd. `None`: it cannot run here, which is said.
    pub(super) fn start() -> Option<Self> {
        let turn = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(what) = lacking() {
            assert!(std::env::var_os(REQUIRED).is_none(), "there is no {what}, and {REQUIRED} is set");
            eprintln!("skipped: real containers need {what}");
            return None;
        }
        let directory = tempfile::Builder::new().prefix("k8s-learn-ctd").tempdir().unwrap();
        std::fs::create_dir(directory.path().join("networks")).unwrap();
        let file = directory.path().join("config.toml");
        std::fs::write(&file, configuration(directory.path())).unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new("containerd");
        command.arg("-c").arg(&file).env("PATH", PATH).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let containerd = command.spawn().unwrap();
        let machine = Self { directory, containerd, _turn: turn };
        for _ in 0..400 {
            if UnixStream::connect(machine.socket()).is_ok() {
                return Some(machine);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("containerd does not start:\n{}", machine.log());
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("sock")
    }

    /// A file beside it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `k8s-learn` with a cluster on this containerd.
    pub(super) fn k8s_learn(&self, command: &str, nodes: &str) -> Command {
        let mut all = Command::new(env!("CARGO_BIN_EXE_k8s-learn"));
        all.args([command, "--runtime", "containerd", "--nodes", nodes]);
        all.arg("--containerd-socket").arg(self.socket());
        all.arg("--containerd-state").arg(self.path("k8s-learn"));
        all.current_dir(self.directory.path()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        all
    }

    /// Runs commands in the sandbox shell of a fresh cluster; each must show what stands beside it.
    pub(super) fn shows(&self, nodes: &str, steps: &[(&str, &str)]) {
        let script: String = steps
            .iter()
            .enumerate()
            .map(|(number, (line, _))| format!("echo '@@ {number}'\n{{ {line}\n}} 2>&1\n"))
            .collect();
        let Output { stdout, stderr, .. } =
            self.k8s_learn("shell", nodes).args(["-c", &script]).output().unwrap();
        let printed = String::from_utf8_lossy(&stdout).into_owned();
        let complained = String::from_utf8_lossy(&stderr);
        for (number, (line, expected)) in steps.iter().enumerate() {
            let of = |number: usize| printed.find(&format!("@@ {number}\n"));
            let start =
                of(number).unwrap_or_else(|| panic!("never came to {line:?}:\n{printed}\n{complained}"));
            let shown = &printed[start..of(number + 1).unwrap_or(printed.len())];
            assert!(
                shown.contains(expected),
                "{line:?} does not show {expected:?} but:\n{shown}\nbefore:\n{printed}"
            );
        }
    }

    /// What is on this machine that a cluster might leave behind.
    pub(super) fn belongings(&self) -> String {
        let ctr = format!("ctr -a {} -n k8s.io", self.socket().display());
        let looks = [
            "ip -o link | cut -d: -f2 | sort",
            "ip -o addr | awk '{print $2, $4}' | sort",
            "ip route | sort",
            "ls /run/netns 2>/dev/null | sort",
            "nft list tables",
            "cat /proc/sys/net/ipv4/ip_forward; ls /run/k8s-learn.ip_forward 2>/dev/null",
            "cut -d' ' -f2,3 /proc/mounts | sort",
            &format!("{ctr} containers ls -q; {ctr} tasks ls -q; {ctr} snapshots ls | grep -c Active"),
            "find /sys/fs/cgroup -maxdepth 3 -name '*k8s*'",
        ];
        let run = |look: &&str| {
            let output = Command::new("bash").args(["-c", look]).env("PATH", PATH).output().unwrap();
            format!("$ {look}\n{}", String::from_utf8_lossy(&output.stdout))
        };
        let state = self.path("k8s-learn").exists();
        let networks = std::fs::read_dir(self.path("networks")).unwrap().count();
        format!("{}state {state}, networks {networks}\n", looks.iter().map(run).collect::<String>())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let last = log.lines().rev().take(20).collect::<Vec<_>>();
            eprintln!("containerd said:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            // What a failed test left: the next start on this containerd takes it away.
            let _ = self.k8s_learn("shell", "1").args(["-c", "true"]).output();
        }
        // It was started by this test, and ends with it.
        let _ = self.containerd.kill();
        let _ = self.containerd.wait();
    }
}
