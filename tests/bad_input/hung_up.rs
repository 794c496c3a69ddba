//! A client that hangs up mid-stream, and kubectl killed mid-exec: what it began ends, in the server, in the kubelet and
//! in the container.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::fixture::{eventually, kubectl, metric, open_files};
use crate::parity::real_kubectl_1_36;
use crate::parity::server::{self, Server};

/// A server with a pod that runs.
fn with_pod() -> Server {
    let server = Server::start();
    let image = "--image=gcr.io/google-samples/kubernetes-bootcamp:v1";
    kubectl(
        &server,
        &["run", "boot", image, "--port=8080", "-i", "--tty=false", "--stdin", "--quiet", "--attach=false"],
    );
    kubectl(&server, &["wait", "--for=condition=Ready", "pod/boot", "--timeout=60s"]);
    server
}

/// A kubectl that goes on until it is killed.
struct Running {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(server: &Server, program: &[String], args: &[&str]) -> Self {
        let mut process = Command::new(&program[0])
            .args(&program[1..])
            .args(args)
            .env("KUBECONFIG", server.directory.path().join("kubeconfig"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    fn say(&mut self, line: &str) {
        self.process.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// The next line that it prints: it is in the middle of its stream.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// SIGKILL: it has no chance to say goodbye.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Ours, and the real one where there is one.
fn kubectls() -> Vec<Vec<String>> {
    let ours = vec![server::binary(), "kubectl".to_owned()];
    real_kubectl_1_36().into_iter().map(|real| vec![real]).chain([ours]).collect()
}

/// What runs in the container.
fn processes(server: &Server) -> String {
    kubectl(server, &["exec", "boot", "--", "ps", "-ef"])
}

/// What is there while nobody has a stream open.
struct Quiet {
    long_running: f64,
    watches: f64,
    tasks: f64,
    files: usize,
}

impl Quiet {
    fn of(server: &Server) -> Self {
        Self {
            long_running: super::fixture::open_requests(server),
            watches: metric(server, "etcd_debugging_mvcc_watcher_total", ""),
            tasks: metric(server, "k8s_learn_tasks", ""),
            files: open_files(server),
        }
    }

    /// Waits until there is no more than there was.
    fn again(&self, server: &Server, after: &str) {
        let mut left = String::new();
        let gone = || {
            let now = Self::of(server);
            left = format!(
                "requests {} of {}, watches {} of {}, tasks {} of {}, files {} of {}",
                now.long_running,
                self.long_running,
                now.watches,
                self.watches,
                now.tasks,
                self.tasks,
                now.files,
                self.files
            );
            now.long_running <= self.long_running
                && now.watches <= self.watches
                && now.tasks <= self.tasks
                && now.files <= self.files
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| eventually(after, gone)));
        assert!(outcome.is_ok(), "after {after} was killed there is left: {left}");
    }
}

/// Kills each kubectl in the middle of a stream, and looks at what is left.
fn check(
    args: &[&str],
    series: &str,
    begin: impl Fn(&mut Running),
    while_open: impl Fn(&Server),
    gone: impl Fn(&Server) -> bool,
) {
    let server = with_pod();
    for program in kubectls() {
        let quiet = Quiet::of(&server);
        let before = metric(&server, "apiserver_longrunning_requests", series);
        let mut running = Running::start(&server, &program, args);
        begin(&mut running);
        let open = metric(&server, "apiserver_longrunning_requests", series);
        assert_eq!(open, before + 1.0, "{args:?} is counted while it runs");
        while_open(&server);
        running.kill();
        let what = format!("{} {args:?}", program[0]);
        eventually(&what, || gone(&server));
        quiet.again(&server, &what);
    }
    assert_eq!(kubectl(&server, &["get", "--raw", "/readyz"]), "ok");
    assert!(
        kubectl(&server, &["get", "pod", "boot", "--no-headers"]).contains(" 0 "),
        "the container did not restart"
    );
}

#[test]
fn a_client_that_hangs_up_mid_watch() {
    check(
        &["get", "pods", "-w", "--no-headers"],
        "resource=\"pods\",scope=\"namespace\",subresource=\"\",verb=\"WATCH\"",
        |running| assert!(running.hear().starts_with("boot")),
        |_| {},
        |_| true,
    );
}

#[test]
fn a_client_that_hangs_up_mid_log() {
    check(
        &["logs", "-f", "boot"],
        "subresource=\"log\"",
        |running| assert!(!running.hear().is_empty()),
        |_| {},
        |_| true,
    );
}

#[test]
fn kubectl_killed_mid_exec() {
    check(
        &["exec", "-i", "boot", "--", "cat"],
        "subresource=\"exec\"",
        |running| {
            running.say("hello\n");
            assert_eq!(running.hear(), "hello\n");
        },
        |server| assert!(processes(server).contains(" cat\n"), "{}", processes(server)),
        |server| !processes(server).contains(" cat\n"),
    );
}

#[test]
fn kubectl_killed_mid_exec_while_it_prints() {
    check(
        &["exec", "boot", "--", "sh", "-c", "while true; do echo line; done"],
        "subresource=\"exec\"",
        |running| assert_eq!(running.hear(), "line\n"),
        |server| assert!(processes(server).contains("while true"), "{}", processes(server)),
        |server| !processes(server).contains("while true"),
    );
}

#[test]
fn kubectl_killed_mid_attach() {
    let server = with_pod();
    for program in kubectls() {
        let quiet = Quiet::of(&server);
        let running = Running::start(&server, &program, &["attach", "-i", "boot"]);
        let attached = || metric(&server, "apiserver_longrunning_requests", "subresource=\"attach\"");
        eventually("it is attached", || attached() == 1.0);
        running.kill();
        quiet.again(&server, &format!("{} attach", program[0]));
    }
    assert!(
        kubectl(&server, &["get", "pod", "boot", "--no-headers"]).contains(" 0 "),
        "the container did not restart"
    );
}

#[test]
fn kubectl_killed_mid_port_forward() {
    let server = with_pod();
    for program in kubectls() {
        let quiet = Quiet::of(&server);
        let mut running = Running::start(&server, &program, &["port-forward", "pod/boot", ":8080"]);
        let line = running.hear();
        let port = line.split(" -> ").next().unwrap().rsplit(':').next().unwrap().to_owned();
        let mut through = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        through.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = String::new();
        BufReader::new(through.try_clone().unwrap()).read_line(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // The stream within the connection is still open.
        running.kill();
        quiet.again(&server, &format!("{} port-forward", program[0]));
    }
}
