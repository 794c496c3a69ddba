//! `kubectl cp` in the sandbox shell: its own files, which are in memory, go into containers and come out of them.

use k8s_learn::bash::Stdio;
use k8s_learn::cluster::{Cluster, ClusterConfig, Time};
use k8s_learn::shell::{Session, SessionConfig};
use tokio::io::AsyncReadExt;

/// Runs a script in a fresh shell on virtual time and gives all that it printed.
async fn transcript(script: &str) -> String {
    let config = ClusterConfig { nodes: 1, seed: Some(1), time: Time::Virtual, ..ClusterConfig::default() };
    let cluster = Cluster::start(config).await.expect("a cluster starts");
    cluster.ready().await;
    let mut session = Session::new(&cluster, SessionConfig::default()).expect("a shell opens");
    let mut text = String::new();
    for line in script.lines() {
        let ((stdout, mut out), (stderr, mut err)) = (tokio::io::duplex(1 << 20), tokio::io::duplex(1 << 20));
        let stdio = Stdio { stdout: Box::new(stdout), stderr: Box::new(stderr), ..Stdio::null() };
        let code = session.run(line, stdio).await;
        text += &format!("$ {line}\n");
        out.read_to_string(&mut text).await.expect("what is printed is text");
        err.read_to_string(&mut text).await.expect("what is complained is text");
        if code != 0 {
            text += &format!("[exit {code}]\n");
        }
    }
    text
}

#[tokio::test(start_paused = true)]
async fn files_in_memory_go_into_containers_and_come_out() {
    let script = "kubectl run box --image=busybox -- sleep 3600
kubectl run side --image=gcr.io/google-samples/kubernetes-bootcamp:v1
kubectl run empty --image=registry.k8s.io/pause:3.10
kubectl wait --for=condition=Ready pod/box pod/side pod/empty --timeout=60s
mkdir -p site/img && echo hello > site/index.html && echo cat > site/img/cat.txt
kubectl cp site box:/www
kubectl exec box -- cat /www/index.html /www/img/cat.txt
kubectl cp site/index.html box:/www/img
kubectl exec box -- ls /www/img
kubectl cp box:/www back
cat back/img/index.html
kubectl cp side:nope out
kubectl cp box:nope out
kubectl cp site side:/no/such/place
kubectl cp site box:/no/such/place
kubectl exec box -- ln -s /etc/passwd /www/link
kubectl cp box:www linked
ls linked
kubectl cp box:www/index.html .
kubectl cp --retries=2 box:www/index.html again.html && cat again.html
kubectl cp site/index.html empty:/x";
    let expected = "$ kubectl run box --image=busybox -- sleep 3600
pod/box created
$ kubectl run side --image=gcr.io/google-samples/kubernetes-bootcamp:v1
pod/side created
$ kubectl run empty --image=registry.k8s.io/pause:3.10
pod/empty created
$ kubectl wait --for=condition=Ready pod/box pod/side pod/empty --timeout=60s
pod/box condition met
pod/side condition met
pod/empty condition met
$ mkdir -p site/img && echo hello > site/index.html && echo cat > site/img/cat.txt
$ kubectl cp site box:/www
$ kubectl exec box -- cat /www/index.html /www/img/cat.txt
hello
cat
$ kubectl cp site/index.html box:/www/img
$ kubectl exec box -- ls /www/img
cat.txt
index.html
$ kubectl cp box:/www back
tar: removing leading '/' from member names
$ cat back/img/index.html
hello
$ kubectl cp side:nope out
tar: nope: Cannot stat: No such file or directory
tar: Exiting with failure status due to previous errors
command terminated with exit code 2
[exit 2]
$ kubectl cp box:nope out
tar: nope: No such file or directory
tar: error exit delayed from previous errors
command terminated with exit code 1
[exit 1]
$ kubectl cp site side:/no/such/place
tar: /no/such: Cannot open: No such file or directory
tar: Error is not recoverable: exiting now
command terminated with exit code 2
[exit 2]
$ kubectl cp site box:/no/such/place
tar: can't change directory to '/no/such': No such file or directory
command terminated with exit code 1
[exit 1]
$ kubectl exec box -- ln -s /etc/passwd /www/link
$ kubectl cp box:www linked
warning: skipping symlink: \"linked/link\" -> \"/etc/passwd\" (consider using \"kubectl exec -n \"\" \"box\" -- tar cf - \"www\" | tar xf -\")
$ ls linked
img
index.html
$ kubectl cp box:www/index.html .
error: open .: is a directory
[exit 1]
$ kubectl cp --retries=2 box:www/index.html again.html && cat again.html
hello
$ kubectl cp site/index.html empty:/x
error: Internal error occurred: Internal error occurred: error executing command in container: failed to exec in container: failed to start exec";
    let said = transcript(script).await;
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("exec: \"tar\": executable file not found in $PATH"), "{said}");
}
