//! Parity with the real kubectl: the same commands through both, against one server, must print the same bytes.
//!
//! The server is `k8s-learn up` in a process of its own, over TLS. Each script runs twice, in two namespaces of equal
//! length; what differs by nature (ages, random suffixes, UIDs, times) is masked. Where there is no real kubectl the
//! tests say so and pass.

pub(crate) mod server;

use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use regex::Regex;
use server::Server;

/// The real kubectl of this machine: the one that CI installs, else the one on the path. Only 1.36 will do, as other
/// versions word things otherwise.
pub(crate) fn real_kubectl() -> Option<String> {
    let named = std::env::var("K8S_LEARN_REAL_KUBECTL").ok();
    named.into_iter().chain(["kubectl".to_owned()]).find(|path| {
        let answer = Command::new(path).args(["version", "--client"]).stdin(Stdio::null()).output();
        answer.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("v1.36."))
    })
}

/// One kubectl, ours or the real one, in its own namespace.
pub(crate) struct Kubectl<'a> {
    pub(crate) command: Vec<String>,
    pub(crate) namespace: &'static str,
    pub(crate) server: &'a Server,
}

impl Kubectl<'_> {
    /// Runs a line of bash in which `kubectl` is this one.
    pub(crate) fn run(&self, line: &str) -> Output {
        let quoted: Vec<String> = self.command.iter().map(|word| format!("'{word}'")).collect();
        let script = format!("kubectl() {{ {} \"$@\"; }}\nexport -f kubectl\n{line}", quoted.join(" "));
        Command::new("bash")
            .args(["-c", &script])
            .current_dir(self.server.directory.path().join(self.namespace))
            .env("KUBECONFIG", self.server.directory.path().join(self.namespace).join("kubeconfig"))
            .env("HOME", self.server.directory.path().join(self.namespace))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("bash runs")
    }
}

const MASKS: &[(&str, &str)] = &[
    ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d)?", "TIME"),
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r"\b[0-9a-f]{64}\b", "CID"),
    (r"kubectl-edit-\d+", "kubectl-edit-N"),
    (r"App Uptime: \d+(\.\d+)? seconds", "App Uptime"),
    (r"\b10\.(244|96|9[7-9]|10\d|11[01])\.\d+\.\d+\b", "IP"),
    (r#"(resourceVersion"?: )"?\d+"?"#, "${1}RV"),
    (r"\b3[0-2]\d{3}\b", "NODEPORT"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-RAND5"),
    (r"\b(real|ours)\b", "SPACE"),
    (r" +(\d+[smhd])+\b( ago)?", " AGE"),
    (r"\((x\d+ over )?(\d+[smhd])+\)", "(AGE)"),
    // Ages and addresses move what stands behind them.
    (r" {2,}", "  "),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    MASKS
        .iter()
        .map(|(mask, to)| (Regex::new(mask).expect("the masks are regular expressions"), *to))
        .collect()
});

pub(crate) fn masked(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for (mask, to) in COMPILED.iter() {
        text = mask.replace_all(&text, *to).into_owned();
    }
    // How often a state is seen while it lasts is chance.
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.dedup();
    lines.concat()
}

pub(crate) fn shown(output: &Output) -> String {
    format!(
        "{}{}[exit {}]",
        masked(&output.stdout),
        masked(&output.stderr),
        output.status.code().unwrap_or(-1)
    )
}

/// Runs a script through both and tells where they differ.
fn differences(server: &Server, real: &str, script: &str) -> Vec<String> {
    let real = Kubectl { command: vec![real.to_owned()], namespace: "real", server };
    let ours = Kubectl { command: vec![server::binary(), "kubectl".to_owned()], namespace: "ours", server };
    let mut wrong = vec![];
    for line in steps(script) {
        let (hidden, line) = line.strip_prefix("@ ").map_or((false, line.as_str()), |line| (true, line));
        let (a, b) = (shown(&real.run(line)), shown(&ours.run(line)));
        if !hidden && a != b {
            wrong.push(format!("$ {line}\n--- real\n{a}\n--- ours\n{b}\n"));
        }
    }
    wrong
}

/// The commands of a script: lines, joined where a here-document or a backslash goes on.
fn steps(script: &str) -> Vec<String> {
    let mut steps: Vec<String> = vec![];
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut step = line.to_owned();
        if let Some((_, tag)) = line.split_once("<<") {
            let tag =
                tag.trim_matches(['\'', '"', ' ']).split_whitespace().next().unwrap_or_default().to_owned();
            for inner in lines.by_ref() {
                step.push('\n');
                step.push_str(inner);
                if inner == tag {
                    break;
                }
            }
        }
        steps.push(step);
    }
    steps
}

fn check(script: &str) {
    let Some(real) = real_kubectl() else {
        eprintln!("skipped: there is no real kubectl 1.36 on this machine");
        return;
    };
    let server = Server::start();
    let wrong = differences(&server, &real, script);
    assert!(
        wrong.is_empty(),
        "{} of the commands print something else than {real}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn reading() {
    check(include_str!("reading.sh"));
}

#[test]
fn writing() {
    check(include_str!("writing.sh"));
}

#[test]
fn streams() {
    check(include_str!("streams.sh"));
}

#[test]
fn mistakes() {
    check(include_str!("mistakes.sh"));
}
