//! A containerd of the tests' own: its root, state, socket and networks are in a temporary directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::leftovers::{self, PREFIX, start_containerd};
use super::preflight::{self, PATH, lacking, major_version};

/// Packet rules and addresses are the whole machine's: one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

/// Makes a test fail where it would skip.
const REQUIRED: &str = "K8S_LEARN_REQUIRE_CONTAINERD";

/// A containerd that runs. Dropping it ends it.
pub(super) struct Machine {
    directory: tempfile::TempDir,
    containerd: Child,
    /// Held against other runs of the tests.
    _file: File,
    _turn: MutexGuard<'static, ()>,
}

/// The configuration of a containerd that has everything in its own directory.
fn configuration(directory: &Path) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    let plugins = preflight::plugins().unwrap_or("/opt/cni/bin");
    let (root, state, socket, ttrpc) = (at("root"), at("state"), at("sock"), at("sock.ttrpc"));
    let (networks, hosts) = (at("networks"), at("hosts"));
    let places = format!(
        "root = \"{root}\"\nstate = \"{state}\"\n[grpc]\n  address = \"{socket}\"\n[ttrpc]\n  address = \"{ttrpc}\"\n"
    );
    if major_version() < 2 {
        return format!(
            r#"version = 2
{places}[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{hosts}"
"#
        );
    }
    // A sandbox image of a name that nobody would guess: the second version does not tell it.
    format!(
        r#"version = 3
{places}[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'registry.k8s.io/pause:3.99'
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '{hosts}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{plugins}']
    conf_dir = '{networks}'
"#
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
        let file = File::create(std::env::temp_dir().join("k8s-learn-tests.lock")).unwrap();
        file.lock().unwrap();
        leftovers::clear();
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();
        for name in ["networks", "hosts"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        std::fs::write(directory.path().join("config.toml"), configuration(directory.path())).unwrap();
        let containerd = start_containerd(directory.path());
        Some(Self { directory, containerd, _file: file, _turn: turn })
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
        self.k8s_learn_with(&[command, "--nodes", nodes])
    }

    /// `k8s-learn` with these words, on this containerd.
    pub(super) fn k8s_learn_with(&self, words: &[&str]) -> Command {
        let mut all = Command::new(env!("CARGO_BIN_EXE_k8s-learn"));
        all.args(words).args(["--runtime", "containerd"]);
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
