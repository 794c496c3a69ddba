//! What a pod's author may leave out.
//!
//! [`default_template`] fills in the spec of a pod and of every pod template; [`default_pod`] adds what only pods get.
// Models pkg/apis/core/v1 (SetObjectDefaults_Pod) and the conversions that tie a field's old name to its new one.

use std::str::FromStr;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, DownwardAPIVolumeFile, EmptyDirVolumeSource, EnvVar, EphemeralContainer,
    HTTPGetAction, Lifecycle, PersistentVolumeClaimSpec, PodSpec, Probe, ResourceRequirements, Volume,
};

use super::images::is_latest;
use super::resources::{ApiList, aggregate, is_huge_page, is_overcommit_allowed, is_pod_level};
use crate::api::kinds::unset::{default_number, default_text, text};
use crate::meta::quantity::Quantity;

/// The mode of files in volumes: rw-r--r--.
const DEFAULT_MODE: i32 = 0o644;

/// Fills in the spec of a pod.
pub(crate) fn default_pod(spec: &mut PodSpec) {
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if let Some(resources) = &mut container.resources {
            requests_from_limits(resources);
        }
    }
    default_pod_level_resources(spec);
    spec.enable_service_links.get_or_insert(true);
    if spec.host_network == Some(true) {
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            for port in container.ports.iter_mut().flatten() {
                default_number(&mut port.host_port, port.container_port);
            }
        }
    }
    default_template(spec);
}

/// Fills in the spec of a pod template.
pub(crate) fn default_template(spec: &mut PodSpec) {
    default_text(&mut spec.dns_policy, "ClusterFirst");
    default_text(&mut spec.restart_policy, "Always");
    default_text(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(30);
    // The account's old field name always says what the new one says.
    if text(&spec.service_account_name).is_empty() {
        spec.service_account_name = spec.service_account.take().filter(|name| !name.is_empty());
    }
    spec.service_account = spec.service_account_name.clone();
    for volume in spec.volumes.iter_mut().flatten() {
        default_volume(volume);
    }
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        default_container(container);
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        default_ephemeral(container);
    }
    if let Some(overhead) = &mut spec.overhead {
        default_resource_list(overhead);
    }
    default_resources(&mut spec.resources);
}

/// Rounds every quantity up to thousandths, which is as fine as the API keeps them.
pub(crate) fn default_resource_list(list: &mut ApiList) {
    for quantity in list.values_mut() {
        let Ok(parsed) = Quantity::from_str(&quantity.0) else { continue };
        let milli = Quantity::from_milli(parsed.milli_value());
        if parsed < milli {
            *quantity = milli.into();
        }
    }
}

fn default_resources(resources: &mut Option<ResourceRequirements>) {
    let Some(resources) = resources else { return };
    for list in [&mut resources.limits, &mut resources.requests].into_iter().flatten() {
        default_resource_list(list);
    }
}

fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, quantity) in limits {
        requests.entry(name.clone()).or_insert_with(|| quantity.clone());
    }
}

// Models defaultHugePagePodLimits and defaultPodRequests.
fn default_pod_level_resources(spec: &mut PodSpec) {
    let Some(mut resources) = spec.resources.take() else { return };
    let set = |list: &Option<ApiList>| list.as_ref().is_some_and(|list| !list.is_empty());
    if set(&resources.limits) || set(&resources.requests) {
        let limits = aggregate(spec, |container| container.resources.as_ref()?.limits.as_ref());
        for (name, quantity) in limits.into_iter().filter(|(name, _)| is_huge_page(name)) {
            if resources.requests.as_ref().is_none_or(|requests| !requests.contains_key(&name)) {
                resources.limits.get_or_insert_default().entry(name).or_insert_with(|| quantity.into());
            }
        }
    }
    if set(&resources.limits) {
        let requests = resources.requests.get_or_insert_default();
        let wanted = aggregate(spec, |container| container.resources.as_ref()?.requests.as_ref());
        for (name, quantity) in
            wanted.into_iter().filter(|(name, _)| is_pod_level(name) && is_overcommit_allowed(name))
        {
            requests.entry(name).or_insert_with(|| quantity.into());
        }
        for (name, quantity) in resources.limits.iter().flatten().filter(|(name, _)| is_pod_level(name)) {
            requests.entry(name.clone()).or_insert_with(|| quantity.clone());
        }
    }
    spec.resources = Some(resources);
}

/// The fields that ordinary, init and ephemeral containers share, for defaulting.
struct Parts<'a> {
    image: &'a str,
    pull_policy: &'a mut Option<String>,
    message_path: &'a mut Option<String>,
    message_policy: &'a mut Option<String>,
    ports: &'a mut Option<Vec<ContainerPort>>,
    env: &'a mut Option<Vec<EnvVar>>,
    probes: [&'a mut Option<Probe>; 3],
    lifecycle: &'a mut Option<Lifecycle>,
    resources: &'a mut Option<ResourceRequirements>,
}

fn default_container(container: &mut Container) {
    default_parts(Parts {
        image: text(&container.image),
        pull_policy: &mut container.image_pull_policy,
        message_path: &mut container.termination_message_path,
        message_policy: &mut container.termination_message_policy,
        ports: &mut container.ports,
        env: &mut container.env,
        probes: [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe],
        lifecycle: &mut container.lifecycle,
        resources: &mut container.resources,
    });
}

fn default_ephemeral(container: &mut EphemeralContainer) {
    default_parts(Parts {
        image: text(&container.image),
        pull_policy: &mut container.image_pull_policy,
        message_path: &mut container.termination_message_path,
        message_policy: &mut container.termination_message_policy,
        ports: &mut container.ports,
        env: &mut container.env,
        probes: [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe],
        lifecycle: &mut container.lifecycle,
        resources: &mut container.resources,
    });
}

fn default_parts(parts: Parts<'_>) {
    default_text(parts.pull_policy, if is_latest(parts.image) { "Always" } else { "IfNotPresent" });
    default_text(parts.message_path, "/dev/termination-log");
    default_text(parts.message_policy, "File");
    for port in parts.ports.iter_mut().flatten() {
        default_text(&mut port.protocol, "TCP");
    }
    for source in parts.env.iter_mut().flatten().filter_map(|env| env.value_from.as_mut()) {
        if let Some(field) = &mut source.field_ref {
            default_text(&mut field.api_version, "v1");
        }
        if let Some(file) = &mut source.file_key_ref {
            file.optional.get_or_insert(false);
        }
        if let Some(resource) = &mut source.resource_field_ref {
            resource.divisor.get_or_insert_with(|| Quantity::ZERO.into());
        }
    }
    for probe in parts.probes.into_iter().flatten() {
        default_probe(probe);
    }
    if let Some(lifecycle) = parts.lifecycle {
        for handler in [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten() {
            handler.http_get.as_mut().map(default_http_get);
        }
    }
    default_resources(parts.resources);
}

fn default_probe(probe: &mut Probe) {
    default_number(&mut probe.timeout_seconds, 1);
    default_number(&mut probe.period_seconds, 10);
    default_number(&mut probe.success_threshold, 1);
    default_number(&mut probe.failure_threshold, 3);
    probe.http_get.as_mut().map(default_http_get);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn default_http_get(action: &mut HTTPGetAction) {
    default_text(&mut action.path, "/");
    default_text(&mut action.scheme, "HTTP");
}

fn default_volume(volume: &mut Volume) {
    let nothing = Volume { name: volume.name.clone(), ..Volume::default() };
    if *volume == nothing {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(image) = &mut volume.image {
        let policy = if is_latest(text(&image.reference)) { "Always" } else { "IfNotPresent" };
        default_text(&mut image.pull_policy, policy);
    }
    if let Some(path) = &mut volume.host_path {
        path.type_.get_or_insert_default();
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(DEFAULT_MODE);
    }
    if let Some(config_map) = &mut volume.config_map {
        config_map.default_mode.get_or_insert(DEFAULT_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(DEFAULT_MODE);
        default_files(downward.items.as_mut());
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(DEFAULT_MODE);
        for source in projected.sources.iter_mut().flatten() {
            default_files(source.downward_api.as_mut().and_then(|downward| downward.items.as_mut()));
            if let Some(token) = &mut source.service_account_token {
                token.expiration_seconds.get_or_insert(3600);
            }
        }
    }
    if let Some(template) =
        volume.ephemeral.as_mut().and_then(|ephemeral| ephemeral.volume_claim_template.as_mut())
    {
        default_claim_spec(&mut template.spec);
    }
    default_disk(volume);
}

/// A claim's spec, on its own or in a pod.
pub(crate) fn default_claim_spec(spec: &mut PersistentVolumeClaimSpec) {
    default_text(&mut spec.volume_mode, "Filesystem");
    let Some(resources) = &mut spec.resources else { return };
    for list in [&mut resources.limits, &mut resources.requests].into_iter().flatten() {
        default_resource_list(list);
    }
}

/// The volumes of storage systems outside the cluster.
fn default_disk(volume: &mut Volume) {
    if let Some(iscsi) = &mut volume.iscsi {
        default_text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut volume.rbd {
        default_text(&mut rbd.pool, "rbd");
        default_text(&mut rbd.user, "admin");
        default_text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(azure) = &mut volume.azure_disk {
        azure.caching_mode.get_or_insert_with(|| "ReadWrite".to_owned());
        azure.fs_type.get_or_insert_with(|| "ext4".to_owned());
        azure.read_only.get_or_insert(false);
        azure.kind.get_or_insert_with(|| "Shared".to_owned());
    }
    if let Some(scale_io) = &mut volume.scale_io {
        default_text(&mut scale_io.storage_mode, "ThinProvisioned");
        default_text(&mut scale_io.fs_type, "xfs");
    }
}

fn default_files(files: Option<&mut Vec<DownwardAPIVolumeFile>>) {
    for file in files.into_iter().flatten() {
        if let Some(field) = &mut file.field_ref {
            default_text(&mut field.api_version, "v1");
        }
        if let Some(resource) = &mut file.resource_field_ref {
            resource.divisor.get_or_insert_with(|| Quantity::ZERO.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::defaulted;

    #[test]
    fn a_pod_gets_what_its_author_left_out() {
        let pod = "
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: default}
spec:
  hostNetwork: true
  containers:
  - name: web
    image: nginx
    ports: [{containerPort: 80}]
    resources: {limits: {cpu: 1, memory: 64Mi}, requests: {cpu: 500m}}
    livenessProbe: {httpGet: {port: 80}}
    env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
  volumes:
  - name: scratch
  - {name: conf, configMap: {name: c}}
  - {name: token, projected: {sources: [{serviceAccountToken: {path: t}}]}}
  - {name: host, hostPath: {path: /x}}
";
        insta::assert_snapshot!(defaulted(pod), @r#"
        apiVersion: v1
        kind: Pod
        metadata:
          name: p
          namespace: default
        spec:
          containers:
          - env:
            - name: NAME
              valueFrom:
                fieldRef:
                  apiVersion: v1
                  fieldPath: metadata.name
            image: nginx
            imagePullPolicy: Always
            livenessProbe:
              failureThreshold: 3
              httpGet:
                path: /
                port: 80
                scheme: HTTP
              periodSeconds: 10
              successThreshold: 1
              timeoutSeconds: 1
            name: web
            ports:
            - containerPort: 80
              hostPort: 80
              protocol: TCP
            resources:
              limits:
                cpu: "1"
                memory: 64Mi
              requests:
                cpu: 500m
                memory: 64Mi
            terminationMessagePath: /dev/termination-log
            terminationMessagePolicy: File
          dnsPolicy: ClusterFirst
          enableServiceLinks: true
          hostNetwork: true
          restartPolicy: Always
          schedulerName: default-scheduler
          securityContext: {}
          terminationGracePeriodSeconds: 30
          volumes:
          - emptyDir: {}
            name: scratch
          - configMap:
              defaultMode: 420
              name: c
            name: conf
          - name: token
            projected:
              defaultMode: 420
              sources:
              - serviceAccountToken:
                  expirationSeconds: 3600
                  path: t
          - hostPath:
              path: /x
              type: ""
            name: host
        status: {}
        "#);
    }
}
