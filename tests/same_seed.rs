//! One seed, one run: a script on virtual time prints the same bytes in every run and in every process.

use std::process::{Command, Stdio};

const SCRIPT: &str = "
kubectl create deployment web --image=nginx:1.25 --replicas=3
kubectl rollout status deployment/web
kubectl get pods -o wide
kubectl get pods -o yaml
kubectl expose deployment web --port=80
kubectl describe service web
kubectl set image deployment/web nginx=nginx:1.27
kubectl rollout status deployment/web
sleep 90
kubectl get pods,rs,endpointslices
kubectl scale deployment/web --replicas=5
kubectl drain minikube --ignore-daemonsets
kubectl wait --for=condition=Available deployment/web
kubectl get configmap,serviceaccount -A -o yaml
kubectl get events --sort-by=.metadata.creationTimestamp
kubectl run crash --image=busybox --restart=Always -- sh -c 'exit 1'
sleep 200
kubectl get pod crash
kubectl describe pod crash
cat ~/.kube/config
timeout 1 etcdctl watch / --prefix --rev=2
echo the end
";

fn run() -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_k8s-learn"))
        .args(["shell", "--seed", "7", "--time", "virtual", "--nodes", "2", "-c", SCRIPT])
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    [output.stdout, output.stderr].concat()
}

#[test]
fn two_processes_print_the_same_bytes() {
    let (first, second) = (run(), run());
    let (a, b) = (String::from_utf8_lossy(&first), String::from_utf8_lossy(&second));
    let differing = a.lines().zip(b.lines()).find(|(a, b)| a != b);
    assert!(first == second, "the first line that differs: {differing:?}");
    assert!(a.contains("deployment \"web\" successfully rolled out"), "{a}");
}
