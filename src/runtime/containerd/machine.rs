//! This machine with its containerd, for one cluster: nobody else of ours is at it, nothing is left from before, and pods get
//! a network. [`Containerd::close`] takes away what the cluster made, and nothing else.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;

use super::client::Client;
use super::config::{ContainerdConfig, ContainerdError, NodeConfig, OWNER, OWNER_LABEL};
use super::course::Course;
use super::network;
use super::proto::cri;
use super::runtime::ContainerdRuntime;
use super::tmpfs;
use crate::clock::Clock;
use crate::network::PodPlaces;
use crate::network::kernel::{self, Forwarding, Links, PacketRules};

/// Held by the cluster that uses this machine: packet rules and addresses are the whole machine's.
pub(super) const LOCK: &str = "/run/k8s-learn.lock";
/// The control group of our pods.
const CGROUP: &str = "k8s-learn";
/// The directory of volumes that the cluster's provisioner makes.
const PROVISIONED: &str = "hostpath-provisioner";
/// How many sandboxes are taken away at a time.
const AT_A_TIME: usize = 16;
/// How long one may take to go.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(60);

/// This machine's containerd, for one cluster.
pub struct Containerd {
    client: Client,
    version: String,
    config: ContainerdConfig,
    clock: Clock,
    course: Arc<Course>,
    places: PodPlaces,
    cgroup_parent: String,
    /// Our file in containerd's own directory of networks, if it had none.
    conflist: Option<PathBuf>,
    _lock: File,
}

impl Containerd {
    /// Takes the machine. If it cannot be had nothing is changed.
    pub async fn open(config: &ContainerdConfig, clock: &Clock) -> Result<Self, ContainerdError> {
        if !cfg!(target_os = "linux") {
            return Err(ContainerdError::System(std::env::consts::OS));
        }
        if !rustix::process::geteuid().is_root() {
            return Err(ContainerdError::Root);
        }
        let (client, version) = Client::connect(&config.socket, clock).await?;
        network::tools()?;
        kernel::check(clock).await.map_err(ContainerdError::Network)?;
        let lock = lock(Path::new(LOCK))?;
        let state = config.state.clone();
        let conflist = network::have(&client, &state, clock).await?;
        let course = Arc::new(Course::new(client.clone(), clock.clone()));
        let places = PodPlaces::default();
        let config = config.clone();
        let cgroup_parent = cgroup_parent(&client.status().await?.info);
        let opened = Self {
            client,
            version,
            config,
            clock: clock.clone(),
            course,
            places,
            cgroup_parent,
            conflist,
            _lock: lock,
        };
        opened.clear().await?;
        opened.course.forget_other_builds().await?;
        Ok(opened)
    }

    /// The runtime of one node.
    pub fn node(&self, name: &str) -> ContainerdRuntime {
        let state = self.config.state.join("nodes").join(name);
        let config = NodeConfig {
            node: name.to_owned(),
            state,
            clock: self.clock.clone(),
            places: self.places.clone(),
            cgroup_parent: self.cgroup_parent.clone(),
        };
        ContainerdRuntime::new(self.client.clone(), self.version.clone(), config, self.course.clone())
    }

    /// Where the cluster's provisioner makes volumes. It goes with the cluster.
    pub fn provisioned(&self) -> PathBuf {
        self.config.state.join(PROVISIONED)
    }

    /// The course's images.
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// Where pods are.
    pub fn places(&self) -> &PodPlaces {
        &self.places
    }

    /// Takes away what the cluster made. The machine is free for the next one when this is dropped.
    pub async fn close(&self) -> Result<(), ContainerdError> {
        let cleared = self.clear().await;
        if let Some(file) = &self.conflist {
            // Somebody else may have taken it away.
            let _ = tokio::fs::remove_file(file).await;
        }
        cleared
    }

    /// Takes away what is ours, whichever process made it.
    async fn clear(&self) -> Result<(), ContainerdError> {
        clear_sandboxes(&self.client, &self.clock).await?;
        PacketRules::remove(&self.clock).await.map_err(ContainerdError::Network)?;
        Links::remove_leftovers(&self.clock).await.map_err(ContainerdError::Network)?;
        let unmounted = tmpfs::unmount(&self.clock, &self.config.state).await;
        unmounted.map_err(|why| ContainerdError::Files { path: self.config.state.clone(), why })?;
        Forwarding::put_back().await.map_err(ContainerdError::Network)?;
        for name in ["nodes", network::ADDRESSES, PROVISIONED] {
            let path = self.config.state.join(name);
            match tokio::fs::remove_dir_all(&path).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ContainerdError::Files { path, why: error.to_string() });
                }
                _ => {}
            }
        }
        remove_cgroups().await;
        // The directory itself goes if nothing else is in it.
        let _ = tokio::fs::remove_dir(&self.config.state).await;
        Ok(())
    }
}

/// Holds the machine for as long as the file is open.
pub(super) fn lock(path: &Path) -> Result<File, ContainerdError> {
    let failed = |why: std::io::Error| ContainerdError::Files { path: path.to_owned(), why: why.to_string() };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ContainerdError::Taken(path.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The control group of our pods. Where systemd keeps the groups they have other names, and containerd chooses.
fn cgroup_parent(info: &BTreeMap<String, String>) -> String {
    let config = info.get("config").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let by_systemd = config.is_some_and(|config| {
        let runtimes = config["containerd"]["runtimes"].as_object().into_iter().flatten();
        let mut options = runtimes.map(|(_, runtime)| runtime["options"]["SystemdCgroup"] == true);
        config["systemdCgroup"] == true || options.any(|by_systemd| by_systemd)
    });
    if by_systemd { String::new() } else { format!("/{CGROUP}") }
}

/// Takes our control group away, in every hierarchy that there is. With something in it, it stays.
async fn remove_cgroups() {
    let root = Path::new("/sys/fs/cgroup");
    let _ = tokio::fs::remove_dir(root.join(CGROUP)).await;
    let Ok(mut hierarchies) = tokio::fs::read_dir(root).await else { return };
    while let Ok(Some(hierarchy)) = hierarchies.next_entry().await {
        let _ = tokio::fs::remove_dir(hierarchy.path().join(CGROUP)).await;
    }
}

/// Takes away every sandbox of ours with its containers.
async fn clear_sandboxes(client: &Client, clock: &Clock) -> Result<(), ContainerdError> {
    let answer = |status: tonic::Status| ContainerdError::Answer(status.message().to_owned());
    let labels = BTreeMap::from([(OWNER_LABEL.to_owned(), OWNER.to_owned())]);
    let filter = cri::PodSandboxFilter { label_selector: labels, ..Default::default() };
    let request = cri::ListPodSandboxRequest { filter: Some(filter) };
    let ours = client.runtime().list_pod_sandbox(request).await.map_err(answer)?.into_inner().items;
    let removals = ours.into_iter().map(|sandbox| async move {
        let removal = clock.timeout(REMOVAL_TIMEOUT, remove(client, sandbox.id.clone())).await;
        removal.unwrap_or_else(|_| {
            let why = format!("the sandbox {} does not go", sandbox.id);
            Err(tonic::Status::deadline_exceeded(why))
        })
    });
    let results: Vec<_> = futures::stream::iter(removals).buffer_unordered(AT_A_TIME).collect().await;
    results.into_iter().collect::<Result<Vec<()>, _>>().map(drop).map_err(answer)
}

async fn remove(client: &Client, id: String) -> Result<(), tonic::Status> {
    let request = cri::StopPodSandboxRequest { pod_sandbox_id: id.clone() };
    client.runtime().stop_pod_sandbox(request).await?;
    client.runtime().remove_pod_sandbox(cri::RemovePodSandboxRequest { pod_sandbox_id: id }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_names_its_own_groups() {
        let info = |text: &str| BTreeMap::from([("config".to_owned(), text.to_owned())]);
        assert_eq!(cgroup_parent(&info("{}")), "/k8s-learn");
        let options = r#"{"containerd": {"runtimes": {"runc": {"options": {"SystemdCgroup": true}}}}}"#;
        assert_eq!(cgroup_parent(&info(options)), "");
    }

    #[test]
    fn one_cluster_has_the_machine() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = lock(&path).unwrap();
        assert!(matches!(lock(&path), Err(ContainerdError::Taken(_))));
        drop(first);
        assert!(lock(&path).is_ok());
    }
}
