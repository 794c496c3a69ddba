//! What the runtime is told to make: a pod's sandbox and its containers.
// Models pkg/kubelet/kuberuntime (generatePodSandboxConfig, generateContainerConfig) and pkg/kubelet/network/dns.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::config::KubeletConfig;
use super::expansion::expand;
use super::runtime_pod::HASH_LABEL;
use super::spec;
use super::volumes::{Claimed, volume_id};
use crate::meta::quantity::Quantity;
use crate::network::{HostPort, Protocol};
use crate::runtime::api::{
    ContainerConfig, DnsConfig, Image, Mount, Resources, SandboxConfig, Security, VolumeContent, VolumeSource,
};

/// The longest host name.
const MAX_HOSTNAME: usize = 63;

/// The pod's host name and its domain, empty for none.
// Models GeneratePodHostNameAndDomain.
pub(super) fn hostname(pod: &Pod, config: &KubeletConfig) -> (String, String) {
    let pod_spec = pod.spec.as_ref();
    if let Some(name) = pod_spec.and_then(|spec| spec.hostname_override.clone()) {
        return (truncated(&name), String::new());
    }
    let hostname = pod_spec.and_then(|spec| spec.hostname.as_deref()).filter(|name| !name.is_empty());
    let subdomain = pod_spec.and_then(|spec| spec.subdomain.as_deref()).filter(|name| !name.is_empty());
    let domain =
        subdomain.map(|name| format!("{name}.{}.svc.{}", spec::namespace(pod), config.cluster_domain));
    (truncated(hostname.unwrap_or(spec::name(pod))), domain.unwrap_or_default())
}

fn truncated(name: &str) -> String {
    let end = name.char_indices().nth(MAX_HOSTNAME).map_or(name.len(), |(at, _)| at);
    name[..end].trim_end_matches(['-', '.']).to_owned()
}

/// What the pod's `resolv.conf` says.
fn dns(pod: &Pod, config: &KubeletConfig) -> DnsConfig {
    let pod_spec = pod.spec.as_ref();
    let policy = pod_spec.and_then(|spec| spec.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    let cluster = match policy {
        "ClusterFirst" => !spec::host_network(pod),
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut dns = DnsConfig::default();
    if cluster && !config.cluster_dns.is_empty() {
        let domain = &config.cluster_domain;
        dns.servers = config.cluster_dns.iter().map(ToString::to_string).collect();
        dns.searches =
            vec![format!("{}.svc.{domain}", spec::namespace(pod)), format!("svc.{domain}"), domain.clone()];
        dns.options = vec!["ndots:5".to_owned()];
    }
    if let Some(own) = pod_spec.and_then(|spec| spec.dns_config.as_ref()) {
        let add = |list: &mut Vec<String>, more: Option<&Vec<String>>| {
            for item in more.into_iter().flatten() {
                if !list.contains(item) {
                    list.push(item.clone());
                }
            }
        };
        add(&mut dns.servers, own.nameservers.as_ref());
        add(&mut dns.searches, own.searches.as_ref());
        for option in own.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            dns.options.retain(|known| known.split(':').next() != Some(name.as_str()));
            dns.options.push(match &option.value {
                Some(value) => format!("{name}:{value}"),
                None => name,
            });
        }
    }
    dns
}

/// The sandbox of a pod.
pub(super) fn sandbox(pod: &Pod, attempt: u32, config: &KubeletConfig) -> SandboxConfig {
    let host_network = spec::host_network(pod);
    let mut labels = pod.metadata.labels.clone().unwrap_or_default();
    labels.extend(pod_labels(pod));
    let all = spec::init_containers(pod).iter().chain(spec::containers(pod));
    let ports = all.flat_map(|container| container.ports.iter().flatten());
    let host_ports = ports.filter_map(|port| {
        let number = |n: i32| u16::try_from(n).ok().filter(|n| *n > 0);
        Some(HostPort {
            port: number(port.host_port?)?,
            inside: number(port.container_port)?,
            protocol: Protocol::of(port.protocol.as_deref())?,
            // Without an address it is every address.
            ip: port
                .host_ip
                .as_ref()
                .and_then(|ip| ip.parse::<IpAddr>().ok())
                .filter(|ip| !ip.is_unspecified()),
        })
    });
    SandboxConfig {
        name: spec::name(pod).to_owned(),
        uid: spec::uid(pod).to_owned(),
        namespace: spec::namespace(pod).to_owned(),
        attempt,
        hostname: if host_network { String::new() } else { hostname(pod, config).0 },
        labels,
        dns: dns(pod, config),
        host_network,
        log_directory: PathBuf::from(format!(
            "/var/log/pods/{}_{}_{}",
            spec::namespace(pod),
            spec::name(pod),
            spec::uid(pod)
        )),
        host_ports: if host_network { vec![] } else { host_ports.collect() },
    }
}

fn pod_labels(pod: &Pod) -> [(String, String); 3] {
    [
        ("io.kubernetes.pod.name", spec::name(pod)),
        ("io.kubernetes.pod.namespace", spec::namespace(pod)),
        ("io.kubernetes.pod.uid", spec::uid(pod)),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// The runtime's name for the volume with a pod's `/etc/hosts`.
pub(super) fn hosts_volume(pod: &Pod) -> String {
    format!("{}/etc-hosts", spec::uid(pod))
}

/// A pod's `/etc/hosts`.
// Models managedHostsFileContent.
pub(super) fn hosts_file(pod: &Pod, ips: &[String], config: &KubeletConfig) -> VolumeContent {
    let mut text = String::new();
    if spec::host_network(pod) {
        text.push_str("# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n");
        text.push_str(&format!("{}\t{}\n", config.node.ip, config.node.name));
    } else {
        text.push_str("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n");
        text.push_str(
            "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n",
        );
        text.push_str("fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
        let (name, domain) = hostname(pod, config);
        for ip in ips {
            text.push_str(&match domain.as_str() {
                "" => format!("{ip}\t{name}\n"),
                domain => format!("{ip}\t{name}.{domain}\t{name}\n"),
            });
        }
    }
    let aliases = pod.spec.as_ref().and_then(|spec| spec.host_aliases.clone()).unwrap_or_default();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            text.push_str(&format!("{}\t{}\n", alias.ip, alias.hostnames.unwrap_or_default().join("\t")));
        }
    }
    let files = BTreeMap::from([("hosts".to_owned(), (Bytes::from(text), 0o644))]);
    VolumeContent { files, writable: true, ..VolumeContent::default() }
}

/// What a container is made with, beside its own spec.
pub(super) struct Making<'a> {
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) attempt: u32,
    /// The runtime's name for the image.
    pub(super) image: String,
    /// What is known of the image.
    pub(super) found: Option<Image>,
    pub(super) envs: Vec<(String, String)>,
    pub(super) node: &'a str,
    /// The volumes behind the pod's claims.
    pub(super) claimed: &'a BTreeMap<String, Claimed>,
}

impl Making<'_> {
    /// The container for the runtime. The error is the words of `CreateContainerConfigError`.
    pub(super) fn config(self) -> Result<ContainerConfig, String> {
        let container = self.container;
        let security = self.security()?;
        let lookup =
            |name: &str| self.envs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let expanded = |list: &Option<Vec<String>>| {
            list.iter().flatten().map(|text| expand(text, lookup)).collect::<Vec<_>>()
        };
        let mut labels: BTreeMap<String, String> = pod_labels(self.pod).into();
        labels.insert("io.kubernetes.container.name".to_owned(), container.name.clone());
        labels.insert(HASH_LABEL.to_owned(), spec::hash(container));
        Ok(ContainerConfig {
            name: container.name.clone(),
            attempt: self.attempt,
            user_image: container.image.clone().unwrap_or_default(),
            command: expanded(&container.command),
            args: expanded(&container.args),
            working_dir: container.working_dir.clone().unwrap_or_default(),
            mounts: self.mounts(&lookup)?,
            labels,
            log_path: PathBuf::from(format!("{}/{}.log", container.name, self.attempt)),
            stdin: container.stdin.unwrap_or(false),
            stdin_once: container.stdin_once.unwrap_or(false),
            tty: container.tty.unwrap_or(false),
            termination_message_path: container.termination_message_path.clone().unwrap_or_default(),
            resources: resources(container),
            security,
            image: self.image,
            envs: self.envs,
        })
    }

    fn mounts(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Mount>, String> {
        let volumes = self.pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let mut mounts = vec![];
        let mut has_hosts = false;
        for mount in self.container.volume_mounts.iter().flatten() {
            let volume = volumes.iter().find(|volume| volume.name == mount.name);
            let volume = volume.ok_or_else(|| {
                format!(
                    "cannot find volume {:?} to mount into container {:?}",
                    mount.name, self.container.name
                )
            })?;
            let path = match (&mount.sub_path, &mount.sub_path_expr) {
                (_, Some(text)) if !text.is_empty() => expand(text, lookup),
                (path, _) => path.clone().unwrap_or_default(),
            };
            if path.starts_with('/') {
                return Err(format!("error SubPath `{path}` must not be an absolute path"));
            }
            if path.split('/').any(|part| part == "..") {
                return Err(format!("unable to provision SubPath `{path}`: must not contain '..'"));
            }
            has_hosts |= mount.mount_path == "/etc/hosts";
            let kubelets_own = volume.config_map.is_some()
                || volume.secret.is_some()
                || volume.projected.is_some()
                || volume.downward_api.is_some();
            let claimed = self.claimed.get(&volume.name);
            let id =
                claimed.map_or_else(|| volume_id(self.pod, volume, self.node), |claimed| claimed.id.clone());
            let fixed = kubelets_own || claimed.is_some_and(|claimed| claimed.read_only);
            mounts.push(Mount {
                container_path: mount.mount_path.clone(),
                source: VolumeSource { volume: id, sub_path: path },
                readonly: mount.read_only.unwrap_or(false) || fixed,
            });
        }
        if !has_hosts {
            let source = VolumeSource { volume: hosts_volume(self.pod), sub_path: "hosts".to_owned() };
            mounts.push(Mount { container_path: "/etc/hosts".to_owned(), source, readonly: false });
        }
        Ok(mounts)
    }

    // Models pkg/securitycontext (DetermineEffectiveSecurityContext) and verifyRunAsNonRoot.
    fn security(&self) -> Result<Security, String> {
        let of_pod =
            self.pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
        let own = self.container.security_context.clone().unwrap_or_default();
        let run_as_user = own.run_as_user.or(of_pod.run_as_user);
        let mut groups = of_pod.supplemental_groups.unwrap_or_default();
        groups.extend(of_pod.fs_group);
        if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) {
            self.verify_non_root(run_as_user)?;
        }
        let capabilities = own.capabilities.unwrap_or_default();
        Ok(Security {
            run_as_user,
            run_as_group: own.run_as_group.or(of_pod.run_as_group),
            supplemental_groups: groups,
            readonly_rootfs: own.read_only_root_filesystem.unwrap_or(false),
            privileged: own.privileged.unwrap_or(false),
            add_capabilities: capabilities.add.unwrap_or_default(),
            drop_capabilities: capabilities.drop.unwrap_or_default(),
        })
    }

    fn verify_non_root(&self, run_as_user: Option<i64>) -> Result<(), String> {
        let whose = format!("(pod: {:?}, container: {})", spec::format(self.pod), self.container.name);
        let image_user = self.found.as_ref().and_then(|image| image.user.as_deref()).unwrap_or_default();
        let image_user = image_user.split(':').next().unwrap_or_default();
        match run_as_user {
            Some(0) => Err(format!("container's runAsUser breaks non-root policy {whose}")),
            Some(_) => Ok(()),
            None => match image_user.parse::<i64>() {
                Ok(1..) => Ok(()),
                Ok(_) => Err(format!("container has runAsNonRoot and image will run as root {whose}")),
                Err(_) if image_user.is_empty() => {
                    Err(format!("container has runAsNonRoot and image will run as root {whose}"))
                }
                Err(_) => Err(format!(
                    "container has runAsNonRoot and image has non-numeric user ({image_user}), cannot verify user is \
                     non-root {whose}"
                )),
            },
        }
    }
}

fn resources(container: &Container) -> Resources {
    let amount = |limits: bool, name: &str| {
        let resources = container.resources.as_ref()?;
        let list = if limits { resources.limits.as_ref() } else { resources.requests.as_ref() };
        Quantity::try_from(list?.get(name)?).ok()
    };
    Resources {
        cpu_limit_milli: amount(true, "cpu").map_or(0, Quantity::milli_value),
        cpu_request_milli: amount(false, "cpu").map_or(0, Quantity::milli_value),
        memory_limit_bytes: amount(true, "memory").map_or(0, Quantity::value),
    }
}
