//! What programs know of their container, and the table of programs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::cgroup::Cgroup;
use super::super::images::{ImageData, all_programs};
use super::super::launcher::Launcher;
use super::*;
use crate::bash::{Program, Programs};
use crate::network::NetHost;
use crate::seed::Seed;

/// What a program knows of its container.
#[derive(Clone)]
pub struct Machine {
    /// Its place in the network.
    pub host: NetHost,
    /// Its memory and CPU time.
    pub cgroup: Cgroup,
    /// The environment in the order in which `env` shows it.
    pub env: Vec<(String, String)>,
    /// The version of the image's software.
    pub version: String,
    /// The cluster's chance.
    pub seed: Seed,
    /// Whether what a shell starts is a process of the kernel's: in a real container.
    pub real: bool,
}

/// Commands of bash's crate that distributions do not bring, beside those of other images.
const NOT_IN_IMAGES: &[&str] = &[
    "assert", "bc", "bzcat", "column", "compgen", "csv", "curl", "dotenv", "file", "git", "glob", "http",
    "iconv", "jq", "json", "less", "log", "make", "man", "nano", "parallel", "patch", "python", "python3",
    "retry", "rg", "semver", "sqlite3", "ssh", "sudo", "template", "tomlq", "tree", "unzip", "verify", "vi",
    "watch", "wget", "xxd", "yq", "zip",
];

/// The programs of an image, and what runs them.
pub(in crate::runtime::sim) fn install(machine: &Machine, image: &ImageData) -> (Launcher, Programs) {
    let present: BTreeSet<String> = image.program_names().map(str::to_owned).collect();
    let real = machine.real.then(|| Arc::new(present.clone()));
    let programs: Programs = Arc::new_cyclic(|weak| {
        let launcher = Launcher::new(weak.clone(), real.clone());
        let mut programs = table(machine, &launcher);
        programs.retain(|name, _| present.contains(*name));
        let absent =
            NOT_IN_IMAGES.iter().copied().chain(all_programs()).filter(|name| !present.contains(*name));
        programs.extend(absent.map(|name| (name, Arc::new(missing::Missing) as Arc<dyn Program>)));
        programs.into_iter().map(|(name, program)| (name.to_owned(), program)).collect()
    });
    (Launcher::new(Arc::downgrade(&programs), real), programs)
}

/// Every program that we have, by name.
fn table(machine: &Machine, launcher: &Launcher) -> BTreeMap<&'static str, Arc<dyn Program>> {
    let mut table: BTreeMap<&'static str, Arc<dyn Program>> = BTreeMap::new();
    let mut add = |names: &[&'static str], program: Arc<dyn Program>| {
        for name in names {
            table.insert(name, program.clone());
        }
    };
    let host = &machine.host;
    add(&["sh", "bash", "ash", "dash"], Arc::new(shell::Shell::new(launcher.clone())));
    add(&["sleep"], Arc::new(crate::bash::Sleep));
    add(&["pause"], Arc::new(pause::Pause));
    add(&["env", "printenv"], Arc::new(env::Env::new(machine.env.clone(), launcher.clone())));
    add(&["hostname"], Arc::new(hostname::Hostname::new(host.clone())));
    add(&["curl"], Arc::new(Curl::new(host.clone())));
    add(&["agnhost", "echoserver"], Arc::new(agnhost::Agnhost::new(machine.clone(), launcher.clone())));
    add(&["wget"], Arc::new(Wget::new(host.clone())));
    add(&["nslookup", "dig"], Arc::new(Nslookup::new(host.clone())));
    add(&["ping"], Arc::new(Ping::new(host.clone())));
    add(&["nc"], Arc::new(Nc::new(host.clone())));
    add(&["ip", "ifconfig", "route", "netstat"], Arc::new(net_tools::Interfaces::new(host.clone())));
    add(&["ps", "top"], Arc::new(ps::Ps::new(machine.clone())));
    add(&["killall", "pgrep", "pidof", "pkill"], Arc::new(pgrep::ByName));
    add(&["tail"], Arc::new(tail::Tail::new(machine.clone())));
    add(&["tar"], Arc::new(tar::Tar));
    add(&["nginx"], Arc::new(nginx::Nginx::new(machine.clone())));
    add(&["httpd", "httpd-foreground"], Arc::new(httpd::Httpd::new(machine.clone())));
    add(&["redis-server"], Arc::new(redis::RedisServer::new(machine.clone())));
    add(&["redis-cli"], Arc::new(redis::RedisCli::new(host.clone())));
    add(&["stress"], Arc::new(stress::Stress::new(machine.clone())));
    add(&["hello"], Arc::new(entrypoint::Hello));
    add(&["docker-entrypoint.sh", "entrypoint.sh"], Arc::new(entrypoint::Entrypoint::new(launcher.clone())));
    add(&["node"], Arc::new(bootcamp::Bootcamp::new(machine.clone())));
    table
}
