//! Runs a command list in the sandbox shell, on virtual time, and records what it prints.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_learn::bash::{SharedWriter, Stdio, Terminal, TerminalMode};
use k8s_learn::clock::Clock;
use k8s_learn::cluster::{Cluster, ClusterConfig, Time};
use k8s_learn::runtime::sim::Pace;
use k8s_learn::shell::{Session, SessionConfig};
use tokio::io::AsyncWriteExt;

use super::compare::Entry;
use super::list::Step;

/// How long a command may take, in the cluster's time.
const PATIENCE: Duration = Duration::from_secs(150);

/// How long it takes until a process that was started talks to the API server, as on the recorded machine. Without it
/// everything that is typed in a row would happen in the same instant.
const START: Duration = Duration::from_millis(50);

/// What the recorded node had on its disk.
const IMAGES: &[&str] = &[
    "gcr.io/google-samples/kubernetes-bootcamp:v1",
    "gcr.io/google-samples/kubernetes-bootcamp:v2",
    "nginx:1.14.2",
    "nginx:1.16.1",
    "nginx:1.25",
    "nginx:alpine",
    "registry.k8s.io/e2e-test-images/agnhost:2.63.0",
];

/// The learner at the keyboard.
struct Learner {
    session: Session,
    clock: Clock,
    names: BTreeMap<String, String>,
    background: BTreeMap<String, Arc<Mutex<Vec<u8>>>>,
    jobs: Vec<String>,
    entries: Vec<Entry>,
}

/// Replays a list on a fresh cluster of one node. Must run on tokio's paused clock.
pub async fn replay(steps: &[Step]) -> Vec<Entry> {
    let config = ClusterConfig {
        seed: Some(7),
        time: Time::Virtual,
        pace: Pace::Real,
        // The recorded cluster had none.
        storage_class: false,
        images: IMAGES.iter().map(|image| (*image).to_owned()).collect(),
        ..ClusterConfig::default()
    };
    let cluster = Cluster::start(config).await.expect("a cluster starts");
    cluster.ready().await;
    let session = Session::new(&cluster, SessionConfig::default()).expect("a session starts");
    let mut learner = Learner {
        session,
        clock: cluster.clock().clone(),
        names: BTreeMap::new(),
        background: BTreeMap::new(),
        jobs: vec![],
        entries: vec![],
    };
    for step in steps {
        learner.step(step).await;
    }
    let entries = learner.entries;
    drop(learner.session);
    cluster.stop().await;
    entries
}

impl Learner {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Clean => {
                for namespace in ["default", "kube-system"] {
                    self.run(&format!("kubectl delete events --all -n {namespace}")).await;
                }
            }
            Step::Run(command) => {
                let command = self.named(command);
                let (output, code) = self.run(&command).await;
                self.record(command, output, format!("exit {code}"));
            }
            Step::File { name, content } => {
                let content = self.named(content);
                self.session
                    .files()
                    .write(&format!("{}/{name}", self.session.cwd()), content.as_bytes())
                    .await
                    .expect("a file");
                self.record(format!("cat {name}"), content, "exit 0".to_owned());
            }
            Step::Silent(command) if command.starts_with("openssl req ") => self.certificate().await,
            Step::Silent(command) => drop(self.run(&self.named(command)).await),
            Step::Wait(arguments) => {
                let arguments = self.named(arguments);
                let timeout = if arguments.contains("--timeout") { "" } else { " --timeout=120s" };
                let (output, code) = self.run(&format!("kubectl wait {arguments}{timeout}")).await;
                assert_eq!(code, 0, "kubectl wait {arguments}: {output}");
            }
            Step::Until(seconds, command) => self.until(*seconds, &self.named(command)).await,
            Step::Sleep(seconds) => self.clock.sleep(Duration::from_secs_f64(*seconds)).await,
            Step::Let(name, command) => {
                let (output, _) = self.run(&self.named(command)).await;
                self.names.insert(name.clone(), output.trim().to_owned());
            }
            Step::Background(name, command) => {
                let command = self.named(command);
                let kept = self.start(name, &command).await;
                self.clock.sleep(Duration::from_millis(1500)).await;
                let output = take(&kept);
                self.record(format!("{command} &"), output, "background".to_owned());
            }
            Step::HiddenBackground(name, command) => {
                self.start(name, &self.named(command)).await;
                self.background.remove(name);
            }
            Step::End(name) => {
                let number = self.jobs.iter().position(|job| job == name).map_or(0, |index| index + 1);
                self.run(&format!("kill %{number}; wait %{number}")).await;
                if let Some(kept) = self.background.remove(name) {
                    let output = take(&kept);
                    self.record("kill %1".to_owned(), output, "exit 0".to_owned());
                }
            }
            Step::Terminal(command, typed) => {
                let command = self.named(command);
                let typed: Vec<String> = typed.iter().map(|line| self.named(line)).collect();
                let (output, code) = self.on_terminal(&command, &typed).await;
                self.record(command, output, format!("exit {code}"));
            }
        }
    }

    /// What `openssl` would write, which the sandbox shell does not have: a certificate that signs itself, made once for
    /// this test, and its key.
    async fn certificate(&self) {
        let made = [
            ("tls.crt", include_bytes!("files/tls.crt").as_slice()),
            ("tls.key", include_bytes!("files/tls.key").as_slice()),
        ];
        for (name, content) in made {
            let path = format!("{}/{name}", self.session.cwd());
            self.session.files().write(&path, content).await.expect("a file");
        }
    }

    fn record(&mut self, command: String, mut output: String, end: String) {
        // As the recorder of the real cluster writes it.
        if !output.is_empty() && !output.ends_with('\n') {
            output.push_str("\n\\ No newline at end of output\n");
        }
        self.entries.push(Entry { command, output, end });
    }

    /// The text with `@{NAME}` filled in.
    fn named(&self, text: &str) -> String {
        self.names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("@{{{name}}}"), value))
    }

    async fn run(&mut self, command: &str) -> (String, i32) {
        let (writer, kept) = SharedWriter::capture();
        let stdio = Stdio { stdout: Box::new(writer.clone()), stderr: Box::new(writer), ..Stdio::null() };
        let clock = self.clock.clone();
        clock.sleep(START).await;
        let code = clock.timeout(PATIENCE, self.session.run(command, stdio)).await.unwrap_or(-1);
        (take(&kept), code)
    }

    async fn start(&mut self, name: &str, command: &str) -> Arc<Mutex<Vec<u8>>> {
        let (writer, kept) = SharedWriter::capture();
        let stdio = Stdio { stdout: Box::new(writer.clone()), stderr: Box::new(writer), ..Stdio::null() };
        self.session.run(&format!("{command} &"), stdio).await;
        self.background.insert(name.to_owned(), kept.clone());
        self.jobs.push(name.to_owned());
        kept
    }

    async fn until(&mut self, seconds: u64, command: &str) {
        let deadline = self.clock.after(Duration::from_secs(seconds));
        while self.run(command).await.1 != 0 {
            assert!(self.clock.now() < deadline, "gave up after {seconds} s: {command}");
            self.clock.sleep(Duration::from_millis(500)).await;
        }
    }

    /// Runs a command on a terminal and types lines into it, as slowly as a person.
    async fn on_terminal(&mut self, command: &str, typed: &[String]) -> (String, i32) {
        let (writer, kept) = SharedWriter::capture();
        let (mut keys, stdin) = tokio::io::duplex(4096);
        let (_size, size) = k8s_learn::watch::channel((120, 40));
        let stdio = Stdio {
            stdin: Box::new(stdin),
            stdout: Box::new(writer.clone()),
            stderr: Box::new(writer),
            terminal: Some(Terminal::new(size, Arc::new(Raw))),
            stdin_is_terminal: true,
            stdin_is_own: false,
        };
        let clock = self.clock.clone();
        let typing = async {
            clock.sleep(Duration::from_secs(2)).await;
            for line in typed {
                match line.strip_prefix('~').and_then(|pause| pause.parse().ok()) {
                    Some(pause) => clock.sleep(Duration::from_secs(pause)).await,
                    None => {
                        // A command that has ended reads no more.
                        let _ = keys.write_all(format!("{line}\n").as_bytes()).await;
                        clock.sleep(Duration::from_millis(1200)).await;
                    }
                }
            }
            std::future::pending::<()>().await
        };
        let running = clock.timeout(PATIENCE, self.session.run(command, stdio));
        let code = tokio::select! { biased;
            code = running => code.unwrap_or(-1),
            () = typing => -1,
        };
        (take(&kept).replace('\r', ""), code)
    }
}

/// A terminal whose mode is of no interest: keys pass as they are.
struct Raw;

impl TerminalMode for Raw {
    fn set_raw(&self, _: bool) {}
}

fn take(kept: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&std::mem::take(&mut *kept.lock().expect("nobody panics with the lock")))
        .into_owned()
}
