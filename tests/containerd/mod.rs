//! Clusters on real containers: the tests' own containerd, the course's images made from the tested binary, real networks.
//!
//! Where the machine cannot run containers each test says so and passes; `K8S_LEARN_REQUIRE_CONTAINERD=1` makes it fail.

mod alike;
mod leftovers;
mod logs;
mod machine;
mod network;
mod preflight;
mod pulls;
mod registry;
mod storage;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use machine::Machine;

use crate::parity::real_kubectl_1_36;

const BOOTCAMP: &str = "gcr.io/google-samples/kubernetes-bootcamp";

#[test]
fn the_basics_work_on_real_containers() {
    let Some(machine) = Machine::start() else { return };
    let before = machine.belongings();
    let create = format!("kubectl create deployment kubernetes-bootcamp --image={BOOTCAMP}:v1");
    let update =
        format!("kubectl set image deployment/kubernetes-bootcamp kubernetes-bootcamp={BOOTCAMP}:v2");
    machine.shows(
        "1",
        &[
            ("kubectl get nodes -o wide", "containerd://"),
            (&create, "deployment.apps/kubernetes-bootcamp created"),
            ("kubectl rollout status deployment kubernetes-bootcamp --timeout=90s", "successfully rolled out"),
            ("kubectl get pods", "1/1     Running"),
            ("export POD_NAME=$(kubectl get pods -o name | head -1); kubectl describe $POD_NAME", "Container started"),
            // Running is a container as soon as its program is begun, which then takes its time.
            ("for i in $(seq 25); do kubectl logs $POD_NAME | grep Started && break; sleep 0.2; done", "Kubernetes Bootcamp App Started At"),
            ("kubectl exec $POD_NAME -- env", "KUBERNETES_SERVICE_HOST=10.96.0.1"),
            ("kubectl exec $POD_NAME -- curl -s http://localhost:8080", "Hello Kubernetes bootcamp! | Running on: kubernetes-bootcamp-"),
            ("kubectl exec $POD_NAME -- sh -c 'exit 7'; echo \"exit $?\"", "exit 7"),
            ("echo some words | kubectl exec -i $POD_NAME -- cat", "some words"),
            ("kubectl exec $POD_NAME -- nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
            ("kubectl expose deployment/kubernetes-bootcamp --type=NodePort --port 8080", "exposed"),
            ("export NODE_PORT=$(kubectl get services/kubernetes-bootcamp -o go-template='{{(index .spec.ports 0).nodePort}}'); for i in $(seq 50); do curl -s http://192.168.49.2:$NODE_PORT && break; sleep 0.2; done", "v=1"),
            ("kubectl scale deployments/kubernetes-bootcamp --replicas=4", "scaled"),
            ("kubectl rollout status deployment kubernetes-bootcamp --timeout=90s", "successfully rolled out"),
            (&update, "image updated"),
            ("kubectl rollout status deployment kubernetes-bootcamp --timeout=120s", "successfully rolled out"),
            // A proxy hears of endpoints a little later than `rollout status` does.
            ("for i in $(seq 25); do curl -s http://192.168.49.2:$NODE_PORT | grep v=2 && break; sleep 0.2; done", "v=2"),
            ("kubectl rollout undo deployments/kubernetes-bootcamp", "rolled back"),
            ("kubectl rollout status deployment kubernetes-bootcamp --timeout=120s", "successfully rolled out"),
            ("kubectl delete service,deployment kubernetes-bootcamp", "deployment.apps \"kubernetes-bootcamp\" deleted"),
        ],
    );
    assert_eq!(machine.belongings(), before, "the cluster left something behind");
}

#[test]
fn services_volumes_limits_and_failures_are_real() {
    let Some(machine) = Machine::start() else { return };
    let limited = r#"kubectl run oom --image=polinux/stress --restart=Never --overrides='{"spec":{"containers":[{"name":"oom","image":"polinux/stress","command":["stress","--vm","1","--vm-bytes","150M"],"resources":{"limits":{"memory":"50Mi"}}}]}}'"#;
    machine.shows(
        "2",
        &[
            ("kubectl create configmap app --from-literal=color=blue", "created"),
            ("cat <<'Y' | kubectl apply -f -\n{apiVersion: v1, kind: Pod, metadata: {name: vol}, spec: {containers: [{name: c, image: 'busybox:1.36', command: [sleep, '3600'], securityContext: {runAsUser: 1000, readOnlyRootFilesystem: true}, ports: [{containerPort: 80, hostPort: 8088}], volumeMounts: [{name: app, mountPath: /etc/app}, {name: e, mountPath: /data}], resources: {limits: {memory: 64Mi}}}, {name: web, image: 'nginx:1.25', readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}}], volumes: [{name: app, configMap: {name: app}}, {name: e, emptyDir: {}}]}}\nY", "pod/vol created"),
            ("kubectl wait --for=condition=Ready pod/vol --timeout=60s", "condition met"),
            ("kubectl exec vol -c c -- cat /etc/app/color", "blue"),
            ("kubectl exec vol -c c -- sh -c 'echo x > /x'", "ead-only file system"),
            ("kubectl exec vol -c c -- sh -c 'echo kept > /data/y; cat /data/y'", "kept"),
            ("kubectl exec vol -c c -- grep -i ^uid /proc/self/status", "1000"),
            ("kubectl patch configmap app -p '{\"data\":{\"color\":\"red\"}}'", "patched"),
            ("for i in $(seq 30); do kubectl exec vol -c c -- grep red /etc/app/color && break; sleep 1; done", "red"),
            ("curl -s http://$(kubectl get pod vol -o jsonpath='{.status.hostIP}'):8088", "Welcome to nginx!"),
            ("kubectl create deployment web --image=nginx:1.25 --replicas=4", "created"),
            ("kubectl expose deployment web --port=80", "exposed"),
            ("kubectl rollout status deployment web --timeout=90s", "successfully rolled out"),
            ("kubectl get pods -l app=web -o wide", "minikube-m02"),
            ("kubectl run client --image=busybox:1.36 --command -- sleep 3600", "created"),
            ("kubectl wait --for=condition=Ready pod/client --timeout=60s", "condition met"),
            ("kubectl exec client -- nslookup web", "Name:\tweb.default.svc.cluster.local"),
            ("for i in 1 2 3 4 5 6; do kubectl exec client -- wget -qO- http://web | grep -c Welcome; done", "2\n2\n2\n2\n2\n2\n"),
            ("kubectl exec client -- wget -qO- --no-check-certificate https://kubernetes.default/version", "v1.36"),
            ("kubectl scale deployment web --replicas=0; kubectl wait --for=delete pod -l app=web --timeout=60s", "condition met"),
            ("kubectl exec client -- wget -qO- -T 5 http://web", "onnection refused"),
            ("kubectl run crash --image=busybox:1.36 --restart=Never -- sh -c 'echo last words > /dev/termination-log; exit 7'", "created"),
            ("kubectl wait --for=jsonpath='{.status.phase}'=Failed pod/crash --timeout=60s", "condition met"),
            ("kubectl get pod crash -o jsonpath='{.status.containerStatuses[0].state.terminated}'", "\"exitCode\":7"),
            ("kubectl get pod crash -o jsonpath='{.status.containerStatuses[0].state.terminated.message}'", "last words"),
            (limited, "created"),
            ("kubectl wait --for=jsonpath='{.status.phase}'=Failed pod/oom --timeout=60s", "condition met"),
            ("kubectl get pod oom", "OOMKilled"),
            ("kubectl run bad --image=nginx:9.99", "created"),
            ("for i in $(seq 30); do kubectl get pod bad | grep -E 'ErrImagePull|ImagePullBackOff' && break; sleep 1; done", "Image"),
            ("kubectl describe pod bad", "docker.io/library/nginx:9.99: not found"),
        ],
    );
}

/// A cluster that serves its API; it is ended hard.
struct Up(Child);

impl Up {
    fn start(machine: &Machine) -> Self {
        let mut command = machine.k8s_learn("up", "1");
        command.arg("--kubeconfig").arg(machine.path("kubeconfig")).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready "), "the cluster does not start: {line}");
        Self(child)
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It was started by this test; it may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bash(machine: &Machine, kubectl: &str, script: &str) -> String {
    let Output { stdout, stderr, .. } = Command::new("bash")
        .args(["-c", &format!("kubectl() {{ {kubectl} \"$@\"; }}\n{script}")])
        .current_dir(machine.path(""))
        .env("KUBECONFIG", machine.path("kubeconfig"))
        // For what is ended by its own number: a function's is not the program's.
        .env("KUBECTL", kubectl)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
}

#[test]
fn a_cluster_that_was_killed_is_cleared_away_by_the_next() {
    let Some(machine) = Machine::start() else { return };
    let before = machine.belongings();
    let up = Up::start(&machine);
    let ours = format!("{} kubectl", env!("CARGO_BIN_EXE_k8s-learn"));
    let script = "kubectl create deployment many --image=nginx:1.25 --replicas=20
        kubectl rollout status deployment many --timeout=180s";
    let shown = bash(&machine, &ours, script);
    assert!(shown.contains("successfully rolled out"), "{shown}");
    let second = machine.k8s_learn("shell", "1").args(["-c", "true"]).output().unwrap();
    let complaint = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        complaint.contains("another cluster of k8s-learn") && complaint.contains("--runtime sim"),
        "{complaint}"
    );
    up.kill();
    assert_ne!(machine.belongings(), before, "the pods of a killed cluster run on");
    machine.shows("1", &[("kubectl get pods", "No resources found")]);
    assert_eq!(machine.belongings(), before, "something was left behind");
}

#[test]
fn the_real_kubectl_works_with_real_containers() {
    let Some(kubectl) = real_kubectl_1_36() else {
        eprintln!("skipped: there is no real kubectl 1.36");
        return;
    };
    let Some(machine) = Machine::start() else { return };
    let up = Up::start(&machine);
    let check = |script: &str, expected: &str| {
        let shown = bash(&machine, &kubectl, script);
        assert!(shown.contains(expected), "{script:?} does not show {expected:?} but:\n{shown}");
    };
    check("kubectl run web --image=nginx:1.25 --port=80", "pod/web created");
    check("kubectl wait --for=condition=Ready pod/web --timeout=60s", "condition met");
    check("kubectl exec web -- sh -c 'echo out; exit 5'; echo \"exit $?\"", "exit 5");
    check("echo words | kubectl exec -i web -- cat", "words");
    check("echo abc > file; kubectl cp file web:/tmp/file; kubectl exec web -- cat /tmp/file", "abc");
    check("kubectl cp web:/etc/hostname name; cat name", "web");
    check(
        "\"$KUBECTL\" port-forward pod/web 18099:80 > forwarding 2>&1 & P=$!; for i in $(seq 50); do grep -q Forwarding forwarding && break; sleep 0.1; done; curl -s http://127.0.0.1:18099; kill $P",
        "Welcome to nginx!",
    );
    check("kubectl logs web", "\"GET / HTTP/1.1\" 200");
    check("timeout 2 \"$KUBECTL\" logs -f web", "\"GET / HTTP/1.1\" 200");
    up.kill();
    machine.shows("1", &[("kubectl get pods", "No resources found")]);
}

#[test]
fn without_containerd_nothing_is_begun_and_the_simulation_is_named() {
    let shell = |socket: &str| {
        Command::new(env!("CARGO_BIN_EXE_k8s-learn"))
            .args([
                "shell",
                "--runtime",
                "containerd",
                "--containerd-socket",
                socket,
                "-c",
                "kubectl get nodes",
            ])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let output = shell("/nonexistent/containerd.sock");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && complaint.contains("--runtime sim"), "{complaint}");
}
