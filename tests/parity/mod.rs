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

/// A real kubectl.
pub(crate) struct Real {
    pub(crate) path: String,
    /// Its minor version, like `1.36`.
    pub(crate) version: &'static str,
}

/// The versions that are compared. What 1.33 prints otherwise than 1.36 stands in `versions.txt`.
const VERSIONS: &[&str] = &["1.36", "1.33"];

/// The real kubectl of this machine: the one that `K8S_LEARN_REAL_KUBECTL` names, else the one on the path.
pub(crate) fn real_kubectl() -> Option<Real> {
    let named = std::env::var("K8S_LEARN_REAL_KUBECTL").ok();
    named.into_iter().chain(["kubectl".to_owned()]).find_map(|path| {
        let answer = Command::new(&path).args(["version", "--client"]).stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let version = VERSIONS.iter().find(|version| text.contains(&format!("v{version}.")))?;
        Some(Real { path, version })
    })
}

/// The real kubectl of our own version.
pub(crate) fn real_kubectl_1_36() -> Option<String> {
    real_kubectl().filter(|real| real.version == "1.36").map(|real| real.path)
}

/// Whether a step is known to differ between the versions. Ours answers as 1.36.
fn differs_by_version(real: &Real, step: &str) -> bool {
    let known = include_str!("versions.txt").lines().filter(|line| !line.starts_with('#'));
    let first = step.lines().next().unwrap_or_default();
    real.version == "1.33"
        && known.filter_map(|line| line.split_once('\t')).any(|(command, _)| command == first)
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
    (r"\b(LIVE|MERGED)-\d+", "${1}-N"),
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
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    // Whether the real kubectl still writes when the other end is gone already, and complains, is chance.
    lines.retain(|line| !(line.starts_with('E') && line.contains("\"Copying stdin failed\"")));
    // How often a state is seen while it lasts is chance.
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
fn differences(server: &Server, version: &Real, script: &str) -> Vec<String> {
    // Some of what kubectl prints has its program's name in it.
    let link = server.directory.path().join("kubectl");
    let program = Command::new("sh").args(["-c", "command -v \"$0\"", &version.path]).output();
    let program = program.expect("a shell runs").stdout;
    std::os::unix::fs::symlink(String::from_utf8_lossy(&program).trim(), &link).expect("a new link");
    let real = Kubectl { command: vec![link.display().to_string()], namespace: "real", server };
    let ours = Kubectl { command: vec![server::binary(), "kubectl".to_owned()], namespace: "ours", server };
    let mut wrong = vec![];
    for line in steps(script) {
        let (hidden, line) = line.strip_prefix("@ ").map_or((false, line.as_str()), |line| (true, line));
        let (a, b) = (shown(&real.run(line)), shown(&ours.run(line)));
        if !hidden && a != b && !differs_by_version(version, line) {
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
        eprintln!("skipped: there is no real kubectl {} on this machine", VERSIONS.join(" or "));
        return;
    };
    let server = Server::start();
    let wrong = differences(&server, &real, script);
    assert!(
        wrong.is_empty(),
        "{} of the commands print something else than {} ({}):\n{}",
        wrong.len(),
        real.path,
        real.version,
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

#[test]
fn copying() {
    check(include_str!("copying.sh"));
}

#[test]
fn explaining() {
    check(include_str!("explaining.sh"));
}

#[test]
fn applying() {
    check(include_str!("applying.sh"));
}

#[test]
fn storage() {
    check(include_str!("storage.sh"));
}

#[test]
fn every_version_difference_is_of_a_list_and_has_a_reason() {
    let lists = [
        include_str!("reading.sh"),
        include_str!("writing.sh"),
        include_str!("streams.sh"),
        include_str!("mistakes.sh"),
        include_str!("copying.sh"),
        include_str!("explaining.sh"),
        include_str!("applying.sh"),
        include_str!("storage.sh"),
    ];
    for line in include_str!("versions.txt").lines().filter(|line| !line.starts_with('#')) {
        let (command, reason) = line.split_once('\t').expect("a command, a tab, a reason");
        assert!(!reason.trim().is_empty(), "{command} has no reason");
        assert!(
            lists.iter().any(|list| list.lines().any(|known| known == command)),
            "no list has the line {command:?} any more"
        );
    }
}
