//! Pods' network by CNI: our own configuration where containerd has none, and the tools that everything else needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::config::ContainerdError;
use crate::clock::Clock;
use crate::network::kernel::POD_NETWORK;

/// Our configuration in containerd's directory of networks. Behind everybody else's.
const FILE: &str = "99-k8s-learn.conflist";
/// Where in our state the addresses are that pods have.
pub(super) const ADDRESSES: &str = "addresses";
/// The plugins of our network.
pub(super) const PLUGINS: [&str; 3] = ["ptp", "host-local", "loopback"];
/// Where tools are.
const TOOL_DIRECTORIES: [&str; 5] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"];
/// How long containerd may take to notice a network.
const NOTICE: Duration = Duration::from_secs(10);
/// How soon it is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// Where containerd looks for networks.
#[derive(Debug, PartialEq, Eq)]
struct Cni {
    plugins: Vec<PathBuf>,
    configurations: PathBuf,
}

/// Whether a tool is on this machine.
pub(super) fn has_tool(name: &str) -> bool {
    TOOL_DIRECTORIES.iter().any(|directory| Path::new(directory).join(name).exists())
}

/// The tools that the network is made with.
pub(super) fn tools() -> Result<(), ContainerdError> {
    for (tool, package) in [("ip", "iproute2"), ("nft", "nftables")] {
        if !has_tool(tool) {
            let why = format!("--runtime containerd needs the command {tool}: install {package}");
            return Err(ContainerdError::Network(why));
        }
    }
    Ok(())
}

fn cni(info: &BTreeMap<String, String>) -> Cni {
    let config: Value =
        info.get("config").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let path = |value: &Value| value.as_str().filter(|path| !path.is_empty()).map(PathBuf::from);
    let own = &config["cni"];
    let many = own["binDirs"].as_array().into_iter().flatten().filter_map(path);
    let mut plugins: Vec<PathBuf> = path(&own["binDir"]).into_iter().chain(many).collect();
    if plugins.is_empty() {
        plugins.push(PathBuf::from("/opt/cni/bin"));
    }
    Cni { plugins, configurations: path(&own["confDir"]).unwrap_or_else(|| PathBuf::from("/etc/cni/net.d")) }
}

/// The plugin of our network that containerd would not find.
pub(super) fn missing_plugin(info: &BTreeMap<String, String>) -> Option<String> {
    let Cni { plugins, .. } = cni(info);
    let missing = PLUGINS.iter().find(|plugin| !plugins.iter().any(|at| at.join(plugin).exists()))?;
    let places = plugins.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    Some(format!("the CNI plugin {missing} is not in {places}"))
}

async fn is_ready(client: &Client) -> Result<(bool, BTreeMap<String, String>), ContainerdError> {
    let answer = client.status().await?;
    let conditions = answer.status.unwrap_or_default().conditions;
    let ready = conditions.iter().any(|condition| condition.r#type == "NetworkReady" && condition.status);
    Ok((ready, answer.info))
}

/// Has a network for pods. If containerd has one it is taken; else ours is put into its directory, and that file is the
/// answer.
pub(super) async fn have(
    client: &Client,
    state: &Path,
    clock: &Clock,
) -> Result<Option<PathBuf>, ContainerdError> {
    let (ready, info) = is_ready(client).await?;
    let cni = cni(&info);
    let file = cni.configurations.join(FILE);
    if ready && !file.exists() {
        return Ok(None);
    }
    if let Some(missing) = missing_plugin(&info) {
        let why = format!(
            "pods have no network: {missing}: install containernetworking-plugins, and set bin_dir in containerd's configuration to where it is (Debian: /usr/lib/cni)"
        );
        return Err(ContainerdError::Network(why));
    }
    let failed =
        |error: std::io::Error| ContainerdError::Files { path: file.clone(), why: error.to_string() };
    tokio::fs::create_dir_all(&cni.configurations).await.map_err(failed)?;
    tokio::fs::write(&file, configuration(&state.join(ADDRESSES))).await.map_err(failed)?;
    let noticed = clock.timeout(NOTICE, async {
        while !is_ready(client).await?.0 {
            clock.sleep(AGAIN).await;
        }
        Ok(())
    });
    match noticed.await {
        Ok(result) => result.map(|()| Some(file)),
        Err(_) => {
            let _ = tokio::fs::remove_file(&file).await;
            let why = format!("containerd does not take the network {}", file.display());
            Err(ContainerdError::Network(why))
        }
    }
}

fn configuration(addresses: &Path) -> String {
    // A veth a pod and a route to it: nothing is bridged, so that every packet passes our rules.
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "k8s-learn",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": addresses,
                "ranges": [[{"subnet": POD_NETWORK}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    });
    format!("{network:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containerd_says_where_its_networks_are() {
        let info = |text: &str| BTreeMap::from([("config".to_owned(), text.to_owned())]);
        let found = cni(&info(r#"{"cni": {"binDir": "/usr/lib/cni", "confDir": "/tmp/cni"}}"#));
        assert_eq!(found, Cni { plugins: vec!["/usr/lib/cni".into()], configurations: "/tmp/cni".into() });
        let newer = cni(&info(r#"{"cni": {"binDir": "", "binDirs": ["/a", "/b"], "confDir": "/tmp/cni"}}"#));
        assert_eq!(newer.plugins, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(cni(&BTreeMap::new()).configurations, Path::new("/etc/cni/net.d"));
    }

    #[test]
    fn our_network_is_one_that_cni_reads() {
        let value: Value = serde_json::from_str(&configuration(Path::new("/state/addresses"))).unwrap();
        assert_eq!(value["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], POD_NETWORK);
    }
}
