//! Containers: from the kubelet's words to the CRI's and back.
// Models pkg/kubelet/kuberuntime (generateContainerConfig, determineEffectiveSecurityContext, calculateLinuxResources).

use std::path::Path;

use super::config::{NODE_LABEL, OWNER_LABEL};
use super::proto::cri;
use super::sandbox::{own_labels, time, unconfined};
use crate::runtime::api::{ContainerConfig, ContainerState, ContainerStatus, Resources, Security};

/// The annotation that remembers the file of a container's last words on this machine.
const LAST_WORDS: &str = "k8s-learn.io/termination-message-path";
/// The annotation that remembers the image as the user wrote it.
const USER_IMAGE: &str = "k8s-learn.io/user-image";
/// The annotation that remembers who the process runs as, for runtimes that do not tell.
const USER: &str = "k8s-learn.io/user";

/// A period of the CPU's quota in microseconds.
const QUOTA_PERIOD: i64 = 100_000;
const MIN_QUOTA: i64 = 1_000;
const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;

/// What of `/proc` and `/sys` nobody in a container sees.
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// What of `/proc` nobody in a container writes.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What a container is made from beside the kubelet's configuration.
pub(super) struct Around<'a> {
    pub(super) node: &'a str,
    pub(super) mounts: Vec<cri::Mount>,
    /// The file of its last words on this machine.
    pub(super) last_words: Option<&'a Path>,
    pub(super) host_network: bool,
    /// The image's user, if it is a number.
    pub(super) image_user: Option<i64>,
}

/// The container for the CRI.
pub(super) fn config(config: &ContainerConfig, around: Around<'_>) -> cri::ContainerConfig {
    let mut labels = config.labels.clone();
    labels.extend(own_labels(around.node));
    let mut annotations = std::collections::BTreeMap::from([
        (USER_IMAGE.to_owned(), config.user_image.clone()),
        (USER.to_owned(), user(&config.security, around.image_user)),
    ]);
    if let Some(file) = around.last_words {
        annotations.insert(LAST_WORDS.to_owned(), file.to_string_lossy().into_owned());
    }
    let envs = config
        .envs
        .iter()
        .map(|(key, value)| cri::KeyValue { key: key.clone(), value: value.clone().into_bytes() });
    cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata { name: config.name.clone(), attempt: config.attempt }),
        image: Some(cri::ImageSpec {
            image: config.image.clone(),
            user_specified_image: config.user_image.clone(),
            ..Default::default()
        }),
        command: config.command.clone(),
        args: config.args.clone(),
        working_dir: config.working_dir.clone(),
        envs: envs.collect(),
        mounts: around.mounts,
        labels,
        annotations,
        log_path: config.log_path.to_string_lossy().into_owned(),
        stdin: config.stdin,
        stdin_once: config.stdin_once,
        tty: config.tty,
        linux: Some(cri::LinuxContainerConfig {
            resources: Some(resources(&config.resources)),
            security_context: Some(security(&config.security, around.host_network)),
        }),
    }
}

fn resources(wanted: &Resources) -> cri::LinuxContainerResources {
    let requested =
        if wanted.cpu_request_milli > 0 { wanted.cpu_request_milli } else { wanted.cpu_limit_milli };
    let quota = match wanted.cpu_limit_milli {
        0 => 0,
        milli => (milli * QUOTA_PERIOD / 1000).max(MIN_QUOTA),
    };
    cri::LinuxContainerResources {
        cpu_period: QUOTA_PERIOD,
        cpu_quota: quota,
        cpu_shares: (requested * 1024 / 1000).clamp(MIN_SHARES, MAX_SHARES),
        memory_limit_in_bytes: wanted.memory_limit_bytes,
        ..Default::default()
    }
}

fn security(wanted: &Security, host_network: bool) -> cri::LinuxContainerSecurityContext {
    let network = if host_network { cri::NamespaceMode::Node } else { cri::NamespaceMode::Pod };
    let paths = |list: &[&str]| match wanted.privileged {
        true => vec![],
        false => list.iter().map(|path| (*path).to_owned()).collect(),
    };
    let number = |value: Option<i64>| value.map(|value| cri::Int64Value { value });
    cri::LinuxContainerSecurityContext {
        capabilities: Some(cri::Capability {
            add_capabilities: wanted.add_capabilities.clone(),
            drop_capabilities: wanted.drop_capabilities.clone(),
        }),
        privileged: wanted.privileged,
        namespace_options: Some(cri::NamespaceOption {
            network: network.into(),
            pid: cri::NamespaceMode::Container.into(),
            ipc: cri::NamespaceMode::Pod.into(),
            target_id: String::new(),
        }),
        run_as_user: number(wanted.run_as_user),
        // The CRI takes a group only beside a user.
        run_as_group: number(wanted.run_as_group.filter(|_| wanted.run_as_user.is_some())),
        readonly_rootfs: wanted.readonly_rootfs,
        supplemental_groups: wanted.supplemental_groups.clone(),
        masked_paths: paths(MASKED),
        readonly_paths: paths(READ_ONLY),
        seccomp: Some(unconfined()),
        ..Default::default()
    }
}

fn user(wanted: &Security, image_user: Option<i64>) -> String {
    let uid = wanted.run_as_user.or(image_user).unwrap_or(0);
    let gid = wanted.run_as_group.unwrap_or(0);
    let groups = wanted.supplemental_groups.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    format!("{uid}:{gid}:{groups}")
}

fn known_user(text: &str) -> (i64, i64, Vec<i64>) {
    let mut parts = text.split(':');
    let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let (uid, gid) = (number(), number());
    let groups = parts.next().unwrap_or_default().split(',').filter_map(|group| group.parse().ok());
    (uid, gid, std::iter::once(gid).chain(groups).collect())
}

/// Where a container is in its life.
pub(super) fn state(number: i32) -> ContainerState {
    match cri::ContainerState::try_from(number) {
        Ok(cri::ContainerState::ContainerCreated) => ContainerState::Created,
        Ok(cri::ContainerState::ContainerRunning) => ContainerState::Running,
        Ok(cri::ContainerState::ContainerExited) => ContainerState::Exited,
        Ok(cri::ContainerState::ContainerUnknown) | Err(_) => ContainerState::Unknown,
    }
}

/// The file of a container's last words on this machine.
pub(super) fn last_words_file(status: &cri::ContainerStatus) -> Option<&str> {
    status.annotations.get(LAST_WORDS).map(String::as_str)
}

/// A container as the CRI tells of it, with its last words if it has ended.
pub(super) fn status(sandbox: &str, status: cri::ContainerStatus, last_words: String) -> ContainerStatus {
    let metadata = status.metadata.unwrap_or_default();
    let annotation = |name: &str| status.annotations.get(name).cloned().unwrap_or_default();
    let linux = status.user.and_then(|user| user.linux);
    let user = match linux {
        Some(linux) => (linux.uid, linux.gid, linux.supplemental_groups),
        None => known_user(&annotation(USER)),
    };
    let mut labels = status.labels;
    labels.retain(|key, _| key != NODE_LABEL && key != OWNER_LABEL);
    let named = status.image.map(|image| image.image).unwrap_or_default();
    // Of an image that is known by its id only, the user's own words say more.
    let image = if named.starts_with("sha256:") { annotation(USER_IMAGE) } else { named };
    ContainerStatus {
        id: status.id,
        sandbox_id: sandbox.to_owned(),
        name: metadata.name,
        attempt: metadata.attempt,
        state: state(status.state),
        created_at: time(status.created_at).unwrap_or_default(),
        started_at: time(status.started_at),
        finished_at: time(status.finished_at),
        exit_code: status.exit_code,
        reason: status.reason,
        message: status.message.trim_end_matches(": unknown").to_owned(),
        image,
        image_id: status.image_ref,
        labels,
        termination_message: last_words,
        user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_quotas_and_shares() {
        let wanted = Resources { cpu_limit_milli: 500, cpu_request_milli: 250, memory_limit_bytes: 64 << 20 };
        let sent = resources(&wanted);
        assert_eq!((sent.cpu_quota, sent.cpu_period, sent.cpu_shares), (50_000, 100_000, 256));
        assert_eq!(sent.memory_limit_in_bytes, 64 << 20);
        let none = resources(&Resources::default());
        assert_eq!((none.cpu_quota, none.cpu_shares, none.memory_limit_in_bytes), (0, 2, 0));
    }

    #[test]
    fn privileged_containers_see_everything_and_others_do_not() {
        assert!(
            security(&Security { privileged: true, ..Security::default() }, false).masked_paths.is_empty()
        );
        let plain = security(&Security { run_as_group: Some(5), ..Security::default() }, false);
        assert!(plain.masked_paths.contains(&"/proc/kcore".to_owned()) && plain.run_as_group.is_none());
    }

    #[test]
    fn who_it_runs_as_is_known_again() {
        let wanted = Security { run_as_group: Some(7), supplemental_groups: vec![9], ..Security::default() };
        assert_eq!(known_user(&user(&wanted, Some(101))), (101, 7, vec![7, 9]));
        assert_eq!(known_user(""), (0, 0, vec![0]));
    }
}
