//! Logs of real containers: long lines, the container before, and files that grow too large.

use std::path::PathBuf;
use std::time::Duration;

use super::machine::Machine;
use super::{Up, bash, preflight};

/// The files of logs below a directory.
fn files(directory: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(path) } else { vec![path] }).collect();
    found.sort();
    found
}

#[test]
fn logs_are_whole_previous_and_rotated() {
    let Some(machine) = Machine::start() else { return };
    let up = Up::start(&machine);
    let ours = format!("{} kubectl", env!("CARGO_BIN_EXE_k8s-learn"));
    let check = |script: &str, expected: &str| {
        let shown = bash(&machine, &ours, script);
        assert!(shown.contains(expected), "{script:?} does not show {expected:?} but:\n{shown}");
    };
    // containerd cuts lines at 16 KiB: they come back whole.
    check(
        "kubectl run long --image=busybox:1.36 --restart=Never -- awk 'BEGIN {for (i = 0; i < 40000; i++) printf \"x\"; print \"\"; print \"short\"}'
        kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/long --timeout=60s
        kubectl logs long | awk '{print length($0)}'; kubectl logs long --tail=2 | wc -l",
        "40000\n5\n2\n",
    );
    // The first life ends at once, and the second one lasts.
    check(
        r#"kubectl run twice --image=busybox:1.36 --overrides='{"spec":{"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"twice","image":"busybox:1.36","command":["sh","-c","echo life; [ -e /v/f ] && echo second && sleep 1000; touch /v/f; exit 3"],"volumeMounts":[{"name":"v","mountPath":"/v"}]}]}}'
        for i in $(seq 100); do kubectl get pod twice -o jsonpath='{.status.containerStatuses[0].restartCount}{.status.containerStatuses[0].state}' | grep -q '^1.*running' && break; sleep 0.2; done; sleep 1
        kubectl logs twice; echo --; kubectl logs twice --previous; echo --"#,
        "life\nsecond\n--\nlife\n--\n",
    );
    check(
        "kubectl run loud --image=busybox:1.36 -- sh -c 'for i in 1 2 3 4; do seq 100000; done; echo last; while true; do echo more; sleep 1; done'
        kubectl wait --for=condition=Ready pod/loud --timeout=60s",
        "condition met",
    );
    let logs = machine.path("k8s-learn").join("nodes/minikube/logs");
    let rotated = |file: &PathBuf| file.to_string_lossy().contains("/loud/0.log.");
    for tries in 0.. {
        if files(logs.clone()).iter().any(rotated) {
            break;
        }
        assert!(tries < 150, "the log is not rotated: {:?}", files(logs.clone()));
        std::thread::sleep(Duration::from_millis(200));
    }
    // What is asked for is the newest file's, and it goes on there.
    check("sleep 3; kubectl logs loud --tail=1", "more");
    check("kubectl logs loud | grep -c '^99999' || true", "0\n");
    check("kubectl delete pod loud --now; sleep 1", "deleted");
    assert!(!files(logs.clone()).iter().any(rotated), "{:?}", files(logs));
    up.kill();
    machine.shows("1", &[("kubectl get pods", "No resources found")]);
}

#[test]
fn a_command_whose_client_is_gone_goes_on_as_it_does_with_a_real_kubelet() {
    if preflight::major_version() >= 2 {
        return eprintln!("skipped: the second version of containerd was seen to end such a command");
    }
    let Some(machine) = Machine::start() else { return };
    machine.shows(
        "1",
        &[
            ("kubectl run box --image=busybox:1.36 -- sleep 1000", "created"),
            ("kubectl wait --for=condition=Ready pod/box --timeout=60s", "condition met"),
            ("timeout 1 kubectl exec box -- sleep 777; echo $?", "124"),
            ("kubectl exec box -- pgrep -fl 'sleep 777'", "sleep"),
            ("kubectl delete pod box --now; kubectl get pods", "No resources found"),
        ],
    );
}
