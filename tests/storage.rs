//! Volumes: what is written stays, goes where it should, and goes when it should.

use std::time::Duration;

use k8s_learn::bash::SharedWriter;
use k8s_learn::bash::Stdio;
use k8s_learn::cluster::{Cluster, ClusterConfig, Time};
use k8s_learn::shell::{Session, SessionConfig};

/// A learner at a cluster.
struct Learner {
    cluster: Cluster,
    session: Session,
}

impl Learner {
    async fn at(nodes: usize) -> Self {
        let config = ClusterConfig { nodes, seed: Some(1), time: Time::Virtual, ..ClusterConfig::default() };
        let cluster = Cluster::start(config).await.expect("a cluster starts");
        cluster.ready().await;
        let session = Session::new(&cluster, SessionConfig::default()).expect("a shell opens");
        Self { cluster, session }
    }

    /// What a line prints.
    async fn types(&mut self, line: &str) -> String {
        let (stdout, kept) = SharedWriter::capture();
        let stdio = Stdio { stdout: Box::new(stdout.clone()), stderr: Box::new(stdout), ..Stdio::null() };
        self.session.run(line, stdio).await;
        String::from_utf8(kept.lock().unwrap().clone()).unwrap()
    }

    async fn applies(&mut self, yaml: &str) {
        let said = self.types(&format!("kubectl apply -f - <<'EOF'\n{yaml}\nEOF")).await;
        assert!(said.contains("created"), "{said}");
    }

    #[track_caller]
    fn knows(said: &str, what: &str) {
        assert!(said.contains(what), "{what:?} is not in:\n{said}");
    }

    /// Waits for a condition of `kubectl wait`.
    async fn waits(&mut self, arguments: &str) {
        let said = self.types(&format!("kubectl wait --timeout=120s {arguments}")).await;
        assert!(said.contains("condition met"), "{arguments}: {said}");
    }
}

fn claim(name: &str, rest: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}}}, spec: {{accessModes: [ReadWriteOnce], \
         resources: {{requests: {{storage: 1Gi}}}}{rest}}}}}"
    )
}

fn pod(name: &str, volume: &str, rest: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 1, volumes: [{{name: data, \
         {volume}}}], containers: [{{name: app, image: nginx:1.25, volumeMounts: [{{name: data, mountPath: /data}}]}}]{rest}}}}}"
    )
}

fn uses(claim: &str) -> String {
    format!("persistentVolumeClaim: {{claimName: {claim}}}")
}

#[tokio::test(start_paused = true)]
async fn data_outlives_pods_on_every_node_and_goes_with_its_claim() {
    let mut learner = Learner::at(2).await;
    learner.applies(&claim("books", "")).await;
    learner.waits("--for=jsonpath='{.status.phase}'=Bound pvc/books").await;
    learner.applies(&pod("one", &uses("books"), ", nodeName: minikube")).await;
    learner.waits("--for=condition=Ready pod/one").await;
    learner.types("kubectl exec one -- sh -c 'echo first > /data/page'").await;
    learner.types("kubectl delete pod one").await;
    learner.applies(&pod("two", &uses("books"), ", nodeName: minikube-m02")).await;
    learner.waits("--for=condition=Ready pod/two").await;
    assert_eq!(learner.types("kubectl exec two -- cat /data/page").await, "first\n");
    let on_the_node = learner.types("minikube ssh cat /tmp/hostpath-provisioner/default/books/page").await;
    assert_eq!(on_the_node, "first\n");
    learner.types("kubectl delete pod two").await;
    learner.types("kubectl delete pvc books").await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    assert_eq!(learner.types("kubectl get pv").await, "No resources found\n");
    assert_eq!(learner.types("minikube ssh ls /tmp/hostpath-provisioner/default").await, "");
}

#[tokio::test(start_paused = true)]
async fn the_first_consumer_chooses_where_a_late_volume_is() {
    let mut learner = Learner::at(2).await;
    let class = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: late}, provisioner: k8s.io/minikube-hostpath, \
                 volumeBindingMode: WaitForFirstConsumer}";
    learner.applies(class).await;
    learner.applies(&claim("books", ", storageClassName: late")).await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    let said = learner.types("kubectl describe pvc books").await;
    Learner::knows(&said, "waiting for first consumer to be created before binding");
    let there = ", nodeSelector: {kubernetes.io/hostname: minikube-m02}";
    learner.applies(&pod("reader", &uses("books"), there)).await;
    learner.waits("--for=condition=Ready pod/reader").await;
    let said = learner.types("kubectl get pvc books -o yaml").await;
    Learner::knows(&said, "volume.kubernetes.io/selected-node: minikube-m02");
    Learner::knows(&said, "phase: Bound");
}

#[tokio::test(start_paused = true)]
async fn a_local_volume_draws_its_pod_to_its_node() {
    let mut learner = Learner::at(2).await;
    let class = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: local}, provisioner: kubernetes.io/no-provisioner, \
                 volumeBindingMode: WaitForFirstConsumer}";
    learner.applies(class).await;
    learner.applies(&claim("books", ", storageClassName: local")).await;
    learner.applies(&pod("reader", &uses("books"), "")).await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    let said = learner.types("kubectl describe pod reader").await;
    Learner::knows(
        &said,
        "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.",
    );
    let volume = "{apiVersion: v1, kind: PersistentVolume, metadata: {name: shelf}, spec: {capacity: {storage: 2Gi}, accessModes: [ReadWriteOnce], \
                  storageClassName: local, local: {path: /mnt/disk}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: \
                  [{key: kubernetes.io/hostname, operator: In, values: [minikube-m02]}]}]}}}}";
    learner.applies(volume).await;
    learner.cluster.clock().sleep(Duration::from_secs(30)).await;
    let said = learner.types("kubectl describe pod reader").await;
    Learner::knows(
        &said,
        "MountVolume.NewMounter initialization failed for volume \"shelf\" : path \"/mnt/disk\" does not exist",
    );
    learner
        .types(
            "minikube ssh -n minikube-m02 'sudo mkdir -p /mnt/disk && echo here | sudo tee /mnt/disk/page'",
        )
        .await;
    learner.waits("--for=condition=Ready pod/reader").await;
    assert_eq!(learner.types("kubectl exec reader -- cat /data/page").await, "here\n");
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_when_its_scratch_space_holds_too_much() {
    let mut learner = Learner::at(1).await;
    learner.applies(&pod("greedy", "emptyDir: {sizeLimit: 1Ki}", "")).await;
    learner.waits("--for=condition=Ready pod/greedy").await;
    learner
        .types("kubectl exec greedy -- sh -c 'for i in $(seq 200); do echo 0123456789 >> /data/log; done'")
        .await;
    learner.waits("--for=jsonpath='{.status.phase}'=Failed pod/greedy").await;
    let said = learner.types("kubectl describe pod greedy").await;
    Learner::knows(&said, "Reason:           Evicted");
    Learner::knows(&said, "Usage of EmptyDir volume \"data\" exceeds the limit \"1Ki\".");
}

#[tokio::test(start_paused = true)]
async fn a_path_of_the_node_must_be_what_it_is_said_to_be() {
    let mut learner = Learner::at(1).await;
    learner.applies(&pod("strict", "hostPath: {path: /srv/site, type: Directory}", "")).await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    let said = learner.types("kubectl describe pod strict").await;
    Learner::knows(
        &said,
        "MountVolume.SetUp failed for volume \"data\" : hostPath type check failed: /srv/site is not a directory",
    );
    learner.types("minikube ssh 'sudo mkdir -p /srv/site'").await;
    learner.waits("--for=condition=Ready pod/strict").await;
}

#[tokio::test(start_paused = true)]
async fn a_group_gets_its_volumes() {
    let mut learner = Learner::at(1).await;
    let group = ", securityContext: {fsGroup: 2000, runAsUser: 1000}";
    learner.applies(&pod("shared", "emptyDir: {}", group)).await;
    learner.waits("--for=condition=Ready pod/shared").await;
    let said =
        learner.types("kubectl exec shared -- sh -c 'touch /data/x; ls -ln /data; ls -ldn /data'").await;
    Learner::knows(&said, "2000");
    Learner::knows(&said, "drwxrwsrwx");
}

#[tokio::test(start_paused = true)]
async fn a_claim_for_one_pod_is_not_given_to_a_second() {
    let mut learner = Learner::at(1).await;
    let alone = claim("alone", "").replace("ReadWriteOnce", "ReadWriteOncePod");
    learner.applies(&alone).await;
    learner.applies(&pod("first", &uses("alone"), "")).await;
    learner.waits("--for=condition=Ready pod/first").await;
    learner.applies(&pod("second", &uses("alone"), "")).await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    let said = learner.types("kubectl describe pod second").await;
    Learner::knows(
        &said,
        "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
    );
    learner.types("kubectl delete pod first").await;
    learner.waits("--for=condition=Ready pod/second").await;
}

#[tokio::test(start_paused = true)]
async fn claims_that_cannot_be_served_say_why() {
    let mut learner = Learner::at(1).await;
    let volume = |name: &str, rest: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: {name}}}, spec: {{capacity: {{storage: 500Mi}}, accessModes: \
             [ReadWriteOnce], hostPath: {{path: /tmp/{name}}}{rest}}}}}"
        )
    };
    learner.applies(&volume("small", ", storageClassName: manual")).await;
    learner.applies(&claim("picky", ", storageClassName: manual, volumeName: small")).await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    let said = learner.types("kubectl describe pvc picky").await;
    Learner::knows(&said, "Cannot bind to requested volume \"small\": requested PV is too small");
    let kept = volume("kept", ", storageClassName: manual, claimRef: {namespace: default, name: owner}");
    learner.applies(&kept.replace("500Mi", "2Gi")).await;
    learner.applies(&claim("thief", ", storageClassName: manual, volumeName: kept")).await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    let said = learner.types("kubectl describe pvc thief").await;
    Learner::knows(&said, "volume \"kept\" already bound to a different claim.");
    learner.applies(&claim("owner", ", storageClassName: manual")).await;
    learner.waits("--for=jsonpath='{.status.phase}'=Bound pvc/owner").await;
    learner.types("kubectl delete pv kept --wait=false").await;
    learner.types("kubectl patch pv kept -p '{\"metadata\":{\"finalizers\":null}}'").await;
    learner.waits("--for=jsonpath='{.status.phase}'=Lost pvc/owner").await;
    let said = learner.types("kubectl describe pvc owner").await;
    Learner::knows(&said, "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    learner.applies(&pod("unlucky", &uses("owner"), "")).await;
    learner.cluster.clock().sleep(Duration::from_secs(2)).await;
    let said = learner.types("kubectl describe pod unlucky").await;
    Learner::knows(&said, "persistentvolumeclaim \"owner\" bound to non-existent persistentvolume \"kept\"");
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_volume_comes_and_goes_with_its_pod() {
    let mut learner = Learner::at(1).await;
    let volume = "ephemeral: {volumeClaimTemplate: {metadata: {labels: {app: web}}, spec: {accessModes: [ReadWriteOnce], resources: \
                  {requests: {storage: 1Gi}}}}}";
    learner.applies(&pod("web", volume, "")).await;
    learner.waits("--for=condition=Ready pod/web").await;
    let said = learner.types("kubectl get pvc web-data --show-labels").await;
    Learner::knows(&said, "Bound");
    Learner::knows(&said, "app=web");
    learner.types("kubectl delete pod web").await;
    learner.cluster.clock().sleep(Duration::from_secs(5)).await;
    assert_eq!(learner.types("kubectl get pvc").await, "No resources found in default namespace.\n");
    assert_eq!(learner.types("kubectl get pv").await, "No resources found\n");
}
