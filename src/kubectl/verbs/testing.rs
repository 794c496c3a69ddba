//! kubectl against an API server in the same process, for tests of whole commands.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;

use crate::api::auth::UserInfo;
use crate::api::server::{ApiServer, Config};
use crate::bash::{MemoryFiles, Program, ProgramContext, Stdio, System};
use crate::client::as_user;
use crate::clock::Clock;
use crate::kubectl::connect::{ClusterConfig, Connect};
use crate::kubectl::editor::{EditRequest, Editor};
use crate::kubectl::error::Result;
use crate::kubectl::{Kubectl, Network, NoDiffProgram};
use crate::net::{BoxIo, Dial, Listen, Listener};
use crate::seed::Seed;
use crate::store::Store;

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: minikube\nclusters:\n- name: minikube\n  cluster: \
                          {server: 'https://127.0.0.1:6443'}\nusers:\n- name: minikube\n  user: {}\ncontexts:\n- name: \
                          minikube\n  context: {cluster: minikube, user: minikube}\n";

/// A server without components, and a kubectl that reaches it.
pub struct Harness {
    kubectl: Kubectl,
    files: Arc<MemoryFiles>,
    clock: Clock,
}

struct InProcess(ApiServer);

#[async_trait]
impl Connect for InProcess {
    async fn connect(&self, _: &ClusterConfig) -> Result<kube::Client> {
        Ok(as_user(&self.0.service(), UserInfo::admin()))
    }
}

struct NoNetwork;

impl Dial for NoNetwork {
    fn dial(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<BoxIo>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

impl Listen for NoNetwork {
    fn listen(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::AddrNotAvailable.into()) })
    }
}

impl Network for NoNetwork {
    fn lookup<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Ok(vec![]) })
    }
}

/// An editor that does what a `sed -i s/a/b/` would.
struct Substitute;

#[async_trait]
impl Editor for Substitute {
    async fn edit(&self, request: EditRequest<'_>) -> std::result::Result<(), String> {
        let Some(script) = request.command.strip_prefix("sed -i s/") else { return Ok(()) };
        let (from, to) = script.trim_end_matches('/').split_once('/').ok_or("sed: bad script")?;
        let content = request.files.read(request.path).await.map_err(|error| error.to_string())?;
        let content = String::from_utf8_lossy(&content).replace(from, to);
        request.files.write(request.path, content.as_bytes()).await.map_err(|error| error.to_string())
    }
}

impl Harness {
    /// A fresh server with the namespace `default` and nothing else.
    pub async fn new() -> Self {
        let (clock, seed) = (Clock::virtual_time(), Seed::new(7));
        let store = Store::new(clock.clone());
        let server = ApiServer::new(Config::new(store, clock.clone(), seed.clone()));
        let files = Arc::new(MemoryFiles::new(clock.clone()));
        files.put("/root/.kube/config", KUBECONFIG.as_bytes(), 0o600);
        let kubectl = Kubectl {
            connect: Arc::new(InProcess(server)),
            network: Arc::new(NoNetwork),
            editor: Arc::new(Substitute),
            diff_program: Arc::new(NoDiffProgram),
            clock: clock.clone(),
            seed,
        };
        let harness = Self { kubectl, files, clock };
        let made = harness.run("create namespace default").await;
        assert!(made.contains("created") || made.contains("already exists"), "{made}");
        // What the controllers of a whole cluster would have made.
        harness.run("create serviceaccount default").await;
        harness
    }

    /// Puts a file into the working directory.
    pub fn file(&self, name: &str, content: &str) {
        self.files.put(&format!("/root/{name}"), content.as_bytes(), 0o644);
    }

    /// Runs a command line and gives what it printed, errors behind the rest, and the code if it is not 0.
    pub async fn run(&self, line: &str) -> String {
        self.run_with(line, &[]).await
    }

    /// [`run`](Self::run) with further variables.
    pub async fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> String {
        let mut env = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let ((stdout, mut out), (stderr, mut err)) = (tokio::io::duplex(1 << 20), tokio::io::duplex(1 << 20));
        let mut args = vec!["kubectl".to_owned()];
        args.extend(words(line));
        let context = ProgramContext {
            args,
            env,
            cwd: "/root".to_owned(),
            files: self.files.clone(),
            stdio: Stdio { stdout: Box::new(stdout), stderr: Box::new(stderr), ..Stdio::null() },
            system: System::new("minikube", self.clock.clone()),
        };
        let code = self.kubectl.run(context).await;
        let mut text = String::new();
        out.read_to_string(&mut text).await.unwrap();
        err.read_to_string(&mut text).await.unwrap();
        if code == 0 { text } else { format!("{text}[exit {code}]\n") }
    }

    /// Runs lines one after another, as a transcript.
    pub async fn transcript(&self, lines: &[&str]) -> String {
        let mut text = String::new();
        for line in lines {
            text += &format!("$ kubectl {line}\n{}", self.run(line).await);
        }
        text
    }
}

/// Words with single quotes around what has blanks.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut started) = (vec![], String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                started = true;
            }
            ' ' if !quoted => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            other => {
                word.push(other);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

mod scenarios {
    use super::Harness;

    const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n  selector: {matchLabels: \
                       {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      - {name: nginx, \
                       image: 'nginx:1.25'}\n";

    #[tokio::test(start_paused = true)]
    async fn objects_are_made_changed_and_deleted() {
        let cluster = Harness::new().await;
        cluster.file("web.yaml", WEB);
        cluster.file("web2.yaml", &WEB.replace("1.25", "1.26"));
        let text = cluster
            .transcript(&[
                "create deployment boot --image=gcr.io/google-samples/kubernetes-bootcamp:v1",
                "create deployment boot --image=x",
                "create deployment",
                "create deployment noimage",
                "create configmap cm --from-literal=a=1 --from-literal=b=2",
                "create configmap bad --from-literal=novalue",
                "create secret generic s --from-literal=p=q",
                "create service clusterip svc --tcp=80:8080",
                "create sa robot",
                "create ns tea",
                "expose deployment/boot --type=NodePort --port 8080",
                "expose deployment boot",
                "label deployment boot tier=front",
                "label deployment boot tier=back",
                "label deployment boot tier-",
                "annotate deployment boot note=hello",
                "scale deployment/boot --replicas=4",
                "scale deployment/boot",
                "scale deployment/boot --replicas=-1",
                "set image deployment/boot kubernetes-bootcamp=kubernetes-bootcamp:v2",
                "set image deployment/boot wrong=x",
                "set image deployment/boot",
                "set resources deployment/boot --limits=cpu=200m",
                "set env deployment/boot A=1",
                "set env deployment/boot --list",
                "apply -f web.yaml",
                "apply -f web.yaml",
                "apply -f web2.yaml",
                "apply -f web2.yaml --dry-run=server",
                "apply -f missing.yaml",
                "apply",
                "apply view-last-applied deployment/web",
                "patch deployment web -p '{\"spec\":{\"replicas\":3}}'",
                "patch deployment web -p '{\"spec\":{\"replicas\":3}}'",
                "patch deployment web --type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":1}]'",
                "patch deployment web",
                "replace -f web.yaml",
                "rollout pause deployment/web",
                "rollout pause deployment/web",
                "rollout resume deployment/web",
                "rollout restart deployment/web",
                "rollout history deployment/web",
                "rollout status deployment/web --watch=false",
                "rollout undo deployment/web",
                "run pod1 --image=nginx --port=80",
                "run pod1 --image=nginx",
                "run",
                "run x --image=Nginx:1",
                "wait --for=delete pod/none --timeout=1s",
                "wait --for=condition=Ready pod/pod1 --timeout=1s",
                "wait --for=jsonpath={.metadata.name}=pod1 pod/pod1 --timeout=1s",
                "delete pod pod1 --force",
                "delete deployment web boot",
                "delete deployment web",
                "delete deployment web --ignore-not-found",
                "delete cm --all",
                "delete svc svc --dry-run=client",
            ])
            .await;
        insta::assert_snapshot!(text);
    }

    #[tokio::test(start_paused = true)]
    async fn a_patch_that_changes_nothing_says_so() {
        let cluster = Harness::new().await;
        cluster.run("create configmap cm --from-literal=a=1").await;
        let patch = "patch configmap cm -p '{\"data\":{\"a\":\"2\"}}'";
        assert_eq!(cluster.run(patch).await, "configmap/cm patched\n");
        let get = "get configmap cm -o json --show-managed-fields";
        let before = cluster.run(get).await;
        let again = cluster.run(patch).await;
        assert_eq!(cluster.run(get).await, before);
        assert_eq!(again, "configmap/cm patched (no change)\n");
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_are_tainted_cordoned_and_drained() {
        let cluster = Harness::new().await;
        cluster.file("node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n");
        cluster.file(
            "pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\nspec:\n  nodeName: n1\n  terminationGracePeriodSeconds: 0\n  \
             containers: [{name: c, image: nginx}]\n",
        );
        let text = cluster
            .transcript(&[
                "create -f node.yaml",
                "create -f pod.yaml",
                "taint node n1 dedicated=tea:NoSchedule",
                "taint node n1 dedicated=coffee:NoSchedule",
                "taint node n1 dedicated=coffee:NoSchedule --overwrite",
                "taint node n1 bad",
                "taint node n1 k=v:Never",
                "taint node n1 dedicated-",
                "taint nodes nosuch k=v:NoSchedule",
                "cordon n1",
                "cordon n1",
                "drain n1",
                "drain n1 --force --dry-run=client",
                "drain n1 --force --disable-eviction",
                "uncordon n1",
                "uncordon n1",
                "cordon nosuch",
                "drain",
            ])
            .await;
        insta::assert_snapshot!(text);
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_applies() {
        let cluster = Harness::new().await;
        cluster.file("cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '1'}\n");
        cluster.file("cm2.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '2'}\n");
        let text = cluster
            .transcript(&[
                "apply --server-side -f cm.yaml",
                "apply --server-side -f cm.yaml --field-manager=other",
                "apply --server-side -f cm2.yaml --field-manager=other",
                "apply --server-side -f cm2.yaml --field-manager=other --force-conflicts",
                "apply -f cm.yaml --force-conflicts",
                "apply --server-side -f cm.yaml --dry-run=client",
                "apply -f cm2.yaml",
                "apply set-last-applied -f cm2.yaml",
                "describe cm cm",
                "describe cm c",
                "describe cm nope",
                "describe",
                "get cm cm -o yaml",
            ])
            .await;
        insta::assert_snapshot!(text);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_changes_what_the_editor_changed() {
        let cluster = Harness::new().await;
        let mut text = cluster.run("create configmap cm --from-literal=theme=light").await;
        for editor in ["sed -i s/light/sepia/", "true", "sed -i s/name: cm/name: other/"] {
            text += &format!("$ {editor}\n");
            text += &cluster.run_with("edit cm cm", &[("KUBE_EDITOR", editor)]).await;
        }
        text += &cluster.run("edit cm nope").await;
        insta::assert_snapshot!(text);
    }

    #[tokio::test(start_paused = true)]
    async fn generators_print_what_they_would_create() {
        let cluster = Harness::new().await;
        cluster.file("f.txt", "a=1\n");
        cluster.file("e.env", "X=1\n# c\nY=2\n");
        let mut text = String::new();
        for line in [
            "create deployment web --image=nginx:1.25 --image=gcr.io/a/img:v1 --port=80 -r 3",
            "create deployment web --image=nginx -- sleep 10",
            "create ns tea",
            "create cm cm --from-literal=a=1 --from-literal=b=2 --from-file=f.txt",
            "create cm cm -n x --from-env-file=e.env",
            "create cm hashed --from-literal=a=1 --append-hash",
            "create secret generic s --from-literal=p=q --type=foo",
            "create secret docker-registry r --docker-username=u --docker-password=p --docker-email=e",
            "create sa x",
            "create service clusterip s --tcp=80:8080",
            "create service clusterip s --clusterip=None",
            "create service nodeport s --tcp=80 --node-port=30000",
            "create service externalname s --external-name=a.com",
            "create job j --image=busybox -- date",
            "create cronjob j --image=busybox --schedule='* * * * *' -- date",
            "create clusterrole r --verb=get --non-resource-url=/healthz",
            "create rolebinding b --role=r --user=u --serviceaccount=ns:sa --group=g",
            "create quota q --hard=cpu=1,pods=2 --scopes=BestEffort",
            "create ingress i --rule=foo.com/bar*=svc1:8080,tls=my-cert --class=c --default-backend=d:http --annotation=a=b",
            "create priorityclass p --value=10 --description=d",
            "create pdb p --selector=a=b --min-available=1",
            "run web --image=nginx --port=80 --env=A=1 --labels=x=y --restart=Never --command",
        ] {
            let (head, tail) = line
                .split_once(" -- ")
                .map_or((line, String::new()), |(head, tail)| (head, format!(" -- {tail}")));
            text += &format!(
                "$ kubectl {line}\n{}",
                cluster.run(&format!("{head} --dry-run=client -o yaml{tail}")).await
            );
        }
        insta::assert_snapshot!(text);
    }
}
