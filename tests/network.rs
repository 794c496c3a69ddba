//! The pod network of the simulation as programs in pods see it: what policies drop times out, what they allow answers, and
//! traffic policies and session affinity choose who does.

use std::time::Duration;

use k8s_learn::bash::Stdio;
use k8s_learn::cluster::{Cluster, ClusterConfig, Time};
use k8s_learn::shell::{Session, SessionConfig};
use tokio::io::AsyncReadExt;

struct Learner {
    cluster: Cluster,
    session: Session,
}

impl Learner {
    async fn new(nodes: usize) -> Self {
        let config = ClusterConfig { nodes, seed: Some(1), time: Time::Virtual, ..ClusterConfig::default() };
        let cluster = Cluster::start(config).await.expect("a cluster starts");
        cluster.ready().await;
        let session = Session::new(&cluster, SessionConfig::default()).expect("a shell opens");
        Self { cluster, session }
    }

    /// Runs a command and gives what it printed.
    async fn run(&mut self, line: &str) -> String {
        let (stdout, mut out) = tokio::io::duplex(1 << 20);
        let (stderr, mut err) = tokio::io::duplex(1 << 20);
        let stdio = Stdio { stdout: Box::new(stdout), stderr: Box::new(stderr), ..Stdio::null() };
        let code = self.session.run(line, stdio).await;
        let mut text = String::new();
        out.read_to_string(&mut text).await.expect("what is printed is text");
        err.read_to_string(&mut text).await.expect("what is complained is text");
        format!("{text}[exit {code}]")
    }

    /// Each command shows what stands beside it.
    async fn shows(&mut self, steps: &[(&str, &str)]) {
        for (line, expected) in steps {
            let shown = self.run(line).await;
            assert!(shown.contains(expected), "{line:?} does not show {expected:?} but:\n{shown}");
        }
    }

    /// A policy for pods of `default`.
    async fn policy(&mut self, name: &str, spec: &str) {
        let manifest = format!(
            "cat <<'Y' | kubectl apply -f -\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}}}, spec: {spec}}}\nY"
        );
        self.shows(&[(&manifest, &format!("networkpolicy.networking.k8s.io/{name}"))]).await;
        // Everything reacts at once; there is only the turn of each.
        self.cluster.clock().sleep(Duration::from_millis(10)).await;
    }
}

/// A web server with its Service, a client and a client of another namespace; the web server's probes are HTTP.
const WORLD: &str = "cat <<'Y' | kubectl apply -f -
{apiVersion: v1, kind: Namespace, metadata: {name: other, labels: {team: friends}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, spec: {containers: [{name: c, image: 'nginx:1.25', ports: [{name: http, containerPort: 80}], readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, labels: {role: client}}, spec: {containers: [{name: c, image: 'curlimages/curl', command: [sleep, '86400']}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: friend, namespace: other}, spec: {containers: [{name: c, image: 'busybox:1.36', command: [sleep, '86400']}]}}
Y
kubectl wait --for=condition=Ready pod/web pod/client --timeout=60s
kubectl wait -n other --for=condition=Ready pod/friend --timeout=60s";

const ASK: &str = "kubectl exec client -- curl -sS -m 3 http://web";
const FRIEND: &str = "kubectl exec -n other friend -- wget -qO- -T 3 http://web.default";
const WELCOME: &str = "Welcome to nginx!";
const LATE: &str = "curl: (28) Connection timed out after 3001 milliseconds";

#[tokio::test(start_paused = true)]
async fn policies_drop_what_they_do_not_allow() {
    let mut learner = Learner::new(1).await;
    learner.shows(&[(WORLD, "condition met"), (ASK, WELCOME), (FRIEND, WELCOME)]).await;
    learner.policy("deny", "{podSelector: {}, policyTypes: [Ingress]}").await;
    learner
        .shows(&[
            (ASK, LATE),
            (FRIEND, "wget: download timed out"),
            (
                "kubectl exec client -- curl -sS http://web",
                "curl: (28) Failed to connect to web port 80 after 127",
            ),
            ("kubectl exec web -- curl -s http://localhost", WELCOME),
            // The kubelet's probes come from the pod's own node, and so does what enters by it.
            ("sleep 30; kubectl get pod web", "1/1     Running   0"),
            ("curl -s http://192.168.49.2:30080", WELCOME),
        ])
        .await;
    learner
        .policy("clients", "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: client}}}], ports: [{port: http}]}]}")
        .await;
    learner.shows(&[(ASK, WELCOME), (FRIEND, "wget: download timed out")]).await;
    learner
        .policy(
            "friends",
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: friends}}}]}]}",
        )
        .await;
    learner.shows(&[(ASK, WELCOME), (FRIEND, WELCOME)]).await;
    learner
        .shows(&[
            ("kubectl label namespace other team-", "namespace/other unlabeled"),
            ("sleep 0.01", "[exit 0]"),
            (FRIEND, "wget: download timed out"),
            ("kubectl label pod client role-", "pod/client unlabeled"),
            ("sleep 0.01", "[exit 0]"),
            (ASK, LATE),
            ("kubectl delete networkpolicy --all", "deleted"),
            ("sleep 0.01", "[exit 0]"),
            (ASK, WELCOME),
            (FRIEND, WELCOME),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn egress_policies_are_about_names_too() {
    let mut learner = Learner::new(1).await;
    learner.shows(&[(WORLD, "condition met")]).await;
    learner.policy("deny", "{podSelector: {matchLabels: {role: client}}, policyTypes: [Egress]}").await;
    learner
        .shows(&[
            (ASK, "curl: (28) Resolving timed out after 3001 milliseconds"),
            ("kubectl exec client -- curl -sS http://web", "curl: (6) Could not resolve host: web"),
            ("kubectl exec client -- nslookup web", ";; connection timed out; no servers could be reached"),
            (FRIEND, WELCOME),
        ])
        .await;
    learner
        .policy("names", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}]}")
        .await;
    learner
        .shows(&[
            ("kubectl exec client -- nslookup web", "Name:\tweb.default.svc.cluster.local"),
            (ASK, LATE),
        ])
        .await;
    learner
        .policy("web", "{podSelector: {matchLabels: {role: client}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]}")
        .await;
    learner.shows(&[(ASK, WELCOME)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_isolated_before_its_first_process() {
    let mut learner = Learner::new(1).await;
    learner.shows(&[(WORLD, "condition met")]).await;
    learner.policy("deny", "{podSelector: {matchLabels: {role: late}}, policyTypes: [Egress]}").await;
    learner
        .shows(&[
            ("kubectl run late --image=curlimages/curl --labels=role=late --restart=Never --command -- sh -c \"curl -sS -m 3 http://$(kubectl get pod web -o jsonpath='{.status.podIP}'); echo done\"", "created"),
            ("kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/late --timeout=60s", "condition met"),
            ("kubectl logs late", LATE),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn traffic_policies_are_each_nodes_own_and_clients_keep_their_pods() {
    let mut learner = Learner::new(2).await;
    let world = "cat <<'Y' | kubectl apply -f -
{apiVersion: v1, kind: Pod, metadata: {name: one, labels: {app: host}}, spec: {nodeName: minikube, containers: [{name: c, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [netexec]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: near}, spec: {nodeName: minikube, containers: [{name: c, image: 'curlimages/curl', command: [sleep, '86400']}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: far}, spec: {nodeName: minikube-m02, containers: [{name: c, image: 'curlimages/curl', command: [sleep, '86400']}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: cluster}, spec: {type: NodePort, selector: {app: host}, ports: [{port: 80, targetPort: 8080, nodePort: 30001}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: local}, spec: {type: NodePort, externalTrafficPolicy: Local, internalTrafficPolicy: Local, selector: {app: host}, ports: [{port: 80, targetPort: 8080, nodePort: 30002}]}}
Y
kubectl wait --for=condition=Ready pod --all --timeout=60s";
    learner
        .shows(&[
            (world, "condition met"),
            ("curl -s 192.168.49.2:30001/clientip", "192.168.49.2:"),
            ("curl -s 192.168.49.3:30001/clientip", "192.168.49.3:"),
            ("curl -s 192.168.49.2:30002/clientip", "192.168.49.1:"),
            ("curl -sS -m 3 192.168.49.3:30002/clientip", LATE),
            ("kubectl exec near -- curl -s http://local/hostname", "one"),
            ("kubectl exec far -- curl -sS -m 3 http://local/hostname", LATE),
            // A pod of the very node goes out and comes back in, to whichever endpoint.
            ("kubectl exec far -- curl -sS -m 3 192.168.49.3:30002/hostname", "one"),
        ])
        .await;
    let affine = "for name in two three four; do kubectl run $name --image=registry.k8s.io/e2e-test-images/agnhost:2.53 --labels=app=host -- netexec; done
kubectl patch service cluster -p '{\"spec\":{\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":10}}}}'
kubectl wait --for=condition=Ready pod --all --timeout=60s; sleep 1";
    learner.shows(&[(affine, "patched")]).await;
    let udp = "cat <<'Y' | kubectl apply -f -
{apiVersion: v1, kind: Service, metadata: {name: udp}, spec: {selector: {app: host}, ports: [{port: 53, targetPort: 8081, protocol: UDP}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: nobody}, spec: {selector: {app: nobody}, ports: [{port: 53, protocol: UDP}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: box}, spec: {containers: [{name: c, image: 'busybox:1.36', command: [sleep, '86400']}]}}
Y
kubectl wait --for=condition=Ready pod/box --timeout=60s; sleep 1";
    learner
        .shows(&[
            (udp, "condition met"),
            ("kubectl exec box -- sh -c 'echo Echo this | nc -u -w 1 udp 53'", "this"),
            ("kubectl exec box -- sh -c 'nc -zuv udp 53'", "open"),
            ("kubectl exec box -- sh -c 'echo hello | nc -u -w 1 nobody 53'", "[exit 1]"),
        ])
        .await;
    learner.policy("deny", "{podSelector: {}, policyTypes: [Ingress]}").await;
    learner
        .shows(&[
            ("kubectl exec box -- sh -c 'echo Echo this | nc -u -w 1 udp 53'; echo silence", "silence"),
            ("kubectl delete networkpolicy deny; sleep 0.01", "deleted"),
        ])
        .await;
    let asked = "for i in $(seq 12); do kubectl exec near -- curl -s http://cluster/hostname; echo; sleep 5; done | sort -u | wc -l";
    learner.shows(&[(asked, "1\n")]).await;
    let asked = asked.replace("sleep 5", "sleep 11");
    let shown = learner.run(&asked).await;
    assert!(!shown.starts_with("1\n"), "who stays away for longer is forgotten: {shown}");
}
