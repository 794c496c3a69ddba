//! `systemctl` on a node, for the services of it: the kubelet and the container runtime.
// Models systemd's words and exit codes.

use async_trait::async_trait;

use crate::bash::{Program, ProgramContext};
use crate::clock::Clock;
use crate::cluster::{Component, ComponentStatus, Components};
use crate::meta::age;

/// `systemctl status|is-active|start|stop|restart UNIT`
pub(super) struct Systemctl {
    node: String,
    components: Components,
}

/// What is written where, and the exit code.
struct Answer {
    out: String,
    err: String,
    code: i32,
}

impl Answer {
    fn out(text: impl Into<String>, code: i32) -> Self {
        Self { out: text.into(), err: String::new(), code }
    }

    fn err(text: impl Into<String>, code: i32) -> Self {
        Self { out: String::new(), err: text.into(), code }
    }
}

impl Systemctl {
    pub(super) fn new(node: &str, components: Components) -> Self {
        Self { node: node.to_owned(), components }
    }

    fn kubelet(&self) -> Option<ComponentStatus> {
        let own = |status: &ComponentStatus| {
            status.component == Component::Kubelet && status.node.as_ref() == Some(&self.node)
        };
        self.components.status().into_iter().find(own)
    }

    async fn answer(&self, verb: &str, unit: &str, is_root: bool, clock: &Clock) -> Answer {
        let service = format!("{}.service", unit.trim_end_matches(".service"));
        match (verb, service.as_str()) {
            ("status" | "is-active" | "start" | "stop" | "restart", "kubelet.service") => {}
            ("is-active", "containerd.service") => return Answer::out("active\n", 0),
            (verb, "containerd.service") => {
                return Answer::err(format!("systemctl {verb} of containerd is not there on this node\n"), 1);
            }
            ("status", _) => return Answer::err(format!("Unit {service} could not be found.\n"), 4),
            ("is-active", _) => return Answer::out("inactive\n", 4),
            ("start" | "stop" | "restart", _) => {
                return Answer::err(format!("Failed to {verb} {service}: Unit {service} not found.\n"), 5);
            }
            (verb, _) => return Answer::err(format!("Unknown command verb '{verb}'.\n"), 1),
        }
        let Some(status) = self.kubelet() else {
            return Answer::err(format!("Unit {service} could not be found.\n"), 4);
        };
        match verb {
            "status" => shown(&status, clock),
            "is-active" if status.running => Answer::out("active\n", 0),
            "is-active" => Answer::out("inactive\n", 3),
            verb if !is_root => {
                Answer::err(format!("Failed to {verb} {service}: Interactive authentication required.\n"), 1)
            }
            verb => self.change(verb, &service).await,
        }
    }

    async fn change(&self, verb: &str, service: &str) -> Answer {
        let node = Some(self.node.as_str());
        if verb != "start"
            && let Err(error) = self.components.stop(Component::Kubelet, node).await
        {
            return Answer::err(format!("Failed to {verb} {service}: {error}\n"), 1);
        }
        if verb != "stop"
            && let Err(error) = self.components.start(Component::Kubelet, node).await
        {
            return Answer::err(format!("Failed to {verb} {service}: {error}\n"), 1);
        }
        Answer::out("", 0)
    }
}

fn shown(status: &ComponentStatus, clock: &Clock) -> Answer {
    let since = status.since.strftime("%a %Y-%m-%d %H:%M:%S UTC");
    let ago = age::human(clock.now().duration_since(status.since));
    let (dot, active, code) =
        if status.running { ('●', "active (running)", 0) } else { ('○', "inactive (dead)", 3) };
    let text = format!(
        "{dot} kubelet.service - kubelet: The Kubernetes Node Agent\n     \
         Loaded: loaded (/lib/systemd/system/kubelet.service; enabled; preset: enabled)\n     \
         Active: {active} since {since}; {ago} ago\n"
    );
    Answer::out(text, code)
}

#[async_trait]
impl Program for Systemctl {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let words: Vec<&str> =
            context.args.iter().skip(1).map(String::as_str).filter(|word| !word.starts_with('-')).collect();
        let answer = match words[..] {
            [verb, unit] => {
                let is_root = context.system.user.uid == 0;
                self.answer(verb, unit, is_root, &context.system.clock).await
            }
            [] | [_] => Answer::err("Too few arguments.\n", 1),
            [..] => Answer::err("systemctl takes one unit at a time on this node\n", 1),
        };
        context.stdio.out(answer.out).await;
        context.stdio.err(answer.err).await;
        answer.code
    }
}
