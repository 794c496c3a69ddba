//! `k8s-learn up` in a process of its own, with a namespace and a directory for each of two kubectls.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running server. Dropping it stops the process and removes its files.
pub struct Server {
    process: Child,
    /// One directory a namespace, with a kubeconfig in each.
    pub directory: tempfile::TempDir,
}

/// The binary under test.
pub fn binary() -> String {
    env!("CARGO_BIN_EXE_k8s-learn").to_owned()
}

impl Server {
    /// Starts a server and waits until it says that it is ready.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let kubeconfig = directory.path().join("kubeconfig");
        let mut process = Command::new(binary())
            .args(["up", "--kubeconfig"])
            .arg(&kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the server says something");
        assert!(line.starts_with("ready https://"), "the server said: {line:?}");
        let server = Self { process, directory };
        for namespace in ["real", "ours"] {
            server.give(namespace, &kubeconfig);
        }
        server
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Makes a namespace, and a directory whose kubeconfig points into it.
    fn give(&self, namespace: &str, kubeconfig: &std::path::Path) {
        let home = self.directory.path().join(namespace);
        std::fs::create_dir(&home).expect("a new directory");
        let own = home.join("kubeconfig");
        std::fs::copy(kubeconfig, &own).expect("the kubeconfig is there");
        let kubectl = |args: &[&str]| {
            let output = Command::new(binary())
                .arg("kubectl")
                .args(args)
                .env("KUBECONFIG", &own)
                .output()
                .expect("kubectl runs");
            assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        kubectl(&["create", "namespace", namespace]);
        kubectl(&["config", "set-context", "--current", "--namespace", namespace]);
        kubectl(&["wait", "--for=create", "serviceaccount/default", "--timeout=30s"]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
