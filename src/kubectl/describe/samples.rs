//! One sample object a kind, described: what each kind looks like is in `snapshots/`.

use serde_json::{Value, json};

use super::{Fixed, Settings, TypeName, describe};

/// Describes one of `objects` and compares with the snapshot of that name.
async fn check(snapshot: &str, of: TypeName<'_>, (namespace, name): (&str, &str), objects: Vec<Value>) {
    let related = Fixed { objects, now: "2026-11-20T08:30:00Z".parse().unwrap() };
    let text = describe(&related, of, (namespace, name), Settings { show_events: true }).await.unwrap();
    insta::assert_snapshot!(snapshot, text);
}

fn core<'a>(kind: &'a str, plural: &'a str) -> TypeName<'a> {
    TypeName { group: "", kind, api_version: "v1", plural }
}

fn apps<'a>(kind: &'a str, plural: &'a str) -> TypeName<'a> {
    TypeName { group: "apps", kind, api_version: "apps/v1", plural }
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"serviceAccountName": "builder",
        "containers": [{"name": "web", "image": "nginx:1.25", "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "env": [{"name": "A", "value": "1"}], "resources": {"limits": {"cpu": "1"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "emptyDir": {}}]}})
}

fn event(kind: &str, name: &str, uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{name}.1"), "namespace": "default"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "default", "uid": uid}, "type": "Normal", "reason": "Seen",
        "message": "it was seen", "firstTimestamp": "2026-11-20T08:29:00Z", "lastTimestamp": "2026-11-20T08:29:00Z",
        "source": {"component": "tester"}})
}

fn pod(name: &str, owner: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": {"app": "web"},
            "creationTimestamp": "2026-11-20T08:20:00Z",
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "uid": owner, "controller": true}]},
        "spec": {"nodeName": "minikube", "priority": 0, "serviceAccountName": "default",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "web", "image": "nginx:1.25", "args": ["-v"],
                "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "livenessProbe": {"tcpSocket": {"port": 80}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1,
                    "failureThreshold": 3}}],
            "initContainers": [{"name": "init", "image": "busybox", "command": ["sh", "-c", "echo a\necho b"]}]},
        "status": {"phase": "Running", "hostIP": "192.168.49.2", "podIP": "10.244.0.5", "podIPs": [{"ip": "10.244.0.5"}],
            "qosClass": "Burstable", "startTime": "2026-11-20T08:20:00Z",
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
            "initContainerStatuses": [{"name": "init", "containerID": "containerd://1", "imageID": "sha256:1", "ready": true,
                "state": {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": "2026-11-20T08:20:01Z",
                    "finishedAt": "2026-11-20T08:20:02Z"}}}],
            "containerStatuses": [{"name": "web", "containerID": "containerd://2", "imageID": "sha256:2", "ready": false,
                "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled",
                    "startedAt": "2026-11-20T08:21:01Z", "finishedAt": "2026-11-20T08:22:02Z"}}}]}})
}

#[tokio::test(start_paused = true)]
async fn pods() {
    let events = event("Pod", "web-1-abcde", "uid-web-1-abcde");
    check("pod", core("Pod", "pods"), ("default", "web-1-abcde"), vec![pod("web-1-abcde", "rs"), events])
        .await;
    let leaving = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "default", "uid": "u",
            "deletionTimestamp": "2026-11-20T08:29:00Z", "deletionGracePeriodSeconds": 30},
        "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"phase": "Pending"}});
    check("pod-terminating", core("Pod", "pods"), ("default", "x"), vec![leaving]).await;
}

#[tokio::test(start_paused = true)]
async fn deployments_and_what_they_own() {
    let owner = json!([{"kind": "Deployment", "name": "web", "uid": "dep", "controller": true}]);
    let selector = json!({"matchLabels": {"app": "web"}});
    let mut old_template = template();
    old_template["spec"]["containers"][0]["image"] = json!("nginx:1.24");
    let mut new_template = template();
    new_template["metadata"]["labels"]["pod-template-hash"] = json!("1");
    let set = |name: &str, at: &str, replicas: i64, template: Value| {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "ownerReferences": owner,
                "labels": {"app": "web"}, "creationTimestamp": at},
            "spec": {"replicas": replicas, "selector": selector, "template": template}, "status": {"replicas": replicas}})
    };
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "dep", "labels": {"app": "web"},
            "annotations": {"deployment.kubernetes.io/revision": "2"}, "creationTimestamp": "2026-11-20T08:00:00Z"},
        "spec": {"replicas": 2, "selector": selector, "template": template(), "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}},
        "status": {"replicas": 3, "updatedReplicas": 2, "availableReplicas": 2, "unavailableReplicas": 1,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}]}});
    let objects = vec![
        deployment,
        set("web-old", "2026-11-20T08:00:00Z", 1, old_template),
        set("web-1", "2026-11-20T08:10:00Z", 2, new_template),
        pod("web-1-a", "uid-web-1"),
        pod("web-1-b", "uid-web-1"),
        event("Deployment", "web", "dep"),
    ];
    check("deployment", apps("Deployment", "deployments"), ("default", "web"), objects.clone()).await;
    check("replicaset", apps("ReplicaSet", "replicasets"), ("default", "web-1"), objects).await;
    let controller = json!({"apiVersion": "v1", "kind": "ReplicationController",
        "metadata": {"name": "rc", "namespace": "default", "uid": "rc"},
        "spec": {"replicas": 1, "selector": {"app": "web"}, "template": template()}, "status": {"replicas": 1}});
    let objects = vec![controller, pod("rc-a", "rc")];
    check(
        "replicationcontroller",
        core("ReplicationController", "replicationcontrollers"),
        ("default", "rc"),
        objects,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn services_and_their_endpoints() {
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "uid": "svc", "labels": {"app": "web"}},
        "spec": {"selector": {"app": "web"}, "type": "NodePort", "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"],
            "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "sessionAffinity": "None", "externalTrafficPolicy": "Cluster",
            "internalTrafficPolicy": "Cluster", "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30080}]}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.244.0.5"], "conditions": {"ready": true}, "nodeName": "minikube",
            "targetRef": {"kind": "Pod", "name": "web-1"}}]});
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web", "namespace": "default"},
        "subsets": [{"addresses": [{"ip": "10.244.0.5"}, {"ip": "10.244.0.6"}], "ports": [{"port": 8080, "protocol": "TCP"}]}]});
    let objects = vec![service, slice, endpoints];
    check("service", core("Service", "services"), ("default", "web"), objects.clone()).await;
    check("endpoints", core("Endpoints", "endpoints"), ("default", "web"), objects.clone()).await;
    let slices = TypeName {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        api_version: "discovery.k8s.io/v1",
        plural: "endpointslices",
    };
    check("endpointslice", slices, ("default", "web-x"), objects).await;
}

#[tokio::test(start_paused = true)]
async fn network_policies() {
    let policy = |name: &str, spec: Value| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec,
            "metadata": {"name": name, "namespace": "default", "creationTimestamp": "2026-11-20T08:15:03Z"}})
    };
    let of = TypeName {
        group: "networking.k8s.io",
        kind: "NetworkPolicy",
        api_version: "networking.k8s.io/v1",
        plural: "networkpolicies",
    };
    let guard = json!({"podSelector": {"matchLabels": {"app": "orders"}}, "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"podSelector": {"matchLabels": {"role": "frontend"}}},
                    {"namespaceSelector": {"matchLabels": {"team": "shop"}},
                        "podSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "api"]}]}},
                    {"ipBlock": {"cidr": "172.20.0.0/16", "except": ["172.20.5.0/24"]}}],
                "ports": [{"protocol": "TCP", "port": 8080}, {"protocol": "TCP", "port": 9000, "endPort": 9100}, {}]},
            {"from": [{"namespaceSelector": {}}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 53, "protocol": "UDP"}]}]});
    let objects = vec![
        policy("orders-guard", guard),
        policy("deny-all", json!({"podSelector": {}, "policyTypes": ["Ingress"]})),
        policy("allow-all-out", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]})),
    ];
    for name in ["orders-guard", "deny-all", "allow-all-out"] {
        check(&format!("networkpolicy-{name}"), of, ("default", name), objects.clone()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nodes() {
    let condition = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-20T08:29:00Z",
        "lastTransitionTime": "2026-11-20T08:00:00Z", "reason": "KubeletReady", "message": "kubelet is posting ready status"});
    let amounts = json!({"cpu": "4", "memory": "8039216Ki", "pods": "110", "ephemeral-storage": "100Gi", "hugepages-2Mi": "0",
        "example.com/gpu": "1"});
    let node = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "minikube", "uid": "node", "creationTimestamp": "2026-11-20T08:00:00Z",
            "labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/os": "linux"}},
        "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"], "taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {"conditions": [condition], "addresses": [{"type": "InternalIP", "address": "192.168.49.2"}],
            "capacity": amounts, "allocatable": amounts, "nodeInfo": {"machineID": "m", "kubeletVersion": "v1.36.2"}}});
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "minikube", "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": "minikube", "renewTime": "2026-11-20T08:29:50.123456Z"}});
    check("node", core("Node", "nodes"), ("", "minikube"), vec![node, lease, pod("web-1-a", "x")]).await;
}

#[tokio::test(start_paused = true)]
async fn namespaces_quotas_and_limits() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "tea", "labels": {"kubernetes.io/metadata.name": "tea"}}, "status": {"phase": "Active"}});
    check("namespace-plain", core("Namespace", "namespaces"), ("", "tea"), vec![namespace.clone()]).await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": "tea"},
        "spec": {"scopes": ["BestEffort"]}, "status": {"hard": {"pods": "3", "requests.cpu": "500m"}, "used": {"pods": "1"}}});
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "cups", "namespace": "tea"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "800m"}, "default": {"memory": "128Mi"}}]}});
    let objects = vec![namespace, quota, range];
    check("namespace", core("Namespace", "namespaces"), ("", "tea"), objects.clone()).await;
    check("quota", core("ResourceQuota", "resourcequotas"), ("tea", "small"), objects.clone()).await;
    check("limitrange", core("LimitRange", "limitranges"), ("tea", "cups"), objects).await;
}

#[tokio::test(start_paused = true)]
async fn configuration() {
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "default"},
        "data": {"color": "blue", "file": "a\nb\n"}, "binaryData": {"bin": "AAEC"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "s", "namespace": "default"},
        "data": {"password": "aHVudGVyMg=="}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa", "namespace": "default"},
        "imagePullSecrets": [{"name": "one"}, {"name": "two"}]});
    let objects = vec![config_map, secret, account];
    check("configmap", core("ConfigMap", "configmaps"), ("default", "cm"), objects.clone()).await;
    check("secret", core("Secret", "secrets"), ("default", "s"), objects.clone()).await;
    check("serviceaccount", core("ServiceAccount", "serviceaccounts"), ("default", "sa"), objects).await;
}

#[tokio::test(start_paused = true)]
async fn storage() {
    let term = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}, {"key": "ssd", "operator": "Exists"}]});
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": "shelf", "uid": "pv", "labels": {"kind": "shelf"}, "finalizers": ["kubernetes.io/pv-protection"]},
        "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadOnlyMany", "ReadWriteOnce"], "storageClassName": "manual",
            "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem", "claimRef": {"namespace": "default", "name": "books"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            "csi": {"driver": "disks.example.test", "volumeHandle": "d-1", "volumeAttributes": {"a": "1"}}},
        "status": {"phase": "Bound"}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "books", "namespace": "default", "uid": "pvc", "deletionTimestamp": "2026-11-20T08:29:00Z",
            "finalizers": ["kubernetes.io/pvc-protection"]},
        "spec": {"volumeName": "shelf", "storageClassName": "manual", "volumeMode": "Filesystem",
            "dataSource": {"kind": "PersistentVolumeClaim", "name": "older"}},
        "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"],
            "conditions": [{"type": "Resizing", "status": "True", "lastTransitionTime": "2026-11-20T08:20:00Z"}]}});
    let mut users = [pod("reader-b", "x"), pod("reader-a", "x")];
    for user in &mut users {
        user["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "books"}}]);
    }
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "fast", "uid": "sc", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "disks.example.test", "parameters": {"tier": "ssd"}, "mountOptions": ["discard"], "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate", "allowVolumeExpansion": false,
        "allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}]}]});
    let mut objects = vec![volume, claim, class, event("PersistentVolumeClaim", "books", "pvc")];
    objects.extend(users);
    check("persistentvolume", core("PersistentVolume", "persistentvolumes"), ("", "shelf"), objects.clone())
        .await;
    let of = core("PersistentVolumeClaim", "persistentvolumeclaims");
    check("persistentvolumeclaim", of, ("default", "books"), objects.clone()).await;
    let of = TypeName {
        group: "storage.k8s.io",
        kind: "StorageClass",
        api_version: "storage.k8s.io/v1",
        plural: "storageclasses",
    };
    check("storageclass", of, ("", "fast"), objects).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_is_the_servers_error() {
    let related = Fixed::default();
    let settings = Settings { show_events: true };
    let failure =
        describe(&related, apps("Deployment", "deployments"), ("default", "x"), settings).await.unwrap_err();
    assert_eq!(failure.message, "deployments.apps \"x\" not found");
}
