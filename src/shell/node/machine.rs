//! A login on a node: its files, its user, its programs.
//!
//! The machine's files stay from one login to the next, and are those that `hostPath` volumes show.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::io::AsyncReadExt;

use super::crictl::Crictl;
use super::processes::NodePs;
use super::sudo::Sudo;
use super::systemctl::Systemctl;
use crate::bash::{
    Bash, BashConfig, Files, Foreground, MemoryFiles, Program, Programs, Stdio, System, User, interactive,
    tty,
};
use crate::clock::Clock;
use crate::cluster::{Components, NodeMachine};
use crate::runtime::sim::programs::{Curl, Hostname, Interfaces, Nc, Nslookup, Ping, Wget};

/// The home of who logs in.
const HOME: &str = "/home/docker";
/// The largest script that is read from standard input.
const MAX_SCRIPT_BYTES: u64 = 4 << 20;
/// What the kubelet's configuration says of what this kubelet does.
const KUBELET_CONFIG: &str = "apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
authorization:
  mode: Webhook
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
healthzBindAddress: 127.0.0.1
healthzPort: 10248
kind: KubeletConfiguration
";

/// Logs in on one node. Cheap to clone.
#[derive(Clone)]
pub struct NodeShell {
    machine: NodeMachine,
    config: BashConfig,
}

impl NodeShell {
    /// Logins on that machine of a cluster with those components.
    pub fn new(machine: NodeMachine, components: Components, clock: &Clock) -> Self {
        let mut system = System::new(machine.name(), clock.clone());
        system.user = User { name: "docker".to_owned(), uid: 1000, gid: 999, groups: vec![27] };
        let env = [
            ("HOME", HOME),
            ("LANG", "C.UTF-8"),
            ("LOGNAME", "docker"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            ("PWD", HOME),
            ("SHELL", "/bin/bash"),
            ("USER", "docker"),
        ];
        let config = BashConfig {
            files: files(&machine, clock),
            system,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            cwd: HOME.to_owned(),
            programs: programs(&machine, components),
        };
        Self { machine, config }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        self.machine.name()
    }

    /// Runs a command line and returns its exit code.
    pub async fn run(&self, line: &str, stdio: Stdio) -> i32 {
        Bash::new(self.login()).execute(line, stdio).await
    }

    /// Opens a shell: a prompt if somebody sits at a terminal, otherwise for what standard input says.
    pub async fn open(&self, mut stdio: Stdio) -> i32 {
        let (true, Some(terminal)) = (stdio.stdin_is_terminal, stdio.terminal.clone()) else {
            let mut script = String::new();
            let mut bytes = vec![];
            // A stream that breaks is one that ends.
            let _ = (&mut stdio.stdin).take(MAX_SCRIPT_BYTES).read_to_end(&mut bytes).await;
            script.push_str(&String::from_utf8_lossy(&bytes));
            return self.run(&script, Stdio { stdin: Box::new(tokio::io::empty()), ..stdio }).await;
        };
        // From here on the node's terminal is what turns keys into lines and signals, as through a real SSH.
        let _raw = terminal.raw();
        let config = self.login();
        let system = config.system.clone();
        let foreground = Foreground::default();
        foreground.set(system.signals.clone());
        let stdio = tty(stdio.stdin, stdio.stdout, terminal.size(), foreground);
        let mut bash = Bash::new(config);
        interactive(&mut bash, &system, stdio).await
    }

    /// The configuration of one login, which has signals and jobs of its own.
    fn login(&self) -> BashConfig {
        let mut system = System::new(self.name(), self.config.system.clock.clone());
        system.user = self.config.system.user.clone();
        BashConfig { system, ..self.config.clone() }
    }
}

/// The node's own disk, with what a machine has on it. A real node's is not shown: it is this machine's.
fn files(machine: &NodeMachine, clock: &Clock) -> Arc<dyn Files> {
    match machine.disk() {
        Some(disk) => {
            furnish(disk.own(), machine);
            disk.files()
        }
        None => {
            let memory = MemoryFiles::new(clock.clone());
            furnish(&memory, machine);
            Arc::new(memory)
        }
    }
}

fn furnish(memory: &MemoryFiles, machine: &NodeMachine) {
    let (name, ip) = (machine.name(), machine.host().ip());
    memory.put_directory(HOME, 0o755);
    memory.set_owner(HOME, 1000, 999);
    memory.put_directory("/tmp", 0o1777);
    memory.put_directory("/var/log", 0o755);
    for (path, text) in [
        ("/etc/hostname", format!("{name}\n")),
        ("/etc/hosts", format!("127.0.0.1\tlocalhost\n{ip}\t{name}\n")),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndocker:x:1000:999:,,,:/home/docker:/bin/bash\n".to_owned()),
        ("/etc/group", "root:x:0:\nsudo:x:27:docker\ndocker:x:999:docker\n".to_owned()),
        (
            "/etc/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n".to_owned(),
        ),
        ("/var/lib/kubelet/config.yaml", KUBELET_CONFIG.to_owned()),
    ] {
        memory.put(path, text.as_bytes(), 0o644);
    }
}

fn programs(machine: &NodeMachine, components: Components) -> Programs {
    let host = machine.host();
    let common: [(&str, Arc<dyn Program>); 12] = [
        ("curl", Arc::new(Curl::new(host.clone()))),
        ("wget", Arc::new(Wget::new(host.clone()))),
        ("ping", Arc::new(Ping::new(host.clone()))),
        ("nslookup", Arc::new(Nslookup::new(host.clone()))),
        ("nc", Arc::new(Nc::new(host.clone()))),
        ("hostname", Arc::new(Hostname::new(host.clone()))),
        ("ip", Arc::new(Interfaces::new(host.clone()))),
        ("ifconfig", Arc::new(Interfaces::new(host.clone()))),
        ("netstat", Arc::new(Interfaces::new(host.clone()))),
        ("ps", Arc::new(NodePs::new(machine.clone(), components.clone()))),
        ("crictl", Arc::new(Crictl::new(machine.clone()))),
        ("systemctl", Arc::new(Systemctl::new(machine.name(), components))),
    ];
    Arc::new_cyclic(|all| {
        let mut programs: BTreeMap<String, Arc<dyn Program>> =
            common.into_iter().map(|(name, program)| (name.to_owned(), program)).collect();
        programs.insert("sudo".to_owned(), Arc::new(Sudo::new(all.clone())));
        programs
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bash::SharedWriter;
    use crate::cluster::{Cluster, ClusterConfig, Component, Time, scenarios};
    use k8s_openapi::api::core::v1::ServiceAccount;
    use kube::api::{Api, PostParams};

    /// A cluster with a login on its first node.
    async fn node() -> (Cluster, NodeShell) {
        let config =
            ClusterConfig { nodes: 2, seed: Some(1), time: Time::Virtual, ..ClusterConfig::default() };
        let cluster = Cluster::start(config).await.unwrap();
        cluster.ready().await;
        let machine = cluster.machines().remove(0);
        let shell = NodeShell::new(machine, cluster.components(), cluster.clock());
        (cluster, shell)
    }

    /// What a line writes, and its code if that is not 0.
    async fn typed(shell: &NodeShell, line: &str) -> String {
        let (stdout, out) = SharedWriter::capture();
        let (stderr, err) = SharedWriter::capture();
        let stdio = Stdio { stdout: Box::new(stdout), stderr: Box::new(stderr), ..Stdio::null() };
        let code = shell.run(line, stdio).await;
        let [out, err] = [out, err].map(|kept| String::from_utf8(kept.lock().unwrap().clone()).unwrap());
        if code == 0 { format!("{out}{err}") } else { format!("{out}{err}[{code}]") }
    }

    #[tokio::test(start_paused = true)]
    async fn the_components_answer_on_their_ports_until_they_are_stopped() {
        let (cluster, shell) = node().await;
        assert_eq!(typed(&shell, "curl -s http://127.0.0.1:10248/healthz").await, "ok");
        let health = typed(&shell, "curl -s http://127.0.0.1:10256/healthz").await;
        assert!(health.contains("\"nodeEligible\":true,\"healthy\":true,\"status\":{\"IPv4\":"), "{health}");
        assert!(typed(&shell, "curl -s http://192.168.49.2:10256/livez").await.contains("\"healthy\":true"));
        let metrics =
            typed(&shell, "curl -s http://127.0.0.1:10249/metrics | grep -c ^kubeproxy_sync_proxy_rules_")
                .await;
        assert!(metrics.trim().parse::<u32>().unwrap() > 10, "{metrics}");
        assert_eq!(typed(&shell, "curl -s http://localhost:10249/proxyMode").await, "iptables");
        assert_eq!(typed(&shell, "curl -sk https://127.0.0.1:10259/healthz").await, "ok");
        assert_eq!(typed(&shell, "curl -sk https://127.0.0.1:10257/healthz").await, "ok");
        let forbidden = typed(&shell, "curl -sk https://127.0.0.1:10257/metrics").await;
        assert!(
            forbidden.contains("User \\\"system:anonymous\\\" cannot get path \\\"/metrics\\\""),
            "{forbidden}"
        );
        let plain = typed(&shell, "curl -s http://127.0.0.1:10259/healthz").await;
        assert_eq!(plain, "Client sent an HTTP request to an HTTPS server.\n");
        assert_eq!(typed(&shell, "curl -s http://192.168.49.2:10249/metrics").await, "[7]");
        assert_eq!(typed(&shell, "curl -s http://192.168.49.2:10248/healthz").await, "[7]");
        let kubelet = "https://192.168.49.2:10250/pods";
        assert_eq!(typed(&shell, &format!("curl -sk {kubelet}")).await, "Unauthorized");
        let wrong = format!("curl -sk -H 'Authorization: Bearer nonsense' {kubelet}");
        assert_eq!(typed(&shell, &wrong).await, "Unauthorized");
        let accounts = Api::<ServiceAccount>::namespaced(cluster.admin(), "default");
        let request = serde_json::from_value(serde_json::json!({"spec": {"audiences": []}})).unwrap();
        let granted =
            accounts.create_token_request("default", &PostParams::default(), &request).await.unwrap();
        let bearer = format!("Authorization: Bearer {}", granted.status.unwrap().token.unwrap());
        let pods = typed(&shell, &format!("curl -sk -H '{bearer}' https://127.0.0.1:10250/pods")).await;
        assert!(pods.contains("\"PodList\""), "{pods}");
        let plain = typed(&shell, "curl -s http://192.168.49.2:10250/pods").await;
        assert_eq!(plain, "Client sent an HTTP request to an HTTPS server.\n");
        for component in Component::ALL {
            cluster
                .components()
                .stop(component, component.is_per_node().then_some("minikube"))
                .await
                .unwrap();
        }
        for port in [10248, 10249, 10250, 10256, 10257, 10259] {
            let line = format!(
                "curl -sk https://192.168.49.2:{port}/healthz; curl -sk https://127.0.0.1:{port}/healthz"
            );
            assert_eq!(typed(&shell, &line).await, "[7]", "{line}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_is_the_nodes() {
        let (cluster, shell) = node().await;
        assert_eq!(
            typed(&shell, "whoami; hostname; hostname -I; pwd").await,
            "docker\nminikube\n192.168.49.2 \n/home/docker\n"
        );
        assert_eq!(typed(&shell, "sudo whoami").await, "root\n");
        assert_eq!(typed(&shell, "echo kept > note").await, "");
        assert_eq!(
            typed(&shell, "cat note; grep Port /var/lib/kubelet/config.yaml").await,
            "kept\nhealthzPort: 10248\n"
        );
        let ps = typed(&shell, "ps -ef | grep kube | grep -v grep | wc -l").await;
        assert_eq!(ps.trim(), "5", "API server, controller manager, scheduler, kube-proxy, kubelet");
        scenarios::create_deployment(&cluster, "web", 2).await.unwrap();
        assert!(typed(&shell, "ps aux").await.contains("nginx"));
        let stopped = "Failed to stop kubelet.service: Interactive authentication required.\n[1]";
        assert_eq!(typed(&shell, "systemctl stop kubelet").await, stopped);
        assert_eq!(
            typed(&shell, "sudo systemctl stop kubelet; systemctl is-active kubelet").await,
            "inactive\n[3]"
        );
        assert!(typed(&shell, "ps -ef").await.contains("nginx"), "containers go on");
        assert!(!typed(&shell, "ps -ef").await.contains("/usr/bin/kubelet"));
        assert!(typed(&shell, "systemctl status kubelet").await.contains("Active: inactive (dead) since "));
        assert_eq!(typed(&shell, "sudo systemctl start kubelet").await, "");
        let status = cluster.components().status();
        assert!(status.iter().all(|status| status.running), "{status:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn crictl_shows_what_the_runtime_has() {
        let (cluster, shell) = node().await;
        scenarios::create_deployment(&cluster, "web", 2).await.unwrap();
        let containers = typed(&shell, "sudo crictl ps").await;
        let (headings, row) = containers.trim_end().split_once('\n').unwrap();
        assert_eq!(
            headings,
            "CONTAINER           IMAGE               CREATED                  STATE               NAME                ATTEMPT             \
             POD ID              POD                    NAMESPACE"
        );
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!((words[0].len(), words[1].len(), words[words.len() - 1]), (13, 13, "default"), "{row}");
        let pods = typed(&shell, "crictl pods").await;
        assert!(
            pods.contains("Ready") && pods.lines().nth(1).unwrap().ends_with("0                   (default)"),
            "{pods}"
        );
        let images = typed(&shell, "crictl images").await;
        assert!(images.contains("docker.io/library/nginx") && images.contains("1.27"), "{images}");
        assert_eq!(typed(&shell, "crictl ps -q | wc -c").await.trim(), "65");
        assert!(typed(&shell, "crictl logs x").await.ends_with("[1]"));
    }
}
