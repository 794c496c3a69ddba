//! Volumes on real containers: directories and memory of this machine, with the rights and limits of the kernel.

use super::machine::Machine;

const CLAIM: &str = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: books}, spec: {accessModes: [ReadWriteOnce], resources: \
                     {requests: {storage: 1Gi}}}}";

/// A pod of a user who is not root, with every kind of volume that the group 2000 owns.
fn pod(name: &str, node: &str) -> String {
    format!(
        "cat <<'Y' | kubectl apply -f -\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: {node}, terminationGracePeriodSeconds: 1, \
         securityContext: {{runAsUser: 1000, fsGroup: 2000}}, containers: [{{name: c, image: 'busybox:1.36', command: [sleep, '3600'], volumeMounts: \
         [{{name: data, mountPath: /data}}, {{name: part, mountPath: /part, subPath: below}}, {{name: mem, mountPath: /mem}}, {{name: e, mountPath: /e}}, \
         {{name: app, mountPath: /app}}]}}], volumes: [{{name: data, persistentVolumeClaim: {{claimName: books}}}}, {{name: part, persistentVolumeClaim: \
         {{claimName: books}}}}, {{name: mem, emptyDir: {{medium: Memory, sizeLimit: 1Mi}}}}, {{name: e, emptyDir: {{sizeLimit: 1Mi}}}}, \
         {{name: app, configMap: {{name: app, defaultMode: 0400}}}}]}}}}\nY"
    )
}

#[test]
fn volumes_are_the_machines_own() {
    let Some(machine) = Machine::start() else { return };
    let before = machine.belongings();
    let claim = format!("kubectl apply -f - <<'Y'\n{CLAIM}\nY");
    let (one, two) = (pod("one", "minikube"), pod("two", "minikube-m02"));
    let absent = machine.path("absent").display().to_string();
    let strict = format!(
        "cat <<'Y' | kubectl apply -f -\n{{apiVersion: v1, kind: Pod, metadata: {{name: strict}}, spec: {{containers: [{{name: c, image: 'busybox:1.36', \
         volumeMounts: [{{name: h, mountPath: /h}}]}}], volumes: [{{name: h, hostPath: {{path: {absent}, type: Directory}}}}]}}}}\nY"
    );
    let refused = format!("{absent} is not a directory");
    machine.shows(
        "2",
        &[
            ("kubectl create configmap app --from-literal=color=blue", "created"),
            (&claim, "created"),
            ("kubectl wait --for=jsonpath='{.status.phase}'=Bound pvc/books --timeout=30s", "condition met"),
            ("kubectl get pv -o jsonpath='{.items[0].spec.hostPath.path}'", "/hostpath-provisioner/default/books"),
            (&one, "pod/one created"),
            ("kubectl wait --for=condition=Ready pod/one --timeout=60s", "condition met"),
            ("kubectl exec one -- sh -c 'echo first > /data/page; cat /data/page'", "first"),
            ("kubectl exec one -- sh -c 'ls -ldn /e; ls -ldn /mem'", "drwxrwsrwx"),
            ("kubectl exec one -- sh -c 'echo x > /e/new; ls -ln /e'", "2000"),
            ("kubectl exec one -- cat /app/color", "blue"),
            ("kubectl exec one -- grep ' /mem ' /proc/mounts", "size=1024k"),
            ("kubectl exec one -- sh -c 'for f in a b c; do seq 100000 > /mem/$f; done; echo then'", "o space left on device"),
            ("kubectl delete pod one", "deleted"),
            (&two, "pod/two created"),
            ("kubectl wait --for=condition=Ready pod/two --timeout=60s", "condition met"),
            ("kubectl exec two -- cat /data/page", "first"),
            ("kubectl exec two -- sh -c 'ls /data'", "below"),
            ("kubectl exec two -- sh -c 'for f in a b c; do seq 100000 > /e/$f; done; echo then'", "then"),
            ("kubectl wait --for=jsonpath='{.status.reason}'=Evicted pod/two --timeout=60s", "condition met"),
            ("kubectl describe pod two", "Usage of EmptyDir volume \"e\" exceeds the limit \"1Mi\"."),
            ("kubectl delete pod two", "deleted"),
            (&strict, "created"),
            ("for i in $(seq 20); do kubectl describe pod strict | grep FailedMount && break; sleep 0.5; done", &refused),
            ("kubectl delete pvc books", "deleted"),
            ("for i in $(seq 20); do kubectl get pv 2>&1 | grep 'No resources' && break; sleep 0.5; done", "No resources found"),
        ],
    );
    assert_eq!(machine.belongings(), before, "the cluster left something behind");
}
