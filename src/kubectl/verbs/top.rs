//! `kubectl top`: what nodes and pods use, which a metrics server has to say; without one the verb says so.
//!
//! The cluster has no metrics server. Where another cluster has one, this kubectl says that it does not show metrics.
// Models k8s.io/kubectl/pkg/cmd/top.

use async_trait::async_trait;

use crate::kubectl::client::Request;
use crate::kubectl::command::{Verb, not_runnable};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::targets::{all_namespaces_flag, field_selector_flag, selector_flag};

/// `kubectl top`.
pub struct Top;

static VERBS: &[&dyn Verb] = &[&Usage::Nodes, &Usage::Pods];

/// The group of the API that a metrics server serves.
const METRICS_GROUP: &str = "metrics.k8s.io";

#[async_trait]
impl Verb for Top {
    fn name(&self) -> &'static str {
        "top"
    }
    fn suggest_for(&self) -> &'static [&'static str] {
        &["stats"]
    }
    fn short(&self) -> &'static str {
        "Display resource (CPU/memory) usage"
    }
    fn long(&self) -> &'static str {
        "Show how much CPU and memory nodes or pods use. A metrics server in the cluster has to measure it."
    }
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        VERBS
    }
    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(not_runnable(session))
    }
}

/// `kubectl top node` and `kubectl top pod`.
enum Usage {
    Nodes,
    Pods,
}

#[async_trait]
impl Verb for Usage {
    fn name(&self) -> &'static str {
        match self {
            Self::Nodes => "node",
            Self::Pods => "pod",
        }
    }
    fn aliases(&self) -> &'static [&'static str] {
        match self {
            Self::Nodes => &["nodes", "no"],
            Self::Pods => &["pods", "po"],
        }
    }
    fn short(&self) -> &'static str {
        match self {
            Self::Nodes => "Display resource (CPU/memory) usage of nodes",
            Self::Pods => "Display resource (CPU/memory) usage of pods",
        }
    }
    fn usage(&self) -> &'static str {
        "[NAME | -l label]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = vec![
            Flag::bool("no-headers", false, "Print no head line."),
            selector_flag(),
            Flag::bool("show-swap", false, "Show swap memory, too."),
            Flag::string("sort-by", "", "Sort by cpu or memory."),
            Flag::bool("use-protocol-buffers", true, "Ask in protocol buffers; this kubectl asks in JSON."),
        ];
        match self {
            Self::Nodes => {
                flags.push(Flag::bool("show-capacity", false, "Reckon shares by what nodes have in all."));
            }
            Self::Pods => flags.extend([
                all_namespaces_flag(),
                Flag::bool("containers", false, "Show each container."),
                field_selector_flag(),
                Flag::bool("sum", false, "Show the sum."),
            ]),
        }
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        if args.len() > 1 {
            let text = format!("{} {}", self.name(), self.usage());
            return Err(KubectlError::usage(&session.command_path, text));
        }
        if !["", "cpu", "memory"].contains(&flags.string("sort-by")) {
            return Err(KubectlError::message("--sort-by accepts only cpu or memory"));
        }
        if args.len() == 1 && !flags.string("selector").is_empty() {
            return Err(KubectlError::message("only one of NAME or selector can be provided"));
        }
        let groups = session.client().await?.json(Request::get("/apis")).await?;
        let served =
            groups["groups"].as_array().into_iter().flatten().any(|group| group["name"] == METRICS_GROUP);
        Err(KubectlError::message(if served {
            "showing metrics is not supported by this kubectl; kubectl get --raw /apis/metrics.k8s.io/v1beta1/pods has them"
        } else {
            "Metrics API not available"
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::kubectl::verbs::testing::Harness;

    #[tokio::test(start_paused = true)]
    async fn without_a_metrics_server_it_says_so() {
        let cluster = Harness::new().await;
        for (line, expected) in [
            ("top pod a b", "error: pod [NAME | -l label]\nSee 'kubectl top pod -h' for help and examples"),
            ("top pods", "error: Metrics API not available"),
            ("top node -l a=b", "error: Metrics API not available"),
            ("top pod a -l a=b", "error: only one of NAME or selector can be provided"),
            ("top nodes --sort-by=x", "error: --sort-by accepts only cpu or memory"),
        ] {
            assert_eq!(cluster.run(line).await, format!("{expected}\n[exit 1]\n"), "{line}");
        }
    }
}
