//! Commands and their exact answers, as files: `$ command`, what it prints, `[exit N]`; `@ command` only prepares.
//!
//! Each runs through the real kubectl and through ours, each in its own namespace of one server. A command that fails must
//! leave what is in the namespace as it was.

use super::fixture::{eventually, open_requests};
use crate::parity::server::{self, Server};
use crate::parity::{Kubectl, masked, real_kubectl_1_36, shown};

/// One command of a file.
struct Step<'a> {
    line: &'a str,
    /// What it answers, if that is to be seen.
    answer: Option<String>,
}

fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = vec![];
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("@ ") {
            steps.push(Step { line, answer: None });
        } else if let Some(line) = line.strip_prefix("$ ") {
            steps.push(Step { line, answer: Some(String::new()) });
        } else {
            let step = steps.last_mut().expect("a file begins with a command");
            let answer = step.answer.as_mut().expect("only `$` commands have answers");
            answer.push_str(line);
            answer.push('\n');
        }
    }
    steps
}

/// What is in a namespace, without what the cluster changes by itself.
fn kept(kubectl: &Kubectl<'_>) -> String {
    let list = "kubectl get configmaps,secrets,services,deployments,pods -o json";
    let output = kubectl.run(list);
    assert!(output.status.success(), "{}", shown(&output));
    let mut list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for item in list["items"].as_array_mut().unwrap() {
        let settles = ["Pod", "Deployment"].contains(&item["kind"].as_str().unwrap());
        item.as_object_mut().unwrap().remove("status");
        if settles {
            let metadata = item["metadata"].as_object_mut().unwrap();
            metadata.remove("resourceVersion");
            metadata.remove("managedFields");
            metadata.remove("annotations");
        }
    }
    list["items"].to_string()
}

/// Runs the file through one kubectl and tells what was wrong.
fn run(kubectl: &Kubectl<'_>, who: &str, steps: &[Step<'_>]) -> Vec<String> {
    let mut wrong = vec![];
    for Step { line, answer } in steps {
        let Some(answer) = answer else {
            let output = kubectl.run(line);
            assert!(output.status.success(), "{who}: {line}\n{}", shown(&output));
            continue;
        };
        let before = kept(kubectl);
        let output = kubectl.run(line);
        let expected = masked(answer.as_bytes());
        let mut said = shown(&output);
        said.push('\n');
        if said != expected {
            wrong.push(format!("$ {line}\n--- {who}\n{said}--- expected\n{expected}"));
        }
        let after = kept(kubectl);
        if !output.status.success() && !line.contains("first") && before != after {
            wrong.push(format!("$ {line}\n--- {who}: it failed, and changed\n{before}\n--- to\n{after}"));
        }
    }
    wrong
}

/// Runs a file of answers through both kubectls.
pub(super) fn check(text: &str) {
    let server = Server::start();
    let steps = steps(text);
    let idle = open_requests(&server);
    let ours =
        Kubectl { command: vec![server::binary(), "kubectl".to_owned()], namespace: "ours", server: &server };
    let mut wrong = run(&ours, "ours", &steps);
    match real_kubectl_1_36() {
        Some(real) => {
            let real = Kubectl { command: vec![real], namespace: "real", server: &server };
            wrong.extend(run(&real, "real", &steps));
        }
        None => eprintln!("there is no real kubectl 1.36 on this machine: only ours was asked"),
    }
    assert!(wrong.is_empty(), "{} answers are others:\n{}", wrong.len(), wrong.join("\n"));
    eventually("no request is left open", || open_requests(&server) <= idle);
    assert!(ours.run("kubectl get --raw /readyz").status.success(), "the server is ready");
}
