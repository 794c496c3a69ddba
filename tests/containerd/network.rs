//! The pod network on real containers: what the kernel makes of policies, of Services of each protocol, and of each node's own
//! kube-proxy.

use super::machine::Machine;

const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.53";

/// A server on the first node, a client on each, and Services of it.
fn world() -> String {
    let client = "containers: [{name: c, image: 'curlimages/curl', command: [sleep, '86400']}]";
    format!(
        "cat <<'Y' | kubectl apply -f -
{{apiVersion: v1, kind: Pod, metadata: {{name: one, labels: {{app: host}}}}, spec: {{nodeName: minikube, containers: [{{name: c, image: '{AGNHOST}', args: [netexec], ports: [{{name: http, containerPort: 8080}}], readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}}}]}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: near, labels: {{role: client}}}}, spec: {{nodeName: minikube, {client}}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: far, labels: {{role: client}}}}, spec: {{nodeName: minikube-m02, {client}}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: cluster}}, spec: {{type: NodePort, selector: {{app: host}}, ports: [{{port: 80, targetPort: 8080, nodePort: 30001}}]}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: local}}, spec: {{type: NodePort, externalTrafficPolicy: Local, internalTrafficPolicy: Local, selector: {{app: host}}, ports: [{{port: 80, targetPort: 8080, nodePort: 30002}}]}}}}
---
{{apiVersion: v1, kind: Service, metadata: {{name: names}}, spec: {{clusterIP: 10.96.0.77, ports: [{{port: 53, protocol: UDP}}]}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: names-1, labels: {{kubernetes.io/service-name: names}}}}, addressType: IPv4, endpoints: [{{addresses: [10.96.0.10]}}], ports: [{{name: '', port: 53, protocol: UDP}}]}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: asks}}, spec: {{dnsPolicy: None, dnsConfig: {{nameservers: [10.96.0.77]}}, containers: [{{name: c, image: 'busybox:1.36', command: [sleep, '86400']}}]}}}}
Y
kubectl wait --for=condition=Ready pod --all --timeout=90s"
    )
}

const LATE: &str = "curl: (28) Connection timed out after 2001 milliseconds";

#[test]
fn each_node_has_its_own_services() {
    let Some(machine) = Machine::start() else { return };
    let before = machine.belongings();
    let more = format!(
        "for name in two three four; do kubectl run $name --image={AGNHOST} --labels=app=host -- netexec; done; kubectl wait --for=condition=Ready pod --all --timeout=60s"
    );
    let affine = "kubectl patch service cluster -p '{\"spec\":{\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":2}}}}'; sleep 1";
    let ask = "kubectl exec near -- curl -s http://cluster/hostname; echo";
    let kept = format!("for i in $(seq 8); do {ask}; sleep 0.5; done | sort -u | wc -l");
    let lost = format!(
        "for i in $(seq 8); do {ask}; sleep 3; done | sort -u | wc -l | grep -v '^1$' && echo several"
    );
    machine.shows(
        "2",
        &[
            (&world(), "pod/one condition met"),
            ("kubectl exec near -- curl -s http://local/hostname", "one"),
            ("kubectl exec far -- curl -sS -m 2 http://local/hostname", LATE),
            ("kubectl exec far -- curl -sS -m 2 192.168.49.3:30002/hostname", "one"),
            ("kubectl exec near -- curl -sS -m 2 192.168.49.3:30002/hostname", LATE),
            ("kubectl exec far -- curl -s 192.168.49.2:30002/clientip | cut -d: -f1; kubectl get pod far -o jsonpath='same {.status.podIP}' ", "10.244."),
            ("test \"$(kubectl exec far -- curl -s 192.168.49.2:30002/clientip | cut -d: -f1)\" = \"$(kubectl get pod far -o jsonpath='{.status.podIP}')\" && echo kept", "kept"),
            ("test \"$(kubectl exec far -- curl -s 192.168.49.2:30001/clientip | cut -d: -f1)\" = \"$(kubectl get pod far -o jsonpath='{.status.podIP}')\" || echo changed", "changed"),
            ("kubectl exec asks -- nslookup cluster.default.svc.cluster.local.", "Name:\tcluster.default.svc.cluster.local"),
            ("kubectl delete endpointslice names-1; sleep 0.5; kubectl exec asks -- nslookup cluster.default.svc.cluster.local.", "can't find"),
            ("cluster stop kube-proxy minikube-m02", "kube-proxy"),
            ("kubectl expose pod one --name=fresh --port=80 --target-port=8080; sleep 1", "exposed"),
            ("kubectl exec near -- curl -s http://fresh/hostname", "one"),
            ("kubectl exec far -- curl -sS -m 2 http://fresh/hostname", "curl: ("),
            ("kubectl exec far -- curl -s http://cluster/hostname", "one"),
            ("cluster start kube-proxy minikube-m02; sleep 1", "kube-proxy"),
            ("kubectl exec far -- curl -s http://fresh/hostname", "one"),
            ("kubectl expose pod one --name=udp --port=5353 --target-port=8081 --protocol=UDP; sleep 1", "exposed"),
            ("kubectl exec asks -- sh -c 'echo Echo this | nc -u -w 1 '$(kubectl get svc udp -o jsonpath='{.spec.clusterIP}')' 5353'", "this"),
            ("kubectl delete endpointslice -l kubernetes.io/service-name=udp; kubectl patch svc udp -p '{\"spec\":{\"selector\":{\"app\":\"nobody\"}}}'; sleep 1", "patched"),
            ("kubectl exec asks -- sh -c 'echo hello | nc -u -w 3 '$(kubectl get svc udp -o jsonpath='{.spec.clusterIP}')' 5353'; echo \"exit $?\"", "exit 1"),
            (&more, "condition met"),
            (affine, "patched"),
            (&kept, "1\n"),
            (&lost, "several"),
        ],
    );
    assert_eq!(machine.belongings(), before, "the cluster left something behind");
}

#[test]
fn policies_hold_on_real_containers() {
    let Some(machine) = Machine::start() else { return };
    let before = machine.belongings();
    let policy = |name: &str, spec: &str| {
        format!(
            "cat <<'Y' | kubectl apply -f -\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}}}, spec: {spec}}}\nY\nsleep 0.5"
        )
    };
    let ask = "kubectl exec far -- curl -sS -m 2 http://cluster/hostname";
    machine.shows(
        "2",
        &[
            (&world(), "pod/one condition met"),
            (ask, "one"),
            (&policy("deny", "{podSelector: {}, policyTypes: [Ingress]}"), "created"),
            (ask, LATE),
            ("kubectl exec near -- curl -sS -m 2 http://cluster/hostname", LATE),
            ("kubectl exec one -- curl -s http://localhost:8080/hostname", "one"),
            ("kubectl exec one -- curl -sS -m 2 http://cluster/hostname", "one"),
            ("sleep 5; kubectl get pod one", "1/1     Running   0"),
            ("kubectl run late --image=curlimages/curl --restart=Never --labels=role=late --command -- sh -c 'curl -sS -m 2 http://cluster/hostname'", "created"),
            (&policy("clients", "{podSelector: {matchLabels: {app: host}}, ingress: [{from: [{podSelector: {matchLabels: {role: client}}}], ports: [{port: http}]}]}"), "created"),
            (ask, "one"),
            ("kubectl exec near -- curl -sS -m 2 http://cluster/hostname", "one"),
            ("kubectl label pod far role-; sleep 0.5", "unlabeled"),
            (ask, LATE),
            ("kubectl logs late", LATE),
            (&policy("blocks", "{podSelector: {matchLabels: {app: host}}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16, except: [10.244.255.0/24]}}], ports: [{port: 8000, endPort: 8100}]}]}"), "created"),
            (ask, "one"),
            (&policy("out", "{podSelector: {matchLabels: {role: client}}, policyTypes: [Egress]}"), "created"),
            ("kubectl exec near -- curl -sS -m 2 http://cluster/hostname", "timed out after 2001 milliseconds"),
            ("kubectl exec near -- curl -sS -m 2 http://192.168.49.2:30001/hostname", "curl: (28)"),
            (&policy("names", "{podSelector: {matchLabels: {role: client}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}, {to: [{podSelector: {matchLabels: {app: host}}}], ports: [{port: http}]}]}"), "created"),
            ("kubectl exec near -- curl -sS -m 2 http://cluster/hostname", "one"),
            ("kubectl delete networkpolicy --all; sleep 0.5", "deleted"),
            (ask, "one"),
        ],
    );
    assert_eq!(machine.belongings(), before, "the cluster left something behind");
}
