//! What this machine lacks for real containers, each with the one command that mends it.

use std::collections::BTreeMap;
use std::path::Path;

use super::client::Client;
use super::config::ContainerdConfig;
use super::machine::LOCK;
use super::network::{self, has_tool};
use crate::clock::Clock;
use crate::network::kernel;

/// The capability to give a process more of the machine than its parent has: needed to lower `oom_score_adj`.
const CAP_SYS_RESOURCE: u32 = 24;

/// The versions of containerd that the tests have run on.
const TRIED: &str = "1.6 and 2.1";

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What mends it; `None` if nothing is wrong.
    pub mend: Option<String>,
}

impl Finding {
    fn good(what: &str, found: impl Into<String>) -> Self {
        Self { what: what.to_owned(), found: found.into(), mend: None }
    }

    fn bad(what: &str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.to_owned(), found: found.into(), mend: Some(mend.into()) }
    }

    fn of(what: &str, good: bool, found: &str, missing: &str, mend: &str) -> Self {
        if good { Self::good(what, found) } else { Self::bad(what, missing, mend) }
    }
}

/// Looks at everything that `--runtime containerd` needs.
pub async fn examine(config: &ContainerdConfig, clock: &Clock) -> Vec<Finding> {
    if !cfg!(target_os = "linux") {
        let system = std::env::consts::OS;
        return vec![Finding::bad("system", system, "real containers need Linux; --runtime sim works here")];
    }
    let mut findings = vec![
        Finding::good("system", "Linux"),
        Finding::of(
            "rights",
            rustix::process::geteuid().is_root(),
            "root",
            "not root",
            "run it with sudo: sudo k8s-learn ...",
        ),
        tool("ip", "iproute2"),
        packet_rules(clock).await,
        tool("runc", "runc"),
        cgroups(&std::fs::read_to_string("/proc/cgroups").unwrap_or_default()),
        filesystem("overlay", &std::fs::read_to_string("/proc/filesystems").unwrap_or_default()),
        lock(),
    ];
    match Client::connect(&config.socket, clock).await {
        Err(error) => findings.push(Finding::bad(
            "containerd",
            error.to_string(),
            "apt-get install containerd && systemctl start containerd, or --containerd-socket with where it is",
        )),
        Ok((client, version)) => {
            let found = format!("{version} at {} (tried: {TRIED})", config.socket.display());
            findings.push(Finding::good("containerd", found));
            match client.status().await {
                Err(error) => findings.push(Finding::bad("CRI", error.to_string(), "look into containerd's log")),
                Ok(status) => {
                    findings.push(network(&status.info));
                    let own = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                    findings.push(oom(&status.info, &own));
                }
            }
        }
    }
    findings
}

fn tool(name: &str, package: &str) -> Finding {
    let mend = format!("apt-get install {package}");
    Finding::of(name, has_tool(name), "there", "missing", &mend)
}

/// Whether the kernel can do what our packet rules need; only root may ask it.
async fn packet_rules(clock: &Clock) -> Finding {
    let found = tool("nft", "nftables");
    if found.mend.is_some() || !rustix::process::geteuid().is_root() {
        return found;
    }
    match kernel::missing(clock).await {
        None => Finding::good("nft", "there, and the kernel has all that our packet rules need"),
        Some((what, mend)) => Finding::bad("nft", what, mend),
    }
}

/// `name hierarchy groups enabled` a line.
fn cgroups(text: &str) -> Finding {
    // A kernel with only the second version may have no such file: containerd itself then says what is missing.
    let off = |name: &&str| {
        text.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.first() == Some(name) && words.last() == Some(&"0")
        })
    };
    let missing: Vec<&str> = ["cpu", "memory", "pids"].into_iter().filter(off).collect();
    match missing.is_empty() {
        true => Finding::good("cgroups", "cpu, memory, pids"),
        false => Finding::bad(
            "cgroups",
            format!("off: {}", missing.join(", ")),
            "boot with cgroup_enable=memory on the kernel's command line",
        ),
    }
}

fn filesystem(module: &str, filesystems: &str) -> Finding {
    let there = filesystems.lines().any(|line| line.split_whitespace().last() == Some(module));
    let mend = format!("modprobe {module}, or snapshotter = \"native\" in containerd's configuration");
    Finding::of(module, there, "there", "not loaded", &mend)
}

fn lock() -> Finding {
    match super::machine::lock(Path::new(LOCK)) {
        Ok(_) => Finding::good("other clusters", "none"),
        Err(error) => Finding::bad("other clusters", error.to_string(), "end the other cluster"),
    }
}

fn network(info: &BTreeMap<String, String>) -> Finding {
    match network::missing_plugin(info) {
        None => Finding::good("CNI plugins", network::PLUGINS.join(", ")),
        Some(why) => Finding::bad("CNI plugins", why, "apt-get install containernetworking-plugins"),
    }
}

/// Where this machine may not lower `oom_score_adj`, containerd must not try.
fn oom(info: &BTreeMap<String, String>, own: &str) -> Finding {
    let what = "oom_score_adj";
    let effective = own.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    let may = u64::from_str_radix(effective.trim(), 16).is_ok_and(|bits| bits >> CAP_SYS_RESOURCE & 1 == 1);
    let config = info.get("config").and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let restricted = config.is_some_and(|config| config["restrictOOMScoreAdj"] == true);
    match (may, restricted) {
        (true, _) => Finding::good(what, "may be lowered"),
        (false, true) => Finding::good(what, "may not be lowered, and containerd knows"),
        (false, false) => Finding::bad(
            what,
            "may not be lowered: sandboxes fail with \"can't get final child's PID from pipe\"",
            "restrict_oom_score_adj = true under the CRI plugin in containerd's configuration",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_has_something_that_mends_it() {
        assert_eq!(cgroups("#subsys_name hierarchy num enabled\ncpu 1 2 1\nmemory 2 3 1\n").mend, None);
        let off = cgroups("memory 0 1 0\n");
        assert!(off.found.contains("memory") && off.mend.is_some());
        assert_eq!(filesystem("overlay", "nodev\toverlay\n").mend, None);
        assert!(filesystem("overlay", "ext4\n").mend.is_some());
        let restricted =
            BTreeMap::from([("config".to_owned(), r#"{"restrictOOMScoreAdj": true}"#.to_owned())]);
        let none = BTreeMap::new();
        for (info, capabilities, wrong) in [
            (&restricted, "CapEff:\t0000000000000000\n", false),
            (&none, "CapEff:\t0000000000000000\n", true),
            (&none, "CapEff:\t000001ffffffffff\n", false),
        ] {
            assert_eq!(oom(info, capabilities).mend.is_some(), wrong, "{capabilities}");
        }
    }

    #[tokio::test]
    async fn a_machine_without_containerd_is_told_so() {
        let config = ContainerdConfig { socket: "/nonexistent".into(), ..ContainerdConfig::default() };
        let findings = examine(&config, &Clock::real()).await;
        assert!(findings.iter().any(|finding| finding.mend.is_some()), "{findings:?}");
    }
}
