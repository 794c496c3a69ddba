//! `ps` on a node: the components that run there, and what its containers run.

use async_trait::async_trait;

use crate::bash::{ProcessInfo, Program, ProgramContext};
use crate::cluster::{Component, ComponentStatus, Components, NodeMachine};
use crate::runtime::sim::programs::process_table;

/// Where the numbers of containers' processes begin.
const FIRST_OF_CONTAINERS: u32 = 3_000;
/// How many numbers there are for them.
const NUMBERS: u32 = 29_000;

/// `ps [aux|-ef]`
pub(super) struct NodePs {
    machine: NodeMachine,
    components: Components,
}

impl NodePs {
    pub(super) fn new(machine: NodeMachine, components: Components) -> Self {
        Self { machine, components }
    }

    /// What runs on the machine, by number.
    fn processes(&self) -> Vec<ProcessInfo> {
        let status = self.components.status();
        let began = status.iter().map(|status| status.since).min().unwrap_or_default();
        let process = |pid, parent, command: &str, started| ProcessInfo {
            pid,
            parent,
            user: "root".to_owned(),
            command: command.split(' ').map(str::to_owned).collect(),
            started,
        };
        let mut all = vec![process(1, 0, "/sbin/init", began), process(312, 1, "/usr/bin/containerd", began)];
        let (name, ip) = (self.machine.name(), self.machine.host().ip());
        let is_control_plane = status.iter().find_map(|status| status.node.as_deref()) == Some(name);
        if is_control_plane {
            let etcd = format!("etcd --advertise-client-urls=https://{ip}:2379");
            let server = format!("kube-apiserver --advertise-address={ip} --secure-port=8443");
            all.extend([process(1_510, 1_402, &etcd, began), process(1_522, 1_411, &server, began)]);
        }
        let here = |status: &&ComponentStatus| match &status.node {
            Some(node) => node == name,
            None => is_control_plane,
        };
        for status in status.iter().filter(|status| status.running).filter(here) {
            let (pid, parent, command) = match status.component {
                Component::Scheduler => (1_533, 1_420, "kube-scheduler --bind-address=127.0.0.1".to_owned()),
                Component::ControllerManager => {
                    (1_544, 1_431, "kube-controller-manager --bind-address=127.0.0.1".to_owned())
                }
                Component::KubeProxy => {
                    (2_107, 1_998, format!("/usr/local/bin/kube-proxy --hostname-override={name}"))
                }
                Component::Kubelet => (
                    1_203,
                    1,
                    format!(
                        "/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml --hostname-override={name} --node-ip={ip}"
                    ),
                ),
            };
            all.push(process(pid, parent, &command, status.since));
        }
        let containers = self.machine.processes();
        for (id, processes) in containers {
            let base = base_of(&id);
            all.extend(processes.into_iter().map(|process| ProcessInfo {
                pid: base + process.pid,
                parent: if process.parent == 0 { base } else { base + process.parent },
                ..process
            }));
        }
        all.sort_by_key(|process| process.pid);
        all
    }
}

/// The number before a container's first process: always the same for the same container.
fn base_of(id: &str) -> u32 {
    let digits = u32::from_str_radix(id.get(..7).unwrap_or_default(), 16).unwrap_or_default();
    FIRST_OF_CONTAINERS + digits % NUMBERS
}

#[async_trait]
impl Program for NodePs {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let all = context.args.iter().skip(1).any(|word| word.contains(['e', 'a', 'A', 'x']));
        let own = context.system.processes.list();
        let text =
            if all { process_table(&context, &self.processes()) } else { process_table(&context, &own) };
        context.stdio.out(text).await;
        0
    }
}
