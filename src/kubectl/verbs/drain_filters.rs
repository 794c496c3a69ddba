//! Which pods a drain may take from a node, and what it says of the others.
// Models kubectl/pkg/drain (filters.go).

use serde_json::Value;

use crate::kubectl::client::Request;
use crate::kubectl::describe::fields::{flag, list, some, text, time};
use crate::kubectl::flags::Flags;
use crate::kubectl::session::Session;

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes.
    Go,
    /// It stays, and nothing is said.
    Stay,
    /// It goes or stays, and that is said.
    Warn { goes: bool, message: String },
    /// The drain must not go on.
    Refuse(String),
}

/// Judges a pod. The first filter that keeps it, and else the last that says something, has the say.
pub async fn judge(session: &Session, flags: &Flags, pod: &Value) -> Verdict {
    if let Some(verdict) = skipped(session, flags, pod) {
        return verdict;
    }
    let daemon_set = of_daemon_set(session, flags, pod).await;
    if matches!(daemon_set, Verdict::Refuse(_) | Verdict::Warn { goes: false, .. }) {
        return daemon_set;
    }
    if !text(pod, "/metadata/annotations/kubernetes.io~1config.mirror").is_empty() {
        return Verdict::Stay;
    }
    let finished = ["Succeeded", "Failed"].contains(&text(pod, "/status/phase"));
    let local = list(pod, "/spec/volumes").iter().any(|volume| some(volume, "/emptyDir").is_some());
    if local && !finished && !flags.bool("delete-emptydir-data") {
        return Verdict::Refuse(
            "Pods with local storage (use --delete-emptydir-data to override)".to_owned(),
        );
    }
    // The last filter decides what is said, as in kubectl: each one's word replaces the one before.
    if finished || controller(pod).is_some() {
        return Verdict::Go;
    }
    if flags.bool("force") {
        return Verdict::Warn { goes: true, message: "deleting Pods that declare no controller".to_owned() };
    }
    Verdict::Refuse("Pods that declare no controller (use --force to override)".to_owned())
}

fn controller(pod: &Value) -> Option<&Value> {
    list(pod, "/metadata/ownerReferences").iter().find(|owner| flag(owner, "/controller"))
}

/// A pod that has been ending for longer than one wants to wait.
fn skipped(session: &Session, flags: &Flags, pod: &Value) -> Option<Verdict> {
    let limit = flags.int("skip-wait-for-delete-timeout");
    let since = time(pod, "/metadata/deletionTimestamp")?;
    (limit > 0 && session.clock.now().duration_since(since).as_secs() > limit).then_some(Verdict::Stay)
}

async fn of_daemon_set(session: &Session, flags: &Flags, pod: &Value) -> Verdict {
    let finished = ["Succeeded", "Failed"].contains(&text(pod, "/status/phase"));
    let owner = controller(pod)
        .filter(|owner| text(owner, "/kind") == "DaemonSet" && text(owner, "/apiVersion") == "apps/v1");
    let Some(owner) = owner.filter(|_| !finished) else { return Verdict::Go };
    let path = format!(
        "/apis/apps/v1/namespaces/{}/daemonsets/{}",
        text(pod, "/metadata/namespace"),
        text(owner, "/name")
    );
    let found = match session.client().await {
        Ok(client) => client.json(Request::get(path)).await,
        Err(error) => Err(error),
    };
    match found {
        Err(error) if error.is_not_found() && flags.bool("force") => {
            Verdict::Warn { goes: true, message: error.to_string() }
        }
        Err(error) => Verdict::Refuse(error.to_string()),
        Ok(_) if flags.bool("ignore-daemonsets") => {
            Verdict::Warn { goes: false, message: "ignoring DaemonSet-managed Pods".to_owned() }
        }
        Ok(_) => Verdict::Refuse("DaemonSet-managed Pods (use --ignore-daemonsets to ignore)".to_owned()),
    }
}
